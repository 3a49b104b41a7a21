//! The pages for administrators: they show, and change nothing. Who is logged in sees what `amiwall top` and `amiwall audit
//! search` tell; without `users` in the policy there are none.
//!
//! What is shown may come from an attacker: it all goes through [`crate::report::Html`], and the headers let nothing run
//! that is not amiwall's own.

mod calls;
mod explained;
mod forms;
mod login;
mod overview;
mod page;
mod rates;
mod record;
mod refusals;
mod search;
mod sessions;
mod verify;
mod visitors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::Watched;
use crate::audit::{AuditConfig, SigningKey, VerifyingKey};
use crate::config::Config;
use crate::identity::{Identities, LoginMemory};
use crate::report::Html;
use forms::Form;
use page::Sheet;
use rates::Rates;
pub(super) use rates::sample;
use verify::Verifier;
use visitors::{Visitor, Visitors};

/// An answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// Pages that read the log at once, and how long each may.
const READERS_MAX: usize = 2;
const READING_TIMEOUT: Duration = Duration::from_secs(4);
/// Log-ins at once, those that are late on purpose among them.
const LOGINS_MAX: usize = 8;
/// Nothing runs, and nothing is loaded, that is not served here.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
                              form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) is_tls: bool,
    /// He is on this machine.
    pub(super) is_here: bool,
}

/// What the pages have that lasts.
#[derive(Debug)]
pub(super) struct Web {
    users: Identities,
    memory: Arc<LoginMemory>,
    visitors: Visitors,
    logins: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    rates: Rates,
    calls: calls::Cache,
    verifier: Arc<Verifier>,
    audit: AuditConfig,
    /// The key that signs the log.
    signer: Option<VerifyingKey>,
}

impl Web {
    /// None where the policy has no users, or the system no random numbers.
    pub(super) fn new(config: &Config) -> Option<Arc<Self>> {
        let http = config.admin_http.as_ref().filter(|http| !http.users.is_empty())?;
        Some(Arc::new(Self {
            users: Identities::new(http.users.clone()),
            memory: Arc::new(LoginMemory::new(config.failed_logins)),
            visitors: Visitors::new()?,
            logins: Arc::new(Semaphore::new(LOGINS_MAX)),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            rates: Rates::default(),
            calls: calls::Cache::default(),
            verifier: Arc::default(),
            audit: config.audit.clone(),
            signer: config
                .audit
                .signing_key
                .as_deref()
                .and_then(|path| Some(SigningKey::load(path).ok()?.public().clone())),
        }))
    }

    /// Another policy is in force.
    pub(super) fn tell(&self, config: &Config) {
        self.memory.set_failed_logins(config.failed_logins);
    }

    /// Whether the request comes from somebody who is logged in.
    pub(super) fn knows<B>(&self, request: &Request<B>, peer: Peer) -> bool {
        login::cookie(request, login::visit_cookie(peer))
            .is_some_and(|cookie| self.visitors.find(&cookie, Instant::now(), false).is_some())
    }
}

/// Answers a request for a page.
pub(super) async fn answer<B>(request: Request<B>, watched: &Arc<Watched>, web: &Arc<Web>, peer: Peer) -> Reply
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let is_live = request.headers().contains_key(HeaderName::from_static("amiwall-live"));
    let cookie = login::cookie(&request, login::visit_cookie(peer));
    let visitor = cookie.and_then(|cookie| web.visitors.find(&cookie, Instant::now(), !is_live));
    let path = request.uri().path().to_owned();
    match (request.method().clone(), path.as_str(), visitor) {
        (Method::GET | Method::HEAD, "/style.css", _) => reply(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
        (Method::GET | Method::HEAD, "/live.js", _) => {
            reply(StatusCode::OK, "text/javascript; charset=utf-8", page::SCRIPT)
        }
        (Method::GET | Method::HEAD, "/icon.svg", _) => reply(StatusCode::OK, "image/svg+xml", page::ICON),
        (Method::POST, "/login" | "/logout" | "/verify", visitor) => {
            post(request, &path, watched, web, (peer, visitor)).await
        }
        (Method::GET | Method::HEAD, "/login", None) => login::form(web, peer, StatusCode::OK, ""),
        (Method::GET | Method::HEAD, "/login", Some(_)) => redirect("/"),
        (Method::GET | Method::HEAD, _, None) if is_live => reply(StatusCode::UNAUTHORIZED, super::TEXT, "Log in.\n"),
        (Method::GET | Method::HEAD, _, None) => redirect("/login"),
        (Method::GET | Method::HEAD, path, Some(visitor)) => {
            let query = Form::parse(request.uri().query().unwrap_or_default());
            show(path, &query, watched, web, &visitor).await
        }
        (_, "/login" | "/logout" | "/verify", _) => not_allowed("GET, HEAD, POST"),
        _ => not_allowed("GET, HEAD"),
    }
}

