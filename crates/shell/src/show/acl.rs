//! ACLs in words: `scheme:id:perms`, read and written.

use ostler_client::aio::{Acl, perms};
use serde_json::{Value, json};

/// The letters in the order in which Apache prints them.
const LETTERS: [(i32, char); 5] =
    [(perms::CREATE, 'c'), (perms::DELETE, 'd'), (perms::READ, 'r'), (perms::WRITE, 'w'), (perms::ADMIN, 'a')];

/// The letters of permissions.
pub fn letters(perms: i32) -> String {
    LETTERS.iter().filter(|(bit, _)| perms & bit != 0).map(|(_, letter)| letter).collect()
}

/// The permission of a letter.
pub fn permission(letter: char) -> Option<i32> {
    LETTERS.iter().find(|(_, other)| *other == letter).map(|(bit, _)| *bit)
}

/// `world:anyone:cdrwa`.
pub fn text(acl: &Acl) -> String {
    format!("{}:{}:{}", acl.scheme, acl.id, letters(acl.perms))
}

/// For programs.
pub fn object(acl: &Acl) -> Value {
    json!({ "scheme": acl.scheme, "id": acl.id, "perms": letters(acl.perms) })
}

/// Everybody may do everything.
pub fn open() -> Vec<Acl> {
    ostler_model::open_acl().to_vec()
}

/// An item that is no `scheme:id:perms`.
pub enum Fault {
    /// Two colons are missing.
    Form(String),
    /// A letter that is no permission.
    Letter(char),
}

/// Reads `scheme:id:perms,...`; an id may contain colons. What is wrong is handed to `fault`, the rest is kept.
pub fn read(list: &str, mut fault: impl FnMut(Fault)) -> Vec<Acl> {
    let mut acls = Vec::new();
    for item in list.split(',') {
        let (Some(first), Some(last)) = (item.find(':'), item.rfind(':')) else {
            fault(Fault::Form(item.into()));
            continue;
        };
        if first == last {
            fault(Fault::Form(item.into()));
            continue;
        }
        let mut bits = 0;
        for letter in item[last + 1..].chars() {
            match permission(letter) {
                Some(bit) => bits |= bit,
                None => fault(Fault::Letter(letter)),
            }
        }
        acls.push(Acl { perms: bits, scheme: item[..first].into(), id: item[first + 1..last].into() });
    }
    acls
}

/// Reads an ACL strictly, for clap.
pub fn parse(list: &str) -> Result<Vec<Acl>, String> {
    let mut faults = Vec::new();
    let acl = read(list, |fault| {
        faults.push(match fault {
            Fault::Form(item) => format!("{item:?} is not SCHEME:ID:PERMS"),
            Fault::Letter(letter) => format!("{letter:?} is no permission"),
        });
    });
    match faults.first() {
        None => Ok(acl),
        Some(fault) => Err(format!(
            "{fault}; hint: write for example world:anyone:r,digest:USER:HASH:cdrwa (create, delete, read, write, admin)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_again() {
        let list = "world:anyone:r,digest:joe:abc=:cdrwa,ip:::1:w";
        let acl = parse(list).unwrap();
        assert_eq!((acl[1].id.as_str(), acl[1].perms), ("joe:abc=", perms::ALL));
        assert_eq!(acl[2].id, "::1");
        assert_eq!(acl.iter().map(text).collect::<Vec<_>>().join(","), list);
        for wrong in ["", "world", "world:anyone", "world:anyone:x", "world:anyone:r,,"] {
            assert!(parse(wrong).unwrap_err().contains("hint: "), "{wrong}");
        }
    }
}
