//! The policy file: YAML to validated types. All problems of a file are reported at once, with file, line, column and the
//! line itself; a file with one problem is no policy at all.
//!
//! YAML becomes a tree with positions (`node.rs`), each section is read from it by its own file, and what comes out are the
//! types of the modules that use them: none of those knows YAML. Secrets are never shown (`hidden.rs`).

mod admin;
mod admin_http;
mod audit;
mod audit_private;
mod audit_syslog;
mod cases;
mod dangers;
mod diagnostic;
mod fields;
mod hidden;
mod identities;
mod listeners;
mod networks;
mod node;
mod outline;
mod permissions;
mod roles;
mod secrets;
mod source;
mod trust;
mod upstream_tls;
mod upstreams;
mod values;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admission::ConnectionLimits;
use crate::audit::{AuditConfig, PolicyFacts, PolicyFile};
use crate::identity::{FailedLogins, Identities, Identity};
use crate::listener::ListenerConfig;
use crate::networks::{Network, NetworkAcl};
use crate::policy::Policy;
use crate::policy::spec::{ActionSpec, ClientSpec, LimitSpec, PolicySpec, RoleSpec};
use crate::upstream::UpstreamConfig;

pub use admin_http::AdminHttp;
pub use cases::{Direction, Expect, TestCase, test_cases};
pub use diagnostic::{Diagnostic, Diagnostics, Paint, Severity};
use fields::{Fields, Problems};
use hidden::Hidden;
use node::{Node, Value};
pub use outline::Outline;
use source::Source;
pub use trust::{fewer_entries, file_changes, older_list};

/// Everything a policy file says.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// `sha256:…` of its bytes.
    pub digest: String,
    /// What it has, to tell later what changed.
    pub outline: Outline,
    /// The file, and the files that it names to be read.
    pub reads: BTreeSet<PathBuf>,
    /// The files that it names: what they are, for the policy's record.
    pub files: Vec<PolicyFile>,
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Which Asterisks there are.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The audit log.
    pub audit: AuditConfig,
    /// Where administrators ask.
    pub admin_socket: PathBuf,
    /// Where it is told over HTTP how things are.
    pub admin_http: Option<AdminHttp>,
    /// How many connections, and for how long.
    pub limits: ConnectionLimits,
    /// When to lock out.
    pub failed_logins: FailedLogins,
    /// Who there is.
    pub identities: Arc<Identities>,
    /// What may be done.
    pub policy: Arc<Policy>,
    /// What is worth a look.
    pub warnings: Diagnostics,
}

/// Whether the files and variables that a policy names are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They are: this is where amiwall will run.
    Open,
    /// They are left alone: the policy is judged by its text, on a desk or in a pipeline.
    Skip,
}

/// A valid policy file, to be told about; it cannot be run.
#[derive(Debug)]
pub struct Checked {
    /// `sha256:…` of the file's bytes.
    pub digest: String,
    /// Where clients connect.
    pub listeners: Vec<ListenerSummary>,
    /// The upstreams' names and addresses.
    pub upstreams: BTreeMap<String, String>,
    /// The upstreams with their accounts. Where files were left alone, the secrets are not the real ones.
    pub accounts: BTreeMap<String, UpstreamConfig>,
    /// The files that it names to be read.
    pub reads: BTreeSet<PathBuf>,
    /// How many connections, and for how long.
    pub limits: ConnectionLimits,
    /// The audit log.
    pub audit: AuditConfig,
    /// Where administrators ask.
    pub admin_socket: PathBuf,
    /// Who there is. Where files were left alone, secrets that are not in the policy are not the real ones.
    pub identities: Vec<Identity>,
    /// The same, as the policy sees them: roles and attributes.
    pub clients: Vec<ClientSpec>,
    /// All roles.
    pub roles: Vec<RoleSpec>,
    /// What may be done.
    pub policy: Policy,
    /// The file's text.
    pub text: PolicyText,
    /// What is worth a look.
    pub warnings: Diagnostics,
}

/// The lines of a policy file as they may be shown.
#[derive(Debug)]
pub struct PolicyText {
    text: String,
    hidden: Hidden,
}

impl PolicyText {
    /// The line of that number, from 1, without what may be secret.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<String> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Some(self.hidden.show(number, self.text.lines().nth(index)?, 0, 0).text)
    }
}

