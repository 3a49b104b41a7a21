//! `amiwall audit report`: what a log says of a time, as one page for an auditor.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::{Exit, Failure, check, out, say};
use super::verify::EvidenceArgs;
use crate::audit::{VerifyError, verify_against};
use crate::config::{self, Files};
use crate::learn::{Edge, EdgeError};
use crate::report::{Options, Report, Rights, Signatures};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the log (`audit.directory` of the policy).
    dir: PathBuf,
    /// Report from here on: a time, or a date (UTC).
    #[arg(long, value_name = "TIME", value_parser = |text: &str| edge(Edge::since, text))]
    from: Option<Timestamp>,
    /// Report up to here: a time, or a date (that day included, UTC).
    #[arg(long, value_name = "TIME", value_parser = |text: &str| edge(Edge::until, text))]
    to: Option<Timestamp>,
    /// A policy: the report says in plain words who can do what. Files that it names are left alone.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Where the page goes; standard output, if neither this nor --csv is given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A folder for the same tables as CSV, one file each. It is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    csv: Option<PathBuf>,
    /// The heading.
    #[arg(long, value_name = "TEXT", default_value = "Audit report of amiwall")]
    title: String,
}

fn edge(read: fn(&str) -> Result<Edge, EdgeError>, text: &str) -> Result<Timestamp, &'static str> {
    match read(text) {
        Ok(Edge::At(time)) => Ok(time),
        Ok(Edge::BeforeLast(_)) | Err(_) => Err("write a time (2026-11-20T08:00:00Z) or a date (2026-11-20, UTC)"),
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(Failure { exit: Exit::Usage, message: format!("--from {from} is after --to {to}") });
    }
    let rights = args.policy.as_deref().map(rights).transpose()?;
    let signatures = signatures(args)?;
    let options = Options {
        title: args.title.clone(),
        from: args.from,
        until: args.to,
        made: Timestamp::now(),
        rights,
        signatures,
    };
    let report = Report::of(&args.dir, options).map_err(|error: VerifyError| Failure::incomplete(error.to_string()))?;
    if let Some(folder) = &args.csv {
        fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        for (name, text) in report.csv() {
            write(&folder.join(name), &text)?;
        }
    }
    match &args.out {
        Some(file) => write(file, &report.html())?,
        None if args.csv.is_none() => out(report.html().trim_end()),
        None => {}
    }
    let Some(why) = &report.verdict().broken else { return Ok(Exit::Ok) };
    let why: String = why.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let records = report.verdict().records;
    say(&mut std::io::stderr(), &format!("broken: {why}\nthe report is made from {records} records and says so"));
    Ok(Exit::BrokenChain)
}

/// What vouches for the log beside its chain.
fn signatures(args: &Args) -> Result<Signatures, Failure> {
    let evidence = args.evidence.load()?;
    if evidence.keys.is_empty() && evidence.anchors.is_empty() {
        return Ok(Signatures::NotChecked);
    }
    match verify_against(&args.dir, &evidence, &mut |_, _| ()) {
        Ok(summary) => Ok(Signatures::Good {
            keys: evidence.keys.iter().map(|key| key.name().to_owned()).collect(),
            signed: summary.signed_through.map(|through| (summary.signatures, through)),
            anchored: summary.anchored,
        }),
        Err(error @ VerifyError::Broken { .. }) => Ok(Signatures::Bad(error.to_string())),
        Err(error) => Err(Failure::incomplete(error.to_string())),
    }
}

fn rights(path: &Path) -> Result<Rights, Failure> {
    let checked = config::check(path, Files::Skip).map_err(|problems| Failure::of_policy(&problems))?;
    let identities = check::describe::identities(&checked);
    Ok(Rights { file: path.to_owned(), digest: checked.digest, identities })
}

