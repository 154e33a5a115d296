//! The arguments of zkCli.sh: options, then a command with its words.

use crate::output::Output;
use crate::settings::Connection;

/// What zkCli.sh was asked to do.
#[derive(Debug)]
pub struct Invocation {
    /// How to reach the servers.
    pub connection: Connection,
    /// Nothing is done before a server took the session.
    pub wait_for_connection: bool,
    /// The command; empty for a shell.
    pub words: Vec<String>,
}

impl Invocation {
    /// Reads arguments. Options that Apache does not know are left out, as it does.
    pub fn parse(arguments: &[String], out: &Output) -> Invocation {
        let mut connection = Connection { timeout: 30_000, ..Connection::plain("localhost:2181") };
        let mut wait_for_connection = false;
        let mut arguments = arguments.iter();
        let mut words = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                if value.is_none() {
                    out.complain(format!("Error: no argument found for option {argument}"));
                }
                value
            };
            match argument.as_str() {
                "-server" => connection.server = value().cloned().unwrap_or(connection.server),
                "-timeout" => {
                    connection.timeout = value().and_then(|text| text.parse().ok()).unwrap_or(connection.timeout);
                }
                "-client-configuration" => drop(value()),
                "-r" => connection.read_only = true,
                "-waitforconnection" => wait_for_connection = true,
                other if other.starts_with('-') => (),
                _ => {
                    words.push(argument.clone());
                    words.extend(arguments.cloned());
                    break;
                }
            }
        }
        Invocation { connection, wait_for_connection, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Mode;

    fn parse(line: &str) -> Invocation {
        let out = Output::new(Mode::Apache, false, Box::new(std::io::sink()), Box::new(std::io::sink()));
        Invocation::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &out)
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let found = parse("-server h:1/x -unknown -timeout 500 -r -waitforconnection ls -s /");
        assert_eq!((found.connection.server.as_str(), found.connection.timeout), ("h:1/x", 500));
        assert!(found.connection.read_only && found.wait_for_connection);
        assert_eq!(found.words, ["ls", "-s", "/"]);
        assert_eq!(parse("-server").connection.server, "localhost:2181");
    }
}