/// One listener, in words.
#[derive(Clone, Debug)]
pub struct ListenerSummary {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it speaks.
    pub speaks: &'static str,
    /// Who may connect.
    pub networks: NetworkAcl,
    /// Proxies that say whose connection each is.
    pub proxies: Option<NetworkAcl>,
    /// The upstream of its clients.
    pub upstream: String,
}

impl Config {
    /// Reads and validates a policy file, and the files that it names (certificates, secrets).
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let Read { digest, outline, sections, policy, warnings, .. } = read(path, Files::Open)?;
        let listeners: Vec<_> = sections.listeners.into_iter().filter_map(|listener| listener.config).collect();
        Ok(Self {
            path: path.to_owned(),
            digest,
            outline,
            files: trust::files(folder_of(path), &listeners, &sections.upstreams, &sections.reads),
            reads: sections.reads.into_iter().chain([path.to_owned()]).collect(),
            listeners,
            upstreams: sections.upstreams,
            admin_socket: admin::socket(sections.admin.socket, &sections.audit),
            admin_http: sections.admin.http,
            audit: sections.audit,
            limits: sections.limits.connections,
            failed_logins: sections.limits.failed_logins,
            identities: Arc::new(Identities::new(sections.identities)),
            policy: Arc::new(policy),
            warnings,
        })
    }

    /// What the record of it says.
    #[must_use]
    pub fn facts(&self) -> PolicyFacts<'_> {
        let identities = self.identities.iter().count();
        PolicyFacts { digest: &self.digest, file: &self.path, identities, files: &self.files }
    }
}

/// Paths in a policy are relative to it.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

/// Reads and validates a policy file to tell about it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(path: &Path, files: Files) -> Result<Checked, Diagnostics> {
    let Read { digest, text, sections, policy, warnings, .. } = read(path, files)?;
    let upstreams = sections.upstreams.iter().map(|(name, upstream)| (name.clone(), upstream.address.clone()));
    Ok(Checked {
        digest,
        listeners: sections.listeners.into_iter().map(|listener| listener.summary).collect(),
        upstreams: upstreams.collect(),
        accounts: sections.upstreams,
        reads: sections.reads,
        limits: sections.limits.connections,
        admin_socket: admin::socket(sections.admin.socket, &sections.audit),
        audit: sections.audit,
        identities: sections.identities,
        clients: sections.clients,
        roles: sections.roles,
        policy,
        text,
        warnings,
    })
}

/// A file without errors.
struct Read {
    digest: String,
    outline: Outline,
    text: PolicyText,
    sections: Sections,
    policy: Policy,
    warnings: Diagnostics,
}

/// The sections as they are read. What is wrong with one is left out of it, so that the others are read all the same.
struct Sections<Audit = AuditConfig> {
    listeners: Vec<listeners::Listener>,
    upstreams: BTreeMap<String, UpstreamConfig>,
    audit: Audit,
    admin: admin::Admin,
    limits: Limits,
    roles: Vec<RoleSpec>,
    identities: Vec<Identity>,
    clients: Vec<ClientSpec>,
    actions: Vec<ActionSpec>,
    reads: BTreeSet<PathBuf>,
}

/// `limits:`.
#[derive(Default)]
struct Limits {
    connections: ConnectionLimits,
    failed_logins: FailedLogins,
    shared: Vec<LimitSpec>,
}

/// What the readers of sections need to know of their surroundings.
struct Context<'a> {
    /// Paths in the file are relative to it.
    folder: &'a Path,
    files: Files,
    networks: &'a BTreeMap<String, Vec<Network>>,
    upstream_names: &'a [&'a str],
    role_and_identity_names: &'a [&'a str],
    accepts_certificates: bool,
    /// What was named so far.
    reads: RefCell<BTreeSet<PathBuf>>,
}

impl Context<'_> {
    /// The path of a file that is read.
    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.folder.join(name);
        self.reads.borrow_mut().insert(path.clone());
        path
    }
}

