//! What systemd is told, one datagram each to the socket that it names (sd_notify(3)): ready, reloading, stopping, how it
//! goes, and that amiwall works. Nothing happens where there is no such socket.
//!
//! The watchdog is told so after the audit writer's thread has answered and each thread that serves sessions has had a turn:
//! without the one or the other nothing passes any more, and a new process is the cure. A disk that is full or hangs is no
//! reason: sessions stay, actions are refused until it works, and a new process would find the same disk.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Daemon;
use crate::audit::{Audit, Pulse};
use crate::listener::Lanes;

/// How often it is looked how it goes, if the watchdog does not want to hear of it more often.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Tells the service manager something: `READY=1`.
pub(super) fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let name = path.as_encoded_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!("cannot notify the service manager: {error}");
    }
}

/// That the policy is being read again. `READY=1` is to follow. The time tells systemd which of its reloads this is.
pub(super) fn tell_reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    tell(&format!(
        "RELOADING=1\nMONOTONIC_USEC={}",
        i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000
    ));
}

/// How long the watchdog of the service manager waits for a sign, where it wants one of this process.
fn watchdog_timeout() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant =
        std::env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
    number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_meant).map(Duration::from_micros)
}

impl Daemon {
    /// Tells the service manager how it goes and, if it has a watchdog, that amiwall works; until the process is to end.
    pub(super) fn keep_telling(&self) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        let (snapshot, admission) = (self.shared.snapshot.clone(), self.admission.clone());
        let status = move |pulse| {
            let (listeners, clients) = (snapshot.borrow().listeners.len(), admission.occupancy().connections);
            let count = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            format!("{}, {}; {}", count(listeners, "listener"), count(clients, "client"), in_words(pulse))
        };
        let works = (self.shared.audit.clone(), self.lanes.clone());
        self.run(keep_telling(works, watchdog_timeout(), status));
    }
}

const fn in_words(pulse: Pulse) -> &'static str {
    match pulse {
        Pulse::Closed => "the audit log CANNOT be written",
        Pulse::Open => "the audit log is written",
        Pulse::Waiting => "the audit log WAITS for the disk",
    }
}

/// How the log is written; none if its writer does not answer, or one of the threads that serve sessions.
async fn pulse((audit, lanes): &(Audit, Lanes), patience: Duration) -> Option<Pulse> {
    let pulse = audit.pulse(patience).await.ok()?;
    timeout(patience, lanes.turn()).await.ok().map(|()| pulse)
}

async fn keep_telling(works: (Audit, Lanes), watchdog: Option<Duration>, status: impl Fn(Pulse) -> String) {
    // An answer that comes late is still in time.
    let pause = watchdog.map_or(STATUS_INTERVAL, |timeout| STATUS_INTERVAL.min(timeout / 3));
    let mut interval = interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut is_silent) = (String::new(), false);
    loop {
        interval.tick().await;
        let Some(pulse) = pulse(&works, pause).await else {
            if !std::mem::replace(&mut is_silent, true) {
                tracing::error!(
                    "the writer of the audit log does not answer, or a thread that serves sessions: the watchdog is not told \
                     that amiwall works"
                );
            }
            continue;
        };
        is_silent = false;
        if watchdog.is_some() {
            tell("WATCHDOG=1");
        }
        let status = status(pulse);
        if status != told {
            tell(&format!("STATUS={status}"));
            told = status;
        }
    }
}
