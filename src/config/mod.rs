//! The policy file: YAML to validated types. All problems of a file are reported at once, with file, line, column and the
//! line itself; a file with one problem is no policy at all.
//!
//! YAML becomes a tree with positions ([`node`]), each section is read from it by its own file, and what comes out are the
//! types of the modules that use them: none of those knows YAML.

mod audit;
mod diagnostic;
mod fields;
mod identities;
mod node;
mod roles;
mod secrets;
mod transport;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::AuditConfig;
use crate::identity::{FailedLogins, Identities, Identity};
use crate::listener::{ConnectionLimits, ListenerConfig};
use crate::networks::Network;
use crate::policy::Policy;
use crate::policy::spec::{LimitSpec, PolicySpec, Position, RoleSpec};
use crate::upstream::UpstreamConfig;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
use fields::{Fields, Problems};
use node::Node;

/// The largest file that is read.
const FILE_LEN_MAX: u64 = 1_024 * 1_024;

/// Everything a policy file says.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// `sha256:…` of its bytes.
    pub digest: String,
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Which Asterisks there are.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// The audit log.
    pub audit: AuditConfig,
    /// How many connections, and for how long.
    pub limits: ConnectionLimits,
    /// When to lock out.
    pub failed_logins: FailedLogins,
    /// Who there is.
    pub identities: Arc<Identities>,
    /// What may be done.
    pub policy: Arc<Policy>,
    /// What the policy was compiled from, for people.
    pub roles: Vec<RoleSpec>,
    /// What is worth a look.
    pub warnings: Diagnostics,
}

/// The sections as they are read; `None` where something is wrong with one, so that the others are read all the same.
struct Sections {
    upstreams: BTreeMap<String, UpstreamConfig>,
    listeners: Vec<ListenerConfig>,
    audit: Option<AuditConfig>,
    limits: Limits,
    roles: Vec<RoleSpec>,
    identities: Vec<Identity>,
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
    networks: &'a BTreeMap<String, Vec<Network>>,
    upstreams: &'a BTreeMap<String, UpstreamConfig>,
}

impl Config {
    /// Reads and validates a policy file, and the files that it names (certificates, secrets).
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let text = read_file(path).map_err(|why| Diagnostics::of_file(path, why))?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut problems = Problems::default();
        let diagnostics = |problems: Problems| problems.into_diagnostics(path, &text);
        let node = match node::parse(&text) {
            Ok(node) => node,
            Err(problem) => {
                problems.errors.push(problem);
                return Err(diagnostics(problems).0);
            }
        };
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let (sections, clients) = read_sections(&node, folder, &mut problems);
        let Sections { upstreams, listeners, audit, limits, roles, identities } = sections;
        let spec = PolicySpec { roles: roles.clone(), clients, shared_limits: limits.shared };
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
        check_permissions(path, &mut problems);
        let (errors, warnings) = diagnostics(problems);
        match audit {
            Some(audit) if errors.is_empty() => Ok(Self {
                path: path.to_owned(),
                digest: format!("sha256:{digest}"),
                listeners,
                upstreams,
                audit,
                limits: limits.connections,
                failed_logins: limits.failed_logins,
                identities: Arc::new(Identities::new(identities)),
                policy: Arc::new(policy),
                roles,
                warnings,
            }),
            _ => Err(errors.with(warnings)),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let len = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if len > FILE_LEN_MAX {
        return Err(format!("is larger than {FILE_LEN_MAX} bytes: this is no policy file"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        format!("is not UTF-8: line {line}")
    })?;
    if text.contains('\0') {
        return Err("has a NUL byte in it: this is no policy file".to_owned());
    }
    Ok(text)
}

/// Keys of the file.
const KEYS: [&str; 8] = ["version", "listeners", "upstreams", "audit", "networks", "limits", "roles", "identities"];

fn read_sections(
    node: &Node,
    folder: &Path,
    problems: &mut Problems,
) -> (Sections, Vec<crate::policy::spec::ClientSpec>) {
    let mut fields = Fields::of(node, "the policy", &KEYS, &["actions"], problems);
    check_version(&mut fields, problems);
    let networks = fields.take("networks").map(|node| transport::networks(node, problems)).unwrap_or_default();
    let base = Context { folder, networks: &networks, upstreams: &BTreeMap::new() };
    let upstreams = fields.need("upstreams", problems).map(|node| transport::upstreams(node, &base, problems));
    let upstreams = upstreams.unwrap_or_default();
    let context = Context { upstreams: &upstreams, ..base };
    let listeners = fields.need("listeners", problems).map(|node| transport::listeners(node, &context, problems));
    let audit = fields.need("audit", problems).and_then(|node| audit::audit(node, &context, problems));
    let limits = fields.take("limits").map(|node| values::limits(node, problems)).unwrap_or_default();
    let roles = fields.need("roles", problems).map(|node| roles::roles(node, problems)).unwrap_or_default();
    let identities = fields.need("identities", problems);
    let identities = identities.map(|node| identities::identities(node, &context, problems)).unwrap_or_default();
    let (identities, clients) = identities.into_iter().unzip();
    let listeners = listeners.unwrap_or_default();
    (Sections { upstreams, listeners, audit, limits, roles, identities }, clients)
}

fn check_version(fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some(node) = fields.need("version", problems) else { return };
    if node.text(problems).is_some_and(|text| text.text != "1") {
        problems.error(node.at, "this amiwall reads `version: 1`", None);
    }
}

/// A policy that others may write is not the operator's own.
fn check_permissions(path: &Path, problems: &mut Problems) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o022 != 0 {
        let help = format!("chmod go-w {}", path.display());
        problems.warn(Position::default(), "the policy file can be changed by other users", Some(help));
    }
}

#[cfg(test)]
mod tests;
