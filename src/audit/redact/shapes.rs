//! [`Shapes`]: what is known of headers by their names alone. Packets of one kind have the same headers again and again, and
//! most of them are nothing that any pattern names: that is found out once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// Kinds of packets, and names in one, that are remembered: a peer makes up both.
const SHAPES_MAX: usize = 1_024;
const NAMES_MAX: usize = 256;
const NAME_LEN_MAX: usize = 64;

/// The shapes of one log.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashMap<Vec<u8>, Arc<Shape>>>);

/// The headers that packets of one kind have had, in the order in which they were seen.
#[derive(Debug, Default)]
pub(in crate::audit) struct Shape(RwLock<Vec<Known>>);

#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    is_plain: bool,
}

impl Shapes {
    /// The shape of a kind of packets.
    pub(super) fn of(&self, kind: &[&[u8]]) -> Arc<Shape> {
        let mut shapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Vec::with_capacity(NAME_LEN_MAX);
        for part in kind {
            key.extend_from_slice(part);
            // Stands in no name.
            key.push(0);
        }
        match shapes.get(&key) {
            Some(shape) => shape.clone(),
            None if key.len() <= 3 * NAME_LEN_MAX && shapes.len() < SHAPES_MAX => {
                shapes.entry(key).or_default().clone()
            }
            None => Arc::default(),
        }
    }
}

impl Shape {
    /// To look up the headers of one packet, in their order.
    pub(in crate::audit) fn reader(&self) -> Reader<'_> {
        Reader { known: self.0.read().unwrap_or_else(PoisonError::into_inner), next: 0 }
    }

    /// Remembers what was found out of names.
    pub(in crate::audit) fn learn(&self, found: Vec<(&[u8], bool)>) {
        if found.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (name, is_plain) in found {
            let is_new = !known.iter().any(|known| *known.name == *name);
            if is_new && known.len() < NAMES_MAX && name.len() <= NAME_LEN_MAX {
                known.push(Known { name: name.into(), is_plain });
            }
        }
    }
}

/// Looks up names; those of a packet mostly come in the order in which they came before.
#[derive(Debug)]
pub(in crate::audit) struct Reader<'s> {
    known: RwLockReadGuard<'s, Vec<Known>>,
    next: usize,
}

impl Reader<'_> {
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
    fn what_peers_make_up_is_not_remembered_without_end() {
        let shapes = Shapes::default();
        for number in 0..2 * SHAPES_MAX {
            shapes.of(&[number.to_string().as_bytes()]);
        }
        assert_eq!(shapes.0.lock().expect("the shapes").len(), SHAPES_MAX);
        let shape = Shape::default();
        for number in 0..2 * NAMES_MAX {
            shape.learn(vec![(number.to_string().as_bytes(), true), (&[b'x'; NAME_LEN_MAX + 1], true)]);
        }
        assert_eq!(shape.reader().known.len(), NAMES_MAX);
    }
}
