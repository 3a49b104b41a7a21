//! `amiwall certs`: an authority, a server certificate and a client certificate, to begin with.

use std::path::{Path, PathBuf};

use super::admin::{Place, tell_itself};
use super::{Exit, Failure, out, say};
use crate::daemon::Verb;
use crate::tls::{
    IssueOptions, Issued, Renewed, RevokedCertificate, TlsError, issue, issue_client, names_in, renew, revoke,
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The folder that they are written to.
    #[arg(default_value = "certs")]
    directory: PathBuf,
    /// A name or address by which clients connect; may be given several times [default: this host's name]. `localhost` and
    /// the loopback addresses are always in.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The DNS name in the client certificate (`certificate: { san: … }` in the policy) [default: client.example]. Where an
    /// authority is already, all that is done is to issue this one: `client-NAME.crt` and `client-NAME.key`.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Renew: replace the server certificate that is there, and `client.crt`, each with the names that it has unless others
    /// are given; with `--client` the one of that client instead. An authority that is there is kept.
    #[arg(long)]
    force: bool,
    /// Revoke the certificate in this file, which the authority in the folder has issued; may be given several times. All
    /// that is done is to write `crl.pem`, with what was revoked before. Of the folder only `ca.crt`, `ca.key` and `crl.pem`
    /// are needed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "client", "force"])]
    revoke: Vec<PathBuf>,
    /// Write `crl.pem` without revoking more: a first list, or a new one before the old one expires.
    #[arg(long, conflicts_with_all = ["names", "client", "force"])]
    crl: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Issue the server certificate anew before it ends, with the names that it has and another key. Nothing is done while
    /// more than a third of its life is left.
    Renew(RenewArgs),
}

#[derive(Debug, clap::Args)]
struct RenewArgs {
    /// The folder of the authority and of the certificates.
    #[arg(default_value = "certs")]
    directory: PathBuf,
    /// The client certificates, too, that are there with their keys (client.crt, client-NAME.crt).
    #[arg(long)]
    client: bool,
    /// However much of their life is left.
    #[arg(long)]
    force: bool,
    /// Then have the running amiwall of this policy file reload, so that the new one is in force.
    #[arg(long, value_name = "POLICY")]
    reload: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(Command::Renew(args)) = &args.command {
        return renewed(args);
    }
    let folder = args.directory.as_path();
    let text = match &args.client {
        _ if args.crl || !args.revoke.is_empty() => new_list(folder, &args.revoke)?,
        Some(name) if folder.join("ca.crt").exists() => one_client(args, name)?,
        _ => all(args)?,
    };
    out(&text);
    Ok(Exit::Ok)
}

fn renewed(args: &RenewArgs) -> Result<Exit, Failure> {
    let all = renew(&args.directory, args.client, args.force).map_err(|error| failure(&error))?;
    for Renewed { certificate, names, old_end, new_end } in &all {
        let (path, names, old_end) = (certificate.display(), names.join(", "), date(*old_end));
        out(&match new_end {
            None => format!("{path} ({names}) is valid until {old_end}: it stays. --force renews it all the same"),
            Some(end) => {
                format!("{path} ({names}) and its key are new: valid until {}, the old one until {old_end}", date(*end))
            }
        });
    }
    if !all.iter().any(|one| one.new_end.is_some()) {
        return Ok(Exit::Ok);
    }
    match &args.reload {
        Some(policy) => tell_itself(Verb::Reload, &Place::of(policy)),
        None => {
            out(
                "amiwall has the new one when it has reloaded: amiwall reload POLICY. A client has its own when it is given both files",
            );
            Ok(Exit::Ok)
        }
    }
}

/// The day and time, UTC.
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn failure(error: &TlsError) -> Failure {
    Failure::incomplete(error.to_string())
}

