//! Apache's commands: their usage lines, their options, and which of our commands each one is.

use crate::apache::options::{Definition, Parsed, flag, parse, value};
use crate::apache::texts::Refusal;
use crate::commands::{
    self, AclList, AddAuth, AddWatch, Command, Create, DelQuota, Delete, DeleteAll, Get, GetAcl, GetAllChildrenNumber,
    GetEphemerals, Kinds, Limit, ListQuota, Ls, Members, Only, Reconfig, RemoveWatches, Set, SetAcl, SetQuota,
    ShellCommand, Sync, Version, WhoAmI,
};
use crate::error::{CommandError, PathFault};
use crate::output::Output;
use crate::show::acl::{self, Fault};

/// A command of Apache's shell.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What stands behind the name in its usage line.
    usage: &'static str,
    /// More lines of its usage.
    more: &'static str,
    options: &'static [Definition],
    /// Words that it needs.
    words: usize,
    make: fn(&Parsed, &Output) -> Result<ShellCommand, Refusal>,
}

const HELP_OF_GET: &str = "
 -b   Output data in base64 format
 -s   Print znode stats additionally
 -w   Watch for changes on the znode
 -x   Output data in hexdump format
";
const HELP_OF_SET: &str = "
 -b         Supply data in base64 format
 -s         Print znode stats additionally
 -v <arg>   Set with an expected version
";

/// All of them, by name as Apache sorts them. Those without `make`'s own words are handled by the shell itself.
pub const ROWS: &[Row] = &[
    row(
        "addWatch",
        "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE",
        &[value("m")],
        1,
        add_watch,
    ),
    row("addauth", "scheme auth", &[], 2, |p, _| {
        Ok(ShellCommand::AddAuth(AddAuth { scheme: word(p, 0), auth: p.word(1) }))
    }),
    row("close", "", &[], 0, |_, _| Ok(ShellCommand::Close)),
    row("config", "[-c] [-w] [-s]", &[flag("s"), flag("w"), flag("c")], 0, |p, _| {
        Ok(one(Command::Config(commands::Config { client: p.has("c"), stat: p.has("s"), watch: p.has("w") })))
    }),
    row("connect", "host:port", &[], 0, |p, _| Ok(ShellCommand::Connect(commands::Connect { server: p.word(0) }))),
    row(
        "create",
        "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        &[flag("e"), flag("s"), flag("c"), value("t")],
        1,
        create,
    ),
    row("delete", "[-v version] path", &[value("v")], 1, |p, out| {
        if p.words.len() > 1 {
            out.complain("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.");
        }
        Ok(one(Command::Delete(Delete { path: word(p, 0), version: version(p)? })))
    }),
    row("deleteall", "path [-b batch size]", &[value("b")], 1, |p, _| {
        let batch = number(p, "b")?.unwrap_or(1_000).clamp(1, 10_000);
        Ok(one(Command::DeleteAll(DeleteAll { path: word(p, 0), batch, yes: true })))
    }),
    row("delquota", "[-n|-b|-N|-B] path", ONE_LIMIT, 1, |p, _| {
        let only = Only { count: p.has("n"), bytes: p.has("b"), count_hard: p.has("N"), bytes_hard: p.has("B") };
        Ok(one(Command::DelQuota(DelQuota { path: word(p, 0), only })))
    }),
    Row {
        more: HELP_OF_GET,
        ..row("get", "[-s] [-w] [-b] [-x] path", &[flag("s"), flag("w"), flag("b"), flag("x")], 1, |p, out| {
            let watch = old_watch(p, "get", "get [-s] [-w] path", out);
            let (stat, base64, hex) = (p.has("s"), p.has("b"), p.has("x"));
            Ok(one(Command::Get(Get { path: word(p, 0), stat, watch, raw: false, base64, hex })))
        })
    },
    row("getAcl", "[-s] path", &[flag("s")], 1, |p, _| {
        Ok(one(Command::GetAcl(GetAcl { path: word(p, 0), stat: p.has("s") })))
    }),
    row("getAllChildrenNumber", "path", &[], 1, |p, _| {
        Ok(one(Command::GetAllChildrenNumber(GetAllChildrenNumber { path: word(p, 0) })))
    }),
    row("getEphemerals", "path", &[], 0, |p, _| {
        Ok(one(Command::GetEphemerals(GetEphemerals { prefix: p.word(0).unwrap_or_else(|| "/".into()) })))
    }),
    row("history", "", &[], 0, |_, _| Ok(ShellCommand::History(commands::History { count: 11 }))),
    row("listquota", "path", &[], 1, |p, _| Ok(one(Command::ListQuota(ListQuota { path: word(p, 0) })))),
    row("ls", "[-s] [-w] [-R] path", &[flag("s"), flag("w"), flag("R")], 1, |p, out| {
        let watch = old_watch(p, "ls", "ls [-w] path", out);
        Ok(one(Command::Ls(Ls { path: word(p, 0), stat: p.has("s"), watch, recursive: p.has("R") })))
    }),
    row("printwatches", "on|off", &[], 0, |p, _| {
        let switch = p.word(0).map(|word| if word == "on" { commands::Switch::On } else { commands::Switch::Off });
        Ok(ShellCommand::PrintWatches(commands::PrintWatches { switch }))
    }),
    row("quit", "", &[], 0, |_, _| Ok(ShellCommand::Quit)),
    row(
        "reconfig",
        "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
        &[flag("s"), value("v"), value("file"), value("members"), value("add"), value("remove")],
        0,
        reconfig,
    ),
    row("redo", "cmdno", &[], 0, |p, _| match p.word(0).map(|word| word.parse()) {
        Some(Ok(number)) => Ok(ShellCommand::Redo(commands::Redo { number })),
        Some(Err(_)) => Err(Refusal::Err("Command index out of range".into())),
        None => Err(Refusal::Nothing),
    }),
    row(
        "removewatches",
        "path [-c|-d|-a] [-l]",
        &[flag("c"), flag("d"), flag("p"), flag("r"), flag("a"), flag("l")],
        1,
        |p, _| {
            let kinds = Kinds {
                children: p.has("c"),
                data: p.has("d"),
                persistent: p.has("p"),
                recursive: p.has("r"),
                any: p.has("a"),
            };
            Ok(ShellCommand::RemoveWatches(RemoveWatches { path: word(p, 0), kinds, local: p.has("l") }))
        },
    ),
    Row {
        more: HELP_OF_SET,
        ..row("set", "path data [-s] [-v version] [-b]", &[flag("s"), value("v"), flag("b")], 2, |p, _| {
            let (stat, base64) = (p.has("s"), p.has("b"));
            Ok(one(Command::Set(Set {
                path: word(p, 0),
                data: p.word(1),
                file: None,
                base64,
                version: version(p)?,
                stat,
            })))
        })
    },
    row("setAcl", "[-s] [-v version] [-R] path acl", &[flag("s"), value("v"), flag("R")], 2, |p, out| {
        let acl = acl_of(&word(p, 1), out);
        if acl.0.is_empty() && !p.has("R") {
            return Err(Refusal::Err("Acl is not valid : null".into()));
        }
        let (stat, recursive) = (p.has("s"), p.has("R"));
        Ok(one(Command::SetAcl(SetAcl { path: word(p, 0), acl, stat, version: version(p)?, recursive })))
    }),
    row(
        "setquota",
        "-n|-b|-N|-B val path",
        &[value("n").exclusive(), value("b").exclusive(), value("N").exclusive(), value("B").exclusive()],
        0,
        set_quota,
    ),
    row("stat", "[-w] path", &[flag("w")], 1, |p, out| {
        let watch = old_watch(p, "stat", "stat [-w] path", out);
        Ok(one(Command::Stat(commands::Stat { path: word(p, 0), watch })))
    }),
    row("sync", "path", &[], 1, |p, _| Ok(one(Command::Sync(Sync { path: word(p, 0) })))),
    row("version", "", &[], 0, |_, _| Ok(one(Command::Version(Version {})))),
    row("whoami", "", &[], 0, |_, _| Ok(one(Command::WhoAmI(WhoAmI {})))),
];

