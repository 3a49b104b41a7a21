//! [`App`]: what `amiwall top` knows, and what its keys do. It draws nothing.

use std::cmp::Reverse;
use std::collections::HashMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::daemon::Overview;
use crate::session::SessionInfo;

/// The longest text that is looked for.
const FILTER_CHARS_MAX: usize = 64;

/// What is to happen after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    End,
}

/// By what sessions are sorted, the largest first; the identity, from A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Rate,
    Refusals,
    Waiting,
    Identity,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Refusals,
            Self::Refusals => Self::Waiting,
            Self::Waiting => Self::Identity,
            Self::Identity => Self::Rate,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "actions/s",
            Self::Refusals => "refused/s",
            Self::Waiting => "waiting",
            Self::Identity => "identity",
        }
    }
}

/// What a session did in a second, in tenths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rates {
    pub(super) actions: u64,
    pub(super) refusals: u64,
    pub(super) events: u64,
    /// Whole ones.
    pub(super) bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct App {
    pub(super) overview: Option<Overview>,
    /// Why amiwall does not answer.
    pub(super) trouble: Option<String>,
    rates: HashMap<String, Rates>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// What is typed goes into the filter.
    pub(super) is_filtering: bool,
    /// The id of the session that is marked.
    marked: String,
    /// One session is shown, and not the list.
    pub(super) is_open: bool,
}

impl App {
    /// Takes another answer.
    pub(super) fn see(&mut self, overview: Overview) {
        // What was asked before another session was opened has nothing of that one.
        let before = self.overview.take().filter(|before| before.boot == overview.boot);
        if let Some(before) = &before
            && overview.time_ms > before.time_ms
        {
            self.rates = rates(before, &overview);
        } else if before.is_none() {
            self.rates.clear();
        }
        self.overview = Some(overview);
        self.trouble = None;
    }

    /// There was no answer. What was seen last stays.
    pub(super) fn lose(&mut self, why: String) {
        self.rates.clear();
        self.trouble = Some(why);
    }

    /// The session of which more is wanted; none if it is empty.
    pub(super) fn session(&self) -> &str {
        if self.is_open { &self.marked } else { "" }
    }

    pub(super) fn rates_of(&self, id: &str) -> Rates {
        self.rates.get(id).copied().unwrap_or_default()
    }

    /// Of all sessions together.
    pub(super) fn total(&self) -> Rates {
        self.rates.values().fold(Rates::default(), |sum, one| Rates {
            actions: sum.actions + one.actions,
            refusals: sum.refusals + one.refusals,
            events: sum.events + one.events,
            bytes: sum.bytes + one.bytes,
        })
    }

    /// The session that is shown alone, if it is still there.
    pub(super) fn opened(&self) -> Option<&SessionInfo> {
        self.overview.as_ref()?.sessions.iter().find(|session| session.id == self.marked)
    }

    /// Those that the filter lets through, in order.
    pub(super) fn shown(&self) -> Vec<&SessionInfo> {
        let filter = self.filter.to_lowercase();
        let fits = |session: &&SessionInfo| {
            let last = session.last.as_ref().map(|last| last.name.as_str()).unwrap_or_default();
            let all = [&session.id, &session.identity, &session.peer, &session.upstream].map(String::as_str);
            filter.is_empty() || all.into_iter().chain([last]).any(|text| text.to_lowercase().contains(&filter))
        };
        let sessions = self.overview.iter().flat_map(|overview| &overview.sessions);
        let mut shown: Vec<&SessionInfo> = sessions.filter(fits).collect();
        let rates = |session: &SessionInfo| self.rates_of(&session.id);
        match self.sort {
            Sort::Rate => shown.sort_by_key(|session| Reverse((rates(session).actions, rates(session).events))),
            Sort::Refusals => {
                shown.sort_by_key(|session| Reverse((rates(session).refusals, session.refused + session.limited)));
            }
            Sort::Waiting => shown.sort_by_key(|session| Reverse((session.outstanding, session.queued_bytes))),
            Sort::Identity => shown.sort_by_key(|session| session.identity.to_lowercase()),
        }
        shown
    }

    /// The place of the session that is marked. It stays marked wherever it goes; where it is gone, the first one is.
    pub(super) fn marked_place(&self) -> usize {
        self.shown().iter().position(|session| session.id == self.marked).unwrap_or_default()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "keyboards have more keys")]
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Continue;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Next::End;
        }
        if self.is_filtering {
            self.press_in_filter(key.code);
            return Next::Continue;
        }
        match key.code {
            KeyCode::Char('q') => return Next::End,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => (self.is_filtering, self.is_open) = (true, false),
            KeyCode::Down | KeyCode::Char('j') => self.mark(|place| place.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.mark(|place| place.saturating_sub(1)),
            KeyCode::PageDown => self.mark(|place| place.saturating_add(10)),
            KeyCode::PageUp => self.mark(|place| place.saturating_sub(10)),
            KeyCode::Home => self.mark(|_| 0),
            KeyCode::End => self.mark(|_| usize::MAX),
            KeyCode::Enter if !self.is_open => {
                self.mark(|place| place);
                self.is_open = !self.marked.is_empty();
            }
            KeyCode::Enter | KeyCode::Esc | KeyCode::Backspace | KeyCode::Left if self.is_open => self.is_open = false,
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
        Next::Continue
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "keyboards have more keys")]
    fn press_in_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_filtering = false,
            KeyCode::Esc => {
                self.is_filtering = false;
                self.filter.clear();
            }
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) if self.filter.chars().count() < FILTER_CHARS_MAX => self.filter.push(c),
            _ => {}
        }
    }

    /// Marks the session at another place, as far as there is one.
    fn mark(&mut self, to: impl Fn(usize) -> usize) {
        let shown = self.shown();
        let place = to(self.marked_place()).min(shown.len().saturating_sub(1));
        self.marked = shown.get(place).map(|session| session.id.clone()).unwrap_or_default();
    }
}

fn rates(before: &Overview, now: &Overview) -> HashMap<String, Rates> {
    let millis = u64::try_from(now.time_ms - before.time_ms).unwrap_or_default().max(1);
    let old: HashMap<&str, &SessionInfo> = before.sessions.iter().map(|one| (one.id.as_str(), one)).collect();
    let none = SessionInfo::default();
    let of = |session: &SessionInfo| {
        let old = old.get(session.id.as_str()).copied().unwrap_or(&none);
        let tenths = |now: u64, old: u64| now.saturating_sub(old).saturating_mul(10_000) / millis;
        let refused = |session: &SessionInfo| session.refused + session.limited;
        let bytes = |session: &SessionInfo| session.bytes_in + session.bytes_out;
        let rates = Rates {
            actions: tenths(session.forwarded + refused(session), old.forwarded + refused(old)),
            refusals: tenths(refused(session), refused(old)),
            events: tenths(session.events, old.events),
            bytes: tenths(bytes(session), bytes(old)) / 10,
        };
        (session.id.clone(), rates)
    };
    now.sessions.iter().map(of).collect()
}
