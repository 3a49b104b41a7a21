//! The pages that answer a reader's question go as they are told: their files are written, their commands run, in order, with the
//! built amiwall and a simulated Asterisk, and what comes is what stands there. And no page shows a command that nothing runs
//! without a reason here.
//!
//! `AMIWALL_REWRITE_DOCS=1 cargo test --test pages` writes the answers anew.
//!
//! On a page, a block whose first line is a comment with a file's name is that file; the commands of a `console` block run one by
//! one; a comment `<!-- $ COMMAND -->` is run and not shown. `…` on a line of its own stands for any lines. `amiwall run` and
//! `amiwall simulate` stay in the background, once they listen.

mod shape;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use self::stage::Stage;

/// The pages that are played.
const PLAYED: &[&str] = &[
    "audit-privacy.md",
    "crm-originate.md",
    "faq.md",
    "from-manager-conf.md",
    "operations.md",
    "policies.md",
    "replace-ssh-tunnel.md",
    "who-made-this-call.md",
];

/// The blocks of commands that are not run as part of their page: the page, how the block begins, and what runs it or why nothing does.
const NOT_PLAYED: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release -- demo", "runs as `amiwall demo` below, without the release profile"),
    ("README.md", "scripts/test", "it would run itself"),
    ("README.md", "cargo install", "builds with the release profile; `amiwall init` has tests of its own"),
    ("README.md", "amiwall import", "played on from-manager-conf.md"),
    ("audit-format.md", "$ sed -n 2p", "step stranger verifies a real log with the programs of the page"),
    ("audit-report.md", "$ amiwall audit report", "played on who-made-this-call.md; tests/steps/report.sh"),
    ("audit-report.md", "$ cat audit/", "needs jq"),
    (
        "audit-search.md",
        "$ amiwall audit",
        "needs the log of a busy month; played on who-made-this-call.md, tests of src/cli/audit",
    ),
    ("clients.md", "", "tests/steps/clients.sh; tests/connect.rs"),
    (
        "commands.md",
        "",
        "tests/docs.rs runs those about policies/; those of a running amiwall are played on operations.md",
    ),
    ("deployment.md", "", "needs root, systemd or a second machine; tests/steps/sandbox.sh looks at the unit"),
    ("doctor.md", "", "tests/steps/doctor.sh, and tests of src/cli/doctor"),
    ("first-policy.md", "", "tests/first_policy.rs"),
    ("from-manager-conf.md", "sudo ", "needs a real Asterisk"),
    ("getting-started.md", "", "tests/getting_started.rs"),
    ("import.md", "amiwall import", "played on from-manager-conf.md; tests/import.rs"),
    ("incident.md", "", "tests/incident.rs"),
    ("limits.md", "$ amiwall resume", "tests/quota_restart.rs"),
    ("operations.md", "sudo ", "needs root and systemd"),
    ("reason-codes.md", "$ cat audit/", "needs jq"),
    ("recipes.md", "amiwall certs certs --revoke", "played on operations.md"),
    ("recipes.md", "amiwall certs pbx2", "needs a second machine; tests/steps/upstreams.sh plays it"),
    ("recipes.md", "$ amiwall audit search", "tests/proxy/hold.rs looks for the same records"),
    ("recipes.md", "amiwall certs ca", "needs a second machine"),
    ("recipes.md", "$ journalctl", "needs systemd"),
    ("recipes.md", "openssl s_client", "waits for input; played with input on crm-originate.md"),
    ("replace-ssh-tunnel.md", "sudo ", "needs root and systemd"),
    ("rollout.md", "", "needs two weeks; played in short on from-manager-conf.md"),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Plays a page, each on ports of its own, since they run side by side.
fn plays(name: &str, ports: u16, at_least: usize) -> io::Result<()> {
    let file = docs().join(name);
    let page = fs::read_to_string(&file)?;
    let (told, count) = Stage::new(ports)?.play(&page)?;
    assert!(count >= at_least, "only {count} commands were run");
    if env::var_os("AMIWALL_REWRITE_DOCS").is_some() {
        return fs::write(&file, &told);
    }
    let differs = |(number, (told, shown)): (usize, (&str, &str))| {
        (told != shown).then(|| format!("{name}:{}:\nshown: {shown}\ncame:  {told}", number + 1))
    };
    let first = told.lines().zip(page.lines()).enumerate().find_map(differs);
    assert!(told == page, "it goes otherwise (AMIWALL_REWRITE_DOCS=1 writes it anew): {}", first.unwrap_or_default());
    Ok(())
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn an_ssh_tunnel_is_replaced() {
    plays("replace-ssh-tunnel.md", 2000, 4).expect("it goes");
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn a_crm_originates_and_nothing_else() {
    plays("crm-originate.md", 3100, 5).expect("it goes");
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn a_manager_conf_is_moved_from() {
    plays("from-manager-conf.md", 4200, 5).expect("it goes");
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn who_made_a_call_is_proved() {
    plays("who-made-this-call.md", 5300, 5).expect("it goes");
}

#[test]
#[ignore = "needs openssl; the step `pages` runs it"]
fn operations_go_as_told() {
    plays("operations.md", 6400, 8).expect("it goes");
}

#[test]
fn a_shipped_policy_is_made_to_run() {
    plays("policies.md", 1500, 8).expect("it goes");
}

#[test]
fn a_number_has_its_pseudonym() {
    plays("audit-privacy.md", 1400, 2).expect("it goes");
}

#[test]
fn the_demo_shows_what_is_refused_and_that_the_log_is_whole() {
    let demo = Command::new(env!("CARGO_BIN_EXE_amiwall")).arg("demo").output().expect("it runs");
    let shown = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    for what in ["REFUSED: Rate limit exceeded", "No Command, no System.", "records verifies"] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
}

#[test]
fn questions_are_answered_as_told() {
    plays("faq.md", 7500, 1).expect("it goes");
}

/// The first line of each block of commands of a page.
fn shown_commands(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
        if ["sh", "console", "bash", "shell"].contains(&kind) {
            found.extend(block.first());
        }
    }
    found
}

#[test]
fn no_page_shows_a_command_that_nothing_runs_without_a_reason() {
    for page in PLAYED {
        assert!(include_str!("main.rs").contains(&format!("plays(\"{page}\", ")), "no test plays {page}");
    }
    let mut pages: Vec<PathBuf> =
        fs::read_dir(docs()).expect("docs").map(|entry| entry.expect("a page").path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.push(docs().join("../README.md"));
    let (mut used, mut missing) = (vec![false; NOT_PLAYED.len()], Vec::new());
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_played = PLAYED.contains(&name.as_str());
        for first in shown_commands(&page) {
            let reason = NOT_PLAYED.iter().position(|(page, begin, _)| *page == name && first.starts_with(begin));
            if let Some(at) = reason {
                used[at] = true;
            } else if !is_played || !first.starts_with("$ ") {
                missing.push(format!("{name}: {first}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "nothing runs these; play them, or say in NOT_PLAYED what does:\n{}",
        missing.join("\n")
    );
    let stale: Vec<_> = NOT_PLAYED.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry).collect();
    assert!(stale.is_empty(), "no page shows these any more: {stale:?}");
}