const ONE_LIMIT: &[Definition] =
    &[flag("n").exclusive(), flag("b").exclusive(), flag("N").exclusive(), flag("B").exclusive()];

const fn row(
    name: &'static str,
    usage: &'static str,
    options: &'static [Definition],
    words: usize,
    make: fn(&Parsed, &Output) -> Result<ShellCommand, Refusal>,
) -> Row {
    Row { name, usage, more: "", options, words, make }
}

impl Row {
    /// `ls [-s] [-w] [-R] path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.name, self.usage)
    }

    /// Our command for these words. What Apache says besides goes to `out` at once.
    pub fn command(&self, words: &[String], out: &Output) -> Result<ShellCommand, Refusal> {
        let parsed = parse(self.options, words).map_err(Refusal::Err)?;
        if parsed.words.len() < self.words {
            return Err(self.usage());
        }
        match (self.make)(&parsed, out) {
            Err(Refusal::Usage) => Err(self.usage()),
            other => other,
        }
    }

    fn usage(&self) -> Refusal {
        Refusal::Err(format!("{}{}", self.line(), self.more))
    }
}

/// The commands' usage, as Apache prints it for an unknown one.
pub fn usage() -> String {
    let mut text = String::from("ZooKeeper -server host:port -client-configuration properties-file cmd args");
    for row in ROWS {
        text.push_str(&format!("\n\t{}", row.line()));
    }
    text
}

fn one(command: Command) -> ShellCommand {
    ShellCommand::Command(command)
}

