//! No parser differential: what Asterisk would do with what amiwall lets pass is what was judged and recorded, whatever
//! bytes come, in whatever pieces; and what a client sees of what Asterisk sends is what it may see.
//!
//! A number of inputs fit for every day; `AMIWALL_TEST_INPUTS` asks for another, `AMIWALL_TEST_FULL=1` for a hundred
//! million. `AMIWALL_TEST_SEED` repeats a run. The bodies are those of the fuzz targets (`fuzz/`).
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

mod answers;
mod backward;
mod forward;
mod grammar;
mod live;
mod live_canaries;
mod live_session;
mod live_streams;
mod oracle;
mod random;
mod reader;
mod reader_tests;
mod recorded;
mod run;
mod scoped;
mod targets;
mod targets_log;
mod targets_policy;
