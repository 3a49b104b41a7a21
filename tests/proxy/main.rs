//! The proxy and the simulated Asterisk in one process, over real sockets.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "two test programs use it, and each uses a part of it")]
mod fake;
mod harness;

mod admin;
mod audit;
mod certificates;
mod concurrent;
mod control;
mod events;
mod hold;
mod ipv6;
mod learn;
mod limits;
mod login;
mod metrics;
mod operation;
mod proxy_protocol;
mod session;
mod several;
mod smuggling;
mod tls;
mod upstream;
mod upstream_tls;
mod web;
