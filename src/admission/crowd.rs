//! [`Crowd`]: says on standard error that strangers crowd each other out, once when it begins and once when it is over.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::NoRoom;

/// It is over when so long nobody was crowded out: at most one pair of lines in that time, whatever strangers do.
const QUIET: Duration = Duration::from_secs(60);

/// Who was crowded out, since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    begins: Notify,
    /// For want of room in the pool, and of one address.
    counts: [AtomicU64; 2],
    /// The network of the last.
    network: Mutex<Option<IpAddr>>,
}

impl Crowd {
    /// One stranger went, or was not let in.
    pub(super) fn count(&self, why: NoRoom, network: Option<IpAddr>) {
        let [pool, address] = &self.counts;
        let count = if why == NoRoom::UnauthenticatedPerAddress { address } else { pool };
        count.fetch_add(1, Ordering::Relaxed);
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = network;
        self.begins.notify_one();
    }

    fn take(&self) -> [u64; 2] {
        self.counts.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
    }

    /// Waits for it to begin, and to be over, again and again.
    pub(super) async fn tell(&self) {
        loop {
            self.begins.notified().await;
            let mut sum = self.take();
            if sum == [0, 0] {
                continue;
            }
            let network = *self.network.lock().unwrap_or_else(PoisonError::into_inner);
            let from = network.map(|network| format!(", one from {network}")).unwrap_or_default();
            let limit = if sum[1] > 0 { "unauthenticated_per_address" } else { "unauthenticated" };
            tracing::warn!(
                "more connections that are not logged in than `limits.{limit}` has room for{from}: the oldest give way; `refuse` and `end` records with limits.{limit} say who"
            );
            loop {
                sleep(QUIET).await;
                let more = self.take();
                if more == [0, 0] {
                    break;
                }
                sum = [sum[0] + more[0], sum[1] + more[1]];
            }
            let [pool, address] = sum;
            tracing::info!(
                "there is room for connections that are not logged in again; gone or refused: {pool} by `limits.unauthenticated`, {address} by `limits.unauthenticated_per_address`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_when_it_begins_and_once_when_it_is_over() {
        let said = tempfile::NamedTempFile::new().expect("a file");
        let writer = Arc::new(said.reopen().expect("a file"));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let crowd = Crowd::default();
        let crowding = async {
            for _ in 0..90 {
                crowd.count(NoRoom::UnauthenticatedPerAddress, Some("192.0.2.1".parse().expect("an address")));
                sleep(Duration::from_secs(1)).await;
            }
            crowd.count(NoRoom::Unauthenticated, None);
            sleep(QUIET * 10).await;
        };
        tokio::select! {
            () = crowd.tell() => {}
            () = crowding => {}
        }
        let text = std::fs::read_to_string(said.path()).expect("what was said");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("WARN") && lines[0].contains("one from 192.0.2.1"), "{text}");
        assert!(lines[1].contains("INFO") && lines[1].contains("1 by `limits.unauthenticated`, 90 by"), "{text}");
    }
}
