//! Whole commands as people type them: scripts in `tests/commands/*.txt`, each against a server of its own.
//!
//! A line that begins with `$ ` goes to /bin/sh, with `ostler` on the path and OSTLER_SERVER set. Behind it stands what comes
//! back: lines of stdout as they are, lines of stderr behind `! `, an exit code that is not 0 behind `? `. Times, session ids and the
//! server's port are replaced by words. OSTLER_REWRITE=1 writes what came back into the scripts.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{TempDir, ostler};
use ostler_test::TestServer;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands")
}

/// Runs a script; its text with what came back in place of what was expected.
fn run(script: &str, settings: &[(&str, &str)]) -> String {
    let server = TestServer::with(settings);
    let dir = TempDir::new();
    std::os::unix::fs::symlink(ostler(), dir.join("ostler")).unwrap();
    let mut text = String::new();
    let mut is_answer = false;
    for line in script.lines() {
        let Some(command) = line.strip_prefix("$ ") else {
            // Remarks stand between an empty line and the next command.
            is_answer = is_answer && !line.is_empty();
            if !is_answer {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        text.push_str(line);
        text.push('\n');
        text.push_str(&answer(command, &server, &dir));
        is_answer = true;
    }
    text
}

fn answer(command: &str, server: &TestServer, dir: &TempDir) -> String {
    let path = format!("{}:{}", dir.0.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(&dir.0)
        .env("PATH", path)
        .env("OSTLER_SERVER", server.address())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut text = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // An empty line ends an answer.
        let _ = writeln!(text, "{}", if line.is_empty() { "(empty line)" } else { line });
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let _ = writeln!(text, "! {line}");
    }
    let code = output.status.code().expect("no signal ends it");
    if code != 0 {
        let _ = writeln!(text, "? {code}");
    }
    let (_, port) = server.address().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    without_times(&text.replace(&port, "PORT"))
}

/// Replaces what differs from run to run.
fn without_times(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for (before, after) in [
            ("ctime = ", "\0"),
            ("mtime = ", "\0"),
            ("\"ctime\":\"", "\""),
            ("\"mtime\":\"", "\""),
            ("within ", " ms"),
            ("session 0x", "\0"),
        ] {
            if let Some(at) = line.find(before) {
                let begin = at + before.len();
                let end = line[begin..].find(after).map_or(line.len(), |at| begin + at);
                line.replace_range(begin..end, if before.starts_with("session") { "ID" } else { "TIME" });
            }
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

fn check(name: &str, settings: &[(&str, &str)]) {
    let file = scripts().join(name).with_extension("txt");
    let script = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let found = run(&script, settings);
    if std::env::var_os("OSTLER_REWRITE").is_some_and(|value| !value.is_empty()) {
        std::fs::write(&file, &found).unwrap();
    }
    for (number, (expected, found)) in script.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "{}:{}", file.display(), number + 1);
    }
    assert_eq!(script.lines().count(), found.lines().count(), "{}", file.display());
}

macro_rules! scripts {
    ($($name:ident $settings:expr;)*) => {
        $(#[test] fn $name() { check(stringify!($name), $settings); })*

        #[test]
        fn every_script_has_a_test() {
            let mut named = [$(stringify!($name)),*].map(str::to_owned).to_vec();
            let mut files: Vec<String> = std::fs::read_dir(scripts()).unwrap()
                .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
            named.sort();
            files.sort();
            assert_eq!(named, files);
        }
    };
}

scripts! {
    reading &[];
    writing &[];
    lists_of_access &[];
    quotas &[("enforceQuota", "true")];
    refusals &[];
    programs &[];
    trees &[];
    shell &[];
    zkcli &[];
}
