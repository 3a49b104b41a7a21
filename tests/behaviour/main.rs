//! How amiwall behaves towards clients and Asterisks that behave badly, and towards its own operator while much goes on.
//! One test for one kind of behaviour, named after it.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../proxy/harness.rs"]
#[expect(dead_code, reason = "it is the harness of two test programs, and each uses a part of it")]
mod harness;

#[path = "../proxy/fake.rs"]
mod fake;
mod program;

mod client;
mod hold;
mod reload;
mod shutdown;
mod upstream;
