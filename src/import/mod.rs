//! `amiwall import`: the accounts of a manager.conf as a policy with the same rights, and the manager.conf to put in its
//! place. What the policy cannot say is never dropped in silence: it is a [`Note`], and never a right more than before.
//!
//! A file is read by Asterisk's own rules (`reader.rs`), its sections become accounts (`general.rs`, `account.rs`), and those
//! are written down (`policy.rs`, `manager_conf.rs`). Nothing here is written to disk, and no secret is ever in a text.

mod account;
mod acl;
mod comments;
mod filters;
mod general;
mod glob;
mod manager_conf;
mod notes;
mod policy;
mod reader;
mod survey;

use std::path::Path;

use crate::secret::Secret;

use account::Account;
use general::General;
use notes::Notes;
pub use notes::{Fate, Note, Place};
pub use survey::{Reach, Survey, SurveyedAccount, is_yes, options, survey};

/// amiwall reads no larger policy.
const POLICY_LEN_MAX: usize = 1_024 * 1_024;

/// Why there is nothing to import: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

/// An imported manager.conf.
pub struct Imported {
    source: String,
    general: General,
    accounts: Vec<Account>,
    notes: Vec<Note>,
    policy: String,
}

impl std::fmt::Debug for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imported").field("source", &self.source).field("notes", &self.notes).finish_non_exhaustive()
    }
}

/// The secret of an account, which is the client's from now on.
#[derive(Debug)]
pub struct ClientSecret<'a> {
    /// The account.
    pub name: &'a str,
    /// Where the policy looks for it, relative to the policy.
    pub path: String,
    /// What it is.
    pub secret: &'a Secret,
    /// Whether the file holds the secret itself, for MD5 challenge logins; else its argon2id line.
    pub is_challenge: bool,
}

/// One of amiwall's own accounts with Asterisk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAccount {
    /// Its name in manager.conf.
    pub username: String,
    /// Where the policy looks for its secret, relative to the policy.
    pub path: String,
}

/// Imports a file and all that it includes. `challenge` names the accounts whose clients log in by MD5 challenge.
///
/// # Errors
/// If it cannot be read, Asterisk would refuse it, or a name of `challenge` is no account of it.
pub fn import(path: &Path, challenge: &[String]) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let sections = reader::read(path, &mut notes)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let beside = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    // Lists of addresses that accounts may name.
    let names_acls = sections.iter().flat_map(|section| &section.entries).any(|entry| entry.is("acl"));
    let acls = match beside("acl.conf").filter(|_| names_acls) {
        Some(path) => Some(reader::read(&path, &mut Notes::default())?),
        None => None,
    };
    if let Some(users) = beside("users.conf") {
        let place = Place { file: users.display().to_string().into(), line: 1 };
        notes.lost(
            &place,
            "users with `hasmanager` in users.conf can log in to older Asterisks; they are not looked at",
        );
    }
    let general = General::of(&sections, &mut notes);
    let accounts = account::accounts(&sections, acls.as_deref(), &general, &mut notes);
    for name in challenge {
        if !accounts.iter().any(|account| account.name.eq_ignore_ascii_case(name)) {
            let name = notes::shown(name);
            return Err(ImportError(format!("there is no account `{name}` to log in by MD5 challenge")));
        }
    }
    let source = path.display().to_string();
    let notes = notes.into_list();
    let policy = policy::text(&policy::Source {
        path: &source,
        general: &general,
        accounts: &accounts,
        notes: &notes,
        challenge,
    });
    if policy.len() > POLICY_LEN_MAX {
        let count = accounts.len();
        let why =
            format!("{source}: the policy of its {count} accounts would be larger than amiwall reads; split the file");
        return Err(ImportError(why));
    }
    Ok(Imported { source, general, accounts, notes, policy })
}

impl Imported {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// What did not go into it as it stood.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The notes as people read them; empty when there are none.
    #[must_use]
    pub fn notes_text(&self) -> String {
        notes::text(&self.notes)
    }

    /// Whether the policy names certificates that have to be made.
    #[must_use]
    pub fn needs_certificates(&self) -> bool {
        policy::tls_address(&self.general).is_some()
    }

    /// The secrets of the clients. `challenge` as it was given to [`import`].
    #[must_use]
    pub fn client_secrets(&self, challenge: &[String]) -> Vec<ClientSecret<'_>> {
        let secrets = self.accounts.iter().map(|account| ClientSecret {
            name: &account.name,
            path: policy::client_secret_path(&account.name),
            secret: &account.secret,
            is_challenge: policy::is_challenge(account, challenge),
        });
        secrets.collect()
    }

    /// amiwall's accounts with Asterisk, the one for everything else first.
    #[must_use]
    pub fn upstream_accounts(&self) -> Vec<UpstreamAccount> {
        let roles = (1..).zip(&self.accounts).map(|(number, account)| policy::upstream_username(account, number));
        let usernames = std::iter::once(policy::MAIN_USERNAME.to_owned()).chain(roles);
        usernames.map(|username| UpstreamAccount { path: policy::upstream_secret_path(&username), username }).collect()
    }

    /// The manager.conf to put in the place of the old one: on loopback only, with one account for each role.
    /// `secret_of` knows the secrets of [`Imported::upstream_accounts`]; without one, a comment stands in its place.
    pub fn manager_conf(&self, secret_of: impl Fn(&str) -> Option<String>) -> String {
        manager_conf::text(&self.source, &self.general, &self.accounts, &secret_of)
    }
}