async fn post<B>(
    request: Request<B>,
    path: &str,
    watched: &Arc<Watched>,
    web: &Arc<Web>,
    (peer, visitor): (Peer, Option<Visitor>),
) -> Reply
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    if !login::is_same_origin(&request, peer) {
        return reply(StatusCode::FORBIDDEN, super::TEXT, "Only a page of amiwall may send this.\n");
    }
    let cookie = login::form_of(&request, peer);
    let Some(form) = login::posted(request).await else {
        return reply(StatusCode::BAD_REQUEST, super::TEXT, "This is no form, or too long.\n");
    };
    match (path, visitor) {
        ("/login", _) => login::log_in(web, &watched.shared, peer, (form, cookie)).await,
        (_, None) => redirect("/login"),
        (_, Some(visitor)) if !visitor.is_own(form.get("token")) => {
            reply(StatusCode::FORBIDDEN, super::TEXT, "This form was too old: load the page again.\n")
        }
        ("/logout", Some(visitor)) => login::log_out(web, &watched.shared.audit, peer, &visitor).await,
        (_, Some(visitor)) => verify::press(web, &watched.shared.audit, peer, &visitor).await,
    }
}

/// A page for somebody who is logged in.
async fn show(path: &str, query: &Form, watched: &Arc<Watched>, web: &Arc<Web>, visitor: &Visitor) -> Reply {
    let page = match path {
        "/" => overview::show(watched, web),
        "/sessions" if query.get("id").is_empty() => sessions::list(watched),
        "/refusals" => {
            let (watched, own) = (watched.clone(), web.clone());
            return read(web, visitor, move || refusals::list(&watched, &own)).await;
        }
        "/reasons" => refusals::reasons(),
        "/sessions" => {
            let (watched, own, id) = (watched.clone(), web.clone(), query.get("id").to_owned());
            return read(web, visitor, move || sessions::one(&watched, &own, &id)).await;
        }
        "/record" => {
            let (watched, own, asked) = (watched.clone(), web.clone(), record::Asked::of(query));
            return read(web, visitor, move || record::show(&watched, &own, &asked)).await;
        }
        "/calls" => {
            let (own, is_week) = (web.clone(), query.get("range") == "7d");
            return read(web, visitor, move || calls::show(&own, is_week)).await;
        }
        "/audit" => {
            let (watched, own, visitor_of, asked) =
                (watched.clone(), web.clone(), visitor.clone(), search::Asked::of(query));
            return read(web, visitor, move || search::show(&watched, &own, &visitor_of, &asked)).await;
        }
        _ => {
            let mut page = Sheet::new("There is no such page", "");
            page.body.element("p", &[], "The menu has those that there are.");
            return sheet(StatusCode::NOT_FOUND, page, Some(visitor));
        }
    };
    sheet(StatusCode::OK, page, Some(visitor))
}

/// A page that reads the log: off the threads of sessions, and never many at once.
async fn read(web: &Web, visitor: &Visitor, make: impl FnOnce() -> Sheet + Send + 'static) -> Reply {
    let place = tokio::time::timeout(READING_TIMEOUT, web.readers.clone().acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        let mut page = Sheet::new("Busy", "");
        page.body.element("p", &[], "Others read the audit log just now. Load this page again in some seconds.");
        return sheet(StatusCode::SERVICE_UNAVAILABLE, page, Some(visitor));
    };
    let made = tokio::task::spawn_blocking(move || {
        let page = make();
        drop(place);
        page
    });
    match made.await {
        Ok(page) => sheet(StatusCode::OK, page, Some(visitor)),
        Err(_) => failed("this page could not be made"),
    }
}

/// Until when a page may read the log.
fn deadline() -> Instant {
    Instant::now() + READING_TIMEOUT
}

fn sheet(status: StatusCode, page: Sheet, visitor: Option<&Visitor>) -> Reply {
    reply(status, "text/html; charset=utf-8", page.into_text(visitor))
}

fn failed(why: &str) -> Reply {
    reply(StatusCode::INTERNAL_SERVER_ERROR, super::TEXT, format!("{why}\n"))
}

fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, super::TEXT, format!("Only {allowed}.\n"));
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    reply
}

fn redirect(to: &'static str) -> Reply {
    let mut reply = reply(StatusCode::SEE_OTHER, super::TEXT, "");
    reply.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    reply
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = super::respond(status, kind, body.into());
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        // With `no-referrer` browsers do not say where a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// Where the text of a reason code is.
fn reason_link(code: &str) -> String {
    let known = if code.starts_with("params.") { "params.<name>" } else { code };
    format!("/reasons#{}", forms::encoded(known))
}

/// What is said where the log could not be read.
fn unreadable(body: &mut Html, error: &crate::audit::VerifyError) {
    page::note(body, Some(false), &[format!("The audit log cannot be read: {error}")]);
}
