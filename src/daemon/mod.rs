//! The process: start order, reload, drain.
//!
//! Start: audit log, its `start` and `policy` records (durable), sockets, then accepting, once each upstream was reached.
//! End: no more accepting, sessions finish within a deadline, the log is closed with a `stop` record.

mod activation;
mod admin;
mod http;
mod notify;
mod quotas;
mod signals;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, HashSlots, Occupancy};
use crate::audit::{Audit, Draft, PolicyFile, StartOptions, best_effort};
use crate::config::{Config, Outline, fewer_entries, file_changes, older_list};
use crate::identity::LoginMemory;
use crate::listener::{Lanes, Listener, ListenerConfig, Transport};
use crate::policy::Buckets;
use crate::sandbox::Sandbox;
use crate::session::{Entrance, Sessions, Shared, Snapshot, metrics};
use crate::upstream::{ActionIds, Connector, UpstreamConfig, track};

pub use activation::Activated;
use admin::{AdminSocket, ReloadAnswer, Sights};
pub use admin::{Answer, Overview, Request, Verb, ask};
use http::{Http, HttpSocket};
pub use signals::run;

/// What sessions get to finish when the process ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The first and the longest pause between two attempts to reach Asterisk at start.
const PROBE_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Why the proxy cannot start, or not take a new policy.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The audit log.
    #[error("{0}")]
    Audit(String),
    /// Sockets of the service manager.
    #[error("{0}")]
    Activation(String),
    /// The admin socket.
    #[error(
        "cannot open the admin socket {}: {source}; another place for it is `admin: {{ socket: PATH }}`",
        path.display()
    )]
    Admin {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A listener's address.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A reload changes what only a start can change.
    #[error("`{0}` cannot change while amiwall runs: it needs a restart")]
    NeedsRestart(&'static str),
    /// A reload would take revocations back.
    #[error(
        "{0}: what was revoked since would be let in again. Put the newest list there and reload, or restart amiwall to take this one"
    )]
    OlderList(String),
    /// A reload needs what the sandbox keeps out of reach.
    #[error("{0} is out of reach of the sandbox, which was made for the policy at start: it needs a restart")]
    OutOfReach(String),
    /// There are no threads to serve with.
    #[error("cannot start threads to serve connections with: {0}")]
    Threads(std::io::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

/// One listener that runs.
#[derive(Debug)]
struct Running {
    address: SocketAddr,
    config: watch::Sender<Arc<ListenerConfig>>,
    upstream: watch::Sender<Arc<Connector>>,
    stop: CancellationToken,
}

/// The running proxy.
#[derive(Debug)]
pub struct Daemon {
    shared: Arc<Shared>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    admission: Arc<Admission>,
    activated: Activated,
    connectors: BTreeMap<String, Arc<Connector>>,
    listeners: BTreeMap<String, Running>,
    /// Who watches the calls at an upstream, by its name.
    trackers: BTreeMap<String, CancellationToken>,
    sessions: TaskTracker,
    /// Who serves connections.
    lanes: Lanes,
    audit_config: crate::audit::AuditConfig,
    admin_socket: std::path::PathBuf,
    /// Who serves it.
    admin: Option<JoinHandle<()>>,
    /// What is told there over HTTP.
    http: Http,
    /// Who asks there for a reload; with a sender, so that it is never closed.
    reloads: (mpsc::Sender<ReloadAnswer>, Option<mpsc::Receiver<ReloadAnswer>>),
    /// What holds this process, if something does.
    sandbox: Option<Sandbox>,
    /// What the policy in force has.
    outline: Outline,
    /// The files that it names, as they were when it was read.
    files: Vec<PolicyFile>,
}

fn snapshot_of(config: &Config, connectors: &BTreeMap<String, Arc<Connector>>, generation: u64) -> Arc<Snapshot> {
    let listeners = config.listeners.iter().map(|listener| {
        let certificates = match &listener.transport {
            Transport::Tls(tls) => tls.clients.clone(),
            Transport::Plaintext => None,
        };
        let entrance =
            Entrance { networks: listener.networks.clone(), proxies: listener.proxies.clone(), certificates };
        (listener.address.to_string(), entrance)
    });
    let upstreams = connectors.iter().filter(|(name, _)| config.upstreams.contains_key(*name));
    Arc::new(Snapshot {
        generation,
        policy: config.policy.clone(),
        identities: config.identities.clone(),
        digest: config.digest.clone(),
        listeners: listeners.collect(),
        upstreams: upstreams.map(|(name, connector)| (name.clone(), connector.clone())).collect(),
        login_timeout: config.limits.login_timeout,
        packet_timeout: config.limits.packet_timeout,
    })
}

impl Daemon {
    /// Starts the proxy of a valid configuration.
    ///
    /// # Errors
    /// If the audit log cannot be opened or an address cannot be bound.
    pub async fn start(config: &Config) -> Result<Self, DaemonError> {
        Self::start_with_options(config, StartOptions::default(), Activated::default()).await
    }

    /// As [`Daemon::start`]; `options` say what is done with an audit log that is broken or not signed, `activated` are
    /// sockets that are open already.
    ///
    /// # Errors
    /// As for [`Daemon::start`], and if a socket has no listener.
    pub async fn start_with_options(
        config: &Config,
        options: StartOptions,
        activated: Activated,
    ) -> Result<Self, DaemonError> {
        activated.check(config)?;
        let audit = Audit::open_with(&config.audit, options).map_err(|error| DaemonError::Audit(error.to_string()))?;
        let restored = quotas::restored(config)?;
        // The log has one writer, so this socket has one owner.
        let socket = AdminSocket::bind(&config.admin_socket)?;
        let http = HttpSocket::bind(config.admin_http.as_ref().map(|http| http.address)).await?;
        let lanes = Lanes::start(&audit).map_err(DaemonError::Threads)?;
        let mut daemon = Self::start_with(config, audit, restored, activated, lanes).await?;
        let sights = Sights { shared: daemon.shared.clone(), admission: daemon.admission.clone() };
        daemon.admin = Some(daemon.run(socket.serve(sights, daemon.reloads.0.clone())));
        daemon.serve_http(http);
        Ok(daemon)
    }

    pub(crate) async fn start_with(
        config: &Config,
        audit: Audit,
        (buckets, memory): (Arc<Buckets>, Arc<LoginMemory>),
        activated: Activated,
        lanes: Lanes,
    ) -> Result<Self, DaemonError> {
        let unavailable = |error: crate::audit::AuditUnavailable| DaemonError::Audit(error.to_string());
        audit.commit(Draft::policy(config.facts(), "start", &[])).await.map_err(unavailable)?;
        let (snapshot, receiver) = watch::channel(snapshot_of(config, &BTreeMap::new(), 0));
        let hash_slots = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared {
            snapshot: receiver,
            audit,
            memory,
            buckets,
            action_ids: ActionIds::default(),
            hash_slots: HashSlots::new(hash_slots),
            metrics: metrics(),
            sessions: Sessions::default(),
            shutdown: CancellationToken::new(),
        });
        let reloads = mpsc::channel(1);
        let mut daemon = Self {
            shared,
            snapshot,
            reloads: (reloads.0, Some(reloads.1)),
            admission: Admission::new(config.limits),
            activated,
            connectors: BTreeMap::new(),
            listeners: BTreeMap::new(),
            trackers: BTreeMap::new(),
            sessions: TaskTracker::new(),
            lanes,
            audit_config: config.audit.clone(),
            admin_socket: config.admin_socket.clone(),
            admin: None,
            http: Http::new(config),
            sandbox: None,
            outline: config.outline.clone(),
            files: config.files.clone(),
        };
        daemon.add_connectors(&config.upstreams);
        daemon.snapshot.send_replace(snapshot_of(config, &daemon.connectors, 0));
        let bound = daemon.bind_new(config).await?;
        daemon.track(config);
        let shared = &daemon.shared;
        quotas::keep(&shared.audit, shared.buckets.clone(), shared.memory.clone()).await;
        // Until the writer ends, and not only until the process is told to: sessions finish first.
        tokio::spawn(daemon.shared.audit.keep());
        daemon.run(daemon.admission.clone().tell_of_crowds());
        daemon.start_listeners(bound);
        daemon.http.tell(config, &daemon.connectors);
        Ok(daemon)
    }

    /// This process is in that sandbox: a reload that needs more is refused.
    pub fn set_sandbox(&mut self, sandbox: Sandbox) {
        self.sandbox = Some(sandbox);
    }

    /// Where it listens, with real ports, in the order of the addresses in the policy file.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.values().map(|running| running.address).collect()
    }

    /// How many connections there are, and how many argon2 slots are free.
    #[must_use]
    pub fn occupancy(&self) -> (Occupancy, usize) {
        (self.admission.occupancy(), self.shared.hash_slots.free().0)
    }

    /// Puts another configuration in force. What is new is bound first; nothing changes if that fails.
    ///
    /// # Errors
    /// If an address cannot be bound, or something changed that needs a restart.
    pub async fn reload(&mut self, config: &Config) -> Result<(), DaemonError> {
        if config.audit != self.audit_config {
            return Err(DaemonError::NeedsRestart("audit"));
        }
        if config.admin_socket != self.admin_socket || !self.http.is_as(config) {
            return Err(DaemonError::NeedsRestart("admin"));
        }
        self.activated.check(config)?;
        if let Some(what) = self.sandbox.as_ref().and_then(|sandbox| sandbox.out_of_reach(config)) {
            return Err(DaemonError::OutOfReach(what));
        }
        if let Some(what) = older_list(&self.files, &config.files) {
            return Err(DaemonError::OlderList(what));
        }
        self.add_connectors(&config.upstreams);
        let bound = self.bind_new(config).await?;
        for fewer in fewer_entries(&self.files, &config.files) {
            tracing::warn!("{fewer}");
        }
        let mut changes = self.outline.changes_to(&config.outline);
        changes.extend(file_changes(&self.files, &config.files));
        let record = Draft::policy(config.facts(), "reload", &changes);
        self.shared.audit.commit(record).await.map_err(|error| DaemonError::Audit(error.to_string()))?;
        self.outline = config.outline.clone();
        self.files.clone_from(&config.files);
        self.admission.set_limits(config.limits);
        self.shared.memory.set_failed_logins(config.failed_logins);
        self.shared.memory.forget_changed(&config.identities);
        let clients: Vec<_> = config.policy.clients().collect();
        let limits = clients.iter().map(|(client, limits)| (client, *limits));
        self.shared.buckets.prune(limits, config.policy.shared_limits());
        let generation = self.snapshot.borrow().generation + 1;
        self.snapshot.send_replace(snapshot_of(config, &self.connectors, generation));
        for (name, upstream) in &config.upstreams {
            if let Some(connector) = self.connectors.get(name) {
                connector.set_config(Arc::new(upstream.clone()));
            }
        }
        self.track(config);
        self.change_listeners(config);
        self.start_listeners(bound);
        self.count_reload(config);
        Ok(())
    }

    /// Who asks at the admin socket for a reload. To be asked for once: without it nobody there can reload.
    fn reload_requests(&mut self) -> mpsc::Receiver<ReloadAnswer> {
        self.reloads.1.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Records that a new policy was not taken, and why.
    pub async fn record_failed_reload(&self, path: &std::path::Path, why: &str) {
        self.shared.metrics.reloads.count("refused");
        let in_force = self.snapshot.borrow().digest.clone();
        best_effort(self.shared.audit.commit(Draft::policy_refused(&in_force, path, why)).await);
    }

    /// Records that the process was told to end: no new sessions from here on.
    pub async fn record_drain(&self) {
        best_effort(self.shared.audit.commit(Draft::draining(self.sessions.len())).await);
    }

    /// Stops accepting, lets sessions finish, closes the log.
    pub async fn stop(self) {
        for running in self.listeners.values() {
            running.stop.cancel();
        }
        self.shared.shutdown.cancel();
        self.sessions.close();
        if let Some(admin) = self.admin {
            // Its socket is gone before another amiwall can have one.
            drop(admin.await);
        }
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, self.sessions.wait()).await;
        if drained.is_err() {
            tracing::warn!("some sessions did not finish within {} s", DRAIN_TIMEOUT.as_secs());
        }
        best_effort(self.shared.audit.clone().close().await);
    }

    /// Runs something until the process ends.
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let stop = self.shared.shutdown.clone();
        tokio::spawn(async move { stop.run_until_cancelled(task).await.unwrap_or_default() })
    }

    /// Makes connectors for upstreams that are new.
    fn add_connectors(&mut self, upstreams: &BTreeMap<String, UpstreamConfig>) {
        for (name, config) in upstreams {
            if self.connectors.contains_key(name) {
                continue;
            }
            let connector = Arc::new(Connector::new(Arc::new(config.clone())));
            self.run(reach(connector.clone(), self.shared.clone()));
            self.connectors.insert(name.clone(), connector);
        }
    }

    /// Sees to it that calls are watched at the upstreams, where the policy bounds how many there may be at once.
    fn track(&mut self, config: &Config) {
        self.shared.buckets.retain_upstreams(|name| config.upstreams.contains_key(name));
        let is_wanted = |name: &String| config.policy.has_concurrent() && config.upstreams.contains_key(name);
        self.trackers.retain(|name, stop| {
            let stays = is_wanted(name);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for (name, connector) in self.connectors.iter().filter(|(name, _)| is_wanted(name)) {
            if !self.trackers.contains_key(name) {
                let stop = self.shared.shutdown.child_token();
                let watched = track(connector.clone(), self.shared.buckets.clone());
                self.trackers.insert(name.clone(), stop.clone());
                tokio::spawn(async move { stop.run_until_cancelled(watched).await });
            }
        }
    }

    /// Binds the listeners that the configuration has and the process has not.
    async fn bind_new(&self, config: &Config) -> Result<Vec<(Listener, String, Running)>, DaemonError> {
        let mut bound = Vec::new();
        for listener in &config.listeners {
            let key = listener.address.to_string();
            let Some(connector) = self.connectors.get(&listener.upstream) else { continue };
            if self.listeners.contains_key(&key) {
                continue;
            }
            let (config, config_seen) = watch::channel(Arc::new(listener.clone()));
            let (upstream, upstream_seen) = watch::channel(connector.clone());
            let failed = |source| DaemonError::Bind { address: listener.address, source };
            let socket = self.activated.listen(listener.address).await.map_err(failed)?;
            let socket = Listener::new(socket, config_seen, upstream_seen, self.admission.clone(), self.lanes.clone());
            let address = socket.local_addr().map_err(failed)?;
            bound.push((socket, key, Running { address, config, upstream, stop: CancellationToken::new() }));
        }
        Ok(bound)
    }

    fn start_listeners(&mut self, bound: Vec<(Listener, String, Running)>) {
        for (listener, key, running) in bound {
            tracing::info!("listening on {}", running.address);
            tokio::spawn(listener.run(self.shared.clone(), self.sessions.clone(), running.stop.clone()));
            self.listeners.insert(key, running);
        }
    }

    /// Gives listeners that stay their new settings and stops those that are gone.
    fn change_listeners(&mut self, config: &Config) {
        let wanted: HashMap<String, &ListenerConfig> =
            config.listeners.iter().map(|listener| (listener.address.to_string(), listener)).collect();
        self.listeners.retain(|key, running| {
            let Some(listener) = wanted.get(key) else {
                tracing::info!("no longer listening on {}; its sessions end", running.address);
                running.stop.cancel();
                return false;
            };
            running.config.send_replace(Arc::new((*listener).clone()));
            if let Some(connector) = self.connectors.get(&listener.upstream) {
                running.upstream.send_replace(connector.clone());
            }
            true
        });
    }
}

/// Tries until the upstream was reached once and let us in.
async fn reach(connector: Arc<Connector>, shared: Arc<Shared>) {
    let (mut pause, longest) = PROBE_PAUSE;
    let mut told = String::new();
    while let Err(error) = connector.probe().await {
        let error = error.to_string();
        shared.sessions.note_upstream(&connector.config().name, Some(error.clone()));
        if error != told {
            tracing::warn!("{error}; no client is accepted until it was reached once; trying again");
            told = error;
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    shared.sessions.note_upstream(&connector.config().name, None);
    tracing::info!("upstream `{}` is there", connector.config().name);
}

#[cfg(test)]
mod tests;
