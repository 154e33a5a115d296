//! A TCP proxy whose connections can be cut, as a broken network would.

use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

pub struct Proxy {
    port: u16,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    pub async fn start(server: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (cut, _) = broadcast::channel(1);
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut end = cuts.subscribe();
                tokio::spawn(async move {
                    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                        _ = end.recv() => {}
                    }
                });
            }
        });
        Ok(Self { port, cut })
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Closes every connection; new ones work.
    pub fn cut(&self) {
        // Nobody listening means that nothing is connected.
        let _ = self.cut.send(());
    }
}
