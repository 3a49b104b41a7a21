//! What strangers and hostile clients can do to the network side of amiwall, one behaviour each: nothing of it may keep a good
//! client out, and nothing of it may leave a place, a slot or a count behind.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

mod wall;

mod churn;
mod cost;
mod descriptors;
mod floods;
mod slow;
mod timing;
