//! "Did you mean": the name that is fewest typing errors away.

/// Names longer than this are not compared: the work grows with the product of the lengths.
const MAX_NAME_LEN: usize = 64;

/// The candidate most like `name` without case, if at most a third of it is different.
#[must_use]
pub fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > MAX_NAME_LEN {
        return None;
    }
    let distance_max = (name.len() / 3).clamp(1, 3);
    let letters_of_name = letters(name);
    // Each typing error changes at most two letters, so most candidates need no closer look.
    let is_alike = |candidate: &str| (letters(candidate) ^ letters_of_name).count_ones() as usize <= 2 * distance_max;
    candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= distance_max && is_alike(candidate))
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= distance_max)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Which letters a name has, without case; other bytes share places.
fn letters(name: &str) -> u32 {
    name.bytes().fold(0, |letters, byte| letters | 1 << (byte & 31))
}

/// How many bytes have to be put in, taken out, changed, or swapped with the next to make one name of the other, without
/// case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase().into_bytes(), b.to_ascii_lowercase().into_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], place: Option<usize>| place.and_then(|place| row.get(place)).copied();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = at(&last, Some(j)).map(|cost| cost + usize::from(x != y));
            let taken_out = at(&last, Some(j + 1)).map(|cost| cost + 1);
            let put_in = at(&row, Some(j)).map(|cost| cost + 1);
            let (before_x, before_y) =
                (i.checked_sub(1).and_then(|i| a.get(i)), j.checked_sub(1).and_then(|j| b.get(j)));
            let is_swap = before_x == Some(y) && before_y == Some(x);
            let swapped = at(&before_last, j.checked_sub(1)).filter(|_| is_swap).map(|cost| cost + 1);
            row.push([changed, taken_out, put_in, swapped].into_iter().flatten().min().unwrap_or_default());
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_typing_errors() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("kitten", "sitting", 3),
            ("Ping", "PING", 0),
            ("Pnig", "Ping", 1),
            ("ab", "ba", 1),
            ("abc", "ca", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_short_look_passes_over_nothing_that_is_alike() {
        let names = ["Originate", "QueueStatus", "Ping", "DBDelTree", "Redirect", "CoreShowChannels", "a_b-c.d"];
        let typed =
            ["orginate", "Orignate", "0riginate", "QueueStatuses", "Pimg", "DBDlTre", "r3direct", "a-b_c.d", "Xyz"];
        for typed in typed {
            let most = (typed.len() / 3).clamp(1, 3);
            let is_alike = |name: &&str| distance(typed, name) <= most;
            let slow = names.into_iter().filter(is_alike).min_by_key(|name| distance(typed, name));
            assert_eq!(nearest(typed, names.into_iter()), slow, "{typed}");
        }
    }
}
