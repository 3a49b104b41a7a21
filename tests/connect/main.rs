//! `amiwall connect`, as its users meet it: the built binary between a client in plain text and a server with TLS.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

mod carries;
mod harness;
mod refuses;
mod servers;
