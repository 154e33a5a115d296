//! Three members of an ensemble, each a process with a zoo.cfg of its own.

use super::{Server, Session, TempDir, ostler, until};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

pub struct Members {
    dir: TempDir,
    pub servers: BTreeMap<u16, Server>,
}

impl Members {
    /// With these lines in the zoo.cfg of each. All serve.
    pub fn start(settings: &str) -> Members {
        let held: Vec<TcpListener> = (0..6).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(held);
        let lines: String =
            (0..3).map(|at| format!("server.{}=127.0.0.1:{}:{}\n", at + 1, ports[2 * at], ports[2 * at + 1])).collect();
        let mut members = Members { dir: TempDir::new(), servers: BTreeMap::new() };
        for number in 1..=3 {
            let home = members.home(number);
            std::fs::create_dir_all(&home).unwrap();
            std::fs::write(home.join("myid"), number.to_string()).unwrap();
            let text = format!(
                "tickTime=500\ninitLimit=10\nsyncLimit=5\n4lw.commands.whitelist=*\nadmin.enableServer=false\n\
                 {settings}dataDir={}\n{lines}",
                home.display()
            );
            std::fs::write(home.join("zoo.cfg"), text).unwrap();
            members.run(number);
        }
        for number in 1..=3 {
            members.wait_serving(number);
        }
        members
    }

    pub fn wait_serving(&self, number: u16) {
        until("it serves", || (self.word(number, "isro") == "rw").then_some(()));
    }

    pub fn home(&self, number: u16) -> PathBuf {
        self.dir.join(&format!("server-{number}"))
    }

    pub fn run(&mut self, number: u16) {
        self.run_after("true", number);
    }

    /// Started through a shell after `setup`, for limits that only a parent can set.
    pub fn run_after(&mut self, setup: &str, number: u16) {
        let mut command = Command::new("/bin/sh");
        command.env_clear().args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]).arg(ostler());
        command.args(["serve", "--port", "0", "--config"]).arg(self.home(number).join("zoo.cfg"));
        self.servers.insert(number, Server::spawn(command));
    }

    pub fn kill(&mut self, number: u16) {
        self.servers.remove(&number).unwrap().kill();
    }

    pub fn connect(&self, number: u16) -> TcpStream {
        self.servers[&number].connect()
    }

    pub fn word(&self, number: u16, word: &str) -> String {
        self.servers[&number].word(word)
    }

    /// A session, as soon as the server takes one.
    pub fn session(&self, number: u16) -> Session {
        until("a session", || Session::begin(self.connect(number), 30_000, 0, &[0; 16]))
    }

    /// Names and contents of a server's logs, snapshots and epochs.
    pub fn files(&self, number: u16) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = std::fs::read_dir(self.home(number).join("version-2")).unwrap();
        folder.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    pub fn log(&self, number: u16) -> String {
        self.servers[&number].log.lock().unwrap().join("\n")
    }
}
