//! The watch over a session: it lasts as long as the policy, the locks and the process let it.

use std::sync::Arc;
use std::time::Duration;

use crate::identity::{ClientName, Now};
use crate::tls::PeerCertificate;
use crate::upstream::Outlet;

use super::{Live, SessionEnd, Snapshot, local, lock};

/// How often a session is looked at when nothing happens: the wall clock may be set.
const RECHECK: Duration = Duration::from_secs(30);

/// Ends the session when the policy no longer allows it, or when the process ends.
pub(super) async fn watch_over(
    live: &Live,
    certificate: Option<&PeerCertificate>,
    outlet: &tokio::sync::Mutex<Outlet>,
) -> SessionEnd {
    let mut snapshots = live.shared.snapshot.clone();
    // What changed since the login was judged is seen too.
    snapshots.mark_changed();
    let mut locks = live.shared.memory.locks().watch();
    let mut is_to_subscribe = false;
    let mut verified = None;
    loop {
        let recheck = until_recheck(&snapshots.borrow(), &live.client, certificate);
        tokio::select! {
            () = live.shared.shutdown.cancelled() => {
                Box::pin(live.finish()).await;
                return SessionEnd::Shutdown;
            }
            () = live.tally.kicked.cancelled() => return SessionEnd::KickedByAdmin,
            changed = snapshots.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            // Asterisk may not read: neither a revocation nor the end of the process waits for that.
            subscribed = async { Box::pin(local::subscribe(live, outlet)).await }, if is_to_subscribe => match subscribed {
                Ok(()) => is_to_subscribe = false,
                Err(_) => return SessionEnd::UpstreamLost,
            },
            changed = locks.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            () = tokio::time::sleep(recheck) => {}
        }
        let snapshot = snapshots.borrow_and_update().clone();
        let context = live.context();
        let Some(peer) = context.peer else { return SessionEnd::PolicyRevoked };
        let proxy = context.proxy.map(|proxy| proxy.ip());
        let Some(listener) = snapshot.listeners.get(&context.listener) else { return SessionEnd::PolicyRevoked };
        if let Some(certificate) = certificate
            && verified.replace(snapshot.generation) != Some(snapshot.generation)
            && let Err(reason) = listener.check(certificate)
        {
            return SessionEnd::Certificate(reason);
        }
        if !is_at_its_asterisk(live, &snapshot) {
            return SessionEnd::PolicyRevoked;
        }
        let is_valid = snapshot.identities.recheck(&live.client, peer.ip(), certificate, Now::read()).is_ok();
        if !listener.allows(peer.ip(), proxy) || !is_valid {
            return SessionEnd::PolicyRevoked;
        }
        if live.shared.memory.locks().has(live.client.as_str()) {
            return SessionEnd::LockedByAdmin;
        }
        if context.policy != snapshot.digest {
            *lock(&live.context) = Arc::new(context.under(&snapshot.digest));
            is_to_subscribe = true;
        }
    }
}

/// Whether the policy still has that Asterisk, and the identity there. Where a listener's clients go counts for new ones.
fn is_at_its_asterisk(live: &Live, snapshot: &Snapshot) -> bool {
    let own = snapshot.identities.get(&live.client).and_then(|identity| identity.upstream.as_deref());
    snapshot.upstreams.contains_key(&live.upstream) && own.map_or(!live.is_own_upstream, |own| own == live.upstream)
}

/// Validity and certificates end without a reload: then is the next look, at the latest.
fn until_recheck(snapshot: &Snapshot, client: &ClientName, certificate: Option<&PeerCertificate>) -> Duration {
    let left = |until: i64| Duration::from_secs(u64::try_from(until.saturating_sub(Now::read().wall)).unwrap_or(0));
    snapshot.identities.valid_until(client, certificate).map_or(RECHECK, |until| RECHECK.min(left(until)))
}
