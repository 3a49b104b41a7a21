//! Targets that judge: patterns, networks, rules, and whose an answer is.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use amiwall::ami::{Action, Decoder, Limits, Message, Reply, ReplyKind};
use amiwall::config::{self, Files};
use amiwall::identity::ClientName;
use amiwall::networks::{Network, NetworkAcl};
use amiwall::policy::pattern::{Dialect, Pattern, Side, is_delimiter};
use amiwall::policy::spec::{ActionSpec, PolicySpec, Spanned};
use amiwall::policy::{Decision, Policy};
use amiwall::upstream::{ActionIds, Correlation, IdPrefix, Routed, Sent};

use crate::forward::{CLIENTS, POLICY};
use crate::targets::seed;

/// The matcher says what the definition says: `?` one character, `*` a run, neither over a delimiter but in a deny; `**`
/// any run; `\` takes what follows as it is.
pub(crate) fn pattern(data: &[u8]) {
    let Some((side, rest)) = data.split_first() else { return };
    let side = if side & 1 == 0 { Side::Allow } else { Side::Deny };
    let (text, value) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    let value = value.strip_prefix(b"\n").unwrap_or(value);
    let Ok(text) = std::str::from_utf8(text) else { return };
    for dialect in [Dialect::Text, Dialect::Dialable] {
        let Ok(pattern) = Pattern::parse(text, dialect, side, &|_| None) else { continue };
        let is_match = pattern.matches(value);
        // The definition is exponential.
        if dialect == Dialect::Text && text.len() <= 12 && value.len() <= 16 {
            assert_eq!(is_match, defined(text, side, value), "{text:?} {:?}", value.escape_ascii().to_string());
        }
        assert!(!is_match || pattern.matches_some_behind(value), "it matches, so something behind it does");
    }
}

fn defined(pattern: &str, side: Side, value: &[u8]) -> bool {
    let is_open = |byte: u8| side == Side::Deny || !is_delimiter(byte);
    let mut chars = pattern.chars();
    let Some(first) = chars.next() else { return value.is_empty() };
    let rest = chars.as_str();
    let some_run = |rest: &str, most: usize| (0..=most).any(|len| defined(rest, side, &value[len..]));
    match first {
        '*' => match rest.strip_prefix('*') {
            Some(rest) => some_run(rest, value.len()),
            None => some_run(rest, value.iter().take_while(|byte| is_open(**byte)).count()),
        },
        '?' => {
            let is_open = value.first().is_some_and(|byte| is_open(*byte));
            is_open
                && (defined(rest, side, &value[character(value)..])
                    || (side == Side::Deny && defined(rest, side, &value[1..])))
        }
        _ => {
            let (literal, rest) = match first {
                '\\' => (chars.next().unwrap_or('\\'), chars.as_str()),
                _ => (first, rest),
            };
            let mut buffer = [0; 4];
            let literal = literal.encode_utf8(&mut buffer).as_bytes();
            let Some((start, others)) = value.split_at_checked(literal.len()) else { return false };
            let is_same = if side == Side::Deny { start.eq_ignore_ascii_case(literal) } else { start == literal };
            is_same && defined(rest, side, others)
        }
    }
}

/// How long the character is that a value begins with; a byte that begins none is one by itself.
fn character(value: &[u8]) -> usize {
    (1..=value.len().min(4)).find(|len| std::str::from_utf8(&value[..*len]).is_ok()).unwrap_or(1)
}

/// A list lets in what a scan of its bits lets in, IPv4 in IPv6 too.
pub(crate) fn networks(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let Some(address) = lines.next().and_then(|line| line.parse::<IpAddr>().ok()) else { return };
    let (mut allow, mut except) = (Vec::new(), Vec::new());
    let (mut is_allowed, mut is_excepted) = (false, false);
    for line in lines {
        let (list, is_in, line) = match line.strip_prefix('!') {
            Some(line) => (&mut except, &mut is_excepted, line),
            None => (&mut allow, &mut is_allowed, line),
        };
        let Ok(network) = line.parse::<Network>() else { continue };
        let (base, prefix) = line.split_once('/').map_or((line, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().expect("a network has an address");
        let width = if base.is_ipv4() { 96 } else { 0 };
        let prefix = prefix.map_or(128, |prefix| width + prefix.parse::<u32>().expect("a prefix"));
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
        // `::/0` is IPv6 alone: an IPv4 address is no part of it.
        let is_family = base.to_canonical().is_ipv4() == address.to_canonical().is_ipv4();
        *is_in |= is_family && (bits(base) & mask) == (bits(address) & mask);
        list.push(network);
    }
    let acl = NetworkAcl::new(Some(allow), except);
    assert_eq!(acl.allows(address), is_allowed && !is_excepted, "{text}");
    assert_eq!(acl.allows(address), acl.allows(IpAddr::V6(Ipv6Addr::from(bits(address)))), "mapped, it is the same");
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// One policy in three forms: as it is, with every list turned round, and with more denies.
struct Policies {
    plain: Policy,
    reversed: Policy,
    stricter: Policy,
}

fn policies() -> &'static Policies {
    static POLICIES: OnceLock<Policies> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(POLICY);
        let checked = config::check(&path, Files::Skip).expect("a policy");
        let spanned = |text: &str| Spanned { text: text.to_owned(), ..Spanned::default() };
        let params = ["Name", "Number"].map(|name| (spanned(name), spanned("text"))).to_vec();
        let actions = vec![ActionSpec { name: spanned("SiteThing"), params }];
        let spec = PolicySpec { roles: checked.roles, clients: checked.clients, actions, ..PolicySpec::default() };
        let (mut reversed, mut stricter) = (spec.clone(), spec.clone());
        reversed.roles.reverse();
        reversed.clients.reverse();
        for role in &mut reversed.roles {
            role.allow.reverse();
            role.deny.reverse();
        }
        reversed.clients.iter_mut().for_each(|client| client.roles.reverse());
        let denies: Vec<_> = spec.roles.iter().flat_map(|role| role.deny.clone()).collect();
        stricter.roles.iter_mut().for_each(|role| role.deny.extend(denies.iter().cloned()));
        let compile = |spec| Policy::compile(spec).expect("a policy").0;
        Policies { plain: compile(spec), reversed: compile(reversed), stricter: compile(stricter) }
    })
}

