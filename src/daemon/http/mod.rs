//! What amiwall tells of itself over HTTP, on loopback: `/metrics`, `/live` and `/ready`, one function for each path.
//!
//! It is read only, and for this machine only: whoever is on it may ask. A connection is for one request, which has to come
//! soon; there are few at once, and none of them holds up a session.

mod health;
mod metrics;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::{Daemon, DaemonError};
use crate::admission::Admission;
use crate::config::Config;
use crate::listener::Transport;
use crate::metrics::unix_now;
use crate::session::Shared;
use crate::upstream::Connector;

/// Connections at once; the oldest gives way to a newcomer.
const CONNECTIONS_MAX: usize = 32;
/// How long the head of a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head of a request: the shortest buffer that hyper has.
const HEAD_LEN_MAX: usize = 8 * 1_024;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// What is waited for when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often an upstream that is down is tried, so that what is told of it is so.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// What the process has of it.
#[derive(Debug)]
pub(super) struct Http {
    /// The address in the policy file.
    pub(super) asked: Option<SocketAddr>,
    /// The same with the real port.
    address: Option<SocketAddr>,
    in_force: watch::Sender<Arc<InForce>>,
}

/// What the policy in force has that is told of.
#[derive(Debug, Default)]
struct InForce {
    upstreams: Vec<Arc<Connector>>,
    /// The listeners' addresses, each with the name of its upstream.
    listeners: Vec<(String, String)>,
    /// Of which listener, what it is, and when the first thing in that file ends.
    certificates: Vec<(String, &'static str, i64)>,
    loaded_at: i64,
}

/// What an answer is made of.
#[derive(Debug)]
struct Watched {
    address: SocketAddr,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    in_force: watch::Receiver<Arc<InForce>>,
    started_at: i64,
}

impl Http {
    pub(super) fn new(asked: Option<SocketAddr>) -> Self {
        Self { asked, address: None, in_force: watch::Sender::default() }
    }

    /// Another policy is in force.
    pub(super) fn tell(&self, config: &Config, connectors: &BTreeMap<String, Arc<Connector>>) {
        let wanted = connectors.iter().filter(|(name, _)| config.upstreams.contains_key(*name));
        let listeners = config.listeners.iter();
        let certificates = listeners.clone().flat_map(|listener| {
            let files = match &listener.transport {
                Transport::Tls(tls) => &tls.files[..],
                Transport::Plaintext => &[],
            };
            files.iter().filter_map(move |file| Some((listener.address.to_string(), file.key, file.ends?)))
        });
        self.in_force.send_replace(Arc::new(InForce {
            upstreams: wanted.map(|(_, connector)| connector.clone()).collect(),
            certificates: certificates.collect(),
            listeners: listeners.map(|listener| (listener.address.to_string(), listener.upstream.clone())).collect(),
            loaded_at: unix_now(),
        }));
    }
}

impl Daemon {
    /// Where it answers over HTTP, with the real port.
    #[must_use]
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http.address
    }

    pub(super) fn serve_http(&mut self, socket: Option<HttpSocket>) {
        let Some(HttpSocket { listener, address }) = socket else { return };
        tracing::info!("metrics are at http://{address}/metrics");
        self.http.address = Some(address);
        let watched = Arc::new(Watched {
            address,
            shared: self.shared.clone(),
            admission: self.admission.clone(),
            in_force: self.http.in_force.subscribe(),
            started_at: unix_now(),
        });
        self.run(probe(watched.in_force.clone()));
        self.run(serve(listener, watched));
    }

    /// A policy was taken.
    pub(super) fn count_reload(&self, config: &Config) {
        self.shared.metrics.reloads.count("taken");
        let client = crate::identity::ClientName::for_explain;
        self.shared.metrics.keep_identities(|name| config.policy.own_actions(&client(name)));
        self.http.tell(config, &self.connectors);
    }
}

/// A socket that nobody serves yet.
#[derive(Debug)]
pub(super) struct HttpSocket {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpSocket {
    /// Listens there, where the policy has an address for it.
    pub(super) async fn bind(asked: Option<SocketAddr>) -> Result<Option<Self>, DaemonError> {
        let Some(asked) = asked else { return Ok(None) };
        let failed = |source| DaemonError::Bind { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Some(Self { listener, address }))
    }
}

/// Tries upstreams that are down, one after the other: a client would find out only when it comes.
async fn probe(in_force: watch::Receiver<Arc<InForce>>) {
    loop {
        tokio::time::sleep(PROBE_INTERVAL).await;
        let upstreams = in_force.borrow().upstreams.clone();
        // Those that were never reached are tried by others.
        let is_lost =
            |connector: &Arc<Connector>| !connector.metrics().is_up() && connector.banner().borrow().is_some();
        for connector in upstreams.iter().filter(|connector| is_lost(connector)) {
            // What comes of it is counted.
            drop(connector.probe().await);
        }
    }
}

async fn serve(listener: TcpListener, watched: Arc<Watched>) {
    let (mut connections, mut open) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                // Whoever asks has said so at once: who only holds a place keeps nobody from an answer.
                if open.len() >= CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let watched = watched.clone();
                open.push_back(connections.spawn(async move { serve_one(stream, &watched).await }));
            }
            Err(error) => {
                tracing::warn!(%error, "connections for metrics cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, watched: &Watched) {
    let answered = |request: Request<Incoming>| ready(Ok::<_, Infallible>(answer(&request, watched)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(answered));
    // A peer that goes, or says nonsense, has had its answer.
    drop(timeout(CONNECTION_TIMEOUT, connection).await);
}

fn answer<B>(request: &Request<B>, watched: &Watched) -> Response<Full<Bytes>> {
    if !is_for(request, watched.address) {
        let why = "The Host header has to be the address that this is asked at, or another of loopback.\n";
        return text(StatusCode::MISDIRECTED_REQUEST, why);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/live" => health::live(),
        "/metrics" => metrics::metrics(watched),
        "/ready" => health::ready(watched),
        _ => text(StatusCode::NOT_FOUND, "There are /metrics, /live and /ready.\n"),
    }
}

/// Whether whoever asks means this server: a page of somebody else, whose name was made to lead here, says that name.
fn is_for<B>(request: &Request<B>, address: SocketAddr) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<hyper::http::uri::Authority>().ok()) else {
        return false;
    };
    let host = host.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback() || ip == address.ip())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, TEXT, body.into())
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_for_us(hosts: &[&str]) -> bool {
        let request = hosts.iter().fold(Request::builder().uri("/live"), |request, host| request.header("Host", *host));
        is_for(&request.body(()).expect("a request"), "127.0.0.1:9138".parse().expect("an address"))
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_ours() {
        for host in ["127.0.0.1:9138", "127.0.0.1", "localhost:9138", "LOCALHOST", "[::1]:9138", "127.0.0.2:80"] {
            assert!(is_for_us(&[host]), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:9138", "127.0.0.1.evil.example", "192.0.2.1:9138", "", "::"]
        {
            assert!(!is_for_us(&[host]), "{host}");
        }
        assert!(!is_for_us(&[]));
        assert!(!is_for_us(&["localhost", "localhost"]));
    }
}
