//! What must follow from `policy.yaml`, said of what Asterisk sees: written from the policy's text, not from its code.

use crate::reader::Packet;

/// Why this packet should not have reached Asterisk, if so.
pub(crate) fn objection(client: &str, packet: &Packet, record_id: &str) -> Option<String> {
    let action = packet.action().unwrap_or_default().to_ascii_lowercase();
    let is_listed = |actions: &[&str]| actions.iter().any(|name| action == name.to_ascii_lowercase().as_bytes());
    match client {
        "dialer" if !is_listed(&["Ping", "Originate"]) => Some("the action is not listed".to_owned()),
        "dialer" if action == b"originate" => dialer_originate(packet, record_id),
        "open" => open(packet, &action),
        "listed" => listed(packet, &action),
        _ => None,
    }
}

fn dialer_originate(packet: &Packet, record_id: &str) -> Option<String> {
    let wrong = |what: &str| Some(what.to_owned());
    let is = |name: &str, value: &str| packet.get(name) == Some(value.as_bytes());
    let exten = packet.get("Exten").unwrap_or_default();
    let national = exten.strip_prefix(b"1").filter(|_| exten.len() == 11).unwrap_or(exten);
    let timeout = packet.get("Timeout").and_then(|ms| std::str::from_utf8(ms).ok()?.parse::<u64>().ok());
    if !is("Channel", "PJSIP/1001") || !is("Context", "click") || !is("Priority", "1") {
        return wrong("where the call comes from or goes to");
    }
    if national.len() != 10 || !national.iter().all(u8::is_ascii_digit) || national.starts_with(b"900") {
        return wrong("the number");
    }
    if ["Application", "Data", "Codecs", "PreDialGoSub", "ChannelId"].iter().any(|name| packet.get(name).is_some()) {
        return wrong("a parameter that is not listed");
    }
    if !is("Account", "dialer") || timeout.is_some_and(|ms| ms == 0 || ms > 30_000) {
        return wrong("what amiwall sets");
    }
    let (mut own, mut campaign) = (Vec::new(), Vec::new());
    for (name, value) in packet.variables() {
        match name.as_slice() {
            b"__AMIWALL_ID" => own.push(value),
            b"campaign" => campaign.push(value),
            b"campaign_id" | b"lead_id" if !value.iter().any(|byte| b",/@&;|$(){}[]<>\\\"'` ".contains(byte)) => {}
            _ => return wrong("a variable that is not listed"),
        }
    }
    (own != [record_id.as_bytes()] || campaign != [b"dialer"]).then(|| "amiwall's own variables".to_owned())
}

fn open(packet: &Packet, action: &[u8]) -> Option<String> {
    let names =
        ["ping", "originate", "setvar", "getvar", "userevent", "status", "hangup", "messagesend", "pjsipnotify"];
    let others = ["updateconfig", "dbput", "sitething"];
    if !names.iter().chain(&others).any(|name| action == name.as_bytes()) {
        return Some("the action is not listed".to_owned());
    }
    let value = |name: &str| packet.get(name).unwrap_or_default().to_ascii_lowercase();
    let variables = packet.variables();
    // Inherited by one level or all of them, it is the same variable there.
    let bare = |name: &[u8]| name.iter().copied().skip_while(|byte| *byte == b'_').collect::<Vec<u8>>();
    let is_set = |wanted: &[u8]| variables.iter().any(|(name, _)| bare(name).eq_ignore_ascii_case(wanted));
    let is_denied = match action {
        b"originate" => {
            value("Channel").starts_with(b"local/") || value("Application") == b"system" || is_set(b"blocked")
        }
        b"messagesend" => is_set(b"blocked"),
        b"userevent" => value("UserEvent") == b"forged",
        b"setvar" => value("Variable") == b"blocked",
        _ => false,
    };
    if is_denied {
        return Some("a deny rule".to_owned());
    }
    if variables.iter().any(|(name, _)| name.ends_with(b")")) && matches!(action, b"originate" | b"messagesend") {
        return Some("a function is written".to_owned());
    }
    let campaign: Vec<_> = variables.iter().filter(|(name, _)| bare(name) == b"campaign").collect();
    let is_own = matches!(campaign.as_slice(), [(name, value)] if name == b"campaign" && value == b"open");
    let has_own = matches!(action, b"originate" | b"messagesend");
    (has_own && !is_own).then(|| "amiwall's own variable".to_owned())
}

fn listed(packet: &Packet, action: &[u8]) -> Option<String> {
    let value = |name: &str| packet.get(name).unwrap_or_default();
    let is_fine = match action {
        b"command" => {
            let words = words(value("Command"));
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            matches!(words.as_slice(), [b"core", b"show", b"channels"] | [b"queue", b"show", _])
        }
        b"queuestatus" => matches!(value("Queue"), b"" | b"sales") || value("Queue").starts_with(b"team-"),
        b"getvar" => matches!(value("Variable"), b"CALLERID" | b"DIALSTATUS"),
        b"userevent" => {
            value("UserEvent") == b"note"
                && packet.headers().all(|(name, _)| {
                    [&b"Action"[..], b"ActionID", b"UserEvent", b"Text"]
                        .iter()
                        .any(|own| name.eq_ignore_ascii_case(own))
                })
        }
        b"hangup" => value("Channel").starts_with(b"PJSIP/1001-"),
        _ => false,
    };
    (!is_fine).then(|| "it is not listed".to_owned())
}

/// cli.c, `parse_args`: blanks and TABs part words, quotes and backslashes vanish. In lower case: words are compared so.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut is_word, mut is_quoted) = (Vec::new(), Vec::new(), false, false);
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' if !is_quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            b'"' => is_quoted = !is_quoted,
            b'\\' => word.extend(bytes.next()),
            _ => word.push(byte.to_ascii_lowercase()),
        }
        is_word = true;
    }
    if is_word {
        words.push(word);
    }
    words
}
