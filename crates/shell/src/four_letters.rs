//! `ostler word`: asks a server with a four-letter word, as `echo srvr | nc` does.

use crate::error::CommandError;
use clap::Args;
use ostler_client::{ConnectString, Host};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// How long a server may take for anything.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest answer that is taken, bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// `ostler word`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler word srvr                             is it there, and in which role?
  ostler word mntr --server host1:2181,host2:2181
The servers answer only to words in 4lw.commands.whitelist; srvr is always one of them.")]
pub struct FourLetters {
    /// srvr, mntr, stat, ruok, conf, cons, dump, wchs and so on.
    word: String,
    /// The servers; each is asked.
    #[arg(long, short = 'S', env = "OSTLER_SERVER", default_value = "localhost:2181", value_name = "SERVERS")]
    server: String,
}

impl FourLetters {
    /// Asks, and prints what comes back.
    #[allow(clippy::print_stderr, reason = "errors of a command")]
    pub fn run(&self) -> ExitCode {
        let servers = match ConnectString::parse(&self.server) {
            Ok(parsed) => parsed.hosts,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::from(2);
            }
        };
        let mut code = ExitCode::SUCCESS;
        for server in &servers {
            let result = ask(server, &self.word).and_then(|answer| {
                let mut out = std::io::stdout().lock();
                out.write_all(&answer).and_then(|()| out.flush()).map_err(|error| CommandError::io("stdout", error))
            });
            match result {
                Err(error) if error.is_closed_pipe() => return code,
                Err(error) => {
                    eprintln!("error: {error}");
                    code = ExitCode::from(3);
                }
                Ok(()) => (),
            }
        }
        code
    }
}

fn ask(server: &Host, word: &str) -> Result<Vec<u8>, CommandError> {
    let place = format!("{}:{}", server.name, server.port);
    let failed =
        |error: std::io::Error| CommandError::Failed(format!("{place}: {error}\nhint: is a server running there?"));
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for address in (server.name.as_str(), server.port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, WAIT_MAX) {
            Ok(stream) => return exchange(stream, word).map_err(failed),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn exchange(mut stream: TcpStream, word: &str) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    stream.write_all(word.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}