/// The file appears whole or not at all, and only for its owner: it names persons and addresses.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::incomplete(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser as _;

    use super::*;
    use crate::audit::{Audit, AuditConfig, SigningKey};

    fn report(args: &[&str]) -> Result<Exit, Failure> {
        let cli = crate::cli::Cli::try_parse_from(["amiwall", "audit", "report"].iter().chain(args))
            .map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
        let crate::cli::Command::Audit(args) = cli.command else { panic!("another command") };
        super::super::run(&args)
    }

    #[tokio::test]
    async fn the_exit_code_tells_whole_from_broken_from_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, file, csv) = (dir.path().join("log"), dir.path().join("report.html"), dir.path().join("a/b"));
        let path = |path: &Path| path.to_str().expect("a path").to_owned();
        let (log_arg, file_arg, csv_arg) = (path(&log), path(&file), path(&csv));
        assert_eq!(report(&[&log_arg]).expect_err("missing").exit, Exit::Incomplete);
        Audit::open(&AuditConfig::new(&log)).expect("a log").close().await.expect("closed");
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/example.yaml");
        let args = [&log_arg, "--out", &file_arg, "--csv", &csv_arg, "--policy", policy, "--title", "Q4"];
        assert_eq!(report(&args).expect("a report"), Exit::Ok);
        let page = fs::read_to_string(&file).expect("a page");
        assert!(page.contains("<h1>Q4</h1>") && page.contains("The chain of records is whole"));
        assert!(page.contains("not checked: no public key was given"));
        assert!(
            page.contains("<h3>alice</h3>") && page.contains("It is not the policy")
                || page.contains("names no policy")
        );
        assert_eq!(fs::metadata(&file).expect("a page").permissions().mode() & 0o777, 0o600);
        let kinds = fs::read_to_string(csv.join("kinds.csv")).expect("a table");
        assert!(kinds.contains("start,amiwall started,1\r\n") && kinds.contains("stop"), "{kinds}");
        let segment = log.join("audit-00000000000000000001.jsonl");
        let text = fs::read_to_string(&segment).expect("a segment");
        fs::write(&segment, text.replacen("\"stop\"", "\"Stop\"", 1)).expect("written");
        assert_eq!(report(&[&log_arg, "--out", &file_arg]).expect("a report"), Exit::BrokenChain);
        let page = fs::read_to_string(&file).expect("a page");
        assert!(page.contains("The chain of records is broken") && page.contains("0001.jsonl:2: the record does not"));
    }

    #[tokio::test]
    async fn signatures_are_checked_with_the_key_that_was_given() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| dir.path().join(name);
        let name = |name: &str| file(name).to_str().expect("a path").to_owned();
        for key in ["audit", "other"] {
            SigningKey::create(&file(&format!("{key}.key")), &file(&format!("{key}.pub"))).expect("a key");
        }
        let config = AuditConfig { signing_key: Some(file("audit.key")), ..AuditConfig::new(file("log")) };
        Audit::open(&config).expect("a log").close().await.expect("closed");
        let run = |key: &str| report(&[&name("log"), "--key", &name(key), "--out", &name("page")]).expect("a report");
        assert_eq!(run("audit.pub"), Exit::Ok);
        let page = fs::read_to_string(file("page")).expect("a page");
        assert!(page.contains("good: 1 checkpoints, up to record 1, by amiwall/"), "{page}");
        assert_eq!(run("other.pub"), Exit::BrokenChain);
        let page = fs::read_to_string(file("page")).expect("a page");
        assert!(page.contains("BAD: ") && page.contains("is not signed with a key that was given"), "{page}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_str().expect("a path");
        assert_eq!(report(&[path, "--from", "7d"]).expect_err("no time").exit, Exit::Usage);
        let usage = report(&[path, "--from", "2026-11-21", "--to", "2026-11-20"]).expect_err("backwards");
        assert!(usage.exit == Exit::Usage && usage.message.contains("is after --to"), "{}", usage.message);
        assert_eq!(report(&[path, "--policy", path]).expect_err("no policy").exit, Exit::Incomplete);
    }
}
