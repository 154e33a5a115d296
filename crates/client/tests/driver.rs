//! The blocking driver over a real socket, with the fake ensemble behind it. Against real servers:
//! `examples/every_call.rs`.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod fake;

use fake::Ensemble;
use ostler_client::{Client, ClientError, SessionState};
use ostler_model::EventType;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

/// Serves the ensemble on a free port; each connection has a thread that ends with it.
fn serve(ensemble: &Arc<Mutex<Ensemble>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ensemble = Arc::clone(ensemble);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let ensemble = Arc::clone(&ensemble);
            let link = number as u64;
            ensemble.lock().unwrap().open(link);
            std::thread::spawn(move || connection(stream.unwrap(), link, &ensemble));
        }
    });
    address
}

fn connection(mut stream: TcpStream, link: u64, ensemble: &Mutex<Ensemble>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        let output = {
            let mut ensemble = ensemble.lock().unwrap();
            ensemble.receive(link, &bytes[..count], usize::MAX);
            ensemble.take_output(link)
        };
        if stream.write_all(&output).is_err() || ensemble.lock().unwrap().connections[&link].closed {
            break;
        }
    }
    ensemble.lock().unwrap().connections.remove(&link);
}

#[test]
fn a_session_survives_a_cut_and_hears_what_it_missed() {
    let ensemble = Arc::new(Mutex::new(Ensemble::new()));
    ensemble.lock().unwrap().change("/app", false);
    ensemble.lock().unwrap().change("/app/a", false);
    let address = serve(&ensemble);
    let mut client = Client::connect(&format!("{address}/app"), WAIT).unwrap();
    assert_eq!(client.get_children("/", true).err().map(|error| error.to_string()), None);
    let session = client.session_id();
    client.cut();
    ensemble.lock().unwrap().change("/app/b", false);
    let event = client.next_event(WAIT).unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventType::NodeChildrenChanged, "/"));
    assert_eq!(client.session_id(), session);
    assert!(matches!(client.next_state(), Some(SessionState::Suspended(_))));
    assert!(matches!(client.next_state(), Some(SessionState::Connected { again: true, .. })));
    client.close();
    assert!(ensemble.lock().unwrap().sessions.is_empty());
}

#[test]
fn nobody_there_is_said_in_words() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect(&free.to_string(), Duration::from_millis(200)).err().unwrap();
    assert!(matches!(error, ClientError::NotConnected { .. }));
    assert!(error.to_string().contains(&format!("cannot connect to {free}")), "{error}");
}
