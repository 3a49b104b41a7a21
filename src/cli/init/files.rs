//! What `amiwall init` writes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::Answers;

/// The identity to begin with.
pub(super) const CLIENT: &str = "wallboard";

/// `@WORDS@` are filled in.
const POLICY: &str = include_str!("policy.yaml");
const MANAGER_CONF: &str = include_str!("manager.conf");

/// Where everything goes.
pub(super) struct Place {
    pub(super) policy: PathBuf,
    pub(super) certs: PathBuf,
    pub(super) secret: PathBuf,
    pub(super) snippet: PathBuf,
}

impl Place {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            policy: folder.join("policy.yaml"),
            certs: folder.join("certs"),
            secret: folder.join("secrets/pbx.secret"),
            snippet: folder.join("manager.conf.snippet"),
        }
    }

    /// What must not be there yet. `certs` is looked into by what writes it.
    pub(super) fn files(&self) -> [&Path; 4] {
        [&self.policy, &self.certs, &self.secret, &self.snippet]
    }

    /// Writes a file that is not there, for its owner: what helps to guess a secret is in the policy too.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let failed =
            |error: std::io::Error| Failure::incomplete(format!("{} cannot be written: {error}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
    }
}

/// The policy to begin with.
pub(super) fn policy(answers: &Answers, hash: &str) -> String {
    let Answers { asterisk, username, listen, .. } = answers;
    POLICY
        .replace("@LISTEN@", &listen.to_string())
        .replace("@ASTERISK@", asterisk)
        .replace("@USERNAME@", username)
        .replace("@CLIENT@", CLIENT)
        .replace("@HASH@", hash)
}

/// The section of manager.conf. An Asterisk on another machine has to be told which address amiwall comes from.
pub(super) fn manager_conf(answers: &Answers, secret: &str) -> String {
    let (host, port) = answers.asterisk.rsplit_once(':').unwrap_or((&answers.asterisk, "5038"));
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let bind = address.as_ref().map_or_else(|_| "127.0.0.1".to_owned(), IpAddr::to_string);
    let permit = match address {
        Ok(IpAddr::V4(v4)) if v4.is_loopback() => "permit = 127.0.0.0/255.0.0.0".to_owned(),
        Ok(IpAddr::V6(v6)) if v6.is_loopback() => "permit = ::1/128".to_owned(),
        Err(_) if host.eq_ignore_ascii_case("localhost") => "permit = 127.0.0.0/255.0.0.0".to_owned(),
        _ => "; permit = the address of amiwall's machine, /255.255.255.255; until then nobody is let in".to_owned(),
    };
    MANAGER_CONF
        .replace("@BIND@", &bind)
        .replace("@PORT@", port)
        .replace("@PERMIT@", &permit)
        .replace("@USERNAME@", &answers.username)
        .replace("@SECRET@", secret)
}
