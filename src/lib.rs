//! amiwall: a firewall for the Asterisk Manager Interface.
//!
//! Modules in reading order, which is also the order in time of a packet's way; a module uses only what stands above it
//! (`tests/layering.rs` holds the table).

pub mod ami;
pub mod catalogue;
pub mod metrics;
pub mod networks;
pub mod secret;
pub mod sim;
pub mod tls;

pub mod identity;

pub mod policy;

pub mod audit;

pub mod learn;

pub mod search;

pub mod report;

pub mod upstream;

pub mod admission;
pub mod session;

pub mod listener;

pub mod config;

pub mod sandbox;

pub mod daemon;

pub mod import;

pub mod cli;
