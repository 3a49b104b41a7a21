//! The header of the PROXY protocol, versions 1 and 2: in front of everything else a proxy says whose connection it passes on.
//!
//! Only what surely belongs to the header is asked for, so that not a byte of what follows it is taken, and never more than
//! [`LEN_MAX`] bytes, whatever a length claims. What is not exactly as the specification has it is refused: two programs
//! that read one header differently see two clients.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_LEN: usize = 16;
/// The shortest header of all.
const SHORTEST: &[u8] = b"PROXY UNKNOWN\r\n";
/// The longest line of version 1, with its end.
const LINE_LEN_MAX: usize = 107;
/// Addresses and TLVs of version 2. Two IPv6 addresses are 36 bytes; what proxies add (a host name, an id) fits as well.
const BODY_LEN_MAX: usize = 520;
/// The longest header.
const LEN_MAX: usize = FIXED_LEN + BODY_LEN_MAX;

/// What is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHeader;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The beginning of a header: at least so many bytes more are of it.
    Partial(usize),
    /// The header of a client's connection.
    Client(SocketAddr),
    /// The header of a connection of the proxy's own, or of one that it says nothing about.
    Own,
}

/// Reads a header and no byte behind it: whose connection it is; None: the proxy's own.
///
/// # Errors
/// If what comes is no header, or the connection ends before it does.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut buffer = [0; LEN_MAX];
    let mut len = 0;
    loop {
        let no_header = |NoHeader| io::Error::from(io::ErrorKind::InvalidData);
        match parse(buffer.get(..len).unwrap_or_default()).map_err(no_header)? {
            Header::Client(client) => return Ok(Some(client)),
            Header::Own => return Ok(None),
            Header::Partial(needed) => {
                let free = buffer.get_mut(len..len.saturating_add(needed)).ok_or_else(|| no_header(NoHeader))?;
                len += match stream.read(free).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                };
            }
        }
    }
}

/// What `bytes`, the first of a connection, are.
fn parse(bytes: &[u8]) -> Result<Header, NoHeader> {
    let begins_as = |signature: &[u8]| bytes.iter().zip(signature).all(|(one, other)| one == other);
    if bytes.is_empty() {
        Ok(Header::Partial(SHORTEST.len()))
    } else if begins_as(SIGNATURE) {
        version_2(bytes)
    } else if begins_as(b"PROXY ") {
        version_1(bytes)
    } else {
        Err(NoHeader)
    }
}

/// A line. Where it ends is not known before, but two bytes are missing as long as the end has not begun.
fn version_1(bytes: &[u8]) -> Result<Header, NoHeader> {
    let needed = match bytes {
        [.., b'\r', b'\n'] => 0,
        [.., b'\r'] => 1,
        _ => 2,
    };
    let line = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\r")).unwrap_or(bytes);
    if bytes.len() + needed > LINE_LEN_MAX || !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(NoHeader);
    }
    if needed > 0 {
        return Ok(Header::Partial(needed));
    }
    let line = str::from_utf8(line).map_err(|_| NoHeader)?;
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Header::Own),
        ["PROXY", "TCP4", source, destination, source_port, destination_port] => {
            client::<Ipv4Addr>([source, destination], [source_port, destination_port])
        }
        ["PROXY", "TCP6", source, destination, source_port, destination_port] => {
            client::<Ipv6Addr>([source, destination], [source_port, destination_port])
        }
        _ => Err(NoHeader),
    }
}

fn client<A: FromStr + Into<IpAddr>>(addresses: [&str; 2], ports: [&str; 2]) -> Result<Header, NoHeader> {
    let ([source, destination], [source_port, destination_port]) = (addresses, ports);
    let address = |text: &str| text.parse::<A>().map_err(|_| NoHeader);
    address(destination)?;
    port(destination_port)?;
    Ok(Header::Client(canonical(address(source)?, port(source_port)?)))
}

/// Digits without a sign and without zeros in front.
fn port(text: &str) -> Result<u16, NoHeader> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_number { text.parse().map_err(|_| NoHeader) } else { Err(NoHeader) }
}

