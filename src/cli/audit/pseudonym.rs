//! `amiwall audit pseudonym`: which pseudonym a number has, and new keys.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::{Exit, Failure, out};
use crate::audit::PseudonymKey;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["key", "new"]))]
pub(super) struct Args {
    /// The key (`audit.pseudonymise.key` of the policy).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Make a new key in this file, which must not exist.
    #[arg(long, value_name = "FILE", conflicts_with = "numbers")]
    new: Option<PathBuf>,
    /// Numbers to print the pseudonyms of.
    #[arg(value_name = "NUMBER")]
    numbers: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(path) = &args.new {
        return make(path);
    }
    let Some(path) = &args.key else { return Err(Failure::incomplete("neither --key nor --new is given")) };
    let failed = |why: &dyn std::fmt::Display| Failure::incomplete(format!("{}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let key = PseudonymKey::parse(&text).map_err(|error| failed(&error))?;
    for number in &args.numbers {
        out(&format!("{} {}", key.token(number.as_bytes()), key.id()));
    }
    if args.numbers.is_empty() {
        out(&format!("key {}", key.id()));
    }
    Ok(Exit::Ok)
}

fn make(path: &Path) -> Result<Exit, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::incomplete(format!("cannot make {}: {why}", path.display()));
    let text = PseudonymKey::generate().map_err(|error| failed(&error))?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
    let key = PseudonymKey::parse(text.as_bytes()).map_err(|error| failed(&error))?;
    out(&format!("{} holds a new key, {}; keep it apart from the log", path.display(), key.id()));
    Ok(Exit::Ok)
}
