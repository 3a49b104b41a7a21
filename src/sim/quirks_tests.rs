//! What Asterisk 16.28 and 22.10 answered to these bytes (the case numbers are those of the recorded dialogues and of
//! the catalogue of parser differentials), for any split of the input.

use super::*;

/// `action#actionid` for what is executed, `!kind#actionid` for what is refused.
fn show(packet: &Packet) -> String {
    let (head, request) = match packet {
        Packet::Refused(Refusal::LineTooLong, request) => ("!long".to_owned(), request),
        Packet::Refused(Refusal::MissingAction, request) => ("!missing".to_owned(), request),
        Packet::Refused(Refusal::TooManyLines, request) => ("!lines".to_owned(), request),
        Packet::Request(request) => (request.action().escape_ascii().to_string(), request),
    };
    format!("{head}#{}", request.get("ActionID").escape_ascii())
}

fn read_split(bytes: &[u8], piece: usize) -> (Vec<Packet>, bool) {
    let mut reader = Reader::new();
    let mut packets = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.feed(piece);
        packets.extend(std::iter::from_fn(|| reader.next_packet()));
    }
    (packets, reader.is_mid_packet())
}

fn packets(bytes: &[u8]) -> Vec<Packet> {
    let whole = read_split(bytes, usize::MAX);
    for piece in [1, 2, 7, 512, 1_023, 1_024, 1_025] {
        assert_eq!(read_split(bytes, piece), whole, "pieces of {piece}");
    }
    whole.0
}

fn read(bytes: &[u8]) -> Vec<String> {
    packets(bytes).iter().map(show).collect()
}

/// The one request of these bytes.
fn request(bytes: &[u8]) -> Request {
    match packets(bytes).as_slice() {
        [Packet::Request(request)] => request.clone(),
        other => panic!("not one request: {other:?}"),
    }
}

