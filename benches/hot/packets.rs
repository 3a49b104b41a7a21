//! The packets that go through the workloads.

use amiwall::ami::{Action, Decoder, Limits, Message, Reply};

use crate::Failure;

/// What keeps a connection alive.
pub(crate) const PING: &[u8] = b"Action: Ping\r\nActionID: 4711\r\n\r\n";

/// A call as a CRM asks for it: 10 headers.
pub(crate) const ORIGINATE: &[u8] = b"Action: Originate\r\nActionID: 4711\r\nChannel: PJSIP/1001\r\n\
    Context: click-to-dial\r\nExten: 2125551234\r\nPriority: 1\r\nCallerID: Alice <1001>\r\nTimeout: 30000\r\n\
    Async: true\r\nVariable: campaign_id=7,lead_id=12\r\n\r\n";

/// An event as Asterisk sends them by the thousand: 390 bytes, 18 headers.
pub(crate) const EVENT: &[u8] = b"Event: Newexten\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/1001-0000002a\r\n\
    ChannelState: 4\r\nChannelStateDesc: Ring\r\nCallerIDNum: 14155550123\r\nCallerIDName: Alice\r\n\
    ConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: 7001\r\n\
    Context: internal\r\nExten: 1002\r\nPriority: 2\r\nUniqueid: 1795226400.42\r\nLinkedid: 1795226400.42\r\n\
    Extension: 1002\r\nApplication: Dial\r\n\r\n";

/// The answer to a Ping.
pub(crate) const ANSWER: &[u8] =
    b"Response: Success\r\nActionID: 4711\r\nPing: Pong\r\nTimestamp: 1795226400.123456\r\n\r\n";

/// The one packet that `bytes` are, as a client's.
pub(crate) fn action(bytes: &[u8]) -> Result<Action, Failure> {
    let mut decoder = Decoder::client(Limits::CLIENT);
    Ok(Action::try_from(only(&mut decoder, bytes)?).map_err(|(error, _)| error)?)
}

/// The one packet that `bytes` are, as Asterisk's.
pub(crate) fn reply(bytes: &[u8]) -> Result<Reply, Failure> {
    Ok(Reply::from(only(&mut Decoder::upstream(), bytes)?))
}

fn only(decoder: &mut Decoder, bytes: &[u8]) -> Result<Message, Failure> {
    decoder.feed(bytes);
    let message = decoder.next_message().ok_or("a packet is not whole")?;
    let message = message.map_err(|malformed| malformed.violation.message())?;
    if decoder.is_mid_packet() { Err("there is more than one packet".into()) } else { Ok(message) }
}
