//! What `amiwall init` writes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::ask::Answers;
use super::roles::Role;

/// `@WORDS@` are filled in.
const POLICY: &str = include_str!("policy.yaml");
const MANAGER_CONF: &str = include_str!("manager.conf");
/// The unit that is shipped.
const UNIT: &str = include_str!("../../../packaging/amiwall.service");

/// Where everything goes.
pub(super) struct Place {
    pub(super) policy: PathBuf,
    pub(super) certs: PathBuf,
    pub(super) secret: PathBuf,
    pub(super) snippet: PathBuf,
    pub(super) unit: PathBuf,
    pub(super) audit: PathBuf,
}

impl Place {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            policy: folder.join("policy.yaml"),
            certs: folder.join("certs"),
            secret: folder.join("secrets/pbx.secret"),
            snippet: folder.join("manager.conf.snippet"),
            unit: folder.join("amiwall.service"),
            audit: folder.join("audit"),
        }
    }

    /// What must not be there yet.
    pub(super) fn files(&self) -> [&Path; 6] {
        [
            &self.policy,
            &self.certs,
            self.secret.parent().unwrap_or(&self.secret),
            &self.snippet,
            &self.unit,
            &self.audit,
        ]
    }

    /// Writes a file that is not there, for its owner: what helps to guess a secret is in the policy too.
    pub(super) fn write(&self, path: &Path, text: &[u8]) -> Result<(), Failure> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(text)).map_err(failed(path))
    }

    /// A folder for its owner.
    pub(super) fn folder(&self, path: &Path) -> Result<(), Failure> {
        if path.exists() {
            return Ok(());
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::incomplete(format!("{} cannot be written: {error}", path.display()))
}

/// The policy to begin with.
pub(super) fn policy(answers: &Answers, hash: &str) -> String {
    let Answers { asterisk, username, listen, client, role, extension, context, .. } = answers;
    let attributes = match role {
        Role::ClickToDial => format!("    attributes: {{ extension: \"{extension}\" }}\n"),
        Role::Wallboard | Role::Monitoring => String::new(),
    };
    POLICY
        .replace("@LISTEN@", &listen.to_string())
        .replace("@ASTERISK@", asterisk)
        .replace("@USERNAME@", username)
        .replace("@ROLE@", role.text())
        .replace("@CONTEXT@", &format!("\"{context}\""))
        .replace("@ROLE_NAME@", role.name())
        .replace("@ATTRIBUTES@", &attributes)
        .replace("@CLIENT@", client)
        .replace("@HASH@", hash)
}

/// The section of manager.conf. An Asterisk on another machine has to be told which address amiwall comes from. Without a
/// secret the one that is there stays.
pub(super) fn manager_conf(answers: &Answers, secret: Option<&str>) -> String {
    let (host, port) = answers.asterisk.rsplit_once(':').unwrap_or((&answers.asterisk, "5038"));
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let bind = address.as_ref().map_or_else(|_| "127.0.0.1".to_owned(), IpAddr::to_string);
    let permit = match address {
        Ok(IpAddr::V4(v4)) if v4.is_loopback() => "permit = 127.0.0.0/255.0.0.0".to_owned(),
        Ok(IpAddr::V6(v6)) if v6.is_loopback() => "permit = ::1/128".to_owned(),
        Err(_) if host.eq_ignore_ascii_case("localhost") => "permit = 127.0.0.0/255.0.0.0".to_owned(),
        _ => "; permit = the address of amiwall's machine, /255.255.255.255; until then nobody is let in".to_owned(),
    };
    let (read, write) = answers.role.classes();
    let secret = secret
        .map_or_else(|| "; keep the line `secret = …` that is there".to_owned(), |secret| format!("secret = {secret}"));
    MANAGER_CONF
        .replace("@BIND@", &bind)
        .replace("@PORT@", port)
        .replace("@PERMIT@", &permit)
        .replace("@READ@", read)
        .replace("@WRITE@", write)
        .replace("@USERNAME@", &answers.username)
        .replace("@SECRET_LINE@", &secret)
}

/// The shipped unit with these paths.
pub(super) fn unit(place: &Place) -> String {
    let (_, program) = program();
    let mut text = String::new();
    for line in UNIT.lines() {
        if line.starts_with("ExecStart=") {
            text += &format!("ExecStart={} run {}\n", word(&program), word(&place.policy));
            // The log is beside the policy, and the rest of the system stays read-only.
            text += &format!("ReadWritePaths={}\n", word(&place.audit));
        } else {
            text += &format!("{line}\n");
        }
    }
    text
}

/// Whether a service sees the folder: the unit keeps homes and temporary folders away from it.
pub(super) fn is_for_a_service(folder: &Path) -> bool {
    !["/home", "/root", "/run/user", "/tmp", "/var/tmp"].iter().any(|away| folder.starts_with(away))
}

/// Where a service finds the program: where it is, or where it has to be put.
pub(super) fn program() -> (PathBuf, PathBuf) {
    let place = PathBuf::from("/usr/local/bin/amiwall");
    let here = std::env::current_exe().unwrap_or_else(|_| place.clone());
    let is_installed = ["/usr", "/opt", "/bin"].iter().any(|system| here.starts_with(system));
    if is_installed { (here.clone(), here) } else { (here, place) }
}

/// A path as one word of a unit.
fn word(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%").replace('$', "$$");
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-%$".contains(&byte));
    if is_plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}
