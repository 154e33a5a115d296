//! The interactive shell in a real pseudo-terminal: prompt, completion, history, events above the prompt, Ctrl-C and Ctrl-D.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{TempDir, ostler, until};
use ostler_test::TestServer;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long an answer may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shell at a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen was looked at.
    seen: usize,
}

impl Terminal {
    fn open(server: &TestServer, home: &TempDir, colours: bool) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = Command::new(ostler());
        command
            .arg("shell")
            .env_clear()
            .env("HOME", &home.0)
            .env("TERM", "xterm")
            .env("OSTLER_SERVER", server.address())
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs);
        if !colours {
            command.env("NO_COLOR", "1");
        }
        let child = command.spawn().unwrap();
        let keys = File::from(ours);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reader, written) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut part = [0; 4_096];
            // The end is an error at a terminal whose other side is closed.
            while let Ok(n @ 1..) = reader.read(&mut part) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..n]));
            }
        });
        Terminal { child, keys, screen, seen: 0 }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this stands on the screen, behind what was found before.
    fn find(&mut self, text: &str) {
        let screen = Arc::clone(&self.screen);
        let seen = self.seen;
        let end = Instant::now() + PATIENCE;
        loop {
            let now = screen.lock().unwrap().clone();
            if let Some(at) = now[seen..].find(text) {
                self.seen = seen + at + text.len();
                return;
            }
            assert!(Instant::now() < end, "{text:?} does not come; behind the last find: {:?}", &now[seen..]);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the next prompt. What is typed before it goes through the terminal's own line, where Ctrl-D means something else.
    fn prompt(&mut self) {
        self.find(")> ");
    }

    /// A line, and what it brings.
    fn line(&mut self, line: &str, answer: &str) {
        self.press(&format!("{line}\r"));
        self.find(answer);
    }

    /// Its exit code.
    fn ended(mut self) -> i32 {
        until("the shell ends", || self.child.try_wait().unwrap()).code().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(server: &TestServer, words: &[&str]) {
    let output = Command::new(ostler()).args(words).env("OSTLER_SERVER", server.address()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn commands_and_paths_are_completed() {
    let (server, home) = (TestServer::start(), TempDir::new());
    command(&server, &["create", "/configuration", "x"]);
    command(&server, &["create", "/configuration/of app", "the value"]);
    let mut terminal = Terminal::open(&server, &home, false);
    terminal.find("(connected)> ");
    terminal.press("getAllC\t");
    terminal.find("getAllChildrenNumber ");
    terminal.press("/\r");
    terminal.find("5\r\n");
    terminal.prompt();
    terminal.press("ls /conf\t");
    terminal.find("/configuration");
    terminal.press("\r");
    terminal.find("of app\r\n");
    terminal.prompt();
    // A blank in a name is kept together.
    terminal.press("get /configuration/o\t\r");
    terminal.find("the value\r\n");
    terminal.prompt();
    terminal.press("create --eph\t");
    terminal.find("--ephemeral ");
    terminal.press("/here\r");
    terminal.find("/here\r\n");
    terminal.prompt();
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
    // The session was closed and took its ephemeral along.
    let left = Command::new(ostler()).args(["get", "/here"]).env("OSTLER_SERVER", server.address()).output().unwrap();
    assert_eq!(left.status.code(), Some(4));
}

#[test]
fn lines_are_kept_for_the_next_time() {
    let (server, home) = (TestServer::start(), TempDir::new());
    let mut terminal = Terminal::open(&server, &home, false);
    terminal.find("(connected)> ");
    terminal.line("create /kept here", "/kept\r\n");
    terminal.prompt();
    terminal.line("get /kept", "here\r\n");
    terminal.prompt();
    terminal.line("history", "1 - get /kept\r\n");
    terminal.prompt();
    terminal.line("redo 1", "here\r\n");
    terminal.prompt();
    terminal.line("quit", "");
    assert_eq!(terminal.ended(), 0);
    let mut terminal = Terminal::open(&server, &home, false);
    terminal.find("(connected)> ");
    // Up three times: quit, redo 1, history, then get.
    terminal.press("\x1b[A\x1b[A\x1b[A\x1b[A\r");
    terminal.find("here\r\n");
    terminal.prompt();
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
    assert!(std::fs::read_to_string(home.join(".ostler_history")).unwrap().contains("create /kept here"));
}

#[test]
fn events_come_above_the_prompt() {
    let (server, home) = (TestServer::start(), TempDir::new());
    command(&server, &["create", "/watched", "one"]);
    let mut terminal = Terminal::open(&server, &home, false);
    terminal.find("(connected)> ");
    terminal.line("get -w /watched", "one\r\n");
    terminal.find("(connected)> ");
    // A line that is begun stays.
    terminal.press("get /wat");
    terminal.find("get /wat");
    command(&server, &["set", "/watched", "two"]);
    terminal.find("watch: /watched data changed");
    terminal.find("get /wat");
    terminal.press("ched\r");
    terminal.find("two\r\n");
    terminal.prompt();
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn the_prompt_tells_what_the_connection_does() {
    let (mut server, home) = (TestServer::start(), TempDir::new());
    let mut terminal = Terminal::open(&server, &home, true);
    terminal.find("\x1b[32m");
    terminal.find("(connected)> ");
    server.stop();
    terminal.find("connection lost");
    terminal.press("\r");
    terminal.find("\x1b[33m");
    terminal.find("(connecting)> ");
    server.restart();
    terminal.find("connected again");
    terminal.press("\r");
    terminal.find("(connected)> ");
    terminal.line("close", "session closed");
    terminal.find("(closed)> ");
    terminal.line("ls", "hint: `connect`");
    terminal.prompt();
    terminal.line("connect", "(connected)> ");
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn what_cannot_be_undone_is_asked_for_and_lines_can_be_given_up() {
    let (server, home) = (TestServer::start(), TempDir::new());
    command(&server, &["create", "/old"]);
    command(&server, &["create", "/old/child"]);
    let mut terminal = Terminal::open(&server, &home, false);
    terminal.find("(connected)> ");
    terminal.press("deleteall --yes /old\x03");
    terminal.find("(connected)> ");
    terminal.line("deleteall /old", "delete /old and the znode below it? [y/N] ");
    terminal.line("n", "nothing was deleted");
    terminal.prompt();
    terminal.line("deleteall /old", "delete /old and the znode below it? [y/N] ");
    terminal.line("y", "deleted 2 znodes");
    terminal.prompt();
    terminal.line("help deleteall", "Do not ask");
    terminal.prompt();
    terminal.line("nonsense", "unrecognized subcommand");
    terminal.prompt();
    terminal.line("ls /old", "no such znode");
    terminal.prompt();
    // The exit code is that of the last line.
    terminal.press("\x04");
    assert_eq!(terminal.ended(), 4);
}
