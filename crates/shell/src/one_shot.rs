//! `ostler COMMAND`: one command with a session of its own.

use crate::commands::Command;
use crate::context::Context;
use crate::error::{CommandError, EXIT_CODES};
use crate::settings::{Connection, Shape};
use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use std::process::ExitCode;

/// A command, how to reach the servers, and the shape of output.
#[derive(Clone, Debug)]
pub struct OneShot {
    command: Command,
    connection: Connection,
    shape: Shape,
}

impl OneShot {
    /// Runs it. With watches it waits until they are done.
    pub fn run(self) -> ExitCode {
        let out = self.shape.output();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(|error| CommandError::io("the runtime", error)).and_then(|runtime| {
            runtime.block_on(async {
                let mut context = Context::new(self.connection);
                let result = self.command.run(&mut context, &out).await;
                if result.is_ok() {
                    tokio::select! {
                        () = context.watches.end() => (),
                        _ = tokio::signal::ctrl_c() => (),
                    }
                }
                context.close().await;
                result
            })
        });
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                out.error(&error);
                ExitCode::from(error.exit_code())
            }
        }
    }

    /// True for the names of these commands.
    pub fn is_command(name: &str) -> bool {
        definitions()
            .get_subcommands()
            .any(|command| command.get_name() == name || command.get_all_aliases().any(|alias| alias == name))
    }
}

/// Where these commands begin in the list of all, behind those about servers and files.
const FIRST: usize = 100;

/// The commands, each with all options it has on its own.
fn definitions() -> clap::Command {
    let commands = Command::augment_subcommands(clap::Command::new("ostler"));
    let names: Vec<String> = commands.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().enumerate().fold(commands, |commands, (number, name)| {
        commands.mut_subcommand(name, |command| {
            let about = command.get_about().cloned().unwrap_or_default();
            let help = command.get_after_help().map(|help| format!("{help}\n\n")).unwrap_or_default();
            let command = Shape::augment_args(Connection::augment_args(command));
            // What was added has told about itself.
            command.about(about).after_help(format!("{help}{EXIT_CODES}")).display_order(FIRST + number)
        })
    })
}

impl FromArgMatches for OneShot {
    fn from_arg_matches(matches: &ArgMatches) -> Result<OneShot, clap::Error> {
        let command = Command::from_arg_matches(matches)?;
        let (_, own) =
            matches.subcommand().ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        let (connection, shape) = (Connection::from_arg_matches(own)?, Shape::from_arg_matches(own)?);
        Ok(OneShot { command, connection, shape })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = OneShot::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for OneShot {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        command.subcommands(definitions().get_subcommands().cloned())
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        OneShot::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        OneShot::is_command(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        definitions().debug_assert();
        assert!(OneShot::is_command("ls") && OneShot::is_command("getAcl") && OneShot::is_command("getacl"));
        assert!(!OneShot::is_command("serve"));
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in definitions().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