fn canonical(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into().to_canonical(), port)
}

fn version_2(bytes: &[u8]) -> Result<Header, NoHeader> {
    let Some((fixed, body)) = bytes.split_first_chunk::<FIXED_LEN>() else {
        return Ok(Header::Partial(FIXED_LEN - bytes.len()));
    };
    let [.., command, family, len_high, len_low] = *fixed;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    // PROXY or LOCAL; TCP over IPv4, over IPv6. Nothing else can come to a listener of amiwall, and a proxy that does not
    // say who the client is has no say in who may connect.
    let addresses_len = match (command, family) {
        (0x21, 0x11) => 12,
        (0x21, 0x21) => 36,
        (0x20, _) => 0,
        _ => return Err(NoHeader),
    };
    if len > BODY_LEN_MAX || len < addresses_len || body.len() > len {
        return Err(NoHeader);
    }
    if body.len() < len {
        return Ok(Header::Partial(len - body.len()));
    }
    if command == 0x20 {
        return Ok(Header::Own);
    }
    let (addresses, tlvs) = body.split_at_checked(addresses_len).ok_or(NoHeader)?;
    check_tlvs(tlvs)?;
    match *addresses {
        [a, b, c, d, _, _, _, _, high, low, _, _] => {
            Ok(Header::Client(canonical([a, b, c, d], u16::from_be_bytes([high, low]))))
        }
        _ => {
            let source = addresses.first_chunk::<16>().ok_or(NoHeader)?;
            let [high, low, _, _] = *addresses.last_chunk::<4>().ok_or(NoHeader)?;
            Ok(Header::Client(canonical(*source, u16::from_be_bytes([high, low]))))
        }
    }
}

