use super::*;
use crate::policy::spec::Position;

fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), at: Position { line: 7, column: 3 } }
}

fn masks(specs: &[(&str, &str)]) -> Masks {
    let specs: Vec<_> = specs.iter().map(|(pattern, style)| (spanned(pattern), spanned(style))).collect();
    let mut problems = Vec::new();
    let masks = Masks::compile(&specs, &mut problems);
    assert_eq!(problems, []);
    masks
}

fn event(headers: &[(&str, &[u8])]) -> Message {
    let mut message = Message::compose(&[("Event", b"X")]);
    for (name, value) in headers {
        message.push(name, value).expect("a header");
    }
    message
}

/// What is left of the value of one header.
fn masked(masks: &Masks, name: &str, value: &[u8]) -> String {
    let message = event(&[(name, value)]);
    let shown = masks.apply(ReplyKind::Event, &message);
    String::from_utf8_lossy(shown.get(name).expect("the header")).into_owned()
}

#[test]
fn last4_leaves_four_bytes_and_nothing_of_a_short_value() {
    let masks = masks(&[("CallerIDNum", "last4"), ("Secret", "hide")]);
    for (value, expected) in
        [("+14155550123", "********0123"), ("12345", "*2345"), ("1234", "****"), ("1", "*"), ("", "")]
    {
        assert_eq!(masked(&masks, "CALLERIDNUM", value.as_bytes()), expected);
    }
    assert_eq!(masked(&masks, "Secret", b"hunter2"), "***");
    assert_eq!(masked(&masks, "Secret", b""), "***");
    assert_eq!(masked(&masks, "CallerIDName", b"Alice"), "Alice");
    assert_eq!(masked(&masks, "DestCallerIDNum", b"1234567"), "1234567");
}

#[test]
fn nothing_is_copied_when_nothing_is_masked() {
    let message = event(&[("Channel", b"PJSIP/1"), ("Variable", b"a=1")]);
    let masks = masks(&[("PIN", "hide"), ("*Password*", "hide")]);
    assert!(matches!(masks.apply(ReplyKind::Event, &message), Cow::Borrowed(_)));
}

#[test]
fn wildcards_match_whole_names_without_case() {
    let cases: [(&str, &str, bool); 13] = [
        ("*password*", "NewPassword", true),
        ("*password*", "PASSWORD", true),
        ("*password*", "Passwor", false),
        ("caller*num", "CallerIDNum", true),
        ("caller*num", "CallerIDName", false),
        ("caller*num", "CallerIDNumX", false),
        ("p?n", "PIN", true),
        ("p?n", "PN", false),
        ("a*b*c", "aXbXbc", true),
        ("a*b*c", "aXbXb", false),
        ("*", "", true),
        ("**", "x", true),
        ("?", "", false),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(is_match(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
    }
    let hostile = vec![b'a'; 200_000];
    assert!(!is_match(b"*a*a*a*a*a*a*a*a*b", &hostile));
}

#[test]
fn the_strictest_mask_wins_in_any_order() {
    for specs in [[("CallerIDNum", "last4"), ("Caller*", "hide")], [("Caller*", "hide"), ("CallerIDNum", "last4")]] {
        assert_eq!(masked(&masks(&specs), "CallerIDNum", b"5550123"), "***");
    }
    // A header's mask and a variable's mask cover the same bytes.
    assert_eq!(masked(&masks(&[("Variable", "last4"), ("PIN", "hide")]), "Variable", b"PIN=12345"), "***");
}

#[test]
fn a_mask_holds_for_a_variable_of_that_name() {
    let masks = masks(&[("PIN", "hide"), ("card_*", "last4"), ("CALLERID", "hide")]);
    for (name, value, expected) in [
        ("Variable", "PIN=1234", "PIN=***"),
        ("Variable", "pin=a=b", "pin=***"),
        ("Variable", "__PIN=1234", "__PIN=***"),
        ("ChanVariable", "card_no=4111111111111111", "card_no=************1111"),
        ("ChanVariable(PJSIP/1-0001)", "PIN=1234", "PIN=***"),
        ("Variable", "CALLERID(num)=5550123", "CALLERID(num)=***"),
        ("Variable", "PINS=1234", "PINS=1234"),
        ("Variable", "PIN", "PIN"),
        ("Output", "PIN=1234", "PIN=1234"),
    ] {
        assert_eq!(masked(&masks, name, value.as_bytes()), expected, "{name}: {value}");
    }
}

#[test]
fn a_value_is_masked_where_a_variable_header_names_it() {
    let masks = masks(&[("PIN", "hide")]);
    let value = |variable: &[u8]| {
        let message = event(&[("Value", b"1234"), ("Variable", variable)]);
        masks.apply(ReplyKind::Event, &message).get("Value").expect("a value").to_vec()
    };
    assert_eq!(value(b"PIN"), b"***");
    assert_eq!(value(b"_PIN"), b"***");
    assert_eq!(value(b"OTHER"), b"1234");
}

#[test]
fn a_torn_channel_variable_does_not_slip_through() {
    let masks = masks(&[("PIN", "hide")]);
    // The name is torn at the colon in the channel's name.
    assert_eq!(masked(&masks, "ChanVariable(IAX2/h", b"4569-1): PIN=1234"), "4569-1): PIN=***");
    // With a blank in it the line has no name at all.
    let mut message = event(&[("A", b"1")]);
    message.push_line(b"ChanVariable(Local/1@a b;1): PIN=1234").expect("a line");
    message.push_line(b"ChanVariable(Local/1@a b;1): X=1").expect("a line");
    message.push_line(b"No categories found").expect("a line");
    let shown = masks.apply(ReplyKind::Event, &message);
    assert_eq!(shown.lines(), b"Event: X\r\nA: 1\r\nChanVariable(Local/1@a b;1): X=1\r\nNo categories found\r\n");
}

#[test]
fn what_frames_a_packet_stays_but_only_its_first_occurrence() {
    let masks = masks(&[("*", "hide")]);
    let message = event(&[("ActionID", b"7"), ("EventList", b"Complete"), ("Event", b"Y"), ("ActionID", b"8")]);
    let shown = masks.apply(ReplyKind::Event, &message);
    assert_eq!(shown.lines(), b"Event: X\r\nActionID: 7\r\nEventList: Complete\r\nEvent: ***\r\nActionID: ***\r\n");
    let other = Message::compose(&[("CallerIDNum", b"5550123")]);
    assert_eq!(masks.apply(ReplyKind::Other, &other).lines(), b"CallerIDNum: ***\r\n");
}

#[test]
fn all_problems_are_noted_where_they_stand() {
    let specs: Vec<_> = [("A B", "last5"), ("ActionID", "hide"), ("", "hide"), ("Fine", "last4")]
        .map(|(pattern, style)| (spanned(pattern), spanned(style)))
        .into();
    let mut problems = Vec::new();
    let masks = Masks::compile(&specs, &mut problems);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.at.line == 7 && problem.help.is_some()));
    assert_eq!(masks.rules.len(), 1);
}
