//! Log-in, log-out, and who may post at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderName};
use hyper::{Request, StatusCode};

use super::forms::Form;
use super::page::{self, Sheet};
use super::{Peer, Reply, Web, redirect, sheet};
use crate::audit::{Audit, Draft, best_effort};
use crate::identity::{LoginAttempt, LoginRefusal, Now};
use crate::session::Shared;

/// A refusal is told so long after the form came, however fast it was found.
const FAILURE_DELAY: Duration = Duration::from_secs(1);
/// The longest form.
const FORM_LEN_MAX: usize = 4_096;

/// The form, with a token for the cookie that goes with it.
pub(super) fn form(web: &Web, peer: Peer, status: StatusCode, problem: &str) -> Reply {
    let Some(cookie) = super::visitors::random() else { return super::failed("the system has no random numbers") };
    let mut sheet = Sheet::new("Log in", "");
    sheet.body = crate::report::Html::default();
    let body = &mut sheet.body;
    body.open("div", &[("class", "login")]);
    body.element("h1", &[], "amiwall");
    if !problem.is_empty() {
        body.open("div", &[("class", "note is-bad"), ("role", "alert")]);
        body.element("p", &[], problem);
        body.close("div");
    }
    body.open("form", &[("method", "post"), ("action", "/login")]);
    page::hidden(body, "token", &web.visitors.token(&cookie));
    for (name, kind, label, complete) in
        [("user", "text", "Name", "username"), ("password", "password", "Password", "current-password")]
    {
        body.open("label", &[]);
        body.text(label);
        body.empty("input", &[("name", name), ("type", kind), ("autocomplete", complete), ("required", "")]);
        body.close("label");
    }
    body.element("button", &[("type", "submit"), ("class", "main")], "Log in");
    body.close("form");
    body.element("p", &[("class", "soft")], "Each log-in, and each attempt, is on record.");
    body.close("div");
    let mut reply = self::sheet(status, sheet, None);
    set_cookie(&mut reply, &format!("{}={cookie}", form_cookie(peer)), peer);
    reply
}

/// The cookie of who is logged in. Under TLS its name makes the browser see to it that nobody else has set it.
pub(super) const fn visit_cookie(peer: Peer) -> &'static str {
    if peer.is_tls { "__Host-amiwall" } else { "amiwall" }
}

const fn form_cookie(peer: Peer) -> &'static str {
    if peer.is_tls { "__Host-amiwall-login" } else { "amiwall-login" }
}

/// The cookie that goes with the form of a log-in.
pub(super) fn form_of<B>(request: &Request<B>, peer: Peer) -> Option<String> {
    cookie(request, form_cookie(peer))
}

fn set_cookie(reply: &mut Reply, cookie: &str, peer: Peer) {
    let secure = if peer.is_tls { "; Secure" } else { "" };
    if let Ok(value) = format!("{cookie}; Path=/; HttpOnly; SameSite=Strict{secure}").parse() {
        reply.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The value of a cookie; none if there are several of that name.
pub(super) fn cookie<B>(request: &Request<B>, name: &str) -> Option<String> {
    let headers = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = headers.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut own = values.by_ref().filter(|(own, _)| *own == name);
    let (_, value) = own.next()?;
    own.next().is_none().then(|| value.to_owned())
}

/// Whether a page of this server made the browser send it. A browser always says so of what is posted.
pub(super) fn is_same_origin<B>(request: &Request<B>, peer: Peer) -> bool {
    let only = |name: HeaderName| {
        let mut values = request.headers().get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap_or("?"));
        if values.next().is_some() { Some("?") } else { first }
    };
    let site = only(HeaderName::from_static("sec-fetch-site"));
    let (origin, host) = (only(header::ORIGIN), only(header::HOST).unwrap_or_default());
    let scheme = if peer.is_tls { "https" } else { "http" };
    let is_ours = origin.is_none_or(|origin| origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")));
    is_ours && site.is_none_or(|site| site == "same-origin") && (origin.is_some() || site.is_some())
}

/// What was posted, if it is a form and not too long.
pub(super) async fn posted<B: Body<Data = Bytes>>(request: Request<B>) -> Option<Form>
where
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return None;
    }
    let body = Limited::new(request.into_body(), FORM_LEN_MAX).collect().await.ok()?;
    Some(Form::parse(std::str::from_utf8(&body.to_bytes()).ok()?))
}

/// Somebody wants to log in. It is finished and put on record even if he does not wait for the answer.
pub(super) async fn log_in(
    web: &Arc<Web>,
    shared: &Arc<Shared>,
    peer: Peer,
    (form, cookie): (Form, Option<String>),
) -> Reply {
    let is_own = cookie.is_some_and(|cookie| web.visitors.is_token(&cookie, form.get("token")));
    if !is_own {
        return self::form(web, peer, StatusCode::FORBIDDEN, "This form was too old. Please try again.");
    }
    let Ok(place) = web.logins.clone().try_acquire_owned() else {
        return self::form(web, peer, StatusCode::SERVICE_UNAVAILABLE, "Too many log in just now. Please try again.");
    };
    let (web, shared) = (web.clone(), shared.clone());
    let judged = tokio::spawn(async move {
        let begun = Instant::now();
        let outcome = judge(&web, &shared, peer.address, &form).await;
        let reply = answer(&web, &shared.audit, peer, (form.get("user"), outcome)).await;
        if reply.status() != StatusCode::SEE_OTHER {
            tokio::time::sleep_until((begun + FAILURE_DELAY).into()).await;
        }
        drop(place);
        reply
    });
    judged.await.unwrap_or_else(|_| super::failed("the log-in failed"))
}