/// Type, length and value again and again. What they say is of no use here, but a length that lies is a lie.
fn check_tlvs(mut tlvs: &[u8]) -> Result<(), NoHeader> {
    while !tlvs.is_empty() {
        let ([_, high, low], rest) = tlvs.split_first_chunk::<3>().ok_or(NoHeader)?;
        tlvs = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(NoHeader)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};

    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).expect("short");
        [SIGNATURE, &[command, family], &len.to_be_bytes(), body].concat()
    }

    const V4: &[u8] = &[203, 0, 113, 7, 10, 0, 0, 5, 0xC8, 0x22, 0x13, 0xAF];

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().expect("an address");
        [&source.octets()[..], &[0; 16], &[0xC8, 0x22, 0x13, 0xAF]].concat()
    }

    /// Headers with what they say.
    fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let client = Some("203.0.113.7:51234");
        let longest_unknown = format!("PROXY UNKNOWN {} {0} 65535 65535\r\n", "ffff:".repeat(7) + "ffff");
        assert_eq!(longest_unknown.len(), LINE_LEN_MAX);
        let tlvs = [V4, &[4, 0, 3, 0, 0, 0], &[2, 1, 0], &[b'x'; 256]].concat();
        vec![
            (b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039\r\n".to_vec(), client),
            (b"PROXY TCP6 2001:db8::7 ::1 51234 0\r\n".to_vec(), Some("[2001:db8::7]:51234")),
            (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 51234 5039\r\n".to_vec(), client),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (longest_unknown.into_bytes(), None),
            (v2(0x21, 0x11, V4), client),
            (v2(0x21, 0x11, &tlvs), client),
            (v2(0x21, 0x21, &v6("2001:db8::7")), Some("[2001:db8::7]:51234")),
            (v2(0x21, 0x21, &v6("::ffff:203.0.113.7")), client),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, V4), None),
            (v2(0x20, 0x00, &[0; BODY_LEN_MAX]), None),
        ]
    }

    #[test]
    fn every_beginning_of_a_header_asks_for_no_more_than_the_header() {
        for (header, client) in good() {
            for len in 0..header.len() {
                match parse(&header[..len]) {
                    Ok(Header::Partial(needed)) if needed > 0 && len + needed <= header.len() => {}
                    other => panic!("{} after {len}: {other:?}", header.escape_ascii()),
                }
            }
            let said = client.map_or(Header::Own, |client| Header::Client(client.parse().expect("an address")));
            assert_eq!(parse(&header), Ok(said), "{}", header.escape_ascii());
        }
    }

    #[tokio::test]
    async fn what_follows_a_header_is_left_however_it_is_cut() {
        for (header, client) in good() {
            let client = client.map(|client| client.parse::<SocketAddr>().expect("an address"));
            let all = [&header[..], b"what follows"].concat();
            for cut in (0..=all.len()).step_by(if header.len() > 150 { 17 } else { 1 }) {
                let (first, second) = all.split_at(cut);
                let mut stream = first.chain(second);
                assert_eq!(read(&mut stream).await.expect("a header"), client);
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("the rest");
                assert_eq!(rest, b"what follows", "{} cut at {cut}", header.escape_ascii());
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_exactly_a_header_is_none() {
        let lines: [&[u8]; 24] = [
            b"",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a ClientHello",
            b"Action: Login\r\nUsername: alice\r\n\r\n",
            b"PROXY\r\n",
            b"PROXY \r\n",
            b"proxy TCP4 203.0.113.7 10.0.0.5 51234 5039\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039\r\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039 \r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234\r\n",
            b"PROXY TCP4  203.0.113.7 10.0.0.5 51234 5039\r\n",
            b"PROXY\tTCP4 203.0.113.7 10.0.0.5 51234 5039\r\n",
            b"PROXY TCP4 203.0.113.007 10.0.0.5 51234 5039\r\n",
            b"PROXY TCP4 203.0.113 10.0.0.5 51234 5039\r\n",
            b"PROXY TCP4 203.0.113.7 ::1 51234 5039\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 51234 5039\r\n",
            b"PROXY TCP6 203.0.113.7 10.0.0.5 51234 5039\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 051234 5039\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 +5039\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 65536 5039\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5  5039\r\n",
            b"PROXY UDP4 203.0.113.7 10.0.0.5 51234 5039\r\n",
            b"PROXY UNKNOWN \x00\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.5 51234 5039",
        ];
        let overlong = [&b"PROXY UNKNOWN "[..], &[b'x'; LINE_LEN_MAX - 15], b"\r\n"].concat();
        let mut lying_up = v2(0x21, 0x11, V4);
        lying_up[14] = 0xFF;
        let mut lying_down = v2(0x21, 0x11, V4);
        lying_down[15] = 11;
        let mut cut = v2(0x21, 0x11, V4);
        cut.pop();
        let others = [
            overlong,
            lying_up,
            lying_down,
            cut,
            v2(0x21, 0x21, V4),
            v2(0x21, 0x12, V4),
            v2(0x21, 0x22, &v6("::1")),
            v2(0x21, 0x31, &[b'/'; 216]),
            v2(0x21, 0x00, &[]),
            v2(0x22, 0x11, V4),
            v2(0x11, 0x11, V4),
            v2(0x20, 0x00, &[0; BODY_LEN_MAX + 1]),
            v2(0x21, 0x11, &[V4, &[4, 0]].concat()),
            v2(0x21, 0x11, &[V4, &[4, 0, 2, 0]].concat()),
            v2(0x21, 0x11, &[V4, &[4, 0xFF, 0xFF, 0]].concat()),
        ];
        for bytes in lines.iter().map(|line| line.to_vec()).chain(others) {
            let read = read(&mut bytes.as_slice()).await;
            assert!(read.is_err(), "{} is {read:?}", bytes.escape_ascii());
        }
    }

    proptest::proptest! {
        /// Whatever comes, what is asked for stays bounded and there is an end to it.
        #[test]
        fn no_bytes_ask_for_more_than_a_header(
            begin in 0..4_usize,
            rest in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            let begins: [&[u8]; 4] = [b"", b"PROXY ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"];
            let bytes = [begins[begin], &rest].concat();
            let mut len = 0;
            while let Ok(Header::Partial(needed)) = parse(&bytes[..len]) {
                proptest::prop_assert!(needed > 0 && len + needed <= LEN_MAX);
                len += needed;
                if len > bytes.len() {
                    break;
                }
            }
        }
    }
}
