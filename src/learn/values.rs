//! [`Values`]: what one parameter was, in memory that does not grow with the log. As long as there are not many values
//! they are kept; then only their shapes are.

use std::collections::{BTreeMap, BTreeSet};

use super::reading::{Reading, Style};
use super::shape::{Level, Part, collapse, pieces};
use crate::policy::{is_boolean, is_integer};

/// So many values of a parameter are kept.
pub(super) const KEPT_MAX: usize = 256;
/// So many shapes are.
const SHAPES_MAX: usize = 256;
/// Of a shape, so many values are kept: one or two are listed rather than generalised.
pub(super) const SAMPLES: usize = 3;

/// The values of one parameter.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// Calls in which it had a value that is on record.
    pub(super) calls: u64,
    /// How often each value was there, while they are not too many.
    pub(super) kept: BTreeMap<Vec<u8>, u64>,
    /// What is known of all values, when they are.
    pub(super) shapes: Option<Shapes>,
    /// Calls whose value is in neither.
    pub(super) lost: u64,
    pub(super) was_empty: bool,
    pub(super) are_integers: bool,
    pub(super) are_booleans: bool,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            calls: 0,
            kept: BTreeMap::new(),
            shapes: None,
            lost: 0,
            was_empty: false,
            are_integers: true,
            are_booleans: true,
        }
    }
}

impl Values {
    /// Takes in the value of one call.
    pub(super) fn add(&mut self, value: &[u8], reading: &Reading<'_>) {
        self.calls += 1;
        if value.is_empty() {
            self.was_empty = true;
            return;
        }
        self.are_integers &= is_integer(value);
        self.are_booleans &= is_boolean(value);
        match reading.canonical(value) {
            Some(value) => self.count(&value, 1, reading),
            None => self.lost += 1,
        }
    }

    fn count(&mut self, value: &[u8], calls: u64, reading: &Reading<'_>) {
        if let Some(count) = self.kept.get_mut(value) {
            *count += calls;
        } else if self.shapes.is_none() && self.kept.len() < KEPT_MAX {
            self.kept.insert(value.to_vec(), calls);
        } else if reading.style.is_listed() {
            self.lost += calls;
        } else {
            let kept = std::mem::take(&mut self.kept);
            let shapes = self.shapes.get_or_insert_with(|| Shapes::of(kept.keys(), reading));
            if !shapes.add(value, reading) {
                self.lost += calls;
            }
        }
    }

    /// Takes in what was seen elsewhere.
    pub(super) fn merge(&mut self, other: Self, reading: &Reading<'_>) {
        for (value, calls) in other.kept {
            self.count(&value, calls, reading);
        }
        if let Some(others) = other.shapes {
            let kept = std::mem::take(&mut self.kept);
            let shapes = self.shapes.get_or_insert_with(|| Shapes::of(kept.keys(), reading));
            shapes.merge(others, reading.style);
        }
        self.calls += other.calls;
        self.lost += other.lost;
        self.was_empty |= other.was_empty;
        self.are_integers &= other.are_integers;
        self.are_booleans &= other.are_booleans;
    }
}

/// What is known of the values of one shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShapeUse {
    /// A few of them.
    pub(super) samples: BTreeSet<Vec<u8>>,
    /// For each part the digits at each of its places, as bits; for parts that are no digits nothing.
    pub(super) digits: Vec<Vec<u16>>,
}

impl ShapeUse {
    fn merge(&mut self, other: Self) {
        for sample in other.samples {
            if self.samples.len() < SAMPLES {
                self.samples.insert(sample);
            }
        }
        if self.digits.is_empty() {
            self.digits = other.digits;
            return;
        }
        for (own, other) in self.digits.iter_mut().flatten().zip(other.digits.into_iter().flatten()) {
            *own |= other;
        }
    }
}

/// All shapes of a parameter's values.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    pub(super) level: Level,
    pub(super) map: BTreeMap<Vec<Part>, ShapeUse>,
}

impl Shapes {
    /// The shapes of these values.
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v Vec<u8>>, reading: &Reading<'_>) -> Self {
        let mut shapes = Self { level: Level::Names, map: BTreeMap::new() };
        for value in values {
            // There are not more values than there may be shapes.
            let is_added = shapes.add(value, reading);
            debug_assert!(is_added);
        }
        shapes
    }

    /// False: there are too many shapes already.
    fn add(&mut self, value: &[u8], reading: &Reading<'_>) -> bool {
        let pieces = pieces(value, reading);
        let digits = pieces.iter().map(|(part, text)| {
            let is_digits = matches!(part, Part::Digits(_));
            text.iter().filter(|_| is_digits).map(|b| 1 << (b & 0xF).min(9)).collect()
        });
        let shape = ShapeUse { samples: BTreeSet::from([value.to_vec()]), digits: digits.collect() };
        let parts: Vec<Part> = pieces.into_iter().map(|(part, _)| part).collect();
        self.take(&parts, shape, reading.style)
    }

    fn take(&mut self, parts: &[Part], shape: ShapeUse, style: Style) -> bool {
        loop {
            let key = collapse(parts, self.level, style);
            if let Some(own) = self.map.get_mut(&key) {
                own.merge(aligned(&key, shape));
                return true;
            }
            if self.map.len() < SHAPES_MAX {
                let shape = aligned(&key, shape);
                self.map.insert(key, shape);
                return true;
            }
            if self.level == Level::Runs {
                return false;
            }
            self.raise(style);
        }
    }

    /// Tells less apart.
    pub(super) fn raise(&mut self, style: Style) {
        self.level = self.level.next();
        for (parts, shape) in std::mem::take(&mut self.map) {
            let key = collapse(&parts, self.level, style);
            let shape = aligned(&key, shape);
            self.map.entry(key).or_default().merge(shape);
        }
    }

    fn merge(&mut self, others: Self, style: Style) {
        while self.level < others.level {
            self.raise(style);
        }
        for (parts, shape) in others.map {
            self.take(&parts, shape, style);
        }
    }
}

/// The shape with digits for those parts only that are digits still.
fn aligned(key: &[Part], mut shape: ShapeUse) -> ShapeUse {
    if key.len() != shape.digits.len() {
        shape.digits = vec![Vec::new(); key.len()];
    }
    for (part, digits) in key.iter().zip(&mut shape.digits) {
        if !matches!(part, Part::Digits(_)) {
            digits.clear();
        }
    }
    shape
}
