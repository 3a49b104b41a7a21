//! What connections cost that do nothing.

use crate::client::{Client, Failure};
use crate::stats::Results;
use crate::targets::{Kind, Running, Tools, clients_max};
use crate::work::as_f64;

const CLIENTS: u64 = 400;

/// What a client costs that is logged in and says nothing. Has to come first: an allocator keeps what it was given.
pub(crate) async fn idle(one: &Running, results: &mut Results) -> Result<(), Failure> {
    let before = one.memory()?;
    let ready = crate::work::clients(one, CLIENTS).await?;
    results.add("memory per idle client, KiB", one.kind, (one.memory()? - before) / as_f64(CLIENTS));
    crate::work::log_off(ready).await
}

/// What a connection costs that has shaken hands and does not log in. Each program is a new one, for the same reason.
pub(crate) async fn unauthenticated(tools: &Tools, backend: u16, results: &mut Results) -> Result<(), Failure> {
    for kind in [Kind::Haproxy, Kind::Stunnel, Kind::Synced] {
        let Some(one) = tools.start(kind, backend).await? else { continue };
        let before = one.memory()?;
        let mut ready = Vec::new();
        for _ in 0..CLIENTS {
            ready.push(Client::connect(&one.target).await?);
        }
        results.add("memory per unauthenticated client, KiB", kind, (one.memory()? - before) / as_f64(CLIENTS));
    }
    Ok(())
}

/// As many idle clients as a process may have files for, up to 10,000.
pub(crate) async fn many(tools: &Tools, backend: u16, results: &mut Results) -> Result<(), Failure> {
    for kind in [Kind::Haproxy, Kind::Synced] {
        let Some(one) = tools.start(kind, backend).await? else { continue };
        let count = clients_max();
        let before = one.memory()?;
        let mut ready = crate::work::clients(&one, count).await?;
        let used = one.memory()? - before;
        for client in ready.iter_mut().step_by(100) {
            client.drive(crate::scenarios::PING, 1, 1, &mut None).await?;
        }
        results.add("many idle clients, how many", kind, as_f64(count));
        results.add("many idle clients, memory per client, KiB", kind, used / as_f64(count));
    }
    Ok(())
}
