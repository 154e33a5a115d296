//! Elections among several servers: a network whose every message a test moves, scripts and chance that move them, and
//! the rules that are about one server.

mod example;
mod network;
mod random;
mod rules;
mod scripts;

use network::Network;
