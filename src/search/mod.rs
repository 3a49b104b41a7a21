//! Questions to an audit log: which records ([`Filter`]), who placed a call ([`Calls`]), what a session did
//! ([`Transcript`]), and how answers are shown.
//!
//! A log is long and an answer short, so most lines are told apart by their bytes before anything is parsed. What a
//! filter takes from the bytes alone is only ever "this cannot be it".

mod calls;
mod cells;
mod filter;
mod find;
mod gist;
mod index;
mod number;
mod recent;
#[cfg(test)]
pub(crate) mod tests;
mod transcript;

pub use calls::{Call, Calls, Subject};
pub use cells::{csv_header, csv_row, escaped, json_safe, table_header, table_row};
pub use filter::{Filter, Query};
pub use find::{Found, Head, Progress, last, search};
pub use gist::{gist, text_of, what};
pub use index::{Index, IndexError, Kept};
pub use number::{Number, NumberError};
pub use recent::{Recent, at, calls_since, recent};
pub use transcript::{Entry, Transcript, TranscriptError, clock};
