//! The command line for people, programs and scripts: one-shot commands (`ostler ls /x`), the interactive shell
//! (`ostler shell`), and Apache's zkCli word for word (`bin/zkCli.sh`).
//!
//! A command is a value in [`commands`], made from words by clap or by Apache's rules, and run against a [`Context`] and an
//! [`Output`]. The same commands serve all three; what differs is the output's [`Mode`].
#![forbid(unsafe_code)]

mod apache;
pub mod commands;
pub mod context;
mod editor;
pub mod error;
pub mod events;
mod four_letters;
mod history;
mod one_shot;
pub mod output;
mod progress;
pub mod settings;
mod shell;
pub mod show;
mod terminal;
pub mod trees;
pub mod walk;
pub mod watches;
mod words;

pub use apache::zk_cli;
pub use context::Context;
pub use error::{CommandError, EXIT_CODES};
pub use four_letters::FourLetters;
pub use one_shot::OneShot;
pub use output::{Mode, Output};
pub use shell::Interactive;
