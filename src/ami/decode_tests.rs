use super::*;

/// Decodes `bytes` whole and byte by byte, and asserts that both give the same.
fn decode(bytes: &[u8]) -> Vec<Result<Message, Malformed>> {
    let whole = decode_in_pieces(bytes, bytes.len().max(1));
    for size in [1, 2, 3, 7, 1_000] {
        assert_eq!(whole, decode_in_pieces(bytes, size), "split into {size}");
    }
    whole
}

fn decode_in_pieces(bytes: &[u8], size: usize) -> Vec<Result<Message, Malformed>> {
    let mut decoder = Decoder::client(Limits::CLIENT);
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.feed(piece);
        while let Some(message) = decoder.next_message() {
            out.push(message);
        }
    }
    out
}

fn lines(message: &Result<Message, Malformed>) -> &[u8] {
    message.as_ref().expect("well formed").lines()
}

/// The violation of the only packet in `bytes`, behind which a Ping must still be decoded.
fn violation(bytes: &[u8]) -> Violation {
    let mut with_ping = bytes.to_vec();
    with_ping.extend_from_slice(b"Action: Ping\r\n\r\n");
    let decoded = decode(&with_ping);
    assert_eq!(lines(&decoded[1]), b"Action: Ping\r\n", "decoding goes on behind the packet");
    assert_eq!(decoded.len(), 2);
    decoded[0].clone().expect_err("malformed").violation
}

#[test]
fn crlf_and_bare_lf_end_lines() {
    for packet in [
        &b"Action: Ping\r\nA: 1\r\n\r\n"[..],
        b"Action: Ping\nA: 1\n\n",
        b"Action: Ping\r\nA: 1\n\r\n",
        b"Action: Ping\nA: 1\r\n\n",
    ] {
        let decoded = decode(packet);
        assert_eq!(decoded.len(), 1);
        assert_eq!(lines(&decoded[0]), b"Action: Ping\r\nA: 1\r\n");
    }
}

#[test]
fn blanks_behind_the_colon_go() {
    assert_eq!(
        lines(&decode(b"Action:Ping\r\nA: \t  x y\r\nB:\r\nC:   \r\n\r\n")[0]),
        b"Action: Ping\r\nA: x y\r\nB: \r\nC: \r\n"
    );
}

