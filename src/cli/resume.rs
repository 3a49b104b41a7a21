//! `amiwall resume`: an identity that was suspended by a `trip` may act again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Exit, Failure, out};
use crate::audit::{ResumeRequest, writer_of};
use crate::config::{Files, check};

/// How long amiwall gets to take a request.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The identity, as the policy spells it.
    identity: String,
    /// The policy file.
    policy: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let checked = check(&args.policy, Files::Skip)
        .map_err(|diagnostics| Failure { exit: Exit::InvalidPolicy, message: diagnostics.to_string() })?;
    let wanted = |name: &&str| name.eq_ignore_ascii_case(&args.identity);
    let Some(identity) = checked.identities.iter().map(|identity| identity.name.as_str()).find(wanted) else {
        let message = format!("there is no identity `{}` in {}", args.identity.escape_debug(), args.policy.display());
        return Err(Failure { exit: Exit::Usage, message });
    };
    let directory = &checked.audit.directory;
    let failed = |error| {
        let help = "run this as the user that amiwall runs as";
        Failure::incomplete(format!("cannot ask for it in `{}`: {error}; {help}", directory.display()))
    };
    let request = ResumeRequest::write(directory, identity).map_err(failed)?;
    let Some(writer) = writer_of(directory).map_err(failed)? else {
        out(&format!("amiwall does not run; it resumes `{identity}` when it starts"));
        return Ok(Exit::Ok);
    };
    let process = rustix::process::Pid::from_raw(writer)
        .ok_or_else(|| Failure::incomplete(format!("the lock in `{}` names no process", directory.display())))?;
    rustix::process::kill_process(process, rustix::process::Signal::USR1).map_err(|error| failed(error.into()))?;
    let begin = Instant::now();
    while request.is_waiting() {
        if begin.elapsed() > PATIENCE {
            let message = format!("amiwall (process {writer}) has not taken it yet; its own messages may say why");
            return Err(Failure::incomplete(message));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // amiwall alone knows whether it was suspended, and says so in its log.
    out(&format!(
        "`{identity}` is not suspended now, and may act as far as the policy lets it; whether it was, the `admin` record in the audit log says"
    ));
    Ok(Exit::Ok)
}
