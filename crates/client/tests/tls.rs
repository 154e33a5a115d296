//! TLS against a rustls acceptor in front of a server of this process. The certificates of `tests/tls` were made with openssl for a
//! hundred years; the key of their authority was thrown away. The real Apache with TLS is in interop's client suite.

use ostler_client::aio::{Client, CreateMode, Error, Tls};
use ostler_test::TestServer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).expect("a certificate")
}

/// A port with TLS that leads to a server. `identity`: name of its certificate and key.
async fn secure(server: &TestServer, identity: &str, asks_for_certificates: bool) -> u16 {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("usual versions");
    let builder = if asks_for_certificates {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.pem")).expect("an authority");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(file(&format!("{identity}.key"))).expect("a key");
    let config =
        builder.with_single_cert(vec![certificate(&format!("{identity}.pem"))], key).expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let address = server.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
                // A client that is refused goes away; its end of the test says why.
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let Ok(mut server) = TcpStream::connect(address).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

fn tls(authority: &str) -> Tls {
    Tls::files(file(authority), None::<(PathBuf, PathBuf)>).expect("certificates")
}

async fn connect(port: u16, tls: Tls) -> Result<Client, Error> {
    Client::builder(&format!("127.0.0.1:{port}")).connect_timeout(Duration::from_secs(3)).tls(tls).connect().await
}

async fn refusal(port: u16, tls: Tls) -> String {
    connect(port, tls).await.expect_err("it is refused").to_string()
}

#[tokio::test]
async fn small_and_large_values_go_through_and_a_cut_is_survived() {
    let server = TestServer::start();
    let port = secure(&server, "server", false).await;
    let client = connect(port, tls("ca.pem")).await.expect("a session");
    let large: Vec<u8> = (0..900_000_u32).map(|at| (at % 251) as u8).collect();
    client.create("/large", &large, CreateMode::Persistent).await.expect("created");
    // More than the sockets hold, in both directions at once.
    let calls: Vec<_> = (0..20).map(|_| (client.set_data("/large", &large, -1), client.get_data("/large"))).collect();
    for (set, get) in calls {
        set.await.expect("set");
        assert!(get.await.expect("read").0 == large);
    }
    let session = client.session_id();
    server.door().cut();
    while client.get_data("/large").await.is_err() {}
    assert_eq!(client.session_id(), session, "it comes back with the same session");
    client.close().await;
}

#[tokio::test]
async fn who_cannot_prove_who_he_is_is_refused() {
    let server = TestServer::start();
    let port = secure(&server, "server", false).await;
    let text = refusal(port, tls("other-ca.pem")).await;
    assert!(text.contains("TLS handshake failed") && text.contains("UnknownIssuer"), "{text}");
    let elsewhere = secure(&server, "elsewhere", false).await;
    let text = refusal(elsewhere, tls("ca.pem")).await;
    assert!(text.contains("not valid for name"), "{text}");
    let named = tls("ca.pem").server_name("elsewhere.example").expect("a name");
    connect(elsewhere, named).await.expect("the name that was asked for");
    // A server that asks for certificates.
    let strict = secure(&server, "server", true).await;
    refusal(strict, tls("ca.pem")).await;
    let with = Tls::files(file("ca.pem"), Some((file("client.pem"), file("client.key")))).expect("a certificate");
    connect(strict, with).await.expect("a certificate of the right authority");
    // No TLS on the other side: it ends in time, and says what was tried.
    let plain: u16 = server.address().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    refusal(plain, tls("ca.pem")).await;
}

#[test]
fn what_is_no_certificate_is_told() {
    let none = None::<(PathBuf, PathBuf)>;
    for (result, part) in [
        (Tls::files(file("missing.pem"), none), "missing.pem"),
        (Tls::pem(b"no certificate", None), "there is none"),
        (Tls::files(file("ca.pem"), Some((file("client.pem"), file("server.key")))), "certificate and key"),
        (Tls::files(file("ca.pem"), Some((file("client.pem"), file("client.pem")))), "the client's key"),
        (tls("ca.pem").server_name("a b"), "the server's name"),
    ] {
        let text = result.expect_err("wrong").to_string();
        assert!(text.contains(part) && text.contains("hint: "), "{text}");
    }
}
