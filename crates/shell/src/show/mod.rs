//! What znodes have, as text: values by kind, Stats, ACLs.

pub mod acl;
pub mod hexdump;
pub mod stat;
pub mod value;
