//! An atomic counter: a number in a znode, changed by comparing versions.
//!
//! [`Format::Long`] is the number of Curator's `DistributedAtomicLong`, [`Format::Int`] that of `DistributedAtomicInteger` and
//! `SharedCount`, [`Format::Text`] that of kazoo's `Counter`.

use crate::aio::{Client, CreateMode, Error, ErrorCode};
use crate::recipes::once::once;
use crate::recipes::place::{PATIENT, make_parents};
use ostler_model::OpCode;

/// How the number stands in the znode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// 8 bytes, the highest first.
    #[default]
    Long,
    /// 4 bytes, the highest first.
    Int,
    /// Decimal.
    Text,
}

impl Format {
    fn write(self, number: i64) -> Option<Vec<u8>> {
        match self {
            Format::Long => Some(number.to_be_bytes().to_vec()),
            Format::Int => i32::try_from(number).ok().map(|number| number.to_be_bytes().to_vec()),
            Format::Text => Some(number.to_string().into_bytes()),
        }
    }

    /// Nothing reads as 0.
    fn read(self, bytes: &[u8]) -> Option<i64> {
        if bytes.is_empty() {
            return Some(0);
        }
        match self {
            Format::Long => bytes.try_into().ok().map(i64::from_be_bytes),
            Format::Int => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).into()),
            Format::Text => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        }
    }
}

/// A number at a path; 0 while it is not there.
///
/// Each change is made against the version that was read, so none is lost among several clients; and once, over lost
/// connections too: for a moment the znode has a child `_mark-UUID`.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{Counter, Format};
/// let counter = Counter::new(&client, "/visits");
/// assert_eq!(counter.add(2).await?, 2);
/// assert_eq!(counter.add(-3).await?, -1);
/// assert!(counter.compare_and_set(-1, 10).await?);
/// assert!(!counter.compare_and_set(-1, 11).await?);
/// assert_eq!(counter.get().await?, 10);
/// let kazoos = Counter::new(&client, "/kazoo").format(Format::Text);
/// kazoos.add(1).await?;
/// assert_eq!(client.get_data("/kazoo").await?.0, b"1");
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Counter {
    client: Client,
    path: String,
    format: Format,
}

impl Counter {
    /// The number at this path, as a [`Format::Long`].
    pub fn new(client: &Client, path: &str) -> Counter {
        Counter { client: client.clone(), path: path.to_owned(), format: Format::Long }
    }

    /// Sets how the number stands in the znode.
    pub fn format(mut self, format: Format) -> Counter {
        self.format = format;
        self
    }

    /// The number now.
    ///
    /// # Errors
    /// The session ended, or the server refused it; [`Error::Malformed`]: the znode's data is no number in this format.
    pub async fn get(&self) -> Result<i64, Error> {
        Ok(self.read().await?.0)
    }

    /// Adds, and returns the sum.
    ///
    /// # Errors
    /// As [`Counter::get`]; [`Error::Malformed`], too, if the sum does not fit. If the session ended, the change may be in it
    /// or not.
    pub async fn add(&self, number: i64) -> Result<i64, Error> {
        loop {
            let (old, version) = self.read().await?;
            let new = old.checked_add(number).ok_or_else(|| self.malformed("the sum does not fit"))?;
            if self.write(version, new).await? {
                return Ok(new);
            }
        }
    }

    /// Sets it to `new` if it is `old`; false if it is not.
    ///
    /// # Errors
    /// As [`Counter::add`].
    pub async fn compare_and_set(&self, old: i64, new: i64) -> Result<bool, Error> {
        loop {
            let (now, version) = self.read().await?;
            if now != old {
                return Ok(false);
            }
            if self.write(version, new).await? {
                return Ok(true);
            }
        }
    }

    fn malformed(&self, why: &str) -> Error {
        Error::Malformed { op: OpCode::GetData, why: format!("{} of {:?} is no number: {why}", self.path, self.format) }
    }

    /// The number and the znode's version; `None` without one.
    async fn read(&self) -> Result<(i64, Option<i32>), Error> {
        match PATIENT.run(|| self.client.get_data(&self.path)).await {
            Ok((bytes, stat)) => {
                let number = self.format.read(&bytes);
                Ok((number.ok_or_else(|| self.malformed(&format!("{bytes:?}")))?, Some(stat.version)))
            }
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok((0, None)),
            Err(error) => Err(error),
        }
    }

    /// Writes if the version is still this one, once; false if it is not.
    async fn write(&self, version: Option<i32>, number: i64) -> Result<bool, Error> {
        let bytes = self.format.write(number).ok_or_else(|| self.malformed("it does not fit"))?;
        let write = once(&self.client, &self.path, |multi| match version {
            Some(version) => multi.set_data(&self.path, &bytes, version),
            None => multi.create(&self.path, &bytes, CreateMode::Persistent),
        });
        match write.await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                // Deleted meanwhile; or its parent is not there.
                make_parents(&self.client, &self.path[..self.path.rfind('/').unwrap_or(0)]).await?;
                Ok(false)
            }
            Err(error) if matches!(error.code(), Some(ErrorCode::BadVersion | ErrorCode::NodeExists)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_curator_and_kazoo() {
        assert_eq!(Format::Long.write(1), Some(vec![0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(Format::Int.write(-1), Some(vec![255; 4]));
        assert_eq!(Format::Int.write(1 << 40), None);
        assert_eq!(Format::Text.write(-12), Some(b"-12".to_vec()));
        for format in [Format::Long, Format::Int, Format::Text] {
            let bytes = format.write(-70_000).unwrap();
            assert_eq!(format.read(&bytes), Some(-70_000));
            assert_eq!(format.read(b""), Some(0));
            assert_eq!(format.read(b"abc"), None);
        }
    }
}
