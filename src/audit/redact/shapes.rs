//! [`Shapes`]: what is known of headers by their names alone. Packets of one kind have the same headers again and again, and
//! most of them are nothing that any pattern names: that is found out once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::super::json;

/// Kinds of packets, and names in one, that are remembered: a peer makes up both.
const SHAPES_MAX: usize = 1_024;
const NAMES_MAX: usize = 256;
const NAME_LEN_MAX: usize = 64;
/// Of all kinds together: a few megabytes.
const NAMES_IN_ALL_MAX: usize = 16_384;

/// The shapes of one log. When there are too many, all are forgotten: what is common is soon learned again.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    shapes: HashMap<Vec<u8>, Arc<Shape>>,
    /// How many names are in them.
    names: usize,
}

impl Remembered {
    fn forget(&mut self) {
        self.shapes.clear();
        self.names = 0;
    }
}

/// The headers that packets of one kind have had, in the order in which they were seen.
#[derive(Debug, Default)]
pub(in crate::audit) struct Shape(RwLock<Vec<Known>>);

#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    is_plain: bool,
    /// How its headers begin in a packet, and in a record; nothing where that is not always the same.
    line: Box<[u8]>,
    pair: Box<[u8]>,
}

impl Known {
    fn new(name: &[u8], is_plain: bool) -> Self {
        let has_texts = is_plain && !name.is_empty() && json::is_plain(name);
        let text =
            |start: &[u8], end: &[u8]| if has_texts { [start, name, end].concat().into() } else { Box::default() };
        Self { name: name.into(), is_plain, line: text(b"", b": "), pair: text(b",[\"", b"\",\"") }
    }
}

impl Shapes {
    /// The shape of a kind of packets.
    pub(super) fn of(&self, kind: &[&[u8]]) -> Arc<Shape> {
        let mut key = Vec::with_capacity(NAME_LEN_MAX);
        for part in kind {
            key.extend_from_slice(part);
            // Stands in no name.
            key.push(0);
        }
        let mut remembered = self.lock();
        if let Some(shape) = remembered.shapes.get(&key) {
            return shape.clone();
        }
        if key.len() > 3 * NAME_LEN_MAX {
            return Arc::default();
        }
        if remembered.shapes.len() >= SHAPES_MAX {
            remembered.forget();
        }
        remembered.shapes.entry(key).or_default().clone()
    }

