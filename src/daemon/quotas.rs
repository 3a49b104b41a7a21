//! Quotas over restarts: what the log says of them at start, and the checkpoints that make it say so.

use std::path::Path;
use std::sync::Arc;

use super::DaemonError;
use crate::audit::{Audit, Draft, ResumeRequest, best_effort, replay};
use crate::config::Config;
use crate::identity::{ClientName, Now};
use crate::policy::Buckets;

/// What is left of the limits, as the log says. If it cannot be read, amiwall does not start: it would give quotas anew.
pub(super) fn restored(config: &Config) -> Result<Arc<Buckets>, DaemonError> {
    let buckets = Buckets::default();
    let policy = &config.policy;
    if policy.has_quotas() {
        let is_counted = |identity: &str, action: &str| policy.is_counted(&ClientName::for_explain(identity), action);
        let directory = &config.audit.directory;
        let found = replay(directory, is_counted).map_err(|error| {
            let directory = directory.display();
            DaemonError::Audit(format!("cannot read the state of quotas from the audit log in `{directory}`: {error}"))
        })?;
        buckets.restore(&found.saved, &found.since, policy, Now::read().wall);
    }
    Ok(Arc::new(buckets))
}

/// Lets the log's checkpoints say what is left of the limits.
pub(super) async fn keep(audit: &Audit, buckets: Arc<Buckets>) {
    best_effort(audit.keep_quotas(move || buckets.save(Now::read().wall)).await);
}

/// Resumes the identities for whom somebody has asked it. It is on record before it is done, and a request that cannot be
/// recorded waits for the next time.
pub(super) async fn resume_requested(audit: &Audit, buckets: &Arc<Buckets>, directory: &Path) {
    let requests = match ResumeRequest::waiting(directory) {
        Ok(requests) => requests,
        // Without a directory there is no request.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return tracing::error!(%error, "requests in the audit directory cannot be read"),
    };
    for request in requests {
        let client = ClientName::for_explain(&request.identity);
        let was_suspended = buckets.is_suspended(&client);
        if let Err(error) = audit.commit(Draft::resumed(&request.identity, was_suspended)).await {
            return tracing::error!(%error, "an identity is not resumed, since that cannot be put on record");
        }
        buckets.resume(&client);
        tracing::info!(identity = request.identity, was_suspended, "resumed");
        if let Err(error) = request.done() {
            tracing::error!(%error, "a request in the audit directory cannot be removed");
        }
    }
}
