//! What the tests with a server in their own process share.

use ostler_client::aio::Client;
use ostler_test::TestServer;
use std::time::Duration;

/// Long enough for a loaded machine, short enough to notice a hang.
pub const WAIT: Duration = Duration::from_secs(30);

/// Fails instead of waiting for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, what).await.expect("it happens in time")
}

pub async fn connect(server: &TestServer) -> Client {
    soon(Client::connect(&server.address())).await.unwrap()
}
