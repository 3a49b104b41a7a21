//! Client to Asterisk: read, judge, limit, record, then forward or refuse, in this order and in the client's order.
//!
//! Packets that arrived together are recorded together (one wait for the disk) and forwarded in one write. A batch ends
//! behind a packet that Asterisk would read nothing behind until it is over; what comes later is judged later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::AsyncRead;
use tokio::sync::Mutex;

use super::client_io::ClientReader;
use super::queue::QueueFull;
use super::reading::{Packet, is_async, is_named, read_batch, read_until, slow_down};
use super::{Live, SessionEnd, Snapshot, local, lock};
use crate::ami::Action;
use crate::audit::{Draft, Recorded, Split, best_effort};
use crate::catalogue;
use crate::identity::Now;
use crate::policy::{Asking, Decision, Denial, Permit, Reason};
use crate::upstream::{Correlation, Outlet, Sent};

/// Actions that may wait for Asterisk's answer; more are not read before some are answered.
const OUTSTANDING_MAX: usize = 128;

/// Runs until the client goes or has to go.
pub(super) async fn run<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
    outlet: &Mutex<Outlet>,
) -> SessionEnd {
    loop {
        if let Err(end) = read_until(reader, live.until(is_ready)).await {
            return end;
        }
        let packets = match read_batch(live, reader).await {
            Ok(packets) => packets,
            Err(end) => return end,
        };
        live.tally.bytes_in.store(reader.taken, Ordering::Relaxed);
        if packets.last().is_some_and(|packet| packet.as_ref().is_ok_and(|message| is_named(message, "WaitEvent"))) {
            local::hold(live);
        }
        // In a box of its own: it is much, and most of the time there is nothing to be handled.
        let handled = Box::pin(handle(live, reader, outlet, packets)).await;
        if let Err(end) = handled.and_then(|()| local::release(live)) {
            return end;
        }
    }
}

/// Whether Asterisk would read the next packet.
fn is_ready(correlation: &Correlation) -> bool {
    !correlation.is_blocked()
        && correlation.outstanding() < OUTSTANDING_MAX
        && correlation.kept_back() < OUTSTANDING_MAX
}

fn judge(live: &Live, snapshot: &Snapshot, packet: Packet, record_id: &str) -> Decision {
    let action = match packet {
        Err(malformed) => Err(Denial::of_malformed(malformed)),
        Ok(message) => Action::try_from(message).map_err(|(error, message)| Denial::of_message(&error, message)),
    };
    let decision = match action {
        Ok(action) => snapshot.policy.decide(&live.client, action, record_id),
        Err(denial) => Decision::Deny(denial),
    };
    // Before limits: what cannot be done uses up nothing.
    let decision = unless_away(live, decision);
    let (limits, shared) = (snapshot.policy.limits(&live.client), snapshot.policy.shared_limits());
    let asking = Asking { client: &live.client, upstream: &live.upstream, wall: Now::read().wall };
    live.shared.buckets.take(limits, shared, asking, decision)
}

/// Judges packets one after the other. Those behind one that has to be paused behind are put back, and judged when the pause
/// is over: their limits may have room then.
fn judge_all<S>(
    live: &Live,
    reader: &mut ClientReader<S>,
    snapshot: &Snapshot,
    packets: Vec<Packet>,
) -> (Vec<(String, Decision)>, Duration) {
    let mut packets = packets.into_iter();
    let mut decisions = Vec::with_capacity(packets.len());
    let mut wait = Duration::ZERO;
    while wait.is_zero()
        && let Some(packet) = packets.next()
    {
        let id = record_id(live);
        let decision = judge(live, snapshot, packet, &id);
        wait = pause_behind(live, &decision);
        decisions.push((id, decision));
    }
    reader.put_back.extend(packets);
    (decisions, wait)
}

/// While Asterisk is away there is nobody to forward to; what amiwall answers itself needs nobody.
fn unless_away(live: &Live, decision: Decision) -> Decision {
    let is_answered_here = |action: &Action| is_local(action) || ends_batch_here(action);
    match decision {
        Decision::Allow(permit) if live.is_away() && !is_answered_here(permit.action()) => {
            Decision::Deny(Denial::of_unavailable(permit.into_action(), Reason::UpstreamHeld))
        }
        Decision::Allow(_) | Decision::Deny(_) => decision,
    }
}

