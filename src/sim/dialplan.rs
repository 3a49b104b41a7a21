//! What is behind the extensions: those of the recorded Asterisk's dialplan in context `test`, and something that
//! answers everywhere else.

use super::switch::Place;

/// What happens to who calls an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It answers, and hangs up when the call has lasted long enough.
    Answer,
    /// It is busy.
    Busy,
    /// Nobody answers.
    Ring,
    /// There is no such extension.
    Unknown,
}

/// The extensions of context `test`.
const TEST_EXTENSIONS: [&[u8]; 15] = [
    b"700", b"1000", b"1001", b"1002", b"1003", b"1004", b"1005", b"1006", b"1007", b"1008", b"1009", b"1010", b"2000",
    b"3000", b"3001",
];

/// What happens there. `1004` rings and `1005` is busy wherever they are; nothing that begins with `9999` exists.
pub(super) fn behaviour(place: &Place) -> Behaviour {
    let exten = place.exten.as_slice();
    let is_test = place.context == b"test";
    if exten.is_empty() || exten.starts_with(b"9999") || (is_test && !TEST_EXTENSIONS.contains(&exten)) {
        return Behaviour::Unknown;
    }
    match exten {
        b"1004" => Behaviour::Ring,
        b"1005" => Behaviour::Busy,
        _ => Behaviour::Answer,
    }
}

/// The applications of an extension, in the order of their priorities; `wait` is the call's length in seconds.
pub(super) fn steps(exten: &[u8], wait: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let step = |application, data: &[u8]| (application, data.to_vec());
    match exten {
        b"1000" => vec![step("NoOp", b"answer and wait"), step("Answer", b""), step("Wait", wait)],
        b"1001" => vec![step("Answer", b""), step("Echo", b"")],
        b"1002" => vec![step("Answer", b""), step("Playback", b"silence/1")],
        b"1003" => vec![step("Answer", b""), step("Milliwatt", b"")],
        b"1004" => vec![step("Ringing", b""), step("Wait", b"30")],
        b"1005" => vec![step("Hangup", b"17")],
        _ => vec![step("Answer", b""), step("Wait", wait)],
    }
}
