//! `ostler completions SHELL` and `ostler man DIR`: made from the same definitions as `--help`, so that they are never behind it.

use crate::args::Args;
use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// `ostler completions`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ostler completions bash > /etc/bash_completion.d/ostler
  ostler completions zsh > ~/.zfunc/_ostler
  ostler completions fish > ~/.config/fish/completions/ostler.fish
  ostler completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

/// `ostler man`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ostler man /usr/local/share/man/man1      then: man ostler, man ostler-bench")]
pub struct Man {
    /// The folder; it is made.
    pub dir: PathBuf,
}

impl Completions {
    /// Prints them.
    pub fn run(&self) -> ExitCode {
        // Whoever closed the pipe has enough.
        let _ = std::io::stdout().write_all(&completions(self.shell));
        ExitCode::SUCCESS
    }
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "ostler", &mut out);
    out
}

impl Man {
    /// Writes them.
    #[allow(clippy::print_stderr, reason = "an error of a command")]
    pub fn run(&self) -> ExitCode {
        let written = std::fs::create_dir_all(&self.dir)
            .and_then(|()| clap_mangen::generate_to(Args::command().disable_help_subcommand(true), &self.dir));
        match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("ostler: {}: {error}\nhint: may this user write there?", self.dir.display());
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    /// Commands that do something, with their whole names.
    fn leaves(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = format!("{name} {}", sub.get_name());
            if sub.has_subcommands() {
                leaves(sub, &name, found);
            } else {
                found.push((name, sub.clone()));
            }
        }
    }

    fn all() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        leaves(&Args::command(), "ostler", &mut found);
        assert!(found.len() > 35, "{}", found.len());
        found
    }

    #[test]
    fn every_command_has_an_example_that_names_it() {
        for (name, command) in all() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) = help.split_once("Example").unwrap_or_default();
            assert!(examples.contains(&name), "{name} --help has no example: {help:?}");
            assert!(command.get_about().is_some(), "{name} says nothing about itself");
        }
    }

    #[test]
    fn completions_of_every_shell_know_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            for (name, _) in all() {
                let last = name.rsplit(' ').next().unwrap();
                assert!(text.contains(last), "{shell}: {name}");
            }
        }
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let dir = std::env::temp_dir().join(format!("ostler-man-{}", std::process::id()));
        assert_eq!(Man { dir: dir.clone() }.run(), ExitCode::SUCCESS);
        for (name, _) in all() {
            let file = dir.join(format!("{}.1", name.replace(' ', "-")));
            let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(page.contains("Example"), "{}: {page}", file.display());
        }
        std::fs::remove_dir_all(&dir).unwrap();
        // Something in the way is told.
        std::fs::write(&dir, "").unwrap();
        assert_eq!(Man { dir: dir.clone() }.run(), ExitCode::FAILURE);
        std::fs::remove_file(&dir).unwrap();
    }
}
