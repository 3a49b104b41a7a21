//! The end of the demo: who did what and which rule decided, taken from the audit log; what reached Asterisk; whether the
//! chain verifies; how to go on by hand.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Cast, Stage};
use crate::audit::{self, Evidence, VerifyingKey};
use crate::cli::{Exit, Failure, out};

/// Prints the table of decisions and what reached Asterisk.
pub(super) fn print(stage: &Stage) -> Result<(), Failure> {
    let records = records(&stage.folder.path().join("audit"))?;
    let mut rows: BTreeMap<(String, String, String, String), u32> = BTreeMap::new();
    for record in &records {
        let text = |key: &str| record.get(key).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
        if !["action", "login", "refuse"].contains(&text("kind").as_str()) {
            continue;
        }
        let who = record.get("identity").map_or_else(|| text("peer"), |_| text("identity"));
        let who = who.split(':').next().unwrap_or_default().to_owned();
        let what = record.get("name").map_or_else(|| text("kind"), |_| text("name"));
        let why = match (record.get("reason").is_some(), record.get("rule").is_some()) {
            (true, true) => format!("{} ({})", text("reason"), text("rule")),
            (true, false) => text("reason"),
            (false, _) => text("rule"),
        };
        let decision = record.get("decision").map_or_else(|| "deny".to_owned(), |_| text("decision"));
        *rows.entry((who, what, decision, why)).or_default() += 1;
    }
    out("\nWhat the audit log says, each record of an action on disk before Asterisk saw it:\n");
    let row = |a: &str, b: &str, c: &str, d: &str, e: &str| out(&format!("  {a:<12} {b:<13} {c:<9} {d:>5}  {e}"));
    row("who", "what", "decision", "times", "rule or reason");
    row("---", "----", "--------", "-----", "--------------");
    for ((who, what, decision, why), times) in &rows {
        row(who, what, decision, &times.to_string(), why);
    }
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    for action in stage.sim.executed() {
        *reached.entry(String::from_utf8_lossy(action.request.action()).into_owned()).or_default() += 1;
    }
    let own = ["Login", "Logoff", "Events"];
    let list: Vec<String> = reached
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, times)| format!("{name} × {times}"))
        .collect();
    out(&format!("\nWhat reached Asterisk beside amiwall's own logins: {}. No Command, no System.", list.join(", ")));
    if reached.contains_key("Command") {
        return Err(Failure::incomplete("a Command reached Asterisk: this is a bug, please report it"));
    }
    Ok(())
}

/// The records that are on disk.
fn records(folder: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let failed = |error: std::io::Error| Failure::incomplete(format!("cannot read {}: {error}", folder.display()));
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            segments.push(path);
        }
    }
    segments.sort();
    let mut records = Vec::new();
    for path in segments {
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        records.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    Ok(records)
}

/// Verifies the chain of the log and says so.
pub(super) fn verify(folder: &Path, key: &Path, stayed: bool) -> Result<Exit, Failure> {
    let key = VerifyingKey::load(key).map_err(|error| Failure::incomplete(error.to_string()))?;
    let evidence = Evidence { keys: vec![key], ..Evidence::default() };
    let summary = match audit::verify_against(folder, &evidence, &mut |_, _| ()) {
        Ok(summary) => summary,
        Err(error) => {
            out(&format!("\nThe audit chain is BROKEN: {error}"));
            return Ok(Exit::BrokenChain);
        }
    };
    out(&format!(
        "\nThe audit chain of {} records verifies: nothing was changed, left out or put in. Its {} checkpoint{} \
         signed, so nobody without the key could have made another.",
        summary.records,
        summary.signatures,
        if summary.signatures == 1 { " is" } else { "s are" },
    ));
    let by_hand = if stayed { "" } else { " `amiwall demo --stay` leaves this one running, to be tried by hand." };
    out(&format!("Next: `amiwall init` writes a policy for your own Asterisk.{by_hand}"));
    Ok(Exit::Ok)
}

/// How to try it by hand.
pub(super) fn how_to_connect(stage: &Stage, cast: &Cast) -> Result<(), Failure> {
    let folder = stage.folder.path().display();
    out(&format!(
        "\nTry it by hand (Ctrl-C ends it). The policy is {folder}/policy.yaml, the audit log {folder}/audit/.\n"
    ));
    out(&format!(
        "openssl s_client -quiet -verify_quiet -crlf -servername localhost -CAfile {folder}/certs/ca.crt -connect {}\n",
        stage.front()?
    ));
    // Flush left: a blank before a header is refused, and these are copied.
    out(&format!(
        "and copy, each with the empty line behind it:\n\nAction: Login\nUsername: alice\nSecret: {}\n",
        cast.alice
    ));
    out("Action: Originate\nChannel: Local/1000@test\nContext: test\nExten: 1002\nPriority: 1\nAsync: true\n");
    out("That one rings. These are refused:\n");
    out("Action: Originate\nChannel: Local/1000@test\nApplication: System\nData: id\n");
    out("Action: Command\nCommand: core show version\n");
    Ok(())
}
