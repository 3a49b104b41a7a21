//! The audit trail under faults, with the built program: what is promised in `docs/audit-format.md` and SECURITY.md, tried.
//!
//! Reduced here; `AMIWALL_TEST_FULL=1` runs each at its full size. Each says in one line how much was tried
//! (`cargo test --test audit_faults -- --nocapture`). `AMIWALL_TEST_SEED` repeats a run. What needs a mount or strace is
//! ignored here, and run by `tests/steps/trail-faults.sh`.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

mod asterisk;
mod disk_full;
mod kill;
mod log;
mod random;
mod sync_errors;
mod wall;
mod writers;
