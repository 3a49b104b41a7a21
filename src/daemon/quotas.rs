//! Quotas, suspensions, locks and pauses over restarts: what the log says of them at start, and the checkpoints that make it say so.

use std::sync::Arc;

use super::DaemonError;
use crate::audit::{Audit, best_effort, replay};
use crate::config::Config;
use crate::identity::{ClientName, LoginMemory, Now};
use crate::policy::{Buckets, Past, PastEvent, Pause, QuotaState};

/// What is left of the limits and who is locked, as the log says. If it cannot be read, amiwall does not start: it would
/// give quotas anew, and let in who is locked.
pub(super) fn restored(config: &Config) -> Result<(Arc<Buckets>, Arc<LoginMemory>), DaemonError> {
    let (buckets, memory) = (Buckets::default(), LoginMemory::new(config.failed_logins));
    let policy = &config.policy;
    let is_counted = |identity: &str, action: &str| policy.is_counted(&ClientName::for_explain(identity), action);
    let directory = &config.audit.directory;
    let found = replay(directory, is_counted).map_err(|error| {
        let directory = directory.display();
        DaemonError::Audit(format!(
            "cannot read the state of quotas, locks and pauses from the audit log in `{directory}`: {error}"
        ))
    })?;
    if policy.has_quotas() {
        buckets.restore(&found.saved, &found.since, policy, Now::read().wall);
    }
    for name in &found.saved.locked {
        memory.locks().set(name, true);
    }
    for pause in &found.saved.paused {
        buckets.pauses().set(pause, true);
    }
    for Past { identity, event, .. } in &found.since {
        match event {
            PastEvent::Locked(is_locked) => _ = memory.locks().set(identity, *is_locked),
            PastEvent::Paused { action, is_on } => {
                let pause = Pause { action: action.clone(), identity: identity.clone() };
                buckets.pauses().set(&pause, *is_on);
            }
            PastEvent::Allowed { .. } | PastEvent::Refused { .. } | PastEvent::Resumed | PastEvent::Tripped { .. } => {}
        }
    }
    for name in memory.locks().names() {
        tracing::info!(identity = name, "is locked, as it was; `amiwall unlock` lets it in again");
    }
    for pause in buckets.pauses().all() {
        tracing::info!("{pause}: is on, as it was; `amiwall resume --action` takes it off");
    }
    Ok((Arc::new(buckets), Arc::new(memory)))
}

/// Lets the log's checkpoints say what is left of the limits, and who is locked.
pub(super) async fn keep(audit: &Audit, buckets: Arc<Buckets>, memory: Arc<LoginMemory>) {
    let state = move || QuotaState { locked: memory.locks().names(), ..buckets.save(Now::read().wall) };
    best_effort(audit.keep_quotas(state).await);
}