fn read(path: &Path, files: Files) -> Result<Read, Diagnostics> {
    let Source { text, digest } = Source::read(path)?;
    let mut problems = Problems::default();
    let (node, hidden) = node::parse(&text, &mut problems);
    let Some(node) = node else { return Err(problems.into_diagnostics(path, &text, &hidden).0) };
    let folder = folder_of(path);
    let sections = read_sections(&node, (folder, files), &mut problems);
    let spec = PolicySpec {
        roles: sections.roles.clone(),
        clients: sections.clients.clone(),
        shared_limits: sections.limits.shared.clone(),
        actions: sections.actions.clone(),
    };
    let policy = match Policy::compile(spec) {
        Ok((policy, warnings)) => {
            problems.warnings.extend(warnings);
            policy
        }
        Err(errors) => {
            problems.errors.extend(errors);
            Policy::default()
        }
    };
    // What is wrong comes first: its consequences are no news.
    if problems.errors.is_empty() {
        dangers::look(&sections, &mut problems);
    }
    permissions::check_policy(path, &sections.reads, &mut problems);
    let (errors, warnings) = problems.into_diagnostics(path, &text, &hidden);
    let Sections { listeners, upstreams, audit, admin, limits, roles, identities, clients, actions, reads } = sections;
    match audit {
        Some(audit) if errors.is_empty() => {
            let sections =
                Sections { listeners, upstreams, audit, admin, limits, roles, identities, clients, actions, reads };
            let outline = Outline::of(&node);
            Ok(Read { digest, outline, text: PolicyText { text, hidden }, sections, policy, warnings })
        }
        _ => Err(errors.with(warnings)),
    }
}

/// Keys of the file.
const KEYS: [&str; 10] =
    ["version", "listeners", "upstreams", "audit", "admin", "networks", "limits", "actions", "roles", "identities"];
/// Keys that later versions have.
const KEYS_LATER: [&str; 1] = ["cluster"];

fn read_sections(
    node: &Node,
    (folder, files): (&Path, Files),
    problems: &mut Problems,
) -> Sections<Option<AuditConfig>> {
    if matches!(node.value, Value::List(_) | Value::Scalar(_)) {
        problems.error(node.at, format!("this is no policy: {} stands where keys belong", node.what()), None);
    }
    let fields = Fields::of(node, "the policy", &KEYS, &KEYS_LATER, problems);
    check_version(&fields, problems);
    let named = fields.take("networks").map(|node| networks::named(node, problems)).unwrap_or_default();
    let names = |key: &str| fields.take(key).map(names_of).unwrap_or_default();
    let context = Context {
        folder,
        files,
        networks: &named,
        upstream_names: &names("upstreams"),
        role_and_identity_names: &[names("roles"), names("identities")].concat(),
        accepts_certificates: fields.take("listeners").is_some_and(listeners::accept_certificates),
        reads: RefCell::default(),
    };
    let mut need = |key: &str| fields.need(key, problems);
    let nodes = [need("listeners"), need("upstreams"), need("audit"), need("roles"), need("identities")];
    let [listeners, upstreams, audit, roles, identities] = nodes;
    let identities = identities.map(|node| identities::identities(node, &context, problems)).unwrap_or_default();
    let (identities, clients) = identities.into_iter().unzip();
    let sections = Sections {
        listeners: listeners.map(|node| listeners::listeners(node, &context, problems)).unwrap_or_default(),
        upstreams: upstreams.map(|node| upstreams::upstreams(node, &context, problems)).unwrap_or_default(),
        audit: audit.and_then(|node| audit::audit(node, &context, problems)),
        admin: fields.take("admin").map(|node| admin::admin(node, &context, problems)).unwrap_or_default(),
        limits: fields.take("limits").map(|node| values::limits(node, problems)).unwrap_or_default(),
        actions: fields.take("actions").map(|node| roles::actions(node, problems)).unwrap_or_default(),
        roles: roles.map(|node| roles::roles(node, problems)).unwrap_or_default(),
        identities,
        clients,
        reads: BTreeSet::new(),
    };
    Sections { reads: context.reads.into_inner(), ..sections }
}

/// The names that a section gives. Those of things that something is wrong with are among them: they may be named
/// elsewhere all the same.
fn names_of(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|(name, _)| name.text.as_str()).collect(),
        Value::Empty | Value::List(_) | Value::Scalar(_) => Vec::new(),
    }
}

fn check_version(fields: &Fields<'_>, problems: &mut Problems) {
    let Some(node) = fields.need("version", problems) else { return };
    if let Some(text) = node.text(problems).filter(|text| text.text != "1") {
        let help = Some("version: 1".to_owned());
        problems.error(text.at, format!("version `{}` is not one that this amiwall reads", text.text), help);
    }
}

#[cfg(test)]
mod tests;
