//! Whether some value may match two patterns. It may say so of two that have none in common (a `?` counts as any number of
//! bytes from one on), but never the other way round.

use super::run::takes_byte;
use super::{Element, Side};

/// Elements and the side they are on.
type One<'p> = (&'p [Element], Side);

/// Whether there may be such a value.
pub(super) fn may_meet(one: One<'_>, other: One<'_>) -> bool {
    let width = other.0.len() + 1;
    let mut is_seen = vec![false; (one.0.len() + 1) * width];
    let mut waiting = vec![(0, 0)];
    while let Some((i, j)) = waiting.pop() {
        let Some(seen) = is_seen.get_mut(i * width + j) else { continue };
        if std::mem::replace(seen, true) {
            continue;
        }
        let (a, b) = (one.0.get(i).copied(), other.0.get(j).copied());
        if (a, b) == (None, None) {
            return true;
        }
        if a.is_some_and(may_be_nothing) {
            waiting.push((i + 1, j));
        }
        if b.is_some_and(may_be_nothing) {
            waiting.push((i, j + 1));
        }
        let (Some(a), Some(b)) = (a, b) else { continue };
        if have_common((a, one.1), (b, other.1)) {
            let behind = |at: usize, element| if repeats(element) { vec![at, at + 1] } else { vec![at + 1] };
            for i in behind(i, a) {
                waiting.extend(behind(j, b).into_iter().map(|j| (i, j)));
            }
        }
    }
    false
}

const fn may_be_nothing(element: Element) -> bool {
    matches!(element, Element::Star | Element::Run)
}

const fn repeats(element: Element) -> bool {
    matches!(element, Element::Star | Element::Run | Element::One)
}

/// Whether both take some byte. Those that take many have one in common.
fn have_common(one: (Element, Side), other: (Element, Side)) -> bool {
    let takes_any = |byte: u8, (element, side): (Element, Side)| {
        takes_byte(element, side, byte)
            || takes_byte(element, side, byte.to_ascii_lowercase())
            || takes_byte(element, side, byte.to_ascii_uppercase())
    };
    match (one.0, other.0) {
        (Element::Byte(byte), _) if one.1 == Side::Allow => takes_byte(other.0, other.1, byte),
        (_, Element::Byte(byte)) if other.1 == Side::Allow => takes_byte(one.0, one.1, byte),
        (Element::Byte(byte), _) => takes_any(byte, other),
        (_, Element::Byte(byte)) => takes_any(byte, one),
        (Element::Set(a), Element::Set(b)) => a & b != 0,
        _ => true,
    }
}
