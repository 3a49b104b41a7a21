//! The protocol: bytes to [`Message`] to [`Action`] or [`Reply`], and back.
//!
//! Nothing in this module does I/O, reads a clock or knows a policy. A `Message` holds its headers in canonical form
//! (`Name: value`, CR LF), so what is encoded is what was judged; the bytes that a peer sent are gone after decoding.
//! Protocol facts are Asterisk's (`main/manager.c`); where a fact decides something, the function is named beside it.

mod action;
mod decode;
mod encode;
mod handshake;
mod mask;
mod message;
mod privilege;
mod reply;

pub use action::{Action, ActionError};
pub use decode::{Decoder, Malformed, Violation};
pub use handshake::{Banner, BannerError, Challenge};
pub use mask::{EventMask, InvalidEventMask};
pub use message::{Header, HeaderError, Headers, Message, Rewrite};
pub use privilege::{PrivilegeClass, UnknownClass};
pub use reply::{ListFrame, Reply, ReplyKind};

/// How much a peer may send before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line without its line end.
    pub line_len_max: usize,
    /// Lines of one message.
    pub lines_max: usize,
    /// Bytes of one message in canonical form.
    pub message_len_max: usize,
}

impl Limits {
    /// What Asterisk reads from a client: 1,024 bytes a line with its CR LF, 128 lines (manager.c, `get_input`, `do_message`).
    pub const CLIENT: Self = Self { line_len_max: 1_022, lines_max: 128, message_len_max: 128 * 1_024 };
    /// What a client may send before it has logged in: a login needs little.
    pub const LOGIN: Self = Self { line_len_max: 1_022, lines_max: 32, message_len_max: 4 * 1_024 };
    /// What is read from Asterisk: one `Command` or `GetConfig` answer can be large.
    pub const UPSTREAM: Self =
        Self { line_len_max: 256 * 1_024, lines_max: 1_000_000, message_len_max: 16 * 1_024 * 1_024 };
}
