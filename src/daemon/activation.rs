//! Socket activation (sd_listen_fds(3)): the service manager has opened the sockets, and each is for the listener with its
//! address. A listener without one opens its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

use super::DaemonError;
use crate::config::Config;

/// Room is made for so many: a number that cannot be right would end this process without a word.
fn check_count() -> Result<(), DaemonError> {
    // Those of another process are for that, however many they are.
    let process = std::env::var("LISTEN_PID").unwrap_or_default();
    if !process.is_empty() && process != std::process::id().to_string() {
        return Ok(());
    }
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(max) if count > max => Err(DaemonError::Activation(format!(
            "LISTEN_FDS={count}: no process can have so many sockets from its service manager (RLIMIT_NOFILE is {max}); \
             take LISTEN_FDS out of the environment, or let systemd set it"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The sockets that this process was started with, by their addresses.
#[derive(Debug, Default)]
pub struct Activated(BTreeMap<SocketAddr, TcpListener>);

impl Activated {
    /// Takes the sockets that the environment names, and these names out of it: before there are threads.
    ///
    /// # Errors
    /// If there are more than there can be, one of them does not listen for TCP, or two have one address.
    pub fn take() -> Result<Self, DaemonError> {
        check_count()?;
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = BTreeMap::new();
        for index in 0..passed.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
            let wrong = |why: String| {
                DaemonError::Activation(format!("socket {} of the service manager (`{name}`) {why}", index + 1))
            };
            let unusable = |error: io::Error| wrong(format!("cannot be used: {error}"));
            let socket = passed.take_tcp_listener(index).map_err(unusable)?;
            let socket = socket.ok_or_else(|| wrong("is not there".to_owned()))?;
            if !SockRef::from(&socket).is_listener().map_err(unusable)? {
                return Err(wrong("does not listen: its unit needs `Accept=no`".to_owned()));
            }
            socket.set_nonblocking(true).map_err(unusable)?;
            let address = socket.local_addr().map_err(unusable)?;
            if sockets.insert(address, socket).is_some() {
                return Err(wrong(format!("has the address {address}, as another one: each address once")));
            }
        }
        Ok(Self(sockets))
    }

    /// Every socket needs its listener: whoever connected to another one would wait for ever.
    pub(super) fn check(&self, config: &Config) -> Result<(), DaemonError> {
        let has_listener =
            |address: &&SocketAddr| config.listeners.iter().any(|listener| listener.address == **address);
        let Some(address) = self.0.keys().find(|address| !has_listener(address)) else { return Ok(()) };
        let message = format!(
            "the service manager listens on {address} for amiwall, but no listener of the policy has this address; \
             write the same address into `listeners` and `ListenStream=`, or stop the socket's unit"
        );
        Err(DaemonError::Activation(message))
    }

    /// The socket of a listener: the one that was passed, or a new one.
    pub(super) async fn listen(&self, address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        match self.0.get(&address) {
            // A listener that ends leaves it to the next one with its address.
            Some(socket) => tokio::net::TcpListener::from_std(socket.try_clone()?),
            None => tokio::net::TcpListener::bind(address).await,
        }
    }
}
