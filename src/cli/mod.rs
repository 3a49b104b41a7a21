//! The commands. One file each; the only place that knows exit codes.

mod admin;
mod audit;
mod certs;
mod check;
mod connect;
mod contact;
mod demo;
mod doctor;
mod explain;
mod generate;
mod hash_secret;
mod help;
mod import;
mod init;
mod judge;
mod learn;
mod run;
mod sessions;
mod simulate;
mod terminal;
mod test;
mod top;

use std::process::{ExitCode, Termination};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::Diagnostics;
use crate::daemon::Verb;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or allowed.
    Ok = 0,
    /// It could not be completed.
    Incomplete = 1,
    /// Wrong usage (clap's own code too).
    Usage = 2,
    /// Denied, or a test failed, or nothing was found.
    Denied = 3,
    /// The policy is invalid.
    InvalidPolicy = 4,
    /// The audit chain is broken.
    BrokenChain = 5,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Why a command could not be completed: what happened, where, and what to do, in one or more lines.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn incomplete(message: impl Into<String>) -> Self {
        Self { exit: Exit::Incomplete, message: message.into() }
    }

    /// A policy that cannot be used.
    fn of_policy(problems: &Diagnostics) -> Self {
        Self { exit: exit_of(problems), message: problems.to_string() }
    }
}

/// A file that cannot be read may be right.
const fn exit_of(problems: &Diagnostics) -> Exit {
    if problems.is_unreadable() { Exit::Incomplete } else { Exit::InvalidPolicy }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// A firewall for the Asterisk Manager Interface.
#[derive(Debug, Parser)]
#[command(name = "amiwall", version, about, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole thing on this machine: a simulated Asterisk, the proxy, a few clients, the audit trail.
    Demo(demo::Args),
    /// From nothing to a firewall that runs: asks, tries the Asterisk, writes policy, certificates, secrets, the
    /// manager.conf section to paste and the systemd unit.
    Init(init::Args),
    /// Look for ways past amiwall, and for what will stop it: Asterisk, its accounts, this machine. Changes nothing.
    Doctor(doctor::Args),
    /// Run the proxy.
    Run(run::Args),
    /// Validate a policy, and say in plain words what each identity may do.
    Check(check::Args),
    /// Run a policy's own tests.
    Test(test::Args),
    /// Say what would come of a packet, which rule decides it, and what every other rule thinks of it.
    Explain(explain::Args),
    /// Let an identity act again that a `trip` of the policy has suspended, or take a pause off.
    Resume(admin::ResumeArgs),
    /// End the sessions of an identity at once, and let it in no more until it is unlocked.
    Lock(admin::Args),
    /// Let an identity in again that was locked.
    Unlock(admin::Args),
    /// Say who is logged in, from where, and what they do.
    Sessions(sessions::Args),
    /// Show live who is logged in, what they do, what is refused, and how the audit log and Asterisk are.
    Top(top::Args),
    /// End one session at once.
    Kick(admin::KickArgs),
    /// Stop an action at once, for everybody or for one identity, until it is resumed.
    Pause(admin::PauseArgs),
    /// Say which identities are locked or suspended now, and which actions are paused.
    Status(admin::Place),
    /// Have the running amiwall read its policy again, and say what came of it.
    Reload(admin::Place),
    /// Print the argon2id line of a secret, read from a prompt or standard input.
    HashSecret(hash_secret::Args),
    /// Make a policy with the rights of the accounts in a manager.conf, and list what it cannot say.
    Import(import::Args),
    /// Make a certificate authority, a server certificate and a client certificate.
    Certs(certs::Args),
    /// Verify, search and follow the audit log, or report what it says.
    Audit(audit::Args),
    /// Propose a least-privilege policy from the audit log, as a draft in YAML. Nothing is put in force.
    Learn(learn::Args),
    /// Stand beside a client without TLS: plain text on this machine, TLS to amiwall.
    Connect(connect::Args),
    /// Run the simulated Asterisk alone.
    Simulate(simulate::Args),
    /// Explain a command or a topic: policy, patterns, limits, reasons, operations; without a word: which there are.
    Help(help::Args),
    /// Write man pages and shell completions, for a package.
    #[command(hide = true)]
    Generate(generate::Args),
}

/// Runs the command line.
#[must_use]
pub fn run() -> Exit {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Resume(args) => admin::resume(&args),
        Command::Lock(args) => admin::run(Verb::Lock, &args),
        Command::Unlock(args) => admin::run(Verb::Unlock, &args),
        Command::Sessions(args) => sessions::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Kick(args) => admin::kick(&args),
        Command::Pause(args) => admin::pause(&args),
        Command::Status(place) => admin::tell_itself(Verb::Status, &place),
        Command::Reload(place) => admin::tell_itself(Verb::Reload, &place),
        Command::HashSecret(args) => hash_secret::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Help(args) => help::run(&args),
        Command::Generate(args) => generate::run(&args, Cli::command()),
    };
    outcome.unwrap_or_else(|failure| {
        say(&mut std::io::stderr(), &failure.message);
        failure.exit
    })
}

/// Prints a line; a closed pipe is not an error of ours.
fn say(to: &mut impl std::io::Write, text: &str) {
    let result = writeln!(to, "{}", terminal::clean(text));
    drop(result);
}

/// Prints a line that amiwall has coloured, and of which every value was cleaned before.
fn say_coloured(to: &mut impl std::io::Write, text: &str) {
    drop(writeln!(to, "{}", terminal::clean_coloured(text)));
}

/// Prints a line to standard output.
fn out(text: &str) {
    say(&mut std::io::stdout(), text);
}

/// The program's own messages go to standard error, but for what is less important than `level`; they are no part of the
/// audit trail.
fn log_to_stderr(format: run::LogFormat, level: tracing::Level) {
    use std::io::IsTerminal as _;
    let builder = tracing_subscriber::fmt()
        .with_writer(|| terminal::Messages)
        .with_ansi(format == run::LogFormat::Text && std::io::stderr().is_terminal())
        .with_max_level(level)
        .with_target(false);
    // A second call (in tests) leaves the first subscriber in place.
    drop(match format {
        run::LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
        run::LogFormat::Json => {
            let json = builder.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::set_global_default(json.finish())
        }
    });
}
