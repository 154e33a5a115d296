//! Elections among several servers: a network whose every message a test moves, and scripts that move them.

mod network;
mod scripts;

use network::Network;
