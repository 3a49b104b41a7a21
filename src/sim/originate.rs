//! `Originate`: what the request asks for, read as `action_originate` reads it.

use std::time::Duration;

use super::answer::Answer;
use super::dialplan::{self, Behaviour};
use super::quirks::{Request, VariableOrder};
use super::switch::{Party, Place};
use crate::ami::{EventMask, PrivilegeClass};

/// A channel longer than this is cut (`tmp[256]`).
const CHANNEL_LEN_MAX: usize = 255;
/// Extension and context of a Local channel are cut to this (`AST_MAX_EXTENSION`, `AST_MAX_CONTEXT`).
const EXTEN_LEN_MAX: usize = 79;
/// `Timeout` when there is none.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Applications that a user without `system` may not originate.
const BLACKLISTED_APPLICATIONS: [&str; 10] =
    ["agi", "eagi", "deadagi", "exec", "execif", "externalivr", "mixmonitor", "originate", "system", "trysystem"];
/// What may not stand in the data of an application.
const BLACKLISTED_DATA: [&str; 7] = ["SHELL", "EVAL", "CURL", "DB", "ENV", "FILE", "ODBC"];

/// What runs when the channel has answered.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    Application { name: Vec<u8>, data: Vec<u8> },
    Extension(Place),
}

/// A call that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Origination {
    /// The channel as it was asked for.
    pub(super) channel: Vec<u8>,
    /// The technology, as spelled.
    pub(super) technology: Vec<u8>,
    /// What is behind the first slash.
    pub(super) resource: Vec<u8>,
    pub(super) destination: Destination,
    pub(super) timeout: Duration,
    pub(super) caller: Party,
    /// In Asterisk's order: the last `Variable` first.
    pub(super) variables: Vec<(Vec<u8>, Vec<u8>)>,
    /// `ChannelId` and `OtherChannelId`.
    pub(super) ids: (Vec<u8>, Vec<u8>),
    pub(super) is_async: bool,
    pub(super) action_id: Vec<u8>,
}

impl Origination {
    /// Reads the request; on the other side is the answer that refuses it.
    pub(super) fn read(request: &Request, write: EventMask) -> Result<Self, Vec<u8>> {
        Self::checked(request, write).map_err(|message| Answer::error(request, message))
    }

    fn checked(request: &Request, write: EventMask) -> Result<Self, &'static str> {
        let channel = request.get("Channel");
        if channel.is_empty() {
            return Err("Channel not specified");
        }
        let priority = optional_number(request.get("Priority"), "Invalid priority")?;
        let timeout = optional_number(request.get("Timeout"), "Invalid timeout")?;
        let channel = channel.get(..CHANNEL_LEN_MAX).unwrap_or(channel);
        let (technology, resource) = split_first(channel, b'/').ok_or("Invalid channel")?;
        let application = request.get("Application");
        let data = request.get("Data");
        if !write.has(PrivilegeClass::System) && is_blacklisted(application, data) {
            return Err("Originate Access Forbidden: app or data blacklisted");
        }
        let place = Place {
            context: request.get("Context").to_vec(),
            exten: request.get("Exten").to_vec(),
            priority: priority.and_then(|priority| u32::try_from(priority).ok()).unwrap_or(0),
        };
        if place.priority > 0 && dialplan::behaviour(&place) == Behaviour::Unknown {
            return Err("Extension does not exist.");
        }
        let is_async = is_true(request.get("Async"));
        let is_placed = !place.context.is_empty() && !place.exten.is_empty() && place.priority > 0;
        if application.is_empty() && !is_async && !is_placed {
            return Err("Originate with 'Exten' requires 'Context' and 'Priority'");
        }
        Ok(Self {
            technology: technology.to_vec(),
            resource: resource.to_vec(),
            channel: channel.to_vec(),
            destination: if application.is_empty() {
                Destination::Extension(place)
            } else {
                Destination::Application { name: application.to_vec(), data: data.to_vec() }
            },
            timeout: timeout.map_or(TIMEOUT, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            caller: Party::parse(request.get("CallerID")),
            variables: request.variables(VariableOrder::Reversed),
            ids: (request.get("ChannelId").to_vec(), request.get("OtherChannelId").to_vec()),
            is_async,
            action_id: request.get("ActionID").to_vec(),
        })
    }

    /// Whether it is a Local channel; technologies are compared without case.
    pub(super) fn is_local(&self) -> bool {
        self.technology.eq_ignore_ascii_case(b"Local")
    }

    /// Where the channel leads: for Local, `exten@context` up to the last slash, split at the first `@`.
    pub(super) fn place(&self) -> Place {
        if !self.is_local() {
            let exten = split_first(&self.resource, b'/').map_or(self.resource.as_slice(), |(endpoint, _)| endpoint);
            return Place { context: b"default".to_vec(), exten: exten.to_vec(), priority: 1 };
        }
        let place = self.local_place();
        let (exten, context) = split_first(place, b'@').unwrap_or((place, b"default"));
        let cut = |text: &[u8]| text.get(..EXTEN_LEN_MAX).unwrap_or(text).to_vec();
        Place { context: cut(context), exten: cut(exten), priority: 1 }
    }