/// The order of rules changes nothing, a deny never allows, what is explained is what is decided.
pub(crate) fn decide(data: &[u8]) {
    let Some((client, bytes)) = data.split_first() else { return };
    let client = ClientName::for_explain(CLIENTS[usize::from(*client) % CLIENTS.len()]);
    let mut decoder = Decoder::client(Limits::CLIENT);
    decoder.feed(bytes);
    while let Some(packet) = decoder.next_message() {
        let Some(action) = packet.ok().and_then(|message| Action::try_from(message).ok()) else { continue };
        let all = policies();
        let sent = |policy: &Policy| sent(policy.decide(&client, action.clone(), "id"));
        let plain = sent(&all.plain);
        assert_eq!(plain, sent(&all.reversed), "the order of rules");
        assert!(plain.is_some() || sent(&all.stricter).is_none(), "a deny allows");
        let explained = all.plain.explain(&client, action.clone()).decision;
        assert_eq!(plain.is_some(), matches!(explained, Decision::Allow(_)), "what is explained");
        assert!(sent(&Policy::default()).is_none(), "nobody may do anything");
    }
}

/// What is sent, if anything.
fn sent(decision: Decision) -> Option<Message> {
    match decision {
        Decision::Allow(permit) => Some(permit.action().message().clone()),
        Decision::Deny(_) => None,
    }
}

/// Two sessions, in any order of what they send and what comes: an answer is for the one that asked, under its own id.
pub(crate) fn correlation(data: &[u8]) {
    let (_, steps) = seed(data);
    let prefixes = [1, 2].map(IdPrefix::from_random);
    let ids = ActionIds::default();
    let mut sessions = prefixes.clone().map(Correlation::new);
    let mut sent = [0_u64; 2];
    for step in steps.chunks_exact(2) {
        let (session, other) = (usize::from(step[0] & 1), usize::from(step[0] >> 1 & 1));
        let number = u64::from(step[1] >> 2);
        if step[0] & 4 == 0 {
            let client_id = format!("{session}-{}", sent[session]).into_bytes();
            let id = sessions[session].send(Sent {
                record_id: String::new(),
                client_id: Some(client_id.clone()),
                key: "ping".to_owned(),
                is_blocking: step[1] & 1 == 1,
                is_unanswered: false,
                is_own: step[1] & 2 == 2,
                read_at: Instant::now(),
                at: Instant::now(),
            });
            ids.remember(&id, &client_id);
            sent[session] += 1;
            continue;
        }
        let kind: (&str, &[u8]) = if step[0] & 8 == 0 { ("Response", b"Success") } else { ("Event", b"X") };
        let list: &[u8] = [&b"start"[..], b"Complete", b"", b"x"][usize::from(step[1] & 3)];
        let id = prefixes[other].id(number);
        let reply = Reply::from(Message::compose(&[kind, ("ActionID", id.as_bytes()), ("EventList", list)]));
        let is_asked = session == other && number < sent[session];
        match sessions[session].route(reply, &ids) {
            Routed::Answer { reply, sent, .. } => {
                assert!(is_asked, "an answer to nobody's question");
                let expected = format!("{session}-{number}").into_bytes();
                assert_eq!((reply.action_id(), sent.client_id.as_ref()), (Some(&*expected), Some(&expected)));
            }
            Routed::Broadcast(reply) => {
                assert!(reply.kind() == ReplyKind::Event, "an answer is shown to everybody");
                assert!(!reply.action_id().is_some_and(|id| id.starts_with(b"aw-")), "an id of amiwall's is shown");
            }
            Routed::Own(_) => assert!(is_asked, "not amiwall's own"),
            Routed::Orphan(_) => {}
        }
    }
}
