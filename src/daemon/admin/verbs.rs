//! What is done at the admin socket. What takes something from somebody is in force before it is on record, for the disk may
//! hang just now; what gives it back is on record first.

use tokio::sync::Mutex;

use super::{Answer, Overview, Request, Sights, Verb};
use crate::admission::Admission;
use crate::audit::Draft;
use crate::identity::ClientName;
use crate::policy::Pause;
use crate::session::Shared;

/// Who and what cannot act now.
pub(super) fn status(shared: &Shared) -> Answer {
    let (locked, suspended) = (shared.memory.locks().names(), suspended(shared));
    Answer::Status { locked, suspended, paused: shared.buckets.pauses().all() }
}

fn suspended(shared: &Shared) -> Vec<String> {
    let snapshot = shared.snapshot.borrow();
    let names = snapshot.identities.iter().map(|identity| identity.name.clone());
    let mut suspended: Vec<_> =
        names.filter(|name| shared.buckets.is_suspended(&ClientName::for_explain(name))).collect();
    suspended.sort();
    suspended
}

/// Who is logged in.
pub(super) fn sessions(sights: &Sights) -> Answer {
    let unauthenticated = sights.admission.occupancy().unauthenticated;
    Answer::Sessions { sessions: sights.shared.sessions.list(), unauthenticated }
}

/// How things stand; with the last actions of a session, if one is named.
pub(super) fn overview(request: &Request, sights: &Sights) -> Answer {
    Answer::Overview(Box::new(look(&sights.shared, &sights.admission, &request.session)))
}

/// The same for whoever shows it: the socket, and the page.
pub(in crate::daemon) fn look(shared: &Shared, admission: &Admission, session: &str) -> Overview {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: shared.audit.boot_id().to_owned(),
        time_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        policy: shared.snapshot.borrow().digest.clone(),
        sessions: shared.sessions.list(),
        unauthenticated: admission.occupancy().unauthenticated,
        refusals: shared.sessions.refusals(),
        recent: if session.is_empty() { Vec::new() } else { shared.sessions.recent(session) },
        locked: shared.memory.locks().names(),
        suspended: suspended(shared),
        paused: shared.buckets.pauses().all(),
        audit: shared.audit.state(),
        upstreams: shared.sessions.upstreams(),
    }
}

/// Ends a session.
pub(super) async fn kick(request: &Request, uid: u32, shared: &Shared, turn: &Mutex<()>) -> Answer {
    let id = &request.session;
    let Some(identity) = shared.sessions.kick(id).await else {
        let message = format!("there is no session `{}` (`amiwall sessions` lists them)", id.escape_debug());
        return Answer::Refused { message };
    };
    let _turn = turn.lock().await;
    match shared.audit.commit(Draft::admin_of_session(id, &identity, uid)).await {
        Ok(_) => {
            tracing::info!(session = id, identity, uid, "kick: kicked");
            Answer::Done { identity, outcome: "kicked".to_owned(), sessions: 1 }
        }
        Err(error) => unrecorded("kick", uid, &error, "the session is ended all the same"),
    }
}

/// Stops an action, or lets it go on.
pub(super) async fn pause(request: &Request, uid: u32, shared: &Shared, turn: &Mutex<()>) -> Answer {
    let pause = match named(request, shared) {
        Ok(pause) => pause,
        Err(message) => return Answer::Refused { message },
    };
    let (pauses, is_on) = (shared.buckets.pauses(), request.request == Verb::Pause);
    let was_on = if is_on { !pauses.set(&pause, true) } else { pauses.find(&pause).is_some() };
    let _turn = turn.lock().await;
    if is_on {
        // Who had his turn before may just have taken it off.
        pauses.set(&pause, true);
    }
    let (name, outcome) = match (is_on, was_on) {
        (true, false) => ("pause", "paused"),
        (true, true) => ("pause", "paused-before"),
        (false, true) => ("unpause", "unpaused"),
        (false, false) => ("unpause", "not-paused"),
    };
    let draft = Draft::admin_of_action(&pause, name, outcome, uid);
    // What was judged before is not waited for by the log, but by who asked: it is over when he is told so.
    let settled = async {
        if is_on {
            shared.sessions.settle(&pause.identity).await;
        }
    };
    let (recorded, ()) = tokio::join!(shared.audit.commit(draft), settled);
    match recorded {
        Ok(_) => {
            if !is_on {
                pauses.set(&pause, false);
            }
            tracing::info!(action = pause.action, identity = pause.identity, uid, "{name}: {outcome}");
            Answer::Paused { pause, outcome: outcome.to_owned(), paused: pauses.all() }
        }
        Err(error) => {
            let what =
                if is_on { "the action is paused, but a restart may forget that" } else { "nothing was changed" };
            unrecorded(name, uid, &error, what)
        }
    }
}

