//! As much of AMI as a load needs: packets, headers, one event.

use std::io::Write as _;

/// Splits a stream of bytes into packets.
#[derive(Default)]
pub(crate) struct Packets {
    bytes: Vec<u8>,
    start: usize,
}

impl Packets {
    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        if self.start == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.start);
        }
        self.start = 0;
        self.bytes.reserve(64 * 1024);
        &mut self.bytes
    }

    /// The next whole packet, without the empty line at its end.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.start..)?;
        let end = memchr::memmem::find(rest, b"\r\n\r\n")?;
        self.start += end + 4;
        rest.get(..end + 2)
    }

    /// The next line.
    pub(crate) fn line(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.start..)?;
        let end = memchr::memchr(b'\n', rest)?;
        self.start += end + 1;
        rest.get(..end)
    }
}

/// The value of the first header of that name, spelled so.
pub(crate) fn header<'p>(packet: &'p [u8], name: &str) -> Option<&'p [u8]> {
    packet.split(|&b| b == b'\n').find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b": ")?;
        Some(value.strip_suffix(b"\r").unwrap_or(value))
    })
}

pub(crate) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An event of about 390 bytes with 18 headers, as Asterisk sends them by the thousand.
pub(crate) fn event(out: &mut Vec<u8>, seq: u64, sent_us: u64) {
    // Writing to a Vec cannot fail.
    drop(write!(
        out,
        "Event: Newexten\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/1001-{seq:08x}\r\nChannelState: 4\r\n\
         ChannelStateDesc: Ring\r\nCallerIDNum: 1001\r\nCallerIDName: Alice\r\nConnectedLineNum: <unknown>\r\n\
         ConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: {sent_us}\r\nContext: internal\r\nExten: 1002\r\n\
         Priority: 2\r\nUniqueid: 1795226400.{seq}\r\nLinkedid: 1795226400.{seq}\r\nExtension: 1002\r\n\
         Application: Dial\r\n\r\n"
    ));
}

/// Microseconds on CLOCK_MONOTONIC.
pub(crate) fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).unwrap_or_default()
}
