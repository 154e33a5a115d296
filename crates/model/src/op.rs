//! The opcodes of the client protocol (client-protocol.md section 7).

macro_rules! opcodes {
    ($($name:ident = $code:literal),* $(,)?) => {
        /// An opcode that the protocol defines.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        #[allow(missing_docs, reason = "the protocol's names")]
        pub enum OpCode { $($name = $code),* }

        impl OpCode {
            /// The opcode with this number, if the protocol defines it.
            pub const fn from_i32(code: i32) -> Option<OpCode> {
                match code { $($code => Some(OpCode::$name),)* _ => None }
            }
        }
    };
}

opcodes! {
    CreateSession = -10, CloseSession = -11, Error = -1, Notification = 0,
    Create = 1, Delete = 2, Exists = 3, GetData = 4, SetData = 5, GetAcl = 6, SetAcl = 7, GetChildren = 8,
    Sync = 9, Ping = 11, GetChildren2 = 12, Check = 13, Multi = 14, Create2 = 15, Reconfig = 16,
    CheckWatches = 17, RemoveWatches = 18, CreateContainer = 19, DeleteContainer = 20, CreateTtl = 21,
    MultiRead = 22, Auth = 100, SetWatches = 101, Sasl = 102, GetEphemerals = 103,
    GetAllChildrenNumber = 104, SetWatches2 = 105, AddWatch = 106, WhoAmI = 107,
}

impl OpCode {
    /// The number on the wire and in the log.
    pub const fn code(self) -> i32 {
        self as i32
    }
}