/// What a request about an action is about. A name that is mistyped would stop nothing.
fn named(request: &Request, shared: &Shared) -> Result<Pause, String> {
    let snapshot = shared.snapshot.borrow();
    let Request { action, identity, .. } = request;
    let asked = Pause { action: action.clone(), identity: identity.clone() };
    // Neither need be in the policy any more.
    if request.request == Verb::Unpause
        && let Some(pause) = shared.buckets.pauses().find(&asked)
    {
        return Ok(pause);
    }
    let action = match action.as_str() {
        "" => return Err("this is no request: it names no `action`".to_owned()),
        "*" => action.clone(),
        _ => snapshot.policy.action_named(action).map_err(|near| {
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("neither Asterisk nor the policy in force has an action `{}`{near}", action.escape_debug())
        })?,
    };
    if action == "Logoff" {
        return Err("`Logoff` is never paused: whoever wants to go may".to_owned());
    }
    let identity = match identity.as_str() {
        "" => String::new(),
        _ => snapshot
            .identities
            .get(&ClientName::for_explain(identity))
            .map(|found| found.name.clone())
            .ok_or_else(|| format!("there is no identity `{}` in the policy in force", identity.escape_debug()))?,
    };
    Ok(Pause { action, identity })
}

/// Does what is asked for of an identity.
pub(super) async fn perform(request: &Request, uid: u32, shared: &Shared) -> Answer {
    if request.identity.is_empty() {
        return Answer::Refused { message: "this is no request: it names no `identity`".to_owned() };
    }
    let locks = shared.memory.locks();
    let asked = ClientName::for_explain(&request.identity);
    let identity = match shared.snapshot.borrow().identities.get(&asked) {
        Some(identity) => identity.name.clone(),
        // The identity is not in the policy any more, and its lock is.
        None if request.request == Verb::Unlock && locks.has(&request.identity) => request.identity.clone(),
        None => {
            let asked = request.identity.escape_debug();
            // An action is resumed in another way, and this is the first that one tries.
            let is_action = request.request == Verb::Resume
                && shared.snapshot.borrow().policy.action_named(&request.identity).is_ok();
            let help =
                if is_action { format!("; for the action: amiwall resume --action {asked}") } else { String::new() };
            let message = format!("there is no identity `{asked}` in the policy in force{help}");
            return Answer::Refused { message };
        }
    };
    let client = ClientName::for_explain(&identity);
    let (is_lock, is_unlock) = (request.request == Verb::Lock, request.request == Verb::Unlock);
    let (name, outcome) = if is_lock {
        ("lock", if locks.has(&identity) { "locked-before" } else { "locked" })
    } else if is_unlock {
        ("unlock", if locks.has(&identity) { "unlocked" } else { "not-locked" })
    } else {
        ("resume", if shared.buckets.is_suspended(&client) { "resumed" } else { "not-suspended" })
    };
    let sessions = shared.memory.sessions_of(&identity);
    if is_lock {
        // At once: the disk may hang just now.
        locks.set(&identity, true);
    }
    // As with a pause: when it is answered, nothing more of that identity is sent.
    let settled = async {
        if is_lock {
            shared.sessions.settle(&identity).await;
        }
    };
    let (recorded, ()) = tokio::join!(shared.audit.commit(Draft::admin(&identity, name, outcome, uid)), settled);
    match recorded {
        Ok(_) => {
            if is_unlock {
                locks.set(&identity, false);
            } else if !is_lock {
                shared.buckets.resume(&client);
            }
            tracing::info!(identity, uid, "{name}: {outcome}");
            Answer::Done { identity, outcome: outcome.to_owned(), sessions }
        }
        Err(error) => {
            let what =
                if is_lock { "the identity is locked, but a restart may forget that" } else { "nothing was changed" };
            unrecorded(name, uid, &error, what)
        }
    }
}

fn unrecorded(name: &str, uid: u32, error: &crate::audit::AuditUnavailable, what: &str) -> Answer {
    tracing::error!(uid, %error, "{name} cannot be put on record");
    Answer::Failed { message: format!("this cannot be put on record: {error}; {what}") }
}
