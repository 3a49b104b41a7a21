//! When Asterisk is gone: the session ends as it would with Asterisk; or, where the upstream has `hold`, it is kept. Then
//! nothing is forwarded, what was outstanding and what comes is answered with an error, and amiwall logs in anew until it is
//! in or the time is over. What Asterisk has sent meanwhile is lost; the record says from when to when.
//!
//! Whoever has the outlet decides what is forwarded, so [`Live::is_away`] is changed under its lock only.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::login::random_bits;
use super::outbound::read_upstream;
use super::queue::{Outgoing, OutgoingRecord, QueueFull, Source};
use super::{FINISH_TIMEOUT, Live, SessionEnd, local, lock};
use crate::ami::{EventMask, Message};
use crate::audit::{Draft, best_effort};
use crate::upstream::{Correlation, IdPrefix, Inlet, Outlet, Sent};

/// The first and the longest pause between two attempts to log in. Each lasts between half and all of it, so that the
/// sessions of an Asterisk that comes back do not come all at once.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// An Asterisk that goes away again before this is not there yet: pauses go on from where they were.
const STEADY: Duration = Duration::from_secs(30);

/// What is given up with Asterisk: actions, and the answers of amiwall's own that are due behind them.
type Abandoned = Vec<(Option<Arc<Sent>>, Vec<Message>)>;

/// Reads from Asterisk, and from the one that comes after it, as long as the session is kept. There is none between the two.
pub(super) async fn follow(live: &Live, current: &mut Option<Inlet>, outlet: &Mutex<Outlet>) -> SessionEnd {
    let mut pause = PAUSE.0;
    loop {
        let Some(inlet) = current.as_mut() else { return SessionEnd::UpstreamLost };
        let begun = Instant::now();
        let end = tokio::select! {
            biased;
            end = read_upstream(live, inlet) => end,
            () = live.away(), if live.hold.is_some() => SessionEnd::UpstreamLost,
        };
        *current = None;
        if begun.elapsed() > STEADY {
            pause = PAUSE.0;
        }
        *current = match live.hold {
            _ if end != SessionEnd::UpstreamLost => return end,
            None => return Box::pin(live.upstream_lost()).await,
            // In a box of its own: it is much, and most sessions never need it.
            Some(hold) => match Box::pin(regain(live, outlet, (hold, &mut pause))).await {
                Ok(inlet) => Some(inlet),
                Err(end) => return end,
            },
        };
    }
}

impl Live {
    /// Asterisk is gone, and the session is kept: nothing can be forwarded.
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Says who has the outlet and could not write to it. Whether the session is kept all the same.
    pub(super) fn goes_away(&self) -> bool {
        if self.hold.is_some() {
            self.is_away.store(true, Ordering::Relaxed);
            self.went_away.notify_one();
        }
        self.hold.is_some()
    }

    /// Waits until somebody could not write to Asterisk. A notification may be left over from an earlier time.
    async fn away(&self) {
        while !self.is_away() {
            self.went_away.notified().await;
        }
    }

    /// Asterisk is gone: what is outstanding gets an error, and the session ends as it would with Asterisk.
    pub(super) async fn upstream_lost(&self) -> SessionEnd {
        self.stopping.cancel();
        // What is on record by now was sent to nobody, and is told so too.
        let judged = self.until(|_| !self.is_judging());
        drop(timeout(FINISH_TIMEOUT, judged).await);
        let abandoned = lock(&self.correlation).abandon();
        self.outstanding.set(0);
        if self.tell_abandoned(abandoned).is_ok() {
            self.finish().await;
        }
        SessionEnd::UpstreamLost
    }

    fn tell_abandoned(&self, abandoned: Abandoned) -> Result<(), QueueFull> {
        for (sent, behind) in abandoned {
            let error = sent.map(|sent| {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                let message = local::error(sent.client_id.as_deref(), "Asterisk is not reachable");
                let record = OutgoingRecord::new(self.context(), Source::Amiwall);
                Outgoing { message, record: Some(record.answering(sent)) }
            });
            let behind = behind.into_iter().map(|message| Outgoing { message, record: None });
            error.into_iter().chain(behind).try_for_each(|outgoing| self.queue.push(outgoing))?;
        }
        self.progress.notify_waiters();
        Ok(())
    }

