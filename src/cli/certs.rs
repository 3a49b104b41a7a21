//! `amiwall certs`: an authority, a server certificate and a client certificate, to begin with.

use std::path::PathBuf;

use super::{Exit, Failure, out};
use crate::tls::{IssueOptions, issue, revoke};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that they are written to.
    #[arg(default_value = "certs")]
    directory: PathBuf,
    /// A name or address by which clients connect; may be given several times [default: this host's name]. `localhost` and
    /// the loopback addresses are always in.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The DNS name in the client certificate (`certificate: { san: … }` in the policy).
    #[arg(long, value_name = "NAME", default_value = "client.example")]
    client: String,
    /// Renew: replace the server and the client certificate that are there. An authority that is there is kept.
    #[arg(long)]
    force: bool,
    /// Revoke the certificate in this file, which the authority in the folder has issued; may be given several times. All
    /// that is done is to write `crl.pem`, with what was revoked before.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "client", "force"])]
    revoke: Vec<PathBuf>,
    /// Write `crl.pem` without revoking more: a first list, or a new one before the old one expires.
    #[arg(long, conflicts_with_all = ["names", "client", "force"])]
    crl: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.crl || !args.revoke.is_empty() {
        let path = revoke(&args.directory, &args.revoke).map_err(|error| Failure::incomplete(error.to_string()))?;
        let path = path.display();
        out(&format!(
            "wrote {path}\nIn the policy: tls: {{ …, client_crl: {path} }}; then reload (SIGHUP): sessions with a revoked certificate end."
        ));
        return Ok(Exit::Ok);
    }
    let mut options = IssueOptions { client_name: args.client.clone(), replace: args.force, ..IssueOptions::default() };
    // The first name is the certificate's own; those that the operator gave come first.
    let mut names = if args.names.is_empty() { host_name().into_iter().collect() } else { args.names.clone() };
    for name in options.server_names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    options.server_names = names;
    let issued = issue(&args.directory, &options).map_err(|error| Failure::incomplete(error.to_string()))?;
    for file in &issued.files {
        out(&format!("wrote {}", file.display()));
    }
    if issued.authority_kept {
        out("kept the authority that was there (ca.crt, ca.key)");
    }
    let folder = args.directory.display();
    let names = options.server_names.join(", ");
    out(&format!(
        "\nThe server certificate is for {names}. Next:\n\
         - in the policy: tls: {{ certificate: {folder}/server.crt, key: {folder}/server.key, client_ca: {folder}/ca.crt }}\n  \
           (a path there begins at the policy file's folder);\n\
         - give clients {folder}/ca.crt to verify amiwall by; the one that has client.crt and client.key can be\n  \
           an identity with certificate: {{ san: {} }};\n\
         - keep {folder}/ca.key elsewhere: who has it can be any client.",
        options.client_name
    ));
    Ok(Exit::Ok)
}

/// This host's name, if a certificate can have it.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    rustls::pki_types::DnsName::try_from(name).ok().map(|_| name.to_owned())
}
