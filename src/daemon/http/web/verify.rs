//! Verifying the chain of the log because somebody asks for it: one at a time, not often, and behind everything else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::visitors::Visitor;
use super::{Peer, Reply, Web, redirect};
use crate::audit::{Audit, Draft, Evidence, Summary, VerifyError, VerifyingKey, verify_against};

/// What is between the end of one and the beginning of another.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// The lowest of priorities.
const NICE: i32 = 19;

/// The last verification, and the one that runs.
#[derive(Debug, Default)]
pub(super) struct Verifier(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In percent.
    runs: Option<u64>,
    last: Option<Done>,
}

#[derive(Clone, Debug)]
struct Done {
    ended: Instant,
    at: i64,
    is_whole: bool,
    lines: Vec<String>,
}

/// What is known of the chain.
#[derive(Debug)]
pub(super) enum Known {
    Never,
    Runs(u64),
    Done { at: i64, is_whole: bool, lines: Vec<String> },
}

/// The button.
pub(super) async fn press(web: &Arc<Web>, audit: &Audit, peer: Peer, visitor: &Visitor) -> Reply {
    if web.verifier.may_begin() {
        let draft = Draft::web("web-verify", Some(&visitor.user), peer.address, Ok(()));
        if audit.commit(draft).await.is_ok() {
            let own = web.clone();
            let thread = std::thread::Builder::new().name("verify".to_owned());
            if thread.spawn(move || own.verifier.run(&own)).is_err() {
                web.verifier.state().runs = None;
            }
        } else {
            web.verifier.state().runs = None;
        }
    }
    redirect("/audit")
}

impl Verifier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> Known {
        let state = self.state();
        match (&state.runs, &state.last) {
            (Some(percent), _) => Known::Runs(*percent),
            (None, Some(done)) => {
                let Done { at, is_whole, lines, .. } = done.clone();
                Known::Done { at, is_whole, lines }
            }
            (None, None) => Known::Never,
        }
    }

    /// Takes the place of the one that runs, if there is none and the last one was long enough ago.
    fn may_begin(&self) -> bool {
        let mut state = self.state();
        let is_early = state.last.as_ref().is_some_and(|last| last.ended.elapsed() < PAUSE);
        if state.runs.is_some() || is_early {
            return false;
        }
        state.runs = Some(0);
        true
    }

    fn run(&self, web: &Web) {
        // Of this thread alone; without it the thread is no worse than another.
        rustix::process::setpriority_process(None, NICE).ok();
        let begun = Instant::now();
        let evidence = Evidence { keys: web.signer.iter().cloned().collect(), ..Evidence::default() };
        let outcome = verify_against(&web.audit.directory, &evidence, &mut |done, all| {
            self.state().runs = Some(done.saturating_mul(100).checked_div(all).unwrap_or(0).min(100));
        });
        let (is_whole, mut lines) = in_words(&outcome, web.signer.as_ref());
        lines.push(format!("It took {:.1} s.", begun.elapsed().as_secs_f64()));
        let at = jiff::Timestamp::now().as_millisecond();
        let mut state = self.state();
        *state = State { runs: None, last: Some(Done { ended: Instant::now(), at, is_whole, lines }) };
    }
}

fn in_words(outcome: &Result<Summary, VerifyError>, signer: Option<&VerifyingKey>) -> (bool, Vec<String>) {
    match outcome {
        Ok(summary) => {
            let mut lines = vec![
                format!(
                    "Whole: {} records in {} segments, {} to {}.",
                    summary.records, summary.segments, summary.first_time, summary.last_time
                ),
                format!("Head: record {}, {}", summary.last_seq, summary.head),
            ];
            lines.push(match (signer, summary.signed_through) {
                (Some(key), Some(through)) => {
                    format!("Signed up to record {through} by {} ({} checkpoints).", key.name(), summary.signatures)
                }
                _ => "Not signed: whoever can write the files can make such a chain anew.".to_owned(),
            });
            if let Some(pruned) = summary.pruned {
                lines.push(format!("Records 1 to {pruned} were taken out, as a `prune` record says."));
            }
            lines.push(
                "This amiwall has verified its own log. Whoever has taken the machine over can have it say so: verify it \
                 elsewhere, against kept checkpoints, with `amiwall audit verify --key --anchor`."
                    .to_owned(),
            );
            (true, lines)
        }
        Err(error @ VerifyError::Broken { good, .. }) => {
            let hint =
                "`amiwall audit verify` with all keys that the log has had tells more (docs/incident.md).".to_owned();
            (false, vec![format!("Broken: {error}"), format!("{good} records before it are right."), hint])
        }
        Err(error @ (VerifyError::Empty(_) | VerifyError::Io { .. })) => (false, vec![error.to_string()]),
    }
}
