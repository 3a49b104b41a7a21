//! What amiwall tells of itself over HTTP: `/metrics`, `/live` and `/ready`, one function for each path, and the pages for
//! people (`web`), where the policy has users for them.
//!
//! It is read only. Who is on this machine may ask for the former, and nobody may for the latter who is not logged in. A
//! connection is for one request, which has to come soon; there are few at once, and none of them holds up a session.

mod crowd;
mod health;
mod metrics;
mod web;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::admin::look;
use super::{Daemon, DaemonError, Overview};
use crate::admission::Admission;
use crate::config::{AdminHttp, Config};
use crate::listener::Transport;
use crate::metrics::unix_now;
use crate::session::Shared;
use crate::tls::ServerTls;
use crate::upstream::Connector;
use crowd::Crowd;
use web::{Peer, Web};

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
    /// What the policy file asks for.
    asked: Option<AdminHttp>,
    /// The same with the real port.
    address: Option<SocketAddr>,
    in_force: watch::Sender<Arc<InForce>>,
    /// The pages, if there are users for them.
    web: Option<Arc<Web>>,
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
    /// The policy file.
    policy: PathBuf,
    /// How this server speaks TLS, and the names in its certificate.
    tls: Option<(ServerTls, Vec<String>)>,
}

/// What an answer is made of.
#[derive(Debug)]
struct Watched {
    address: SocketAddr,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    in_force: watch::Receiver<Arc<InForce>>,
    started_at: i64,
    web: Option<Arc<Web>>,
}

impl Watched {
    /// What `amiwall top` shows; with the last actions of a session, if one is named.
    fn overview(&self, session: &str) -> Overview {
        look(&self.shared, &self.admission, session)
    }
}