#[test]
fn each_violation_is_named() {
    use Violation::*;
    let cases: &[(&[u8], Violation)] = &[
        (b"Action: Pi\rng\r\n\r\n", BareCr),
        (b"Action: Ping\r\r\n\r\n", BareCr),
        (b"Action: Ping\r\n\r\r\nX: y\r\n\r\n", BareCr),
        (b"Action: Ping\0\r\n\r\n", Nul),
        (b"Action: Ping\r\n\0\r\n\r\n", Nul),
        (b"Action: Ping\r\nX\0: y\r\n\r\n", Nul),
        (b"Action:\x01Ping\r\n\r\n", ControlByte),
        (b"Action: Ping\x7f\r\n\r\n", ControlByte),
        (b"Action: P\ting\r\n\r\n", ControlByte),
        (b"Action : Ping\r\n\r\n", BlankInName),
        (b" Action: Ping\r\n\r\n", BlankInName),
        (b"\tAction: Ping\r\n\r\n", ControlByte),
        (b"Action: Ping\r\n \r\n\r\n", NoColon),
        (b"Action: Ping\r\nfoo\r\n\r\n", NoColon),
        (b"Action: Ping\r\n: x\r\n\r\n", BadName),
        (b"\xef\xbb\xbfAction: Ping\r\n\r\n", BadName),
        (b"1x: y\r\n\r\n", BadName),
        (b"Action: Ping \r\n\r\n", TrailingBlank),
        (b"Action: Ping\t\r\n\r\n", TrailingBlank),
    ];
    for (bytes, expected) in cases {
        assert_eq!(violation(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_of_1022_bytes_is_the_longest() {
    let line =
        |value_len: usize, end: &str| format!("Action: Ping\r\nX: {}{end}\r\n", "a".repeat(value_len)).into_bytes();
    assert!(decode(&line(1_019, "\r\n"))[0].is_ok());
    for too_long in [1_020, 1_021, 1_022, 2_043, 3_066, 70_000] {
        for end in ["\r\n", "\n"] {
            assert_eq!(violation(&line(too_long, end)), Violation::LineTooLong, "{too_long}");
        }
    }
}

#[test]
fn a_line_that_grows_when_it_is_rewritten_is_measured_as_rewritten() {
    let tight = format!("Action: Ping\r\nX:{}\r\n\r\n", "a".repeat(1_020));
    assert_eq!(violation(tight.as_bytes()), Violation::LineTooLong);
}

#[test]
fn what_follows_an_overlong_line_belongs_to_the_refused_packet() {
    // manager.c would end the packet at the 1,023-byte line and run what follows as a packet of its own.
    for len in [1_020, 2_043, 3_066] {
        let smuggled =
            format!("Action: Ping\r\nX: {}\r\nAction: Command\r\nCommand: core show uptime\r\n\r\n", "A".repeat(len));
        assert_eq!(violation(smuggled.as_bytes()), Violation::LineTooLong);
    }
}

#[test]
fn the_129th_line_is_too_many() {
    let packet = |lines: usize| {
        let mut bytes = b"Action: Ping\r\n".to_vec();
        for n in 1..lines {
            bytes.extend_from_slice(format!("H{n}: v\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    };
    assert!(decode(&packet(128))[0].is_ok());
    assert_eq!(violation(&packet(129)), Violation::TooManyLines);
    assert_eq!(violation(&packet(5_000)), Violation::TooManyLines);
}

#[test]
fn a_fault_does_not_leak_into_the_next_packet() {
    let mut bytes = b"Action: Ping\r\n".to_vec();
    for n in 0..128 {
        bytes.extend_from_slice(format!("H{n}: v\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("X: {}\r\n\r\n", "A".repeat(2_045)).as_bytes());
    assert_eq!(violation(&bytes), Violation::TooManyLines);
}

#[test]
fn an_empty_line_alone_is_an_empty_message() {
    let decoded = decode(b"\r\n\nAction: Ping\r\n\r\n");
    assert_eq!(decoded.len(), 3);
    assert!(decoded[0].as_ref().is_ok_and(Message::is_empty));
    assert!(decoded[1].as_ref().is_ok_and(Message::is_empty));
}

#[test]
fn an_http_request_is_seen_at_its_first_line() {
    let decoded = decode(b"POST / HTTP/1.1\r\nHost: x\r\n");
    assert_eq!(decoded.len(), 1);
    assert_eq!(decoded[0].clone().expect_err("refused").violation, Violation::Http);
}

#[test]
fn a_refused_packet_keeps_its_action_id() {
    let decoded = decode(b"Action: Ping\r\nActionID: 7\r\nfoo\r\n\r\n");
    let malformed = decoded[0].clone().expect_err("refused");
    assert_eq!(malformed.partial.get("ActionID"), Some(&b"7"[..]));
    assert_eq!(malformed.line, 3);
}

#[test]
fn what_a_peer_sends_without_a_line_end_is_not_kept() {
    let mut decoder = Decoder::client(Limits::CLIENT);
    for _ in 0..1_000 {
        decoder.feed(&[b'x'; 4_096]);
        assert!(decoder.next_message().is_none());
        assert!(decoder.input.capacity() < 64 * 1_024);
    }
    for _ in 0..10_000 {
        decoder.feed(b"H: v\n");
        assert!(decoder.next_message().is_none());
    }
    assert!(decoder.input.capacity() < 64 * 1_024 && decoder.message.lines().len() < 128 * 1_024);
}

#[test]
fn from_asterisk_every_byte_is_taken() {
    let mut decoder = Decoder::upstream();
    decoder.feed(b"\r\nResponse: Success\r\nOutput:   two blanks\r\nX: a\rb\0c\r\nNo categories found\r\nEmpty:\r\nMessage: No\n\r\n\r\n");
    let message = decoder.next_message().expect("whole").expect("taken");
    assert_eq!(
        message.lines(),
        b"Response: Success\r\nOutput:   two blanks\r\nX: a b c\r\nNo categories found\r\nEmpty: \r\nMessage: No\r\n"
    );
    assert!(decoder.next_message().is_none());
}

#[test]
fn a_blank_line_from_asterisk_ends_no_packet_for_a_client_that_trims() {
    for line in ["\r", " ", "\t", "\0", "\x0b \x7f", "   "] {
        let mut decoder = Decoder::upstream();
        decoder.feed(format!("Event: UserEvent\r\nText: a\r\n{line}\r\nEvent: Hangup\r\n\r\n").as_bytes());
        let message = decoder.next_message().expect("whole").expect("taken");
        assert_eq!(message.lines(), b"Event: UserEvent\r\nText: a\r\nEvent: Hangup\r\n", "{line:?}");
        assert!(decoder.next_message().is_none());
    }
}

#[test]
fn a_line_that_is_both_too_many_and_too_long_is_the_same_in_pieces() {
    let many = b"A: 1\r\n".repeat(Limits::CLIENT.lines_max);
    let long = vec![b'x'; 2 * Limits::CLIENT.line_len_max];
    assert_eq!(violation(&[&many, &long[..], b"\r\n\r\n"].concat()), Violation::TooManyLines);
    assert_eq!(violation(&[&many[6..], &long[..], b"\r\n\r\n"].concat()), Violation::LineTooLong);
}
