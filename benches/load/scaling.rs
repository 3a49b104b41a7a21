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
const PASSES: usize = 3;
/// Clients, where it is not their number that grows.
const CLIENTS: u64 = 8;
/// Actions that each client has outstanding.
const OUTSTANDING: u64 = 16;
/// What the clients of a case do together in a pass.
const ACTIONS: u64 = 80_000;
const EVENTS: u64 = 160_000;

pub(crate) struct Scaling<'t> {
    pub(crate) tools: &'t Tools,
    /// Its port.
    pub(crate) backend: u16,
    /// How long it runs, as a factor.
    pub(crate) length: f64,
}

/// One of several that differ in one thing.
struct Case<'r> {
    /// What it has how much of.
    label: String,
    one: &'r Running,
    clients: Vec<Client>,
    action: String,
}

impl<'r> Case<'r> {
    async fn pings(label: String, one: &'r Running, clients: u64) -> Result<Self, Failure> {
        Ok(Self { label, one, clients: work::clients(one, clients).await?, action: PING.to_owned() })
    }

    /// What each client has to do, if all do so much. Who needs little CPU does more, since it is counted in hundredths of a
    /// second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn each(&self, all: u64, length: f64) -> Result<u64, Failure> {
        let all = if self.one.kind == Kind::Haproxy { all * 5 } else { all };
        let each = as_f64(all / u64::try_from(self.clients.len())?) * length;
        Ok((each as u64).max(OUTSTANDING))
    }
}

impl Scaling<'_> {
    /// With more clients, that all do something; of HAProxy too, whose cost grows with them as the kernel's does.
    pub(crate) async fn clients(&self, once: &mut Once) -> Result<(), Failure> {
        for kind in [Kind::Haproxy, Kind::Synced] {
            let mut running = Vec::new();
            for clients in [10, 100, 1_000] {
                running.extend(self.tools.start(kind, self.backend).await?.map(|one| (clients, one)));
            }
            let mut cases = Vec::new();
            for (clients, one) in &running {
                cases.push(Case::pings(format!("clients: {clients}"), one, *clients).await?);
            }
            self.actions("Ping", &mut cases, once).await?;
            self.events(&mut cases, once).await?;
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
        let mut cases = Vec::new();
        for (rules, timed) in &running {
            cases.push(Case::pings(format!("rules: {rules}"), &timed.running, CLIENTS).await?);
        }
        self.actions("Ping", &mut cases, once).await?;
        self.events(&mut cases, once).await?;
        for (case, (rules, _)) in cases.iter_mut().zip(&running) {
            case.action = format!("Action: MailboxCount\r\nMailbox: box-{}\r\n", rules - 1);
        }
        self.actions("MailboxCount that its last rule allows", &mut cases, once).await
    }

    /// With more identities; and how long a start and a reload take.
    pub(crate) async fn identities(&self, once: &mut Once) -> Result<(), Failure> {
        let mut running = Vec::new();
        for identities in [0, 999, 9_999] {
            let policy = Policy { identities, ..Policy::default() };
            let (timed, started) = Timed::start(self.tools, self.backend, &policy).await?;
            let all = identities + 1;
            once.add(format!("start, identities: {all}, s"), Kind::Synced, started, String::new());
            let more = Policy { identities: all, ..Policy::default() };
            let reloaded = timed.reload(self.tools, &more).await?;
            once.add(format!("reload, identities: {all}, s"), Kind::Synced, reloaded, String::new());
            // The one that is new.
            Client::log_in_as(&format!("other-{identities}"), &timed.running.target).await?.log_off().await?;
            running.push((all, timed));
        }
        let mut cases = Vec::new();
        for (all, timed) in &running {
            cases.push(Case::pings(format!("identities: {all}"), &timed.running, CLIENTS).await?);
        }
        self.actions("Ping", &mut cases, once).await?;
        self.events(&mut cases, once).await
    }

    /// With a new log, and with one of so many GB, that amiwall wrote itself.
    pub(crate) async fn log(&self, gb: f64, once: &mut Once) -> Result<(), Failure> {
        let (empty, started) = Timed::start(self.tools, self.backend, &Policy::default()).await?;
        once.add("start, log: new, s".to_owned(), Kind::Synced, started, String::new());
        let mut full = Timed::start(self.tools, self.backend, &Policy::default()).await?.0;
        let folder = full.audit(self.tools);
        let mut clients = work::clients(&full.running, 4).await?;
        while folder_len(&folder)?.0 < gb * 1e9 {
            work::events(&full.running, &mut clients, (25_000, 0)).await?;
        }
        drop(clients);
        let (len, last) = folder_len(&folder)?;
        let gb = format!("{:.2} GB", len / 1e9);
        let beside = format!("{:.0} MB of it in the last file", last / 1e6);
        for (cleanly, how) in [(true, "SIGTERM"), (false, "SIGKILL")] {
            let (again, started) = full.start_again(self.tools, cleanly).await?;
            once.add(format!("start, log: {gb}, after {how}, s"), Kind::Synced, started, beside.clone());
            full = again;
        }
        let mut cases = vec![
            Case::pings("log: new".to_owned(), &empty.running, CLIENTS).await?,
            Case::pings(format!("log: {gb}"), &full.running, CLIENTS).await?,
        ];
        self.actions("Ping", &mut cases, once).await?;
        self.events(&mut cases, once).await
    }

    async fn actions(&self, what: &str, cases: &mut [Case<'_>], once: &mut Once) -> Result<(), Failure> {
        let mut costs = vec![Vec::new(); cases.len()];
        for _ in 0..PASSES {
            for (case, costs) in cases.iter_mut().zip(&mut costs) {
                let count = case.each(ACTIONS, self.length)?;
                let work = (case.action.as_str(), OUTSTANDING, count);
                costs.push(work::actions(case.one, &mut case.clients, work).await?.cpu_us());
            }
        }
        add(&format!("CPU per {what}"), cases, &costs, once);
        Ok(())
    }

    async fn events(&self, cases: &mut [Case<'_>], once: &mut Once) -> Result<(), Failure> {
        let mut costs = vec![Vec::new(); cases.len()];
        for _ in 0..PASSES {
            for (case, costs) in cases.iter_mut().zip(&mut costs) {
                let count = case.each(EVENTS, self.length)?;
                costs.push(work::events(case.one, &mut case.clients, (count, 0)).await?.cpu_us());
            }
        }
        add("CPU per event", cases, &costs, once);
        Ok(())
    }
}

/// Medians, and how they compare with the first case in the same pass.
fn add(what: &str, cases: &[Case<'_>], costs: &[Vec<f64>], once: &mut Once) {
    let first = costs.first().map_or(&[][..], Vec::as_slice);
    for (at, (case, costs)) in cases.iter().zip(costs).enumerate() {
        let beside = if at == 0 { String::new() } else { format!("{:.2} of the first", median(&ratios(costs, first))) };
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
