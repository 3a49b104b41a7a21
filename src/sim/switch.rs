//! [`Switch`]: the channels, global variables and the database, and how a channel is written into a packet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, escape_c};

/// What Asterisk writes for a number or name that is not set.
const UNKNOWN: &[u8] = b"<unknown>";

/// Asterisk's channel states, as far as simulated calls come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChannelState {
    #[default]
    Down = 0,
    Ring = 4,
    Ringing = 5,
    Up = 6,
}

/// A caller or connected line; empty is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) number: Vec<u8>,
    pub(super) name: Vec<u8>,
}

impl Party {
    /// `ast_callerid_parse`: `"Name" <number>`, a number alone, or a name alone.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = text.trim_ascii();
        if let Some((name, number)) = text.strip_suffix(b">").and_then(|text| split_last(text, b'<')) {
            let name = name.trim_ascii();
            let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
            return Self { number: number.to_vec(), name: name.to_vec() };
        }
        let is_number = text.iter().all(|b| b.is_ascii_digit() || b"+-()#* ".contains(b));
        let (number, name) = if is_number { (text, &b""[..]) } else { (&b""[..], text) };
        Self { number: number.to_vec(), name: name.to_vec() }
    }

    /// The number as packets show it.
    pub(super) fn shown_number(&self) -> &[u8] {
        if self.number.is_empty() { UNKNOWN } else { &self.number }
    }

    /// The name as packets show it.
    pub(super) fn shown_name(&self) -> Vec<u8> {
        if self.name.is_empty() { UNKNOWN.to_vec() } else { escape_c(&self.name) }
    }
}

/// The parts before and behind the last `delimiter`.
fn split_last(text: &[u8], delimiter: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&b| b == delimiter)?;
    let (head, tail) = text.split_at_checked(at)?;
    Some((head, tail.get(1..)?))
}

/// Where in the dialplan a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) context: Vec<u8>,
    pub(super) exten: Vec<u8>,
    pub(super) priority: u32,
}

/// How a call is ended from outside.
#[derive(Debug, Default)]
pub(super) struct HangupSwitch {
    pub(super) token: CancellationToken,
    cause: AtomicU32,
}

impl HangupSwitch {
    /// Ends the call of this channel.
    pub(super) fn hang_up(&self, cause: u32) {
        self.cause.store(cause, Ordering::Release);
        self.token.cancel();
    }

    /// Why it was ended.
    pub(super) fn cause(&self) -> u32 {
        self.cause.load(Ordering::Acquire)
    }
}

/// A channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) name: Vec<u8>,
    pub(super) unique_id: Vec<u8>,
    pub(super) linked_id: Vec<u8>,
    pub(super) state: ChannelState,
    pub(super) caller: Party,
    pub(super) connected: Party,
    pub(super) place: Place,
    pub(super) application: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) created: Instant,
    pub(super) variables: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) hangup: Arc<HangupSwitch>,
}

impl Channel {
    /// The headers of a channel snapshot (`ast_manager_build_channel_state_string_prefix`).
    pub(super) fn write(&self, answer: Answer, prefix: &str) -> Answer {
        let state = self.state as u32;
        let state_text = match self.state {
            ChannelState::Down => "Down",
            ChannelState::Ring => "Ring",
            ChannelState::Ringing => "Ringing",
            ChannelState::Up => "Up",
        };
        let name = |header: &str| format!("{prefix}{header}");
        answer
            .header(&name("Channel"), &self.name)
            .header(&name("ChannelState"), state.to_string())
            .header(&name("ChannelStateDesc"), state_text)
            .header(&name("CallerIDNum"), self.caller.shown_number())
            .header(&name("CallerIDName"), self.caller.shown_name())
            .header(&name("ConnectedLineNum"), self.connected.shown_number())
            .header(&name("ConnectedLineName"), self.connected.shown_name())
            .header(&name("Language"), "en")
            .header(&name("AccountCode"), "")
            .header(&name("Context"), &self.place.context)
            .header(&name("Exten"), &self.place.exten)
            .header(&name("Priority"), self.place.priority.to_string())
            .header(&name("Uniqueid"), &self.unique_id)
            .header(&name("Linkedid"), &self.linked_id)
    }

    /// How long it exists, as `hh:mm:ss`.
    pub(super) fn duration(&self) -> String {
        let seconds = self.created.elapsed().as_secs();
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// Channels, variables, database.
#[derive(Debug, Default)]
pub(super) struct Switch {
    pub(super) channels: Vec<Channel>,
    pub(super) globals: BTreeMap<Vec<u8>, Vec<u8>>,
    /// By `/family/key`.
    pub(super) database: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) processed_calls: u64,
    next_unique: u64,
    next_name: u32,
}

impl Switch {
    /// A number for the next unique id.
    pub(super) const fn take_unique(&mut self) -> u64 {
        let number = self.next_unique;
        self.next_unique += 1;
        number
    }

    /// A number for the next channel name.
    pub(super) const fn take_name(&mut self) -> u32 {
        let number = self.next_name;
        self.next_name = self.next_name.wrapping_add(1);
        number
    }

    /// `ast_channel_get_by_name`: by name, else by unique id, without case.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<&mut Channel> {
        let by_name = self.channels.iter().position(|channel| channel.name.eq_ignore_ascii_case(name));
        let by_id = || self.channels.iter().position(|channel| channel.unique_id.eq_ignore_ascii_case(name));
        let at = by_name.or_else(by_id)?;
        self.channels.get_mut(at)
    }

    /// How many calls there are: what is linked together is one.
    pub(super) fn calls(&self) -> usize {
        self.channels.iter().map(|channel| &channel.linked_id).collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_ids_are_taken_apart() {
        for (text, number, name) in [
            ("Lab <100>", "100", "Lab"),
            ("\"Alice Smith\" <1001>", "1001", "Alice Smith"),
            ("<100>", "100", ""),
            ("+4930123", "+4930123", ""),
            ("Alice", "", "Alice"),
            ("", "", ""),
        ] {
            let party = Party::parse(text.as_bytes());
            assert_eq!(
                (party.number.as_slice(), party.name.as_slice()),
                (number.as_bytes(), name.as_bytes()),
                "{text}"
            );
        }
    }
}