impl Http {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            asked: config.admin_http.clone(),
            address: None,
            in_force: watch::Sender::default(),
            web: Web::new(config),
        }
    }

    /// Whether that policy can be put in force without another socket.
    pub(super) fn is_as(&self, config: &Config) -> bool {
        match (&self.asked, &config.admin_http) {
            (Some(own), Some(other)) => own.is_as(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
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
            policy: config.path.clone(),
            tls: config.admin_http.as_ref().and_then(|http| Some((http.tls.clone()?, http.names.clone()))),
        }));
        if let Some(web) = &self.web {
            web.tell(config);
        }
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
        let scheme = if self.http.in_force.borrow().tls.is_some() { "https" } else { "http" };
        match &self.http.web {
            Some(_) => tracing::info!("the page for administrators is at {scheme}://{address}/, metrics at /metrics"),
            None => tracing::info!("metrics are at {scheme}://{address}/metrics"),
        }
        self.http.address = Some(address);
        let watched = Arc::new(Watched {
            address,
            shared: self.shared.clone(),
            admission: self.admission.clone(),
            in_force: self.http.in_force.subscribe(),
            started_at: unix_now(),
            web: self.http.web.clone(),
        });
        if let Some(web) = &watched.web {
            self.run(web::sample(web.clone(), self.shared.clone()));
        }
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
    let crowd = Arc::new(Crowd::default());
    let (mut connections, mut open) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, address)) => {
                // Nobody elsewhere takes all the places.
                let Some(own) = Crowd::enter(&crowd, address.ip()) else { continue };
                open.retain(|connection| !connection.is_finished());
                // Whoever asks has said so at once: who only holds a place keeps nobody from an answer.
                if open.len() >= CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let watched = watched.clone();
                open.push_back(connections.spawn(async move {
                    // A peer that goes, says nonsense or is slow has had its answer.
                    drop(timeout(CONNECTION_TIMEOUT, Box::pin(serve_one(stream, address, &watched))).await);
                    drop(own);
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "connections for metrics cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, address: SocketAddr, watched: &Arc<Watched>) {
    let is_own = stream.local_addr().is_ok_and(|own| own.ip() == address.ip());
    let tls = watched.in_force.borrow().tls.as_ref().map(|(tls, _)| tls.config.clone());
    let peer = Peer { address, is_tls: tls.is_some(), is_here: is_own || address.ip().to_canonical().is_loopback() };
    match tls {
        None => serve_http(stream, watched, peer).await,
        Some(config) => {
            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                serve_http(stream, watched, peer).await;
            }
        }
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin, watched: &Arc<Watched>, peer: Peer) {
    let answered =
        |request: Request<Incoming>| async move { Ok::<_, Infallible>(answer(request, watched, peer).await) };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(answered));
    drop(connection.await);
}

/// What there is without users.
const NO_PAGES: &str = "There are /metrics, /live and /ready. For the pages give `admin.http` users:\n\n  admin:\n    http:\n      \
                        address: \"127.0.0.1:9138\"\n      users: { ops: \"$argon2id$...\" }\n\nwith what `amiwall hash-secret` \
                        prints, and restart amiwall (docs/web.md).\n";

async fn answer<B>(request: Request<B>, watched: &Arc<Watched>, peer: Peer) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let in_force = watched.in_force.borrow().clone();
    let names = in_force.tls.as_ref().map_or(&[][..], |(_, names)| names);
    if !is_for(&request, watched.address, names) {
        let why = "The Host header has to be the address that this is asked at, another of loopback, or under TLS a name of \
                   the certificate.\n";
        return text(StatusCode::MISDIRECTED_REQUEST, why);
    }
    let path = request.uri().path();
    let is_page = !matches!(path, "/live" | "/metrics" | "/ready");
    if let (true, Some(web)) = (is_page, &watched.web) {
        return Box::pin(web::answer(request, watched, web, peer)).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    // Elsewhere nobody is told more than that it works who is not logged in.
    let is_told = peer.is_here || watched.web.as_ref().is_some_and(|web| web.knows(&request, peer));
    match path {
        "/live" => health::live(),
        "/metrics" if is_told => metrics::metrics(watched),
        "/metrics" => text(StatusCode::FORBIDDEN, "Metrics are for this machine, and for who is logged in.\n"),
        "/ready" => health::ready(watched, is_told),
        _ => text(StatusCode::NOT_FOUND, NO_PAGES),
    }
}

/// Whether whoever asks means this server: a page of somebody else, whose name was made to lead here, says that name.
/// `names` are those of the certificate: a browser has seen to it that one of them is the one that it wanted.
fn is_for<B>(request: &Request<B>, address: SocketAddr, names: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<hyper::http::uri::Authority>().ok()) else {
        return false;
    };
    let host = host.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_own = |ip: IpAddr| ip.is_loopback() || ip == address.ip() || address.ip().is_unspecified();
    let is_named = names.iter().any(|name| match name.strip_prefix("*.") {
        Some(zone) => host.split_once('.').is_some_and(|(_, own)| own.eq_ignore_ascii_case(zone)),
        None => host.eq_ignore_ascii_case(name),
    });
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(is_own) || is_named
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
        let names = ["pbx.example.net".to_owned(), "*.voice.example.net".to_owned()];
        is_for(&request.body(()).expect("a request"), "127.0.0.1:9138".parse().expect("an address"), &names)
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_ours() {
        for host in [
            "127.0.0.1:9138",
            "127.0.0.1",
            "localhost:9138",
            "LOCALHOST",
            "[::1]:9138",
            "127.0.0.2:80",
            "PBX.example.net:9138",
            "a.voice.example.net",
        ] {
            assert!(is_for_us(&[host]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:9138",
            "127.0.0.1.evil.example",
            "192.0.2.1:9138",
            "",
            "::",
            "voice.example.net",
            "a.b.voice.example.net",
        ] {
            assert!(!is_for_us(&[host]), "{host}");
        }
        assert!(!is_for_us(&[]));
        assert!(!is_for_us(&["localhost", "localhost"]));
    }
}
