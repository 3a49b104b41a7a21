//! How exact the rate limits are.

use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::client::{Client, Failure};
use crate::packet;
use crate::report::Once;
use crate::targets::{Kind, Policy, Tools};
use crate::work::as_f64;

/// Seconds. The last packet does not come just when another one is allowed.
const LONG_S: f64 = 4.07;

/// What is allowed, and by how many identities three times of it is offered.
struct Case {
    name: &'static str,
    rate: u64,
    burst: u64,
    policy: Policy,
    identities: u64,
}

pub(crate) async fn run(tools: &Tools, backend: u16, length: f64, once: &mut Once) -> Result<(), Failure> {
    let own = |limits| Policy { limits, ..Policy::default() };
    let shared_limits = "  actions: { Ping: { rate: 50/second, burst: 50 } }\n";
    let cases = [
        Case {
            name: "8/s of an identity",
            rate: 8,
            burst: 8,
            policy: own("    limits: { Ping: { rate: 8/second, burst: 8 } }\n"),
            identities: 1,
        },
        // More is refused than an identity may be refused: it is slowed down too.
        Case {
            name: "50/s of an identity",
            rate: 50,
            burst: 50,
            policy: own("    limits: { Ping: { rate: 50/second, burst: 50 } }\n"),
            identities: 1,
        },
        Case {
            name: "50/s of an identity, 5 at once",
            rate: 50,
            burst: 5,
            policy: own("    limits: { Ping: { rate: 50/second, burst: 5 } }\n"),
            identities: 1,
        },
        Case {
            name: "50/s, shared by 10",
            rate: 50,
            burst: 50,
            policy: Policy { shared_limits, identities: 10, ..Policy::default() },
            identities: 10,
        },
    ];
    for case in &cases {
        let Some(one) = tools.start_with(Kind::Synced, backend, &case.policy).await? else { continue };
        let mut clients = Vec::new();
        for n in 0..case.identities {
            let name = if case.identities == 1 { "bench".to_owned() } else { format!("other-{n}") };
            clients.push(Client::log_in_as(&name, &one.target).await?);
        }
        case.offer(clients, Duration::from_secs_f64(LONG_S * length), once).await?;
    }
    Ok(())
}

impl Case {
    async fn offer(&self, clients: Vec<Client>, long: Duration, once: &mut Once) -> Result<(), Failure> {
        let tasks = LocalSet::new();
        let pause = Duration::from_secs(self.identities) / u32::try_from(self.rate * 3)?;
        let offering: Vec<_> = clients
            .into_iter()
            .map(|client| tasks.spawn_local(async move { offer(client, pause, long).await.map_err(|e| e.to_string()) }))
            .collect();
        let at = Instant::now();
        let mut admitted = 0;
        let mut sent_for = Duration::ZERO;
        tasks
            .run_until(async {
                for task in offering {
                    let (count, took) = task.await??;
                    admitted += count;
                    sent_for = sent_for.max(took);
                }
                Ok::<_, Failure>(())
            })
            .await?;
        let took = at.elapsed();
        let late = (took - sent_for).as_secs_f64();
        // At once, and then one by one. Who is slowed down is judged later than it sends.
        let limit = (as_f64(self.burst) + as_f64(self.rate) * took.as_secs_f64()).floor();
        let admitted = as_f64(admitted);
        let name = format!("limit of {}, three times of it offered", self.name);
        once.add(format!("{name}, Pings admitted"), Kind::Synced, admitted, format!("{limit} by the limit"));
        once.add(format!("{name}, difference, %"), Kind::Synced, (admitted / limit - 1.0) * 100.0, String::new());
        once.add(format!("{name}, last answer after the last Ping, s"), Kind::Synced, late, String::new());
        Ok(())
    }
}

/// Sends a Ping again and again, whatever is answered. How many were let through, and how long it sent.
async fn offer(mut client: Client, pause: Duration, long: Duration) -> Result<(u64, Duration), Failure> {
    let mut due = interval(pause);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (first, mut last) = (Instant::now(), Duration::ZERO);
    // Whether it was answered, by the number of the action.
    let mut answered: Vec<bool> = Vec::new();
    let (mut admitted, mut open) = (0, 0_u64);
    while first.elapsed() < long || open > 0 {
        tokio::select! {
            _ = due.tick(), if first.elapsed() < long => {
                last = first.elapsed();
                let ping = format!("{}ActionID: a{}\r\n\r\n", crate::scenarios::PING, answered.len());
                client.send(ping.as_bytes()).await?;
                answered.push(false);
                open += 1;
            }
            packet = client.packet() => {
                let packet = packet?;
                let id = packet::header(&packet, "ActionID").and_then(|id| id.strip_prefix(b"a"));
                let at = usize::try_from(id.and_then(packet::number).ok_or("an answer to nothing")?)?;
                let is_answered = answered.get_mut(at).ok_or("an answer to nothing")?;
                if std::mem::replace(is_answered, true) {
                    return Err(format!("two answers to a{at}").into());
                }
                open -= 1;
                if packet.starts_with(b"Response: Success") {
                    admitted += 1;
                } else if !packet::header(&packet, "Message").is_some_and(|why| why.starts_with(b"Rate limit exceeded")) {
                    return Err(format!("a{at} was refused, but not for its rate").into());
                }
            }
        }
    }
    Ok((admitted, last))
}