async fn handle<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
    outlet: &Mutex<Outlet>,
    packets: Vec<Packet>,
) -> Result<(), SessionEnd> {
    let judging = live.judging();
    // Taken first: nobody else writes between what is judged here and its bytes.
    let mut outlet_guard = outlet.lock().await;
    let (in_force, metrics) = (InForce::now(live), &live.shared.metrics);
    let read_at = Instant::now();
    let (decisions, wait) = judge_all(live, reader, &in_force.snapshot, packets);
    let (judged_at, count) = (Instant::now(), decisions.len());
    metrics.decide.observe_each((judged_at - read_at) / u32::try_from(count.max(1)).unwrap_or(u32::MAX), count);
    record_trips(live).await;
    let recorded = match record(live, in_force, decisions).await {
        Ok(recorded) => recorded,
        Err(unrecorded) => return refuse_unrecorded(live, reader, unrecorded).await,
    };
    metrics.record.observe_each(judged_at.elapsed(), count);
    let mut last = None;
    for (record_id, decision) in recorded {
        match decision.split() {
            Split::Refuse(denial) => refuse(live, denial.get())?,
            Split::Forward(permit) if ends_batch_here(permit.get().action()) => {
                live.count_permit(permit.get(), catalogue::action(permit.get().action().key()));
                last = Some(permit);
            }
            Split::Forward(permit) if is_local(permit.get().action()) => {
                live.count_permit(permit.get(), catalogue::action(permit.get().action().key()));
                answer_locally(live, permit.get().action())?;
            }
            Split::Forward(permit) => forward(live, &mut outlet_guard, &permit, (record_id, read_at)),
        }
    }
    let is_lost = outlet_guard.flush().await.is_err() && !live.goes_away();
    drop((outlet_guard, judging));
    if is_lost {
        return Err(live.upstream_lost().await);
    }
    // What comes behind a WaitEvent ends it, also while its client is slowed down.
    let seen = reader.decoder.waiting_len();
    slow_down(reader, wait).await?;
    match last {
        Some(permit) => end_of_batch(live, reader, (permit.get().action(), seen)).await,
        None => resubscribe(live, outlet).await,
    }
}

/// What packets are judged by: the policy and the pauses of one moment.
struct InForce {
    snapshot: Arc<Snapshot>,
    pauses: u64,
}

impl InForce {
    fn now(live: &Live) -> Self {
        // The number first: a pause that comes between the two is seen twice, and not missed.
        Self { pauses: live.shared.buckets.pauses().version(), snapshot: live.shared.snapshot() }
    }

    fn is_still(&self, live: &Live) -> bool {
        let shared = &live.shared;
        shared.snapshot.borrow().generation == self.snapshot.generation
            && shared.buckets.pauses().version() == self.pauses
    }
}

/// Records what was decided under `in_force`, in its order; gives it back when it cannot be recorded.
async fn record(
    live: &Live,
    in_force: InForce,
    decisions: Vec<(String, Decision)>,
) -> Result<Vec<(String, Recorded<Decision>)>, Vec<Decision>> {
    let recorded = live.shared.audit.record(&live.context_under(&in_force.snapshot), decisions).await;
    let recorded = recorded.map_err(|(_, open)| open.into_iter().map(|(_, decision)| decision).collect::<Vec<_>>())?;
    if in_force.is_still(live) {
        return Ok(recorded);
    }
    record_anew(live, recorded).await
}

