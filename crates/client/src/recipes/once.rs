//! A change that happens once, over lost connections too: in the same transaction it makes an ephemeral mark, a child of
//! some znode, which tells after a lost connection whether it has happened, and is deleted when that is known.

use crate::aio::{Client, CreateMode, Error, ErrorCode, Multi};
use crate::recipes::names::{join, uuid};
use crate::recipes::place::{PATIENT, names_behind_a_write};

/// Makes a change with a mark below `parent`, which has to be there when the change is made.
///
/// # Errors
/// What the server refused, in which case it has not happened; or the end of the session, in which case it may have.
pub(crate) async fn once(
    client: &Client,
    parent: &str,
    change: impl for<'m> Fn(Multi<'m>) -> Multi<'m>,
) -> Result<(), Error> {
    let id = uuid();
    let mark = join(parent, &format!("_mark-{id}"));
    loop {
        match change(client.multi()).create(&mark, b"", CreateMode::Ephemeral).commit().await {
            Ok(_) => break,
            Err(error) if error.is_transient() => match PATIENT.run(|| names_behind_a_write(client, parent)).await {
                Ok(names) if names.iter().any(|name| name.ends_with(&id)) => break,
                Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error),
                _ => (),
            },
            Err(error) => return Err(error),
        }
    }
    match PATIENT.run(|| client.delete(&mark, -1)).await {
        Err(error) if error.code() != Some(ErrorCode::NoNode) => Err(error),
        _ => Ok(()),
    }
}
