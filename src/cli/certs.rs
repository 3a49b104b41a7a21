//! `amiwall certs`: an authority, a server certificate and a client certificate, to begin with.

use std::path::PathBuf;

use super::{Exit, Failure, out};
use crate::tls::{IssueOptions, issue};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that they are written to.
    #[arg(default_value = "certs")]
    directory: PathBuf,
    /// A name or address by which clients connect; may be given several times. `localhost` and the loopback addresses are
    /// always in.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// The DNS name in the client certificate (`certificate: { san: … }` in the policy).
    #[arg(long, value_name = "NAME", default_value = "client.example")]
    client: String,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut options = IssueOptions { client_name: args.client.clone(), replace: args.force, ..IssueOptions::default() };
    // The first name is the certificate's own; those that the operator gave come first.
    options.server_names = args.names.iter().cloned().chain(options.server_names).collect();
    let issued = issue(&args.directory, &options).map_err(|error| Failure::incomplete(error.to_string()))?;
    for file in &issued.files {
        out(&format!("wrote {}", file.display()));
    }
    out(&format!(
        "\nThe server certificate is for {}.\n\
         Clients need {}; keep the .key files where only amiwall (server.key), that client (client.key) and you (ca.key) can read them.",
        options.server_names.join(", "),
        args.directory.join("ca.crt").display()
    ));
    Ok(Exit::Ok)
}