/// The policy has changed while the disk was waited for, or a pause was put on: what is to be sent is judged by what is in
/// force, and recorded under the same id: of two records with one id the last counts. A refusal stays as it is on record.
async fn record_anew(
    live: &Live,
    recorded: Vec<(String, Recorded<Decision>)>,
) -> Result<Vec<(String, Recorded<Decision>)>, Vec<Decision>> {
    let mut all: Vec<Option<(String, Recorded<Decision>)>> = recorded.into_iter().map(Some).collect();
    loop {
        let in_force = InForce::now(live);
        let snapshot = &in_force.snapshot;
        let allowed = all
            .iter_mut()
            .filter_map(|slot| slot.take_if(|(_, decision)| matches!(decision.get(), Decision::Allow(_))));
        let open: Vec<(String, Decision)> = allowed
            .map(|(id, decision)| {
                let decision = judge_anew(live, snapshot, decision.into_inner(), &id);
                (id, decision)
            })
            .collect();
        if open.is_empty() {
            return Ok(all.into_iter().flatten().collect());
        }
        match live.shared.audit.record(&live.context_under(snapshot), open).await {
            Ok(recorded) => {
                for (slot, recorded) in all.iter_mut().filter(|slot| slot.is_none()).zip(recorded) {
                    *slot = Some(recorded);
                }
            }
            Err((_, open)) => {
                let mut open = open.into_iter().map(|(_, decision)| decision);
                let decision = |slot: Option<(String, Recorded<Decision>)>| {
                    slot.map_or_else(|| open.next(), |(_, decision)| Some(decision.into_inner()))
                };
                return Err(all.into_iter().filter_map(decision).collect());
            }
        }
        if in_force.is_still(live) {
            return Ok(all.into_iter().flatten().collect());
        }
    }
}

/// That a limit was reached too often, and the client is suspended, is on record before it is told so.
async fn record_trips(live: &Live) {
    for tripped in live.shared.buckets.take_tripped(&live.client) {
        tracing::warn!(
            identity = live.client.as_str(),
            limit = tripped.limit,
            "suspended: a limit was reached too often"
        );
        best_effort(live.shared.audit.commit(Draft::tripped(&live.context(), &tripped)).await);
    }
}

/// The id by which a call of an Originate is known.
fn call_of(action: &Action) -> Option<&[u8]> {
    action.get("ChannelId").filter(|_| action.key() == "originate")
}

/// What the record of the next packet is called.
fn record_id(live: &Live) -> String {
    let context = live.context();
    let number = live.actions.fetch_add(1, Ordering::Relaxed) + 1;
    [&context.session, ".", itoa::Buffer::new().format(number)].concat()
}

fn judge_anew(live: &Live, snapshot: &Snapshot, decision: Decision, id: &str) -> Decision {
    match decision {
        Decision::Allow(permit) => {
            let call = call_of(permit.action()).map(<[u8]>::to_vec);
            let decision = snapshot.policy.decide_anew(&live.client, permit, id);
            let decision = live.shared.buckets.pauses().judge(&live.client, decision);
            if let (Decision::Deny(_), Some(call)) = (&decision, call) {
                live.shared.buckets.call_released(&live.upstream, &call);
            }
            decision
        }
        Decision::Deny(denial) => Decision::Deny(denial),
    }
}

/// The log cannot be written: nothing is forwarded, and the client is told so.
async fn refuse_unrecorded<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
    decisions: Vec<Decision>,
) -> Result<(), SessionEnd> {
    live.give_up_batch();
    for decision in decisions {
        let denial = match decision {
            Decision::Allow(permit) => {
                if let Some(call) = call_of(permit.action()) {
                    live.shared.buckets.call_released(&live.upstream, call);
                }
                Denial::of_unavailable(permit.into_action(), Reason::AuditUnavailable)
            }
            Decision::Deny(denial) => denial,
        };
        let wait = live.shared.buckets.charge_refusal(&live.client).unwrap_or_default();
        refuse(live, &denial)?;
        slow_down(reader, wait).await?;
    }
    Ok(())
}

/// How long to judge nothing more of a client that is refused too often. Packets that cost nobody but us count as refusals
/// do, so that a client in a loop hurts only itself. One beyond its limit waits for no longer than that limit asks for: it
/// gets all that it may have, however much more it wants.
fn pause_behind(live: &Live, decision: &Decision) -> Duration {
    let retry = match decision {
        Decision::Deny(denial) => denial.retry(),
        Decision::Allow(permit) if is_local(permit.action()) => None,
        Decision::Allow(_) => return Duration::ZERO,
    };
    let pause = live.shared.buckets.charge_refusal(&live.client).unwrap_or_default();
    retry.map_or(pause, |retry| pause.min(retry))
}

