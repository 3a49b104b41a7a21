//! What is measured, one after the other with each program in each round.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use tokio::task::LocalSet;

use crate::client::{Client, Failure};
use crate::stats::{self, Results, median, quantile};
use crate::targets::{Kind, Running, pin};
use crate::work::{self, as_f64};

pub(crate) const PING: &str = "Action: Ping\r\n";
const ORIGINATE: &str = "Action: Originate\r\nChannel: PJSIP/bench\r\nContext: click-to-dial\r\nExten: 2125551234\r\n\
                         Priority: 1\r\nCallerID: bench <1001>\r\nTimeout: 30000\r\nAsync: true\r\n\
                         Variable: campaign_id=17\r\nVariable: lead_id=4711\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Latency,
    Actions,
    Pipelined,
    Originate,
    Flood,
    EventLatency,
    Connect,
}

pub(crate) const ALL: [Scenario; 7] = [
    Scenario::Latency,
    Scenario::Actions,
    Scenario::Pipelined,
    Scenario::Originate,
    Scenario::Flood,
    Scenario::EventLatency,
    Scenario::Connect,
];

impl Scenario {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Actions => "actions",
            Self::Pipelined => "pipelined",
            Self::Originate => "originate",
            Self::Flood => "flood",
            Self::EventLatency => "event-latency",
            Self::Connect => "connect",
        }
    }

    pub(crate) fn is_for(self, kind: Kind) -> bool {
        match self {
            Self::Flood => true,
            Self::Latency | Self::Actions | Self::Pipelined | Self::Originate | Self::EventLatency | Self::Connect => {
                kind != Kind::ActionsOnly
            }
        }
    }

    pub(crate) async fn run(
        self,
        one: &Running,
        (folder, length): (&Path, f64),
        results: &mut Results,
    ) -> Result<(), Failure> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts"
        )]
        let times = |count: u64| ((count as f64 * length) as u64).max(1);
        match self {
            Self::Latency => latency(one, times(3_000), results).await,
            Self::Actions => {
                let names = ["CPU per action, 32 × 1, µs", stats::ACTIONS];
                if one.kind != Kind::Synced {
                    return actions(one, (PING, 32, 1, times(1_500)), names, results).await;
                }
                // The disk of this very moment is what it is compared with.
                let before = group_commits_per_s(folder)?;
                actions(one, (PING, 32, 1, times(1_500)), names, results).await?;
                let after = group_commits_per_s(folder)?;
                results.add(stats::GROUP, Kind::Direct, 2.0 / (1.0 / before + 1.0 / after));
                Ok(())
            }
            Self::Pipelined => {
                let names = ["CPU per action, 8 × 16 pipelined, µs", "actions/s, 8 × 16"];
                actions(one, (PING, 8, 16, times(20_000)), names, results).await
            }
            Self::Originate => {
                let names = ["CPU per Originate, 32 × 1, µs", "Originates/s, 32 × 1"];
                actions(one, (ORIGINATE, 32, 1, times(1_000)), names, results).await
            }
            Self::Flood => flood(one, times(200_000), results).await,
            Self::EventLatency => event_latency(one, times(1_000), results).await,
            Self::Connect => connect(one, times(400), results).await,
        }
    }
}

/// One record of 300 bytes, written and synced, again and again: the median.
pub(crate) fn sync_us(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("sync"))?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let at = Instant::now();
        file.write_all(&[b'x'; 300])?;
        file.sync_data()?;
        took.push(at.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&took))
}

/// The records of 32 callers, written and synced together, again and again: how many a second.
fn group_commits_per_s(folder: &Path) -> Result<f64, Failure> {
    const RECORDS: u64 = 32;
    const SYNCS: u64 = 400;
    let mut file = File::create(folder.join("sync"))?;
    let records = [b'x'; 300].repeat(RECORDS.try_into()?);
    let at = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&records)?;
        file.sync_data()?;
    }
    Ok(as_f64(RECORDS * SYNCS) / at.elapsed().as_secs_f64())
}

/// One client with one Ping outstanding; all that the proxy and the client do is on one processor.
async fn latency(one: &Running, count: u64, results: &mut Results) -> Result<(), Failure> {
    let mut client = Client::log_in(&one.target).await?;
    one.pin("0")?;
    pin(std::process::id(), "0")?;
    let mut latencies = Some(Vec::new());
    client.drive(PING, 1, count, &mut latencies).await?;
    let all = format!("0-{}", std::thread::available_parallelism()?.get() - 1);
    one.pin(&all)?;
    pin(std::process::id(), &all)?;
    results.add("latency of a Ping, p50, µs", one.kind, median(&latencies.unwrap_or_default()));
    client.log_off().await
}

/// So many clients with so many actions outstanding each.
async fn actions(
    one: &Running,
    (action, clients, outstanding, count): (&str, u64, u64, u64),
    [per_action, per_second]: [&'static str; 2],
    results: &mut Results,
) -> Result<(), Failure> {
    let mut ready = work::clients(one, clients).await?;
    let work = work::actions(one, &mut ready, (action, outstanding, count)).await?;
    work::log_off(ready).await?;
    results.add(per_second, one.kind, work.count / work.seconds);
    if one.kind != Kind::Direct {
        results.add(per_action, one.kind, work.cpu_us());
    }
    Ok(())
}

/// Four clients take all events that Asterisk can send.
async fn flood(one: &Running, count: u64, results: &mut Results) -> Result<(), Failure> {
    let work = work::events(one, &mut work::clients(one, 4).await?, (count, 0)).await?;
    results.add("event flood, MB/s", one.kind, work.bytes / work.seconds / 1e6);
    if one.kind != Kind::Direct {
        results.add("event flood, CPU per GB, s", one.kind, work.cpu * 1e9 / work.bytes);
    }
    Ok(())
}

/// 20 sessions with 500 events a second each.
async fn event_latency(one: &Running, count: u64, results: &mut Results) -> Result<(), Failure> {
    let work = work::events(one, &mut work::clients(one, 20).await?, (count, 500)).await?;
    results.add("event latency, 20 × 500/s, p50, µs", one.kind, median(&work.delays));
    results.add("event latency, 20 × 500/s, p99, µs", one.kind, quantile(&work.delays, 0.99));
    Ok(())
}

/// Connections, one after the other in each of four tasks: TCP, TLS, login, logoff.
async fn connect(one: &Running, count: u64, results: &mut Results) -> Result<(), Failure> {
    let (cpu, at) = (one.cpu()?, Instant::now());
    let tasks = LocalSet::new();
    let connecting: Vec<_> = (0..4)
        .map(|_| {
            let target = one.target.clone();
            tasks.spawn_local(async move {
                for _ in 0..count {
                    let client = Client::log_in(&target).await.map_err(|e| e.to_string())?;
                    client.log_off().await.map_err(|e| e.to_string())?;
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    tasks
        .run_until(async {
            for task in connecting {
                task.await??;
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let (took, used) = (at.elapsed().as_secs_f64(), one.cpu()? - cpu);
    let all = as_f64(4 * count);
    results.add("connections/s", one.kind, all / took);
    if one.kind != Kind::Direct {
        results.add("CPU per connection with login, µs", one.kind, used * 1e6 / all);
    }
    Ok(())
}
