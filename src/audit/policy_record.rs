//! The `policy` records: what is in force from here on, and which files beside the policy decide who gets in.

use std::fmt;
use std::path::Path;

use super::json;
use super::{Draft, Kind};
use crate::tls::TrustFile;

/// More files than this are counted, not listed.
const FILES_MAX: usize = 200;

/// A file that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// The path, as it stands in the policy.
    pub path: String,
    /// Who uses it, and what it is there. Of others, which may be secrets, nothing is told.
    pub used_by: Option<(FileUser, TrustFile)>,
}

/// Who uses a file that decides who is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileUser {
    /// The listener of that address.
    Listener(String),
    /// The upstream of that name.
    Upstream(String),
}

impl fmt::Display for FileUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(address) => f.write_str(address),
            Self::Upstream(name) => write!(f, "upstream {name}"),
        }
    }
}

/// What a policy is, for its record.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFacts<'a> {
    /// `sha256:…` of the file.
    pub digest: &'a str,
    /// The file.
    pub file: &'a Path,
    /// How many identities it has.
    pub identities: usize,
    /// The files that it names.
    pub files: &'a [PolicyFile],
}

impl Draft<'_> {
    /// A policy is in force from here on. `trigger` is `start` or `reload`, `changes` what a reload changes.
    #[must_use]
    pub fn policy(facts: PolicyFacts<'_>, trigger: &str, changes: &[String]) -> Self {
        Self::new(Kind::Policy).with(|out| {
            json::text(out, "file", &facts.file.to_string_lossy());
            json::number(out, "identities", facts.identities);
            json::text(out, "trigger", trigger);
            json::plain(out, "outcome", "loaded");
            if !changes.is_empty() {
                json::list(out, "changes", changes.iter().map(String::as_str));
            }
            if !facts.files.is_empty() {
                files(out, facts.files);
            }
            json::text(out, "policy", facts.digest);
        })
    }

    /// A policy was not taken; `policy` is the digest of the one that stays.
    #[must_use]
    pub fn policy_refused(policy: &str, file: &Path, problem: &str) -> Self {
        Self::new(Kind::Policy).with(|out| {
            json::text(out, "file", &file.to_string_lossy());
            json::plain(out, "trigger", "reload");
            json::plain(out, "outcome", "refused");
            json::text(out, "problem", problem);
            json::text(out, "policy", policy);
        })
    }
}

fn files(out: &mut Vec<u8>, files: &[PolicyFile]) {
    json::objects(out, "files", files.iter().take(FILES_MAX), |out, file| {
        if let Some((user, trust)) = &file.used_by {
            json::text(out, "key", trust.key);
            match user {
                FileUser::Listener(address) => json::text(out, "listener", address),
                FileUser::Upstream(name) => json::text(out, "upstream", name),
            }
            json::text(out, "sha256", &trust.sha256);
            if !trust.lists.is_empty() {
                json::objects(out, "lists", &trust.lists, |out, list| {
                    json::text_if_any(out, "number", &list.number);
                    json::number(out, "entries", list.entries);
                    json::text(out, "next_update", &list.next_update);
                });
            }
        }
        json::text(out, "path", &file.path);
    });
    if let Some(more @ 1..) = files.len().checked_sub(FILES_MAX) {
        json::number(out, "files_more", more);
    }
}