fn line(head: &str, fill: u8, len: usize, end: &str) -> Vec<u8> {
    let mut line = head.as_bytes().to_vec();
    line.resize(len, fill);
    line.extend_from_slice(end.as_bytes());
    line
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const C: &[u8] = b"Action: Command\r\nActionID: c\r\nCommand: core show uptime\r\n\r\n";
const PING1: &[u8] = b"Action: Ping\r\nActionID: 1\r\n";

#[test]
fn framing_f_rows() {
    let rows: &[(&[u8], &[&str])] = &[
        (b"Action: Ping\nActionID: 1\n\n", &["Ping#1"]),
        (b"Action: Ping\r\nActionID: 1\n\r\n", &["Ping#1"]),
        (b"Action: Ping\nActionID: 1\r\n\n", &["Ping#1"]),
        (b"Action: Ping\rActionID: 1\r\r", &[]),
        (b"Action: Ping\rActionID: 1\r\r\r\n\r\n", &["Ping\\rActionID: 1\\r\\r#"]),
        (b"Action: Ping\r\nActionID: a\rb\r\n\r\n", &["Ping#a\\rb"]),
        (b"Action: Ping\r\r\nActionID: 1\r\n\r\n", &["Ping\\r#1"]),
        (b"Action: Ping\r\nActionID: 1\r\n\r\r\nX: 1\r\n\r\n", &["Ping#1"]),
        (b"\r\nAction: Ping\r\nActionID: 1\r\n\r\n", &["!missing#", "Ping#1"]),
        (b"\r\n\n\r\n", &["!missing#", "!missing#", "!missing#"]),
        (b"Action:Ping\r\nActionID:\t\t 1\r\n\r\n", &["Ping#1"]),
        (b"Action:\x01\x0b\x1f\t Ping\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Action: Ping \r\nActionID: 1 \r\n\r\n", &["Ping #1 "]),
        (b"Action : Ping\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b" Action: Ping\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b"Action:\r\n Ping\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b"Action: Ping\0xyz\r\nActionID: 1\0 2\r\n\r\n", &["Ping#1"]),
        (b"Action: Ping\r\nActionID: 1\r\n\0\r\nAction: Core\r\n\r\n", &["Ping#1", "Core#"]),
        (b"\0Action: Core\r\nAction: Ping\r\nActionID: 1\r\n\r\n", &["!missing#", "Ping#1"]),
        (b"\0\r\n", &["!missing#"]),
        (b"Act\0ion: Ping\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b"Action: Ping\r\nAction: Core\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Action:\r\nAction:  \t \r\nAction: Ping\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Action: Ping\r\nActionID: 1\r\nActionID: 2\r\n\r\n", &["Ping#1"]),
        (b"Action: Ping\r\nActionID:\r\nActionID: 2\r\n\r\n", &["Ping#"]),
        (b"garbage\r\nAction: Ping\r\nmore\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"garbage\r\n\r\n", &["!missing#"]),
        (b": x\r\nAction: Ping\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Response: Success\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b"\xef\xbb\xbfAction: Ping\r\nActionID: 1\r\n\r\n", &["!missing#1"]),
        (b"ActionX: Core\r\nAction-000000: y\r\nAction: Ping\r\nActionIDX: 5\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Action: Ping\r\nActionID: a: b:c\r\n\r\n", &["Ping#a: b:c"]),
        (b"Action: Ping\r\nActionID: 1\r\nX: a\n\nAction: Core\nActionID: 2\n\r\n", &["Ping#1", "Core#2"]),
        (b"Action: Ping\r\nActionID: 1\r\nX: a\n\0\nAction: Core\nActionID: 2\n\r\n", &["Ping#1", "Core#2"]),
        (b"aCtIoN: pInG\r\nActionid: 1\r\n\r\n", &["pInG#1"]),
        (b"Action: Ping\r\n\x0b\r\n \r\n\t\r\n\xc2\xa0\r\n\x85\r\nActionID: 1\r\n\r\n", &["Ping#1"]),
        (b"Action:\xc2\xa0Ping\r\nActionID: 1\r\n\r\n", &["\\xc2\\xa0Ping#1"]),
        (b"Action:\x7fPing\r\nActionID: 1\r\n\r\n", &["\\x7fPing#1"]),
        (b"Action: Ping\r\nActionID: x\r\n", &[]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["!missing#"]),
        (b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\nAction: Ping\r\n\r\n", &["Ping#"]),
    ];
    for (bytes, expected) in rows {
        assert_eq!(read(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_hidden_packet_runs_a1_to_a12() {
    let hidden: &[&[u8]] = &[
        b"Action: Ping\r\n\0\r\n",
        b"Action: Ping\r\n\0junk: x\r\n",
        b"Action: Ping\r\nX: a\0\r\n\0\n",
        b"Action: Ping\n\n",
        b"Action: Ping\r\n\n",
        b"Action: Ping\n\r\n",
    ];
    for head in hidden {
        assert_eq!(read(&cat(&[head, C])), ["Ping#", "Command#c"], "{}", head.escape_ascii());
    }
    // One packet only: a line of a CR, a blank or a tab ends nothing.
    for middle in [&b"\r\r\n"[..], b" \r\n", b"\t\r\n", b"\x0b\r\n", b"\x0c\r\n", b"\xc2\xa0\r\n", b"\x85\r\n"] {
        assert_eq!(read(&cat(&[b"Action: Ping\r\n", middle, C])), ["Ping#c"], "{}", middle.escape_ascii());
    }
    assert_eq!(read(&cat(&[b"\r\n\r\n", C])), ["!missing#", "!missing#", "Command#c"]);
}

#[test]
fn lengths_l_rows_and_b19_to_b31() {
    for (len, end, expected) in [
        (1_021, "\r\n", &["Ping#1"][..]),
        (1_022, "\r\n", &["Ping#1"]),
        (1_023, "\r\n", &["!long#1", "!missing#"]),
        (1_024, "\r\n", &["!long#1"]),
        (1_025, "\r\n", &["!long#1"]),
        (2_045, "\r\n", &["!long#1"]),
        (2_046, "\r\n", &["!long#1", "!missing#"]),
        (2_047, "\r\n", &["!long#1"]),
        (3_069, "\r\n", &["!long#1", "!missing#"]),
        (10_240, "\r\n", &["!long#1"]),
        (1_022, "\n", &["Ping#1"]),
        (1_023, "\n", &["Ping#1"]),
        (1_024, "\n", &["!long#1"]),
    ] {
        let bytes = cat(&[PING1, &line("X: ", b'A', len, end), b"\r\n"]);
        assert_eq!(read(&bytes), expected, "{len} bytes and {}", end.escape_debug());
    }
    let smuggled = cat(&[PING1, &line("X: ", b'A', 1_023, "\r\n"), C]);
    assert_eq!(read(&smuggled), ["!long#1", "Command#c"]);
    let refused_then_fine = cat(&[PING1, &line("X: ", b'A', 10_240, "\r\n"), b"\r\n", C]);
    assert_eq!(read(&refused_then_fine), ["!long#1", "Command#c"]);
    assert_eq!(read(&line("X: ", b'A', 65_536, "\r\n\r\n")), ["!long#"]);
    assert_eq!(read(&cat(&[&line("ActionID: ", b'a', 2_048, "\r\n"), b"Action: Ping\r\n\r\n"])).len(), 1);
}

#[test]
fn the_rest_of_an_over_long_line_is_a_line() {
    let bytes = cat(&[b"Action: Ping\r\n", &line("", b'Z', 1_023, ""), b"ActionID: smuggled\r\n\r\n"]);
    assert_eq!(read(&bytes), ["!long#smuggled"]);
    let bytes = cat(&[&line("", b'X', 1_023, ""), b"Action: Command\r\nCommand: x\r\n\r\n", C]);
    assert_eq!(read(&bytes), ["!long#", "Command#c"]);
    // The kept byte is a CR or a NUL: an empty line, and what follows is a packet of its own.
    let bytes = cat(&[b"Action: Ping\r\n", &line("", b'y', 1_022, "\r\r\n"), C]);
    assert_eq!(read(&bytes), ["!long#", "Command#c"]);
    assert_eq!(read(&cat(&[b"Action: Ping\r\n", &line("", b'y', 1_021, "\r\r\n"), C])), ["Ping#c"]);
    let bytes = cat(&[b"Action: Ping\r\n", &line("", b'y', 1_023, "\0zzz\r\n"), C]);
    assert_eq!(read(&bytes), ["!long#", "Command#c"]);
    let bytes = cat(&[b"Action: Ping\r\n", &line("", 0, 1_023, "\r\n"), C]);
    assert_eq!(read(&bytes), ["!long#", "Command#c"]);
}

#[test]
fn the_length_is_that_of_the_raw_line() {
    let padded = |len: usize| cat(&[&line("Action:", b' ', len - 4, "Ping\r\n"), b"\r\n"]);
    assert_eq!(read(&padded(1_022)), ["Ping#"]);
    assert_eq!(read(&padded(1_023)), ["!long#", "!missing#"]);
}

#[test]
fn the_129th_line_and_the_mark_that_leaks() {
    let fill = |count: usize| (0..count).map(|i| format!("H{i}: v\r\n")).collect::<String>().into_bytes();
    assert_eq!(read(&cat(&[PING1, &fill(125), b"\r\n"])), ["Ping#1"]);
    assert_eq!(read(&cat(&[PING1, &fill(126), b"\r\n"])), ["Ping#1"]);
    assert_eq!(read(&cat(&[PING1, &fill(127), b"\r\n"])), ["!lines#1"]);
    assert_eq!(read(&cat(&[PING1, &fill(198), b"\r\n", C])), ["!lines#1", "Command#c"]);
    assert_eq!(read(&cat(&[&fill(198), PING1, b"\r\n"])), ["!lines#"]);
    let both = cat(&[PING1, &fill(127), &line("X: ", b'A', 2_048, "\r\n"), b"\r\n", C, C]);
    assert_eq!(read(&both), ["!lines#1", "!long#c", "Command#c"]);
}

#[test]
fn lookup_of_other_headers_c37_to_c55() {
    let found =
        request(b"Action: X\r\nApplication:\x02\x03System\r\nCommand:\r\nCommand: core stop\r\nno colon\r\n\r\n");
    assert_eq!(found.get("application"), b"System");
    assert_eq!(found.get("Command"), b"");
    assert_eq!(found.get("Nothing"), b"");
    let headers: Vec<_> = found.headers().collect();
    assert_eq!(headers.len(), 4);
    assert_eq!(headers[1], (&b"Application"[..], &b"System"[..]));
    assert_eq!(found.lines().len(), 5);
    assert_eq!(format!("{found:?}"), "Request(X, 5 lines)");
}

#[test]
fn variables_are_split_as_asterisk_splits_them() {
    let natural = |lines: &str| {
        let bytes = format!("Action: Originate\r\n{lines}\r\n\r\n");
        let variables = request(bytes.as_bytes()).variables(VariableOrder::Natural);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        variables.into_iter().map(|(n, v)| format!("{}={}", text(n), text(v))).collect::<Vec<_>>()
    };
    assert_eq!(
        natural("Variable: A=1,\"C,c\"=3,D\\,d=4,(E,e)=5,F"),
        ["A=1", "C,c=3", "D,d=4", "(E,e)=5"],
        "the example of the notes"
    );
    assert_eq!(natural("Variable: FI\\LE(/p)=x"), ["FILE(/p)=x"]);
    assert_eq!(natural("Variable: SH\"EL\"L=1"), ["SHELL=1"]);
    assert_eq!(natural("Variable: A=1|B=2"), ["A=1|B=2"]);
    assert_eq!(natural("Variable: F=\"x,G=1"), ["F=x,G=1"]);
    assert_eq!(natural("Variable: F=(x,G=1,[H=2)],I=3"), ["F=(x,G=1,[H=2)]", "I=3"]);
    assert_eq!(natural("Variable: F=[x,G=1"), ["F=[x,G=1"]);
    assert_eq!(natural("Variable: F=)x,G=1]"), ["F=)x", "G=1]"]);
    assert_eq!(natural("Variable: B= x, C=1,D =2,E==,=3,,G="), ["B= x", " C=1", "D =2", "E==", "G="]);
    assert_eq!(natural("Variable: A=b\\"), ["A=b"]);
    assert_eq!(natural("Variables: X=1\r\nVariable : Y=1\r\nvariable:Z=1"), ["Z=1"]);
    let seventy = (1..=70).map(|i| format!("v{i}=1")).collect::<Vec<_>>().join(",");
    let variables = natural(&format!("Variable: {seventy}"));
    assert_eq!((variables.len(), variables[62].as_str()), (64, "v63=1"));
    assert_eq!(variables[63], "v64=1,v65=1,v66=1,v67=1,v68=1,v69=1,v70=1");
}

#[test]
fn originate_puts_the_last_variable_first() {
    let request = request(b"Action: Originate\r\nVariable: A=1,B=2\r\nVariable: A=3\r\n\r\n");
    let variables = request.variables(VariableOrder::Reversed);
    let names: Vec<_> = variables.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    assert_eq!(names, [(&b"A"[..], &b"3"[..]), (b"B", b"2"), (b"A", b"1")]);
}