/// Answers a refusal.
fn refuse(live: &Live, denial: &Denial) -> Result<(), SessionEnd> {
    live.refused.fetch_add(1, Ordering::Relaxed);
    live.count_denial(denial);
    live.shared.sessions.note_refusal(live, denial);
    live.answer(local::refusal(denial)).map_err(|QueueFull| SessionEnd::SlowClient)?;
    if local::is_http(denial) {
        return Err(SessionEnd::ClientViolation);
    }
    Ok(())
}

/// Answered by amiwall at once.
fn is_local(action: &Action) -> bool {
    matches!(action.key(), "challenge" | "events" | "login")
}

/// Answered by amiwall when all before it is over.
fn ends_batch_here(action: &Action) -> bool {
    matches!(action.key(), "logoff" | "waitevent")
}

fn forward(live: &Live, outlet: &mut Outlet, permit: &Recorded<Permit>, (record_id, read_at): (String, Instant)) {
    let action = permit.get().action();
    let entry = catalogue::action(action.key());
    live.count_permit(permit.get(), entry);
    let at = Instant::now();
    let sent = Sent {
        record_id,
        client_id: action.id().map(<[u8]>::to_vec),
        key: action.key().to_owned(),
        is_blocking: action.key() == "originate" && !is_async(action.message()),
        is_unanswered: entry.is_some_and(|entry| entry.is_silent),
        is_own: false,
        read_at,
        at,
    };
    let (id, outstanding) = {
        let mut correlation = lock(&live.correlation);
        (correlation.send(sent), correlation.outstanding())
    };
    live.outstanding.set(outstanding);
    // Asterisk broadcasts the ActionID of these.
    if matches!(action.key(), "originate" | "userevent")
        && let Some(client_id) = action.id()
    {
        live.shared.action_ids.remember(&id, client_id);
    }
    if let Some(call) = call_of(action) {
        live.shared.buckets.call_sent(&live.upstream, call, &id);
    }
    outlet.forward(permit, &id);
    live.forwarded.fetch_add(1, Ordering::Relaxed);
    live.tally.forwarded(action.name(), permit.get().rule(), at);
}

fn answer_locally(live: &Live, action: &Action) -> Result<(), SessionEnd> {
    let answered = match action.key() {
        "events" => local::events(live, action),
        "challenge" => {
            let challenge = super::login::random_challenge();
            let is_md5 = action.get("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case(b"MD5"));
            live.answer(match challenge.filter(|_| is_md5) {
                Some(challenge) => local::success(action.id(), &[("Challenge", challenge.text().as_bytes())]),
                None => local::error(action.id(), "Must specify AuthType"),
            })
        }
        _ => live.answer(local::success(action.id(), &[("Message", b"Already authenticated")])),
    };
    answered.map_err(|QueueFull| SessionEnd::SlowClient)
}

/// `WaitEvent` and `Logoff`, which are the last of their batch.
async fn end_of_batch<S: AsyncRead + Unpin>(
    live: &Live,
    reader: &mut ClientReader<S>,
    (action, seen): (&Action, usize),
) -> Result<(), SessionEnd> {
    if action.key() == "waitevent" {
        read_until(reader, live.until(|correlation| correlation.outstanding() == 0)).await?;
        return local::wait_event(live, reader, (action, seen)).await;
    }
    live.answer(local::goodbye(action.id())).map_err(|QueueFull| SessionEnd::SlowClient)?;
    live.finish().await;
    Err(SessionEnd::LoggedOff)
}

/// After an `Events` action Asterisk is told what is still wanted.
async fn resubscribe(live: &Live, outlet: &Mutex<Outlet>) -> Result<(), SessionEnd> {
    let mask = live.mask();
    let is_new = std::mem::replace(&mut *lock(&live.subscribed), mask) != mask;
    if is_new { local::subscribe(live, outlet).await.map_err(|_| SessionEnd::UpstreamLost) } else { Ok(()) }
}