fn new_list(folder: &Path, files: &[PathBuf]) -> Result<String, Failure> {
    let list = revoke(folder, files).map_err(|error| failure(&error))?;
    let (path, count) = (list.path.display(), list.entries);
    if list.is_first {
        let warning = format!(
            "warning: there was no {path}: this list begins empty, and nothing that was revoked before is in it. If there \
             was a list, put it there (amiwall refuses an older one at a reload) and run this once more"
        );
        say(&mut std::io::stderr(), &warning);
    }
    let mut text = format!("wrote {path}: {count} certificate{} revoked\n", if count == 1 { "" } else { "s" });
    for RevokedCertificate { serial, subject, was_there } in &list.certificates {
        let how = if *was_there { "was there before" } else { "added" };
        text += &format!("  {how}: serial {serial}, {subject}\n");
    }
    let shown = in_policy(folder, "crl.pem");
    Ok(text
        + &format!(
            "In the policy in {}: tls: {{ …, client_crl: {shown} }}; then reload (SIGHUP): sessions with a revoked certificate end.",
            beside(folder)
        ))
}

fn one_client(args: &Args, name: &str) -> Result<String, Failure> {
    if !args.names.is_empty() {
        let why = "with the authority that is there, --client issues the certificate of that client alone; --name is of the server's";
        return Err(Failure { exit: Exit::Usage, message: why.to_owned() });
    }
    let issued = issue_client(&args.directory, name, args.force).map_err(|error| failure(&error))?;
    Ok(wrote(&issued)
        + &format!(
            "\nGive both files to the client, and keep the certificate for a revocation. In the policy it can be\nan identity with certificate: {{ san: {name} }}."
        ))
}

/// The authority, unless it is there, the server's certificate and the first client's.
fn all(args: &Args) -> Result<String, Failure> {
    let folder = args.directory.as_path();
    let mut options = IssueOptions { replace: args.force, ..IssueOptions::default() };
    let old = |name: &str| {
        let path = Some(folder.join(name)).filter(|path| args.force && path.exists());
        path.map(|path| names_in(&path)).transpose()
    };
    let client = old("client.crt").map_err(|error| failure(&error))?.and_then(|names| names.into_iter().next());
    options.client_name = args.client.clone().or(client).unwrap_or(options.client_name);
    let mut names = args.names.clone();
    if names.is_empty() {
        let known = old("server.crt").map_err(|error| {
            Failure::incomplete(format!("{error}; it has the names of the server, so give them with --name"))
        })?;
        names = known.unwrap_or_else(|| host_name().into_iter().collect());
    }
    // The first name is the certificate's own; those that the operator gave come first.
    for name in options.server_names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    options.server_names = names;
    let issued = issue(folder, &options).map_err(|error| failure(&error))?;
    let mut text = wrote(&issued);
    if issued.authority_kept {
        text += "kept the authority that was there (ca.crt, ca.key)\n";
    }
    let has_client = issued.files.iter().any(|file| file.ends_with("client.crt"));
    let paths = ["server.crt", "server.key", "ca.crt"].map(|name| in_policy(folder, name));
    let [certificate, key, authority] = paths;
    text += &format!(
        "\nThe server certificate is for {}. Next:\n\
         - in the policy in {}: tls: {{ certificate: {certificate}, key: {key}, client_ca: {authority} }}\n  \
           (a path there begins at the policy file's folder);\n\
         - give clients {folder}/ca.crt to verify amiwall by;",
        options.server_names.join(", "),
        beside(folder),
        folder = folder.display(),
    );
    if has_client {
        text += &format!(
            " the one that has client.crt and client.key can be\n  an identity with certificate: {{ san: {} }};",
            options.client_name
        );
    }
    text += &format!(
        "\n- keep {0}/ca.key on another machine, with ca.crt: who has it can be any client. One more client\n  \
           (--client NAME), and what is revoked (--revoke), are made there.",
        folder.display()
    );
    Ok(text)
}

fn wrote(issued: &Issued) -> String {
    issued.files.iter().map(|file| format!("wrote {}\n", file.display())).collect()
}

/// The path of a file as a policy has it that lies beside the folder.
fn in_policy(folder: &Path, name: &str) -> String {
    let folder = folder.file_name().map_or_else(|| folder.to_owned(), PathBuf::from);
    folder.join(name).display().to_string()
}

/// The folder that the folder is in.
fn beside(folder: &Path) -> String {
    let parent = folder.file_name().and_then(|_| folder.parent()).filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or_else(|| "this folder".to_owned(), |parent| parent.display().to_string())
}

/// This host's name, if a certificate can have it.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    rustls::pki_types::DnsName::try_from(name).ok().map(|_| name.to_owned())
}
