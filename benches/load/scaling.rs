//! Whether a cost stays the same when there is more of something: clients, rules, identities, log.

use std::fs;
use std::path::Path;

use crate::client::{Client, Failure};
use crate::report::Once;
use crate::scenarios::PING;
use crate::stats::{median, ratios};
use crate::targets::{Kind, Policy, Running, Tools};
use crate::timed::Timed;
use crate::work::{self, as_f64};

/// How often each case is measured, one case after the other.
const PASSES: usize = 5;
/// Clients, where it is not their number that grows.
const CLIENTS: u64 = 8;
/// Actions that each client has outstanding.
const OUTSTANDING: u64 = 16;

pub(crate) struct Scaling<'t> {
    pub(crate) tools: &'t Tools,
    /// Its port.
    pub(crate) backend: u16,
    /// How long it runs, as a factor.
    pub(crate) length: f64,
}

/// One of several that differ in one thing.
struct Case<'r> {
    /// How much there is of it.
    label: String,
    one: &'r Running,
    action: String,
    clients: u64,
}

impl<'r> Case<'r> {
    fn pings(label: String, one: &'r Running) -> Self {
        Self { label, one, action: PING.to_owned(), clients: CLIENTS }
    }
}

impl Scaling<'_> {
    /// With more clients, that all do something; of HAProxy too, whose cost grows with them as the kernel's does.
    pub(crate) async fn clients(&self, once: &mut Once) -> Result<(), Failure> {
        for kind in [Kind::Haproxy, Kind::Synced] {
            let Some(one) = self.tools.start(kind, self.backend).await? else { continue };
            let case = |clients| Case { clients, ..Case::pings(format!("{clients} clients"), &one) };
            let cases = [10, 100, 1_000].map(case);
            self.actions("Ping", &cases, once).await?;
            self.events(&cases, once).await?;
        }
        Ok(())
    }

    /// With more rules in the role, of another action and of the same one.
    pub(crate) async fn rules(&self, once: &mut Once) -> Result<(), Failure> {
        let mut running = Vec::new();
        for rules in [1, 100, 1_000] {
            let policy = Policy { rules, ..Policy::default() };
            running.push((rules, Timed::start(self.tools, self.backend, &policy).await?.0));
        }
        let (mut pings, mut lasts) = (Vec::new(), Vec::new());
        for (rules, timed) in &running {
            let ping = || Case::pings(format!("{rules} rules"), &timed.running);
            let action = format!("Action: MailboxCount\r\nMailbox: box-{}\r\n", rules - 1);
            pings.push(ping());
            lasts.push(Case { action, ..ping() });
        }
        self.actions("Ping", &pings, once).await?;
        self.actions("MailboxCount, which the last of so many rules of it allows", &lasts, once).await?;
        self.events(&pings, once).await
    }

    /// With more identities; and how long a start and a reload take.
    pub(crate) async fn identities(&self, once: &mut Once) -> Result<(), Failure> {
        let mut running = Vec::new();
        for identities in [0, 999, 9_999] {
            let policy = Policy { identities, ..Policy::default() };
            let (timed, started) = Timed::start(self.tools, self.backend, &policy).await?;
            let all = identities + 1;
            once.add(format!("start with {all} identities, s"), Kind::Synced, started, String::new());
            let more = Policy { identities: all, ..Policy::default() };
            let reloaded = timed.reload(self.tools, &more).await?;
            once.add(format!("reload with {all} identities, s"), Kind::Synced, reloaded, String::new());
            // The one that is new.
            Client::log_in_as(&format!("other-{identities}"), &timed.running.target).await?.log_off().await?;
            running.push((all, timed));
        }
        let cases: Vec<_> =
            running.iter().map(|(all, timed)| Case::pings(format!("{all} identities"), &timed.running)).collect();
        self.actions("Ping", &cases, once).await?;
        self.events(&cases, once).await
    }

    /// With a new log, and with one of 1 GB, that amiwall wrote itself.
    pub(crate) async fn log(&self, once: &mut Once) -> Result<(), Failure> {
        let (empty, started) = Timed::start(self.tools, self.backend, &Policy::default()).await?;
        once.add("start with a new log, s".to_owned(), Kind::Synced, started, String::new());
        let mut full = Timed::start(self.tools, self.backend, &Policy::default()).await?.0;
        let folder = full.audit(self.tools);
        let mut clients = work::clients(&full.running, 4).await?;
        let wanted = 1e9 * self.length.min(1.0);
        while folder_len(&folder)?.0 < wanted {
            work::events(&full.running, &mut clients, (25_000, 0)).await?;
        }
        drop(clients);
        let (len, last) = folder_len(&folder)?;
        let beside = format!("{:.0} MB of it in the last file", last / 1e6);
        for (cleanly, how) in [(true, "SIGTERM"), (false, "SIGKILL")] {
            let (again, started) = full.start_again(self.tools, cleanly).await?;
            once.add(
                format!("start with a log of {:.2} GB after {how}, s", len / 1e9),
                Kind::Synced,
                started,
                beside.clone(),
            );
            full = again;
        }
        let cases = [
            Case::pings("a new log".to_owned(), &empty.running),
            Case::pings(format!("a log of {:.2} GB", len / 1e9), &full.running),
        ];
        self.actions("Ping", &cases, once).await?;
        self.events(&cases, once).await?;
        Ok(())
    }

    async fn actions(&self, what: &str, cases: &[Case<'_>], once: &mut Once) -> Result<(), Failure> {
        let mut costs = vec![Vec::new(); cases.len()];
        for _ in 0..PASSES {
            for (case, costs) in cases.iter().zip(&mut costs) {
                let mut ready = work::clients(case.one, case.clients).await?;
                let count = self.each(100_000, case.clients);
                let work = work::actions(case.one, &mut ready, (&case.action, OUTSTANDING, count)).await?;
                work::log_off(ready).await?;
                costs.push(work.cpu_us());
            }
        }
        add(&format!("CPU per {what}"), cases, &costs, once);
        Ok(())
    }

    async fn events(&self, cases: &[Case<'_>], once: &mut Once) -> Result<(), Failure> {
        let mut costs = vec![Vec::new(); cases.len()];
        for _ in 0..PASSES {
            for (case, costs) in cases.iter().zip(&mut costs) {
                let mut ready = work::clients(case.one, case.clients).await?;
                let work = work::events(case.one, &mut ready, (self.each(200_000, case.clients), 0)).await?;
                work::log_off(ready).await?;
                costs.push(work.cpu_us());
            }
        }
        add("CPU per event", cases, &costs, once);
        Ok(())
    }

    /// What one of so many clients has to do.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn each(&self, all: u64, clients: u64) -> u64 {
        ((as_f64(all / clients) * self.length) as u64).max(OUTSTANDING)
    }
}

/// Medians, and how they compare with the first case in the same pass.
fn add(what: &str, cases: &[Case<'_>], costs: &[Vec<f64>], once: &mut Once) {
    let first = costs.first().map_or(&[][..], Vec::as_slice);
    let than = cases.first().map_or("", |case| &case.label);
    for (at, (case, costs)) in cases.iter().zip(costs).enumerate() {
        let beside = if at == 0 { String::new() } else { format!("{:.2} of {than}", median(&ratios(costs, first))) };
        once.add(format!("{what}, {}, µs", case.label), case.one.kind, median(costs), beside);
    }
}

/// Bytes of records in a log, and in the last of its files.
fn folder_len(folder: &Path) -> Result<(f64, f64), Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "jsonl") {
            files.push((entry.file_name(), entry.metadata()?.len()));
        }
    }
    files.sort();
    Ok((files.iter().map(|(_, len)| as_f64(*len)).sum(), files.last().map_or(0.0, |(_, len)| as_f64(*len))))
}