/// A word that is there, because the row needs so many.
fn word(parsed: &Parsed, place: usize) -> String {
    parsed.word(place).unwrap_or_default()
}

fn number<T: std::str::FromStr>(parsed: &Parsed, option: &str) -> Result<Option<T>, Refusal> {
    let parse = |text: &str| text.parse().map_err(|_| Refusal::NotANumber(text.into()));
    parsed.value(option).map(parse).transpose()
}

fn version(parsed: &Parsed) -> Result<i32, Refusal> {
    Ok(number(parsed, "v")?.unwrap_or(-1))
}

/// The old form of a watch: any second word.
fn old_watch(parsed: &Parsed, name: &str, new: &str, out: &Output) -> bool {
    let is_old = parsed.words.len() > 1;
    if is_old {
        out.complain(format!("'{name} path [watch]' has been deprecated. Please use '{new}' instead."));
    }
    is_old || parsed.has("w")
}

fn acl_of(text: &str, out: &Output) -> AclList {
    AclList(acl::read(text, |fault| match fault {
        Fault::Form(item) => out.complain(format!("{item} does not have the form scheme:id:perm")),
        Fault::Letter(letter) => out.complain(format!("Unknown perm type: {letter}")),
    }))
}

fn add_watch(parsed: &Parsed, _: &Output) -> Result<ShellCommand, Refusal> {
    let mode = match parsed.value("m") {
        None | Some("PERSISTENT_RECURSIVE") => commands::Mode::Recursive,
        Some("PERSISTENT") => commands::Mode::Persistent,
        Some(_) => return Err(Refusal::Usage),
    };
    Ok(one(Command::AddWatch(AddWatch { path: word(parsed, 0), mode })))
}

fn create(parsed: &Parsed, out: &Output) -> Result<ShellCommand, Refusal> {
    let [sequential, ephemeral, container] = ["s", "e", "c"].map(|name| parsed.has(name));
    let refuse = |text: &str| Err(Refusal::Err(text.into()));
    if container && (sequential || ephemeral) {
        return refuse("-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.");
    }
    let ttl = match parsed.value("t").map(str::parse) {
        Some(Err(_)) => return refuse("-t argument must be a long value"),
        Some(Ok(_)) if ephemeral => return refuse("TTLs cannot be used with Ephemeral znodes"),
        Some(Ok(_)) if container => return refuse("TTLs cannot be used with Container znodes"),
        Some(Ok(ttl)) => Some(ttl),
        None => None,
    };
    let acl = parsed.word(2).map(|text| acl_of(&text, out));
    if acl.as_ref().is_some_and(|acl| acl.0.is_empty()) {
        return refuse("KeeperErrorCode = InvalidACL\nAcl is not valid : null");
    }
    let (path, data) = (word(parsed, 0), parsed.word(1));
    let create = Create { path, data, acl, sequential, ephemeral, container, ttl, file: None, base64: false };
    Ok(one(Command::Create(create)))
}

fn set_quota(parsed: &Parsed, _: &Output) -> Result<ShellCommand, Refusal> {
    let [count, bytes, count_hard, bytes_hard] =
        [number(parsed, "n")?, number(parsed, "b")?, number(parsed, "N")?, number(parsed, "B")?];
    let limit = Limit { count, bytes, count_hard, bytes_hard };
    if [count, bytes, count_hard, bytes_hard] == [None; 4] {
        return Err(Refusal::Err("org.apache.commons.cli.MissingOptionException: Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]".into()));
    }
    match parsed.word(0) {
        None => Err(Refusal::Usage),
        // There is none for everything.
        Some(path) if path == "/" => {
            Err(Refusal::Command(CommandError::Path { path: "/".into(), fault: PathFault::TrailingSlash }))
        }
        Some(path) => Ok(one(Command::SetQuota(SetQuota { path, limit }))),
    }
}

fn reconfig(parsed: &Parsed, _: &Output) -> Result<ShellCommand, Refusal> {
    let is_whole = parsed.has("file") || parsed.has("members");
    let is_change = parsed.has("add") || parsed.has("remove");
    if is_whole && is_change {
        return Err(Refusal::Err("Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)".into()));
    }
    if parsed.has("file") && parsed.has("members") {
        return Err(Refusal::Err("Can't use -file and -members together (conflicting non-incremental modes)".into()));
    }
    if !is_whole && !is_change {
        return Err(Refusal::Usage);
    }
    let version =
        parsed.value("v").map(|text| i64::from_str_radix(text, 16).map_err(|_| Refusal::NotANumber(text.into())));
    // Apache writes them in small letters.
    let list = |name: &str| parsed.value(name).map(str::to_lowercase);
    let file = parsed.value("file").map(Into::into);
    let members = Members { add: list("add"), remove: list("remove"), members: list("members"), file };
    Ok(one(Command::Reconfig(Reconfig { stat: parsed.has("s"), version: version.transpose()?, members })))
}