    /// Takes note that so many names were learned.
    pub(super) fn learned(&self, names: usize) {
        if names == 0 {
            return;
        }
        let mut remembered = self.lock();
        remembered.names += names;
        if remembered.names > NAMES_IN_ALL_MAX {
            remembered.forget();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shape {
    /// To look up the headers of one packet, in their order.
    pub(in crate::audit) fn reader(&self) -> Reader<'_> {
        Reader { known: self.0.read().unwrap_or_else(PoisonError::into_inner), next: 0 }
    }

    /// Remembers what was found out of names; how many of them were new.
    pub(in crate::audit) fn learn(&self, found: Vec<(&[u8], bool)>) -> usize {
        if found.is_empty() {
            return 0;
        }
        let mut learned = 0;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > NAMES_MAX {
            known.clear();
        }
        for (name, is_plain) in found.into_iter().take(NAMES_MAX) {
            if name.len() <= NAME_LEN_MAX && !known.iter().any(|known| *known.name == *name) {
                known.push(Known::new(name, is_plain));
                learned += 1;
            }
        }
        learned
    }
}

/// Looks up names; those of a packet mostly come in the order in which they came before.
#[derive(Debug)]
pub(in crate::audit) struct Reader<'s> {
    known: RwLockReadGuard<'s, Vec<Known>>,
    next: usize,
}

impl Reader<'_> {
    /// The value in a line whose header is the next one that is known, and is nothing that any pattern names; with how its
    /// pair begins.
    pub(in crate::audit) fn next_plain<'l>(&mut self, line: &'l [u8]) -> Option<(&[u8], &'l [u8])> {
        let known = self.known.get(self.next).filter(|known| !known.line.is_empty())?;
        let value = line.strip_prefix(&*known.line)?;
        self.next += 1;
        Some((&known.pair, value))
    }

    /// Whether the header is nothing that a pattern names, if that is known.
    pub(in crate::audit) fn is_plain(&mut self, name: &[u8]) -> Option<bool> {
        let is_it = |known: &&Known| *known.name == *name;
        if let Some(known) = self.known.get(self.next).filter(is_it) {
            self.next += 1;
            return Some(known.is_plain);
        }
        let at = self.known.iter().position(|known| is_it(&known))?;
        self.next = at + 1;
        self.known.get(at).map(|known| known.is_plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_order_and_by_kind() {
        let shapes = Shapes::default();
        let dial = shapes.of(&[b"DialBegin", b""]);
        dial.learn(vec![(b"Channel", true), (b"PIN", false), (b"Channel", false)]);
        let again = shapes.of(&[b"DialBegin", b""]);
        let mut reader = again.reader();
        assert_eq!((reader.is_plain(b"PIN"), reader.is_plain(b"Channel")), (Some(false), Some(true)));
        assert_eq!((reader.is_plain(b"channel"), reader.is_plain(b"Exten")), (None, None));
        for other in [&[&b"DialBegin"[..], b"originate"], &[b"DialBeg", b"in"]] {
            assert_eq!(shapes.of(other).reader().is_plain(b"Channel"), None);
        }
    }

    #[test]
    fn a_line_is_the_next_known_header_or_is_looked_at() {
        let shapes = Shapes::default();
        let shape = shapes.of(&[b"DialBegin"]);
        shape.learn(vec![(b"Event", true), (b"PIN", false), (b"Chan\"", true), (b"Channel", true)]);
        let mut reader = shape.reader();
        assert_eq!(reader.next_plain(b"Event: A: b"), Some((&b",[\"Event\",\""[..], &b"A: b"[..])));
        for line in [&b"PIN: 1"[..], b"Channel: x", b"Event: x"] {
            assert_eq!(reader.next_plain(line), None, "the next one is PIN, which is hidden");
        }
        assert_eq!((reader.is_plain(b"PIN"), reader.is_plain(b"Chan\"")), (Some(false), Some(true)));
        for line in [&b"Channel:x"[..], b"channel: x", b"Channel : x", b"Channels: x", b""] {
            assert_eq!(reader.next_plain(line), None);
        }
        assert_eq!(reader.next_plain(b"Channel: "), Some((&b",[\"Channel\",\""[..], &b""[..])));
        assert_eq!(reader.next_plain(b"Channel: "), None);
    }

    #[test]
    fn what_peers_make_up_is_forgotten_and_what_is_common_is_learned_again() {
        let shapes = Shapes::default();
        let is_known = |shapes: &Shapes| shapes.of(&[b"DialBegin"]).reader().is_plain(b"Channel").is_some();
        let learn = |shapes: &Shapes| shapes.learned(shapes.of(&[b"DialBegin"]).learn(vec![(b"Channel", true)]));
        learn(&shapes);
        for number in 0..SHAPES_MAX {
            shapes.of(&[number.to_string().as_bytes()]);
            assert!(shapes.lock().shapes.len() <= SHAPES_MAX);
        }
        assert!(!is_known(&shapes), "all were forgotten");
        learn(&shapes);
        assert!(is_known(&shapes));
        let shape = shapes.of(&[b"UserEvent"]);
        for number in 0..10 * NAMES_MAX {
            let name = number.to_string();
            shapes.learned(shape.learn(vec![(name.as_bytes(), true), (&[b'x'; NAME_LEN_MAX + 1], true)]));
            assert!(shape.reader().known.len() <= NAMES_MAX);
            assert_eq!(shape.reader().is_plain(name.as_bytes()), Some(true), "the newest is known");
        }
        let mut most = 0;
        for kind in 0..2 * NAMES_IN_ALL_MAX / 100 {
            let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
            let found = names.iter().map(|name| (name.as_bytes(), true)).collect();
            shapes.learned(shapes.of(&[kind.to_string().as_bytes()]).learn(found));
            let remembered = shapes.lock();
            most = most.max(remembered.shapes.values().map(|shape| shape.reader().known.len()).sum());
        }
        assert!((NAMES_IN_ALL_MAX / 2..=NAMES_IN_ALL_MAX + NAMES_MAX).contains(&most), "{most}");
    }
}
