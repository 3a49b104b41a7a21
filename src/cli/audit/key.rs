//! `amiwall audit key`: the pair of keys that vouches for a log.

use std::path::PathBuf;

use super::super::{Exit, Failure, out};
use crate::audit::SigningKey;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write `audit.key` and `audit.pub`. No file is replaced.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (private, public) = (args.dir.join("audit.key"), args.dir.join("audit.pub"));
    let key = SigningKey::create(&private, &public).map_err(|error| Failure::incomplete(error.to_string()))?;
    out(&format!(
        "Written: {private}, {public}.\n\n\
         In the policy, under `audit`, `signing_key: {private}` (a path is relative to the policy file), then restart \
         amiwall.\nKeep {public} where whoever can write the log cannot; with it anybody can check the log:\n\n    \
         amiwall audit verify DIR --key {public}\n\nAs a line for programs that read signed notes:\n\n    {note}",
        private = private.display(),
        public = public.display(),
        note = key.note_key(),
    ));
    Ok(Exit::Ok)
}
