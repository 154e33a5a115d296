//! The witness on the servers' side that holders never overlap: a znode beside each lock and election, which every holder
//! writes when it comes in and when it goes out, each time only while its own znode is there, and only over the version
//! that it saw. Its history is one chain of writes, which the servers have put in order:
//!
//! * whoever comes in over a greater token than its own was passed by a later holder;
//! * whoever finds another version than its own at the way out had somebody else inside.

use ostler_client::aio::{Client, Error, ErrorCode, Multi, Stat, Zxid};

/// What came of being inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// In and out.
    Through,
    /// The znode was gone, and the servers refused the write: a session that ended without the holder knowing.
    Late,
}

/// Why it was not passed.
#[derive(Debug)]
pub enum Trouble {
    Client(Error),
    /// Two were inside.
    Overlap(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Client(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    In,
    Out,
}

/// What a witness says: who, and whether it is in.
pub fn text(token: Zxid, is_in: bool) -> String {
    format!("{} {}", if is_in { "in" } else { "out" }, token.0)
}

/// The token that a witness names; 0 in a new one.
pub fn token_of(data: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(data).ok()?;
    if text.is_empty() { Some(0) } else { text.strip_prefix("in ").or(text.strip_prefix("out "))?.parse().ok() }
}

/// Goes in, does what a holder does, and out.
pub async fn pass<'m>(
    client: &Client,
    witness: &str,
    token: Zxid,
    fenced: impl Fn() -> Option<Multi<'m>>,
    inside: impl Future<Output = ()>,
) -> Result<Passed, Trouble> {
    let Some(version) = write(client, witness, token, Way::In, None, &fenced).await? else { return Ok(Passed::Late) };
    inside.await;
    let out = write(client, witness, token, Way::Out, Some(version), &fenced).await?;
    Ok(if out.is_some() { Passed::Through } else { Passed::Late })
}

/// Writes once over lost connections, and returns the new version; `None` if the holder's znode is gone.
async fn write<'m>(
    client: &Client,
    witness: &str,
    token: Zxid,
    way: Way,
    over: Option<i32>,
    fenced: &impl Fn() -> Option<Multi<'m>>,
) -> Result<Option<i32>, Trouble> {
    let own = text(token, way == Way::In);
    let mut seen = over;
    let mut first = true;
    loop {
        let (data, stat) = look(client, witness).await?;
        if data == own.as_bytes() && !first {
            // A write whose answer was lost.
            return Ok(Some(stat.version));
        }
        let version = *seen.get_or_insert(stat.version);
        let passed = token_of(&data).is_none_or(|last| last > token.0 || (last == token.0 && way == Way::In));
        let Some(multi) = fenced() else { return Ok(None) };
        first = false;
        match multi.set_data(witness, own.as_bytes(), version).commit().await {
            // The znode was there, and a later holder had been inside.
            Ok(_) if passed => {
                let data = String::from_utf8_lossy(&data).into_owned();
                return Err(Trouble::Overlap(format!("{witness}: {own:?} was written over {data:?}")));
            }
            Ok(_) => return Ok(Some(version + 1)),
            Err(error) if error.is_transient() => (),
            Err(Error::Multi { index: 0, .. }) => return Ok(None),
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                let (data, _) = look(client, witness).await?;
                if data != own.as_bytes() {
                    let data = String::from_utf8_lossy(&data).into_owned();
                    return Err(Trouble::Overlap(format!(
                        "{witness}: {own:?} found {data:?} where version {version} was"
                    )));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads behind a write, so that nothing that was written before this call is missed.
async fn look(client: &Client, witness: &str) -> Result<(Vec<u8>, Stat), Error> {
    loop {
        let (write, read) = (client.multi().check(witness, -1).commit(), client.get_data(witness));
        match write.await {
            Err(error) if error.is_transient() => continue,
            other => drop(other?),
        }
        match read.await {
            Err(error) if error.is_transient() => (),
            other => return other,
        }
    }
}
