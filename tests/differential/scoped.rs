//! What `where` lets a client see of hostile bytes from Asterisk: between what it has to show and what it may.

use std::collections::{BTreeMap, BTreeSet};

use amiwall::ami::{Decoder, EventMask, Reply, ReplyKind};
use amiwall::identity::ClientName;
use amiwall::policy::Followed;

use crate::forward::{Counts, Difference, Wall, cut};
use crate::random::Random;

type Line = (String, Vec<u8>);

/// What is known of calls by whoever looks at all that came: more than amiwall may follow, for a call's end is not looked at.
#[derive(Default)]
struct Calls {
    in_scope: BTreeSet<Vec<u8>>,
    linked: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

impl Calls {
    /// Whether the packet has to be in scope, and whether it can be.
    fn look(&mut self, own: &[Line]) -> (bool, bool) {
        let ending =
            |end: &'static str| own.iter().filter(move |(name, _)| name.ends_with(end)).map(|(_, value)| value);
        let once = |name: &str| own.iter().filter(|(other, _)| other == name).count() == 1;
        let is_about = |(name, value): &Line| name.ends_with("context") && value == b"sales" && once(name);
        let must = own.iter().any(is_about);
        for unique in ending("uniqueid") {
            let was: BTreeSet<Vec<u8>> = self.linked.get(unique).cloned().unwrap_or_default();
            let was_in_scope = was.iter().any(|linked| self.in_scope.contains(linked));
            for linked in ending("linkedid") {
                self.linked.entry(unique.clone()).or_default().insert(linked.clone());
                if was_in_scope {
                    self.in_scope.insert(linked.clone());
                }
            }
        }
        let may = must || ending("linkedid").any(|linked| self.in_scope.contains(linked));
        if may {
            self.in_scope.extend(ending("linkedid").cloned());
        }
        (must, may)
    }
}

/// Sends `bytes` from Asterisk to `scoped` of `policy.yaml`, who has asked for nothing.
pub(crate) fn scoped_view(wall: &Wall, seed: u64, bytes: &[u8]) -> Result<Counts, Difference> {
    let view = wall.policy.view(&ClientName::for_explain("scoped"));
    let (mut followed, mut calls, mut counts) = (Followed::default(), Calls::default(), Counts::default());
    let mut decoder = Decoder::upstream();
    'stream: for part in cut(&mut Random::of_seed(seed), bytes) {
        decoder.feed(part);
        while let Some(packet) = decoder.next_message() {
            let Ok(message) = packet else { break 'stream };
            let lines: Vec<Line> =
                message.headers().map(|header| (header.name().to_lowercase(), header.value.to_vec())).collect();
            let reply = Reply::from(message);
            let is_shown = view.show(&reply, false, EventMask::ALL, &mut followed).is_some();
            let (must, may) = judge(&reply, &lines, &mut calls);
            if (is_shown && !may) || (must && !is_shown) {
                return Err(format!("shown: {is_shown}, it may be: {may}, it must be: {must}: {lines:?}"));
            }
            counts.compared += 1;
            if is_shown { counts.forwarded += 1 } else { counts.refused += 1 }
        }
    }
    Ok(counts)
}

fn judge(reply: &Reply, lines: &[Line], calls: &mut Calls) -> (bool, bool) {
    if reply.kind() != ReplyKind::Event {
        return (false, false);
    }
    let Some((_, name)) = lines.first() else { return (false, false) };
    let is_user = name.eq_ignore_ascii_case(b"UserEvent");
    // What a client wrote stands behind the name.
    let own: Vec<Line> = lines.iter().take_while(|(header, _)| !(is_user && header == "userevent")).cloned().collect();
    let privilege = lines.iter().find(|(name, _)| name == "privilege").map_or(&b""[..], |(_, value)| value);
    let classes: Vec<&[u8]> =
        privilege.split(|byte| *byte == b',').filter(|class| !matches!(*class, b"" | b"all" | b"<none>")).collect();
    let is_in = !classes.is_empty() && classes.iter().all(|class| matches!(*class, b"call" | b"agent"));
    let is_visible = !classes.contains(&&b"dtmf"[..]) && (is_in || name == b"UserEvent");
    let (must, may) = calls.look(&own);
    if name == b"FullyBooted" {
        return (is_visible, is_visible);
    }
    (must && is_visible, may && is_visible)
}
