//! `amiwall connect`: stands beside a client that speaks no TLS. What the client says in plain text on this machine goes to
//! amiwall over TLS, and what amiwall says comes back, byte for byte.

mod carry;
mod failure;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::run::LogFormat;
use super::{Exit, Failure, log_to_stderr, say};
use crate::tls;
use carry::Server;

/// How many clients at once. A program that opens more has lost its way.
const CLIENTS_MAX: usize = 64;
/// How long nothing is accepted after the system ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The amiwall to connect to: its listener with TLS.
    #[arg(value_name = "HOST:PORT")]
    server: String,
    /// The authority of its certificate (PEM): `ca.crt` of `amiwall certs`.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Where the client connects to; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5038")]
    listen: SocketAddr,
    /// Listen on an address that is not loopback. What the client says, its secret too, crosses the network in plain text.
    #[arg(long)]
    unsafe_listen: bool,
    /// The name that has to be in amiwall's certificate, where it is not HOST.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A client certificate to show (PEM chain).
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() && !args.unsafe_listen {
        return Err(usage(format!(
            "`{}` is not a loopback address: the client's secret would cross the network in plain text, and whoever reaches \
             the port would speak to amiwall as this machine does\nlisten on 127.0.0.1, or add --unsafe-listen to do it all \
             the same",
            args.listen
        )));
    }
    let server = Arc::new(server(args)?);
    log_to_stderr(LogFormat::Text, tracing::Level::INFO);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::incomplete(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(args.listen, server))
}

fn usage(message: String) -> Failure {
    Failure { exit: Exit::Usage, message }
}

/// Whom to speak to and how, with files that can be used: not the first client is to find out.
fn server(args: &Args) -> Result<Server, Failure> {
    let (host, port) = address(&args.server).map_err(usage)?;
    let named = args.name.as_deref().unwrap_or(&host);
    let name = ServerName::try_from(named)
        .map_err(|_| usage(format!("`{named}` is neither a host name nor an address")))?
        .to_owned();
    let unusable = |error: tls::TlsError| Failure::incomplete(error.to_string());
    let identity = args.certificate.as_deref().zip(args.key.as_deref());
    let config = tls::client_tls(&args.ca, identity).map_err(unusable)?.config;
    Ok(Server { host, port, name, config, has_certificate: identity.is_some(), told: Mutex::default() })
}

/// Host and port of `pbx.example.net:5039`, `192.0.2.1:5039` or `[2001:db8::1]:5039`.
fn address(text: &str) -> Result<(String, u16), String> {
    let wrong = |why: &str| format!("`{text}` is no HOST:PORT: {why}");
    let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("the port is missing, such as `:5039`"))?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("the port is no number up to 65535"))?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner,
        None if host.contains(':') => return Err(wrong("an IPv6 address stands in brackets: `[2001:db8::1]:5039`")),
        None => host,
    };
    if host.is_empty() { Err(wrong("the host is missing")) } else { Ok((host.to_owned(), port)) }
}

async fn serve(listen: SocketAddr, server: Arc<Server>) -> Result<Exit, Failure> {
    let watch = |kind| signal(kind).map_err(|error| Failure::incomplete(format!("cannot watch signals: {error}")));
    let mut signals = [watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?];
    let in_use = "; if an Asterisk or another `amiwall connect` has that port, give another one with --listen";
    let socket = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::incomplete(format!("cannot listen on `{listen}`: {error}{in_use}")))?;
    let bound = socket.local_addr().unwrap_or(listen);
    say(&mut std::io::stderr(), &format!("listening on {bound}, for {server} over TLS"));
    let (clients, stop) = (TaskTracker::new(), CancellationToken::new());
    tokio::select! {
        () = accept(&socket, &server, &clients, &stop) => {}
        () = told(&mut signals) => {}
    }
    drop(socket);
    stop.cancel();
    clients.close();
    clients.wait().await;
    Ok(Exit::Ok)
}

async fn told([interrupt, terminate]: &mut [Signal; 2]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Accepts for ever; each client is carried in a task of its own.
async fn accept(socket: &TcpListener, server: &Arc<Server>, clients: &TaskTracker, stop: &CancellationToken) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut is_failing = false;
    loop {
        let (client, peer) = match socket.accept().await {
            Ok(accepted) => {
                is_failing = false;
                accepted
            }
            Err(error) => {
                // Told once: it may go on for a while.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!("cannot accept connections: {error}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            tracing::warn!(
                "{peer}: closed, since {CLIENTS_MAX} clients are connected; does one of them not close its connections?"
            );
            continue;
        };
        let (server, stop) = (server.clone(), stop.clone());
        clients.spawn(async move {
            carry::carry(client, peer, &server, &stop).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let pair = |host: &str| Ok((host.to_owned(), 5_039));
        assert_eq!(address("pbx.example.net:5039"), pair("pbx.example.net"));
        assert_eq!(address("192.0.2.1:5039"), pair("192.0.2.1"));
        assert_eq!(address("[2001:db8::1]:5039"), pair("2001:db8::1"));
        for (text, why) in [
            ("pbx", "the port is missing"),
            ("pbx:", "the port is no number"),
            ("pbx:0", "the port is no number"),
            ("pbx:65536", "the port is no number"),
            (":5039", "the host is missing"),
            ("[]:5039", "the host is missing"),
            ("2001:db8::1:5039", "in brackets"),
        ] {
            assert!(address(text).is_err_and(|error| error.contains(why) && error.contains(text)), "{text}");
        }
    }
}
