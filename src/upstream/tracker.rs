//! [`track`]: a session of amiwall's own at an upstream, which watches calls begin and end for `concurrent` limits, so that
//! the calls of a client that logs off at once are counted too.
//!
//! It asks for all channels when it begins (a session, an Asterisk that was started anew) and now and then, which finds the
//! Hangup that nobody saw. While there is no session, or its list is not complete, amiwall lets no such call through.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Connector, IdPrefix, Inlet, Outlet};
use crate::ami::{EventMask, ListFrame, PrivilegeClass, Reply, ReplyKind};
use crate::policy::{Buckets, LiveChannel};

/// How often all channels are asked for.
const LIST_INTERVAL: Duration = Duration::from_secs(30);
/// A list that takes longer is not one: Asterisk hangs, or the session is dead.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);
/// The first and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Attach(#[from] super::UpstreamError),
    #[error("the session is over: {0}")]
    Io(#[from] std::io::Error),
    #[error("the list of channels was refused ({0}); the account needs `read = call` and `write = reporting`")]
    Refused(String),
    #[error("Asterisk did not list its channels within {} s", LIST_TIMEOUT.as_secs())]
    Slow,
}

/// Watches the calls at one upstream, for ever.
pub async fn track(connector: Arc<Connector>, buckets: Arc<Buckets>) {
    let name = connector.config().name.clone();
    // Told again when something else is wrong, or when it had worked.
    let (mut pause, mut told) = (PAUSE.0, String::new());
    let untrack = Untrack { buckets: &buckets, upstream: &name };
    loop {
        let mut has_listed = false;
        let lost = watch(&connector, &buckets, &name, &mut has_listed).await;
        untrack.now();
        if has_listed {
            (pause, told) = (PAUSE.0, String::new());
        }
        let lost = lost.map_or_else(|lost| lost.to_string(), |()| "its settings have changed".to_owned());
        if lost != told {
            tracing::warn!(
                upstream = name,
                "calls cannot be counted now, so those with a `concurrent` limit are refused: {lost}"
            );
            told = lost;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Whoever stops watching, for whatever reason, leaves nothing behind that says that somebody does.
struct Untrack<'a> {
    buckets: &'a Buckets,
    upstream: &'a str,
}

impl Untrack<'_> {
    fn now(&self) {
        self.buckets.lost_track(self.upstream);
    }
}

impl Drop for Untrack<'_> {
    fn drop(&mut self) {
        self.now();
    }
}

/// One session; `Ok` when the upstream's settings have changed.
async fn watch(connector: &Connector, buckets: &Buckets, name: &str, has_listed: &mut bool) -> Result<(), Lost> {
    let config = connector.config();
    let (mut inlet, mut outlet) = connector.attach(&config.login, EventMask::of([PrivilegeClass::Call])).await?;
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| std::io::Error::other("no random numbers"))?;
    let prefix = IdPrefix::from_random(u128::from_be_bytes(random));
    for number in 0.. {
        list(&mut inlet, &mut outlet, (buckets, name), &prefix.id(number)).await?;
        *has_listed = true;
        let until = Instant::now() + LIST_INTERVAL;
        while let Ok(reply) = timeout_at(until, inlet.next()).await {
            take(buckets, name, &reply?.ok_or_else(closed)?);
        }
        let now = connector.config();
        let is_same_login =
            config.login.username == now.login.username && config.login.secret.expose() == now.login.secret.expose();
        if !config.is_same_place(&now) || !is_same_login {
            return Ok(());
        }
    }
    Ok(())
}

fn closed() -> std::io::Error {
    std::io::ErrorKind::UnexpectedEof.into()
}

/// Asks for all channels, and takes what happens meanwhile.
async fn list(inlet: &mut Inlet, outlet: &mut Outlet, (buckets, name): (&Buckets, &str), id: &str) -> Result<(), Lost> {
    let asked = buckets.begin_listing();
    outlet.list_channels(id).await?;
    let deadline = Instant::now() + LIST_TIMEOUT;
    let (mut channels, mut gone) = (Vec::new(), HashSet::new());
    loop {
        let reply = timeout_at(deadline, inlet.next()).await.map_err(|_| Lost::Slow)??.ok_or_else(closed)?;
        if reply.action_id() != Some(id.as_bytes()) {
            // Listed, but over since: it must not come back.
            gone.extend(take(buckets, name, &reply));
        } else if reply.list_frame() == Some(ListFrame::End) {
            channels.retain(|channel: &LiveChannel| !gone.contains(&channel.unique_id));
            buckets.channels_are(name, &channels, asked);
            return Ok(());
        } else if reply.kind() == ReplyKind::Event {
            channels.extend(channel_of(&reply));
        } else if reply.name() != b"Success" {
            let message = reply.message().get("Message").unwrap_or_default();
            return Err(Lost::Refused(String::from_utf8_lossy(message).into_owned()));
        }
    }
}

/// Takes an event; the unique id of a channel that has hung up.
fn take(buckets: &Buckets, name: &str, reply: &Reply) -> Option<Vec<u8>> {
    if reply.kind() != ReplyKind::Event {
        return None;
    }
    match reply.name() {
        b"Newchannel" => {
            if let Some(channel) = channel_of(reply) {
                buckets.channel_is_new(name, &channel);
            }
        }
        b"Hangup" => {
            let gone = reply.message().get("Uniqueid")?;
            buckets.channel_hung_up(name, gone);
            return Some(gone.to_vec());
        }
        b"OriginateResponse" if reply.message().get("Response") == Some(b"Failure") => {
            buckets.call_failed(name, reply.action_id()?);
        }
        _ => {}
    }
    None
}

fn channel_of(reply: &Reply) -> Option<LiveChannel> {
    let value = |name: &str| reply.message().get(name).map(<[u8]>::to_vec);
    Some(LiveChannel { unique_id: value("Uniqueid")?, linked_id: value("Linkedid")? })
}