    /// What Asterisk is to send: the client's wish within what its roles may see.
    pub(super) fn subscription(&self) -> EventMask {
        self.shared.snapshot().policy.view(&self.client).subscription(self.mask())
    }
}

/// Gives up what is outstanding, and logs in anew; an error when the session ends instead.
async fn regain(
    live: &Live,
    outlet: &Mutex<Outlet>,
    (hold, pause): (Duration, &mut Duration),
) -> Result<Inlet, SessionEnd> {
    let (since, deadline) = (Timestamp::now(), Instant::now() + hold);
    let abandoned = {
        // What was judged by now was written to nobody, and is told so too.
        let mut outlet = outlet.lock().await;
        live.is_away.store(true, Ordering::Relaxed);
        outlet.close().await;
        let prefix = IdPrefix::from_random(random_bits().ok_or(SessionEnd::UpstreamLost)?);
        // Of another prefix: no id of before the outage is one of after it.
        let mut before = std::mem::replace(&mut *lock(&live.correlation), Correlation::new(prefix));
        live.outstanding.set(0);
        before.abandon()
    };
    let unanswered = abandoned.iter().filter(|(sent, _)| sent.is_some()).count();
    live.tell_abandoned(abandoned).map_err(|QueueFull| SessionEnd::SlowClient)?;
    let away = Draft::upstream_away(&live.context(), since, unanswered);
    best_effort(live.shared.audit.append(vec![away]).await);
    tracing::info!(upstream = live.upstream, identity = live.client.as_str(), "Asterisk is away; its client is kept");
    let mut why = String::new();
    let (inlet, regained, asked) = loop {
        if timeout_at(deadline, sleep(shortened(*pause))).await.is_err() {
            return Err(live.given_up(&why));
        }
        *pause = (*pause * 2).min(PAUSE.1);
        match timeout_at(deadline, log_in(live)).await {
            Ok(Ok(Ok(regained))) => break regained,
            Ok(Ok(Err(error))) => why = error.to_string(),
            Ok(Err(end)) => return Err(end),
            Err(_) => return Err(live.given_up(&why)),
        }
    };
    let back = Draft::upstream_back(&live.context(), since, Timestamp::now());
    best_effort(live.shared.audit.append(vec![back]).await);
    {
        let mut outlet = outlet.lock().await;
        *outlet = regained;
        live.is_away.store(false, Ordering::Relaxed);
    }
    tracing::info!(upstream = live.upstream, identity = live.client.as_str(), "Asterisk is there again for its client");
    // The client's wish, or the policy, may have changed while Asterisk was asked.
    if live.subscription() != asked {
        local::subscribe(live, outlet).await.map_err(|_| SessionEnd::UpstreamLost)?;
    }
    Ok(inlet)
}

type Attached = Result<(Inlet, Outlet, EventMask), crate::upstream::UpstreamError>;

/// One attempt, under the account that the policy in force gives; an error when it has no such upstream any more.
async fn log_in(live: &Live) -> Result<Attached, SessionEnd> {
    let snapshot = live.shared.snapshot();
    let connector = snapshot.upstreams.get(&live.upstream).ok_or(SessionEnd::PolicyRevoked)?;
    let (config, asked) = (connector.config(), live.subscription());
    let account = config.login_for(live.client.as_str(), snapshot.policy.roles(&live.client));
    let attached = connector.attach(account, asked).await;
    Ok(attached.map(|(inlet, outlet)| (inlet, outlet, asked)))
}

impl Live {
    fn given_up(&self, why: &str) -> SessionEnd {
        tracing::warn!("session of `{}` ends: Asterisk was away for too long: {why}", self.client.as_str());
        SessionEnd::UpstreamLost
    }
}

/// Between half and all of it.
fn shortened(pause: Duration) -> Duration {
    let share = random_bits().unwrap_or_default() % 512;
    pause.mul_f64(0.5 + f64::from(u16::try_from(share).unwrap_or_default()) / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_and_are_no_longer_than_they_may_be() {
        let pauses: std::collections::BTreeSet<Duration> = (0..50).map(|_| shortened(PAUSE.1)).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause >= PAUSE.1 / 2 && *pause < PAUSE.1), "{pauses:?}");
    }
}
