//! `amiwall import`: the accounts of a manager.conf as a policy with the same rights, what it cannot say, and the
//! manager.conf to put in its place.

use std::collections::HashMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Exit, Failure, out, say};
use crate::config::{self, Files};
use crate::identity::hash_secret;
use crate::import::{ClientSecret, Fate, Imported, import};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Asterisk's file; files that it includes, and acl.conf, are looked for beside it.
    manager_conf: PathBuf,
    /// The folder to write policy.yaml, manager.conf.hardened and the secrets to; it is made. `-` prints the policy to
    /// standard output and the manager.conf to standard error, and no secrets.
    #[arg(long, short = 'o', value_name = "DIR|-", default_value = "-")]
    output: PathBuf,
    /// An account whose clients log in by MD5 challenge; may be given several times. Its secret is kept in clear, which such
    /// a login needs, the others' as argon2id lines.
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    challenge: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let imported = import(&args.manager_conf, &args.challenge);
    let imported = imported.map_err(|error| Failure::incomplete(error.to_string()))?;
    check(&imported)?;
    let notes = imported.notes_text();
    if !notes.is_empty() {
        say(&mut std::io::stderr(), &notes);
    }
    if args.output == Path::new("-") {
        out(imported.policy().trim_end());
        let conf = imported.manager_conf(|_| None);
        say(&mut std::io::stderr(), &format!("The manager.conf to put in the place of the old one:\n\n{conf}"));
    } else {
        write(&args.output, &imported, &args.challenge)?;
        out(&next_steps(&args.output, &imported));
    }
    Ok(Exit::Ok)
}

/// What is handed out is valid, whatever stood in the file.
fn check(imported: &Imported) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("the policy cannot be checked: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, imported.policy()).map_err(failed)?;
    config::check(&path, Files::Skip).map(drop).map_err(|diagnostics| {
        Failure::incomplete(format!(
            "the policy made of the file is not valid, which is a fault of amiwall:\n\n{diagnostics}"
        ))
    })
}

fn write(folder: &Path, imported: &Imported, challenge: &[String]) -> Result<(), Failure> {
    let (policy, conf) = (folder.join("policy.yaml"), folder.join("manager.conf.hardened"));
    if let Some(path) = [&policy, &conf, &folder.join("secrets")].into_iter().find(|path| path.exists()) {
        let message = format!("{} is there already; `import` never overwrites. Name another folder", path.display());
        return Err(Failure::incomplete(message));
    }
    let clients = imported.client_secrets(challenge);
    // Whatever could fail fails before the first file is there.
    let texts = clients.iter().map(client_secret).collect::<Result<Vec<_>, _>>()?;
    for (client, text) in clients.iter().zip(&texts) {
        create(&folder.join(&client.path), text, 0o600)?;
    }
    let mut secrets = HashMap::new();
    for account in imported.upstream_accounts() {
        let secret = super::init::random()?;
        create(&folder.join(&account.path), format!("{secret}\n").as_bytes(), 0o600)?;
        secrets.insert(account.username, secret);
    }
    let text = Zeroizing::new(imported.manager_conf(|username| secrets.get(username).cloned()));
    create(&conf, text.as_bytes(), 0o600)?;
    create(&policy, imported.policy().as_bytes(), 0o644)
}

/// What goes into the client's file.
fn client_secret(client: &ClientSecret<'_>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut text = if client.is_challenge {
        Zeroizing::new(client.secret.expose().to_vec())
    } else {
        let line = hash_secret(client.secret).map_err(|error| {
            let message = format!("the secret of `{}`: {error}; give the account another one", client.name);
            Failure::incomplete(message)
        })?;
        Zeroizing::new(line.into_bytes())
    };
    text.push(b'\n');
    Ok(text)
}

/// Writes a file that is not there, in a folder that only the owner can enter if it has to be made for a secret.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("{} cannot be written: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let is_secrets = folder.components().any(|part| part.as_os_str() == "secrets");
        let mode = if is_secrets { 0o700 } else { 0o755 };
        DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(failed)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

fn next_steps(folder: &Path, imported: &Imported) -> String {
    let folder = folder.display();
    let count = |fate: Fate| imported.notes().iter().filter(|note| note.fate == fate).count();
    let counts = Fate::ALL.map(|fate| (count(fate), fate.word()));
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let noted = if counts.is_empty() { String::new() } else { format!(" Lines above: {}.", counts.join(", ")) };
    let certs = if imported.needs_certificates() {
        format!("   Make the certificates: amiwall certs {folder}/certs --name THE-NAME-CLIENTS-CONNECT-BY\n")
    } else {
        String::new()
    };
    format!(
        "Written: {folder}/policy.yaml, {folder}/manager.conf.hardened, {folder}/secrets.{noted}\n\n\
         What to do next:\n\n\
         1. Read the policy, the list at its top first, and take away what no client uses.\n{certs}\
         2. See what it amounts to: amiwall check {folder}/policy.yaml\n\
         3. Put manager.conf.hardened into the place of manager.conf, and run: asterisk -rx 'manager reload'\n\
         4. Start amiwall: amiwall run {folder}/policy.yaml\n\
         5. Point the clients to where the policy listens; their names and secrets are the same. One that logs in by MD5\n   \
            challenge needs `--challenge ACCOUNT` here, or the line that the policy tells of."
    )
}

#[cfg(test)]
mod tests;
