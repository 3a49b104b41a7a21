//! The built program, run with a policy that is in a folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Starts amiwall, and says where it listens.
pub(crate) async fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    command.arg("run").arg(folder.join("policy.yaml")).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    while let Some(line) = lines.next_line().await.expect("a line") {
        if let Some((_, address)) = line.split_once("listening on ") {
            let address = address.trim().parse().expect("an address");
            tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
            return (child, address);
        }
    }
    panic!("it does not listen");
}
