//! Which roles include which: ways in a circle and ways that are too long. The policy file decides how long a way is, so
//! nothing here is recursive, and each role is looked at once.

use super::report::Report;
use super::spec::Spanned;

/// A role may include one that includes one, this many times.
pub(super) const DEPTH_MAX: usize = 16;
/// Of a longer way in a circle, only the first and the last of its roles are told.
const TOLD_MAX: usize = 12;

/// How far a role has been looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    /// It is on the way that is being followed.
    OnTheWay,
    /// All that it includes is known, and how many roles deep that is.
    Wholly(usize),
}

/// One role on the way that is being followed.
struct Step {
    role: usize,
    /// Which of its `include` is next.
    next: usize,
    depth: usize,
}

/// The roles, for looking at their `include`.
pub(super) struct Includes<'a> {
    /// By place: the role's name and what it includes.
    pub(super) roles: Vec<(&'a str, &'a [Spanned])>,
    /// The place of a role.
    pub(super) find: &'a dyn Fn(&str) -> Option<usize>,
}

impl Includes<'_> {
    /// Reports each `include` that leads back to where it came from, and the roles that go too deep.
    pub(super) fn check(&self, report: &mut Report) {
        let mut seen = vec![Seen::No; self.roles.len()];
        for start in 0..self.roles.len() {
            if seen.get(start) == Some(&Seen::No) {
                self.follow(start, &mut seen, report);
            }
        }
    }

    fn follow(&self, start: usize, seen: &mut [Seen], report: &mut Report) {
        let mut way: Vec<Step> = Vec::new();
        enter(start, &mut way, seen);
        while let Some(step) = way.last_mut() {
            let (role, number) = (step.role, step.next);
            step.next += 1;
            let Some(name) = self.roles.get(role).and_then(|(_, include)| include.get(number)) else {
                leave(&mut way, seen);
                continue;
            };
            let Some(next) = (self.find)(&name.text) else { continue };
            match seen.get(next).copied().unwrap_or(Seen::No) {
                Seen::No => enter(next, &mut way, seen),
                Seen::OnTheWay => self.report_circle(&way, next, name, report),
                Seen::Wholly(depth) => {
                    step.depth = step.depth.max(depth + 1);
                    if depth == DEPTH_MAX {
                        let message = format!("roles include each other more than {DEPTH_MAX} deep");
                        let help = Some(format!("include `{}`'s own roles directly", name.text));
                        report.error(name.at, message, help);
                    }
                }
            }
        }
    }

    fn report_circle(&self, way: &[Step], back_to: usize, name: &Spanned, report: &mut Report) {
        let circle = way.iter().skip_while(|step| step.role != back_to).map(|step| step.role).chain([back_to]);
        let names: Vec<&str> = circle.filter_map(|role| self.roles.get(role)).map(|(name, _)| *name).collect();
        let way = match (names.get(..TOLD_MAX / 2), names.get(names.len().saturating_sub(TOLD_MAX / 2)..)) {
            (Some(first), Some(last)) if names.len() > TOLD_MAX => [first, &["…"], last].concat().join(" → "),
            _ => names.join(" → "),
        };
        report.error(name.at, format!("roles include each other: {way}"), None);
    }
}

fn enter(role: usize, way: &mut Vec<Step>, seen: &mut [Seen]) {
    if let Some(seen) = seen.get_mut(role) {
        *seen = Seen::OnTheWay;
    }
    way.push(Step { role, next: 0, depth: 0 });
}

/// Steps back; the `include` that led here is looked at again, and its depth is known then.
fn leave(way: &mut Vec<Step>, seen: &mut [Seen]) {
    let Some(step) = way.pop() else { return };
    if let Some(seen) = seen.get_mut(step.role) {
        *seen = Seen::Wholly(step.depth);
    }
    if let Some(before) = way.last_mut() {
        before.next -= 1;
    }
}