async fn judge(web: &Web, shared: &Shared, peer: SocketAddr, form: &Form) -> Result<String, LoginRefusal> {
    let attempt = LoginAttempt {
        username: Some(form.get("user").as_bytes()),
        secret: Some(form.raw("password").as_bytes()),
        is_md5: false,
        key: None,
        challenge: None,
        peer: peer.ip(),
        certificate: None,
    };
    let verification = web.users.prepare(&web.memory, &attempt, Now::read());
    let name = if verification.needs_hashing() {
        let turn = shared.hash_slots.turn(peer.ip()).await.ok_or(LoginRefusal::Secret)?;
        let slot = turn.slot().await.ok_or(LoginRefusal::Secret)?;
        let hashed = tokio::task::spawn_blocking(move || {
            let verified = verification.finish();
            drop(slot);
            verified
        });
        hashed.await.map_err(|_| LoginRefusal::Secret)??
    } else {
        verification.finish()?
    };
    Ok(name.as_str().to_owned())
}

async fn answer(
    web: &Web,
    audit: &Audit,
    peer: Peer,
    (claimed, outcome): (&str, Result<String, LoginRefusal>),
) -> Reply {
    match outcome {
        Ok(user) => {
            let draft = Draft::web("web-login", Some(&user), peer.address, Ok(()));
            if audit.commit(draft).await.is_err() {
                let why = "The audit log cannot be written, and nobody logs in without a record. `amiwall top` and \
                           `amiwall status` on the machine tell how things stand.";
                return form(web, peer, StatusCode::SERVICE_UNAVAILABLE, why);
            }
            let Some(cookie) = web.visitors.enter(&user, Instant::now()) else {
                return super::failed("the system has no random numbers");
            };
            let mut reply = redirect("/");
            set_cookie(&mut reply, &format!("{}={cookie}", visit_cookie(peer)), peer);
            set_cookie(&mut reply, &format!("{}=; Max-Age=0", form_cookie(peer)), peer);
            reply
        }
        Err(refusal) => {
            // A name that is none may be a password in the wrong field.
            let user = Some(claimed).filter(|_| web.users.has(claimed.as_bytes()));
            let draft = Draft::web("web-login", user, peer.address, Err(refusal.code()));
            best_effort(audit.append_unauthenticated(peer.address.ip(), draft).await);
            let why = "Name or password is wrong, or there were too many attempts.";
            form(web, peer, StatusCode::FORBIDDEN, why)
        }
    }
}

/// The end of a visit.
pub(super) async fn log_out(web: &Web, audit: &Audit, peer: Peer, visitor: &super::visitors::Visitor) -> Reply {
    web.visitors.leave(visitor);
    best_effort(audit.commit(Draft::web("web-logout", Some(&visitor.user), peer.address, Ok(()))).await);
    let mut reply = redirect("/login");
    set_cookie(&mut reply, &format!("{}=; Max-Age=0", visit_cookie(peer)), peer);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_post() {
        let peer = Peer { address: "127.0.0.1:1".parse().expect("an address"), is_tls: false, is_here: true };
        let says = |headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(Request::post("/login").header("Host", "127.0.0.1:9138"), |request, (name, value)| {
                    request.header(*name, *value)
                });
            is_same_origin(&request.body(()).expect("a request"), peer)
        };
        assert!(says(&[("Origin", "http://127.0.0.1:9138")]));
        assert!(says(&[("Sec-Fetch-Site", "same-origin")]));
        assert!(says(&[("Origin", "http://127.0.0.1:9138"), ("Sec-Fetch-Site", "same-origin")]));
        for wrong in [
            &[][..],
            &[("Origin", "null")],
            &[("Origin", "http://127.0.0.1:9139")],
            &[("Origin", "https://127.0.0.1:9138")],
            &[("Origin", "http://evil.example")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Sec-Fetch-Site", "none")],
            &[("Origin", "http://127.0.0.1:9138"), ("Sec-Fetch-Site", "cross-site")],
            &[("Origin", "http://127.0.0.1:9138"), ("Origin", "http://evil.example")],
        ] {
            assert!(!says(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_and_two_of_a_name_are_none() {
        let of = |text: &str| cookie(&Request::get("/").header("Cookie", text).body(()).expect("a request"), "amiwall");
        assert_eq!(of("other=1; amiwall=2; amiwall-login=3").as_deref(), Some("2"));
        for none in ["", "amiwall", "xamiwall=1", "amiwall=1; amiwall=2"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