    /// `exten@context` without the options.
    fn local_place(&self) -> &[u8] {
        let slash = self.resource.iter().rposition(|&b| b == b'/').unwrap_or(self.resource.len());
        self.resource.get(..slash).unwrap_or_default()
    }

    /// Whether the halves of a Local channel may be taken out of the way (no option `n`).
    pub(super) fn is_optimized(&self) -> bool {
        let options = self.resource.get(self.local_place().len()..).unwrap_or_default();
        !options.contains(&b'n')
    }

    /// The channel's name without its serial number.
    pub(super) fn base_name(&self) -> Vec<u8> {
        let place = self.place();
        if self.is_local() {
            [b"Local/", place.exten.as_slice(), b"@", &place.context].concat()
        } else {
            [self.technology.as_slice(), b"/", &place.exten].concat()
        }
    }
}

/// The parts before and behind the first `delimiter`.
fn split_first(text: &[u8], delimiter: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&b| b == delimiter)?;
    let (head, tail) = text.split_at_checked(at)?;
    Some((head, tail.get(1..)?))
}

fn optional_number(value: &[u8], error: &'static str) -> Result<Option<i64>, &'static str> {
    if value.is_empty() { Ok(None) } else { scan_number(value).map(Some).ok_or(error) }
}

/// `sscanf("%30d")`: the whole number that the text begins with.
pub(super) fn scan_number(value: &[u8]) -> Option<i64> {
    let value = value.trim_ascii_start();
    let sign = usize::from(value.first().is_some_and(|b| b"+-".contains(b)));
    let digits = value.iter().skip(sign).take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..sign + digits)?).ok()?.parse().ok()
}

/// `ast_true`.
pub(super) fn is_true(value: &[u8]) -> bool {
    [&b"yes"[..], b"true", b"y", b"t", b"1", b"on"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn is_blacklisted(application: &[u8], data: &[u8]) -> bool {
    let data = String::from_utf8_lossy(data);
    BLACKLISTED_APPLICATIONS.iter().any(|name| application.eq_ignore_ascii_case(name.as_bytes()))
        || BLACKLISTED_DATA.iter().any(|name| data.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::quirks::{Packet, Reader};

    fn originate(headers: &str) -> Result<Origination, String> {
        let mut reader = Reader::new();
        reader.feed(format!("Action: Originate\r\n{headers}\r\n\r\n").as_bytes());
        let Some(Packet::Request(request)) = reader.next_packet() else { panic!("no request") };
        let dialer = EventMask::of([PrivilegeClass::Call, PrivilegeClass::Originate]);
        Origination::read(&request, dialer).map_err(|answer| String::from_utf8_lossy(&answer).into_owned())
    }

    fn place(channel: &str) -> (String, String) {
        let place = originate(&format!("Channel: {channel}\r\nApplication: Wait")).expect("a call").place();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (text(place.exten), text(place.context))
    }

    #[test]
    fn local_channels_are_taken_apart_as_asterisk_does() {
        let pair = |exten: &str, context: &str| (exten.to_owned(), context.to_owned());
        assert_eq!(place("Local/911@outbound@internal/n"), pair("911", "outbound@internal"));
        assert_eq!(place("Local/100@default/x@y/n"), pair("100", "default/x@y"));
        assert_eq!(place("lOcAl/s"), pair("s", "default"));
        assert_eq!(place(&format!("Local/{}@internal", "9".repeat(260))), pair(&"9".repeat(79), "default"));
    }

    #[test]
    fn refusals_are_asterisks() {
        for (headers, message) in [
            ("Application: NoOp", "Channel not specified"),
            ("Channel: Local/1000@test", "Originate with 'Exten' requires 'Context' and 'Priority'"),
            ("Channel: Local", "Invalid channel"),
            ("Channel: Local/1000@test\r\nApplication: Wait\r\nTimeout: x", "Invalid timeout"),
            (
                "Channel: Local/1000@test\r\nApplication: System\r\nData: true\r\nAsync: true",
                "Originate Access Forbidden: app or data blacklisted",
            ),
            (
                "Channel: Local/1000@test\r\nApplication: NoOp\r\nData: ${SHELL(true)}",
                "Originate Access Forbidden: app or data blacklisted",
            ),
        ] {
            let expected = format!("Response: Error\r\nMessage: {message}\r\n\r\n");
            assert_eq!(originate(headers).expect_err("refused"), expected);
        }
        let call =
            originate("Channel: X/1\r\nApplication: Wait\r\nPriority: 1abc\r\nTimeout: 5x\r\nContext: a\r\nExten: 1");
        assert_eq!(call.expect("a call").timeout, Duration::from_millis(5));
    }
}
