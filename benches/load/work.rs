//! Work that is done with one program, and what it cost that program.

use std::time::Instant;

use tokio::task::LocalSet;

use crate::client::{Client, Failure};
use crate::targets::Running;

/// What was done, and what it took.
pub(crate) struct Work {
    /// How many actions or events.
    pub(crate) count: f64,
    /// Their bytes, of events.
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    /// Seconds of CPU of the program.
    pub(crate) cpu: f64,
    /// How long each event was on its way, in microseconds, if the events say when they were sent.
    pub(crate) delays: Vec<f64>,
}

impl Work {
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.count
    }
}

/// So many clients, logged in.
pub(crate) async fn clients(one: &Running, count: u64) -> Result<Vec<Client>, Failure> {
    let mut ready = Vec::new();
    for _ in 0..count {
        ready.push(Client::log_in(&one.target).await?);
    }
    Ok(ready)
}

pub(crate) async fn log_off(clients: Vec<Client>) -> Result<(), Failure> {
    for client in clients {
        client.log_off().await?;
    }
    Ok(())
}

/// Each client sends `count` actions, so many of them outstanding.
pub(crate) async fn actions(
    one: &Running,
    clients: &mut Vec<Client>,
    (action, outstanding, count): (&str, u64, u64),
) -> Result<Work, Failure> {
    let (cpu, at) = (one.cpu()?, Instant::now());
    let tasks = LocalSet::new();
    let driving: Vec<_> = clients
        .drain(..)
        .map(|mut client| {
            let action = action.to_owned();
            tasks.spawn_local(async move {
                client.drive(&action, outstanding, count, &mut None).await.map_err(|e| e.to_string())?;
                Ok::<_, String>(client)
            })
        })
        .collect();
    tasks
        .run_until(async {
            for task in driving {
                clients.push(task.await??);
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let (seconds, cpu) = (at.elapsed().as_secs_f64(), one.cpu()? - cpu);
    let count = as_f64(count) * as_f64(u64::try_from(clients.len())?);
    Ok(Work { count, bytes: 0.0, seconds, cpu, delays: Vec::new() })
}

/// Each client takes `count` events, so many a second; 0 is as fast as can be.
pub(crate) async fn events(
    one: &Running,
    clients: &mut Vec<Client>,
    (count, rate): (u64, u64),
) -> Result<Work, Failure> {
    let (cpu, at) = (one.cpu()?, Instant::now());
    let tasks = LocalSet::new();
    let ask =
        format!("Action: UserEvent\r\nUserEvent: flood\r\nCount: {count}\r\nRate: {rate}\r\nActionID: flood\r\n\r\n");
    let taking: Vec<_> = clients
        .drain(..)
        .map(|mut client| {
            let ask = ask.clone();
            tasks.spawn_local(async move {
                client.send(ask.as_bytes()).await.map_err(|e| e.to_string())?;
                let taken = client.take_events(count).await.map_err(|e| e.to_string())?;
                Ok::<_, String>((client, taken))
            })
        })
        .collect();
    let (mut bytes, mut delays) = (0.0, Vec::new());
    tasks
        .run_until(async {
            for task in taking {
                let (client, (len, of_one)) = task.await??;
                clients.push(client);
                bytes += as_f64(len);
                delays.extend(of_one);
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let (seconds, cpu) = (at.elapsed().as_secs_f64(), one.cpu()? - cpu);
    let count = as_f64(count) * as_f64(u64::try_from(clients.len())?);
    Ok(Work { count, bytes, seconds, cpu, delays })
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are few")]
pub(crate) const fn as_f64(number: u64) -> f64 {
    number as f64
}
