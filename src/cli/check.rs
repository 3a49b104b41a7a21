//! `amiwall check`: is the policy valid, and what does it amount to, in plain words.

pub(super) mod describe;
mod growth;
mod limits;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::{Exit, Failure, Format, out, say, say_coloured};
use crate::config::{self, Checked, Diagnostics, Files, Paint};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file.
    policy: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Leave the files and variables alone that the policy names (certificates, secrets): judge its text only.
    #[arg(long)]
    without_files: bool,
    /// Let warnings fail, too.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let files = if args.without_files { Files::Skip } else { Files::Open };
    let checked = config::check(&args.policy, files);
    match args.format {
        Format::Human => human(args, &checked),
        Format::Json => json(args, &checked),
    }
    if checked.as_ref().is_ok_and(|checked| is_refused(args, checked)) {
        return Ok(Exit::InvalidPolicy);
    }
    Ok(checked.as_ref().map_or_else(super::exit_of, |_| Exit::Ok))
}

/// Whether a valid policy fails because of its warnings.
fn is_refused(args: &Args, checked: &Checked) -> bool {
    args.strict && !checked.warnings.is_empty()
}

/// Problems go to standard error, so that the summary can be kept alone.
fn human(args: &Args, checked: &Result<Checked, Diagnostics>) {
    let paint = if std::io::stderr().is_terminal() { Paint::Colour } else { Paint::Plain };
    let problems = match checked {
        Ok(checked) => &checked.warnings,
        Err(problems) => problems,
    };
    if !problems.is_empty() {
        say_coloured(&mut std::io::stderr(), &format!("{}\n", problems.render(paint)));
    }
    let path = args.policy.display();
    match checked {
        Ok(checked) if is_refused(args, checked) => {
            let counts = plural(&[(checked.warnings.len(), "warning")]);
            say(&mut std::io::stderr(), &format!("{path}: not accepted{counts} (--strict)"));
        }
        Ok(checked) => {
            let growth = (!args.without_files).then(|| growth::in_words(&checked.audit.directory));
            out(&format!(
                "{path}: valid{}\n\n{}",
                plural(&[(checked.warnings.len(), "warning")]),
                describe::text(checked, growth.as_deref())
            ));
        }
        Err(problems) => {
            let (errors, warnings) = problems.count();
            let counts = plural(&[(errors, "error"), (warnings, "warning")]);
            let what = if problems.is_unreadable() { "could not be read" } else { "not valid" };
            say(&mut std::io::stderr(), &format!("{path}: {what}{counts}"));
        }
    }
}

/// `: 2 errors, 1 warning`; what there is none of is left out.
fn plural(counts: &[(usize, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> =
        some.map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
}

fn json(args: &Args, checked: &Result<Checked, Diagnostics>) {
    let path = args.policy.display().to_string();
    let value = match checked {
        Ok(checked) => serde_json::json!({
            "path": path,
            "valid": !is_refused(args, checked),
            "digest": checked.digest,
            "problems": checked.warnings.to_json(),
            "audit_bytes_a_day": (!args.without_files).then(|| growth::bytes_a_day(&checked.audit.directory)).flatten(),
            "identities": describe::json(checked),
        }),
        Err(problems) => serde_json::json!({ "path": path, "valid": false, "problems": problems.to_json() }),
    };
    out(&format!("{value:#}"));
}
