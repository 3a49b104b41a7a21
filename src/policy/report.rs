//! [`Report`]: everything that is wrong with a policy, or worth a warning, so that all of it can be said at once.

use super::spec::{Position, Problem};

/// Problems, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Report {
    /// Notes what makes the policy unusable.
    pub(super) fn error(&mut self, at: Position, message: String, help: Option<String>) {
        self.errors.push(Problem { at, message, help });
    }

    /// Notes what is worth a look.
    pub(super) fn warn(&mut self, at: Position, message: String, help: Option<String>) {
        self.warnings.push(Problem { at, message, help });
    }

    /// Whether so much is wrong that nobody is helped by one more guess what was meant.
    pub(super) const fn is_long(&self) -> bool {
        self.errors.len() >= 100
    }

    /// How many warnings there are.
    pub(super) const fn warnings(&self) -> usize {
        self.warnings.len()
    }

    /// Takes back all but the first so many warnings.
    pub(super) fn forget_warnings(&mut self, kept: usize) {
        self.warnings.truncate(kept);
    }

    /// What another part compiled, or, with its problems noted, nothing in its place.
    pub(super) fn take<T: Default>(&mut self, compiled: Result<T, Vec<Problem>>) -> T {
        compiled.unwrap_or_else(|problems| {
            self.errors.extend(problems);
            T::default()
        })
    }

    /// The warnings, by place, each once; all errors likewise if there is one.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Vec<Problem>> {
        if self.errors.is_empty() { Ok(by_place(self.warnings)) } else { Err(by_place(self.errors)) }
    }
}

/// A rule that is bound for many identities is wrong many times, in one place.
fn by_place(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
    problems.dedup();
    problems
}
