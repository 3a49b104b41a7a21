//! A simulated Asterisk, for the demo and for tests. Its reader behaves byte for byte as manager.c's does.
//!
//! [`Sim`] listens; each connection is a session that reads with [`quirks::Reader`], checks as Asterisk checks, and
//! answers with Asterisk's bytes. Calls are made up, one task each, with the events of real ones. [`SimHandle`] tells
//! what was executed and makes the whole thing misbehave. It speaks `ami` only, and knows nothing of the proxy.

mod actions;
mod answer;
mod asterisk;
mod calls;
mod commands;
mod config;
mod console;
mod control;
mod dialplan;
mod events;
mod handle;
mod lists;
mod login;
mod originate;
pub mod quirks;
mod session;
mod switch;
#[cfg(test)]
mod tests;
mod variables;
mod world;

pub use asterisk::Sim;
pub use config::{SimConfig, SimMember, SimQueue, SimUser};
pub use handle::{ExecutedAction, SimHandle, Storm};
