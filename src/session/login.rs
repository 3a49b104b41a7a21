//! Before login: the banner, then only `Login`, `Challenge` and `Logoff`, under a deadline. A peer that is not logged in
//! costs a small buffer, gets no reason in any answer and touches nothing behind amiwall.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client_io::ClientIo;
use super::{LoggedIn, SessionEnd, Shared, local};
use crate::admission::{NoRoom, Ticket};
use crate::ami::{Action, Challenge, EventMask, Message};
use crate::audit::{Claimed, Draft, Frame, SecurityEvent, SecurityKind, SessionContext, best_effort};
use crate::identity::{ClientName, LoginAttempt, LoginRefusal, Now, SessionGuard};
use crate::policy::{Decision, Denial, Reason, View};
use crate::tls::PeerCertificate;
use crate::upstream::{Connector, IdPrefix, UpstreamError};

/// Asterisk answers a failed login one second after the packet (manager.c, `action_login`).
const FAILURE_DELAY: Duration = Duration::from_secs(1);
/// Packets before login until the connection is closed: an answer is longer than the shortest packet.
const PACKETS_MAX: u32 = 20;

/// A connection that is not logged in.
pub(super) struct PreAuth {
    pub(super) shared: Arc<Shared>,
    pub(super) context: SessionContext,
    pub(super) certificate: Option<PeerCertificate>,
    pub(super) upstream: Arc<Connector>,
    /// Whether that is the identity's own, and not the listener's.
    pub(super) is_own_upstream: bool,
    pub(super) at: Instant,
    pub(super) ticket: Ticket,
}

/// Greets, and serves the peer until it is logged in.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(
    pre_auth: &mut PreAuth,
    client: &mut ClientIo<S>,
) -> Result<LoggedIn, SessionEnd> {
    let deadline = pre_auth.at + pre_auth.shared.snapshot().login_timeout;
    // What is only passed through is in boxes: a stranger who waits costs little.
    Box::pin(pre_auth.record_connect()).await?;
    let (mut gives_way, shutdown) = (pre_auth.ticket.gives_way(), pre_auth.shared.shutdown.clone());
    let logging_in = async {
        let login = timeout_at(deadline, pre_auth.until_authenticated(client))
            .await
            .map_err(|_| SessionEnd::LoginTimeout)??;
        // Asterisk may be slow, or many may wait for it.
        timeout_at(deadline, Box::pin(pre_auth.attach(client, login)))
            .await
            .map_err(|_| SessionEnd::UpstreamUnreachable)?
    };
    // Who is not logged in holds up neither a newcomer nor the end of the process.
    tokio::select! {
        biased;
        why = gives_way.told() => Err(SessionEnd::GaveWay(why)),
        () = shutdown.cancelled() => Err(SessionEnd::Shutdown),
        outcome = logging_in => outcome,
    }
}

/// A login whose credentials were right.
struct Login {
    name: ClientName,
    guard: SessionGuard,
    action: Action,
}

impl PreAuth {
    async fn record_connect(&mut self) -> Result<(), SessionEnd> {
        let Some(peer) = self.context.peer else { return Err(SessionEnd::ClientClosed) };
        let recorded = self.shared.audit.append_unauthenticated(peer.ip(), Draft::connect(&self.context)).await;
        if let Some(seq) = recorded.map_err(|_| SessionEnd::AuditFailed)? {
            self.context.session = self.shared.audit.session_id(seq);
        }
        Ok(())
    }

    async fn until_authenticated<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut ClientIo<S>,
    ) -> Result<Login, SessionEnd> {
        self.greet(client).await?;
        let mut challenge = None;
        for _ in 0..PACKETS_MAX {
            let action = match self.next_action(client).await? {
                Ok(action) => action,
                Err(denial) => {
                    Box::pin(self.refuse(client, denial)).await?;
                    continue;
                }
            };
            match action.key() {
                "login" => return Box::pin(self.log_in(client, action, challenge.as_ref())).await,
                "challenge" => {
                    let (answer, issued) = self.challenge(&action, challenge.take());
                    challenge = issued;
                    send(client, &answer).await?;
                }
                "logoff" => {
                    send(client, &local::goodbye(action.id())).await?;
                    return Err(SessionEnd::LoggedOff);
                }
                _ => Box::pin(self.refuse(client, Denial::before_login(action))).await?,
            }
        }
        Err(SessionEnd::ClientViolation)
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &mut ClientIo<S>) -> Result<(), SessionEnd> {
        let banner = self.upstream.banner().borrow().as_ref().map(crate::ami::Banner::line);
        let banner = banner.ok_or(SessionEnd::UpstreamUnreachable)?;
        client.write(&banner).await.map_err(|_| SessionEnd::ClientClosed)
    }

    async fn next_action<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut ClientIo<S>,
    ) -> Result<Result<Action, Denial>, SessionEnd> {
        loop {
            match client.decoder.next_message() {
                Some(Ok(message)) => {
                    return Ok(
                        Action::try_from(message).map_err(|(error, message)| Denial::of_message(&error, message))
                    );
                }
                Some(Err(malformed)) => return Ok(Err(Denial::of_malformed(malformed))),
                None if client.has_said_enough() => return Err(SessionEnd::ClientViolation),
                None => match client.read().await {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return Err(SessionEnd::ClientClosed),
                },
            }
        }
    }

    async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut ClientIo<S>,
        denial: Denial,
    ) -> Result<(), SessionEnd> {
        let (answer, is_http) = (local::refusal(&denial), local::is_http(&denial));
        let is_early = *denial.reason() == Reason::ActionsBeforeLogin;
        self.tell_security(
            if is_early { SecurityKind::RequestNotAllowed } else { SecurityKind::RequestBadFormat },
            None,
        );
        if let Some(peer) = self.context.peer {
            let decision = Decision::Deny(denial);
            let frame = Frame::from(self.context.clone());
            let draft = Draft::action(&frame, "", &decision);
            best_effort(self.shared.audit.append_unauthenticated(peer.ip(), draft).await);
        }
        send(client, &answer).await?;
        if is_http { Err(SessionEnd::ClientViolation) } else { Ok(()) }
    }

    /// manager.c, `action_challenge`: a challenge is fixed for the life of the connection.
    fn challenge(&self, action: &Action, issued: Option<Challenge>) -> (Message, Option<Challenge>) {
        if !is_md5(action) || !self.shared.snapshot().identities.any_challenge() {
            return (local::error(action.id(), "Must specify AuthType"), issued);
        }
        let Some(challenge) = issued.or_else(random_challenge) else {
            return (local::error(action.id(), "Must specify AuthType"), None);
        };
        let answer = local::success(action.id(), &[("Challenge", challenge.text().as_bytes())]);
        (answer, Some(challenge))
    }

    async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut ClientIo<S>,
        action: Action,
        challenge: Option<&Challenge>,
    ) -> Result<Login, SessionEnd> {
        let answer_at = Instant::now() + FAILURE_DELAY;
        let judged = match self.authenticate(&action, challenge).await {
            Ok(proved) => match self.ticket.promote() {
                Ok(()) => Ok(proved),
                Err(NoRoom::Connections) => Err(LoginRefusal::Connections),
                Err(NoRoom::ConnectionsPerAddress) => Err(LoginRefusal::ConnectionsPerAddress),
                Err(why @ (NoRoom::Unauthenticated | NoRoom::UnauthenticatedPerAddress)) => {
                    let why = self.ticket.gives_way().why().unwrap_or(why);
                    return Err(SessionEnd::GaveWay(why));
                }
            },
            Err(refusal) => Err(refusal),
        };
        let username = action.get("Username").unwrap_or_default();
        let is_known = self.shared.snapshot().identities.has(username);
        let claimed = if is_known { Claimed::Known(username) } else { Claimed::Unknown(username) };
        let certificate = self.certificate.clone();
        let draft = |context: &SessionContext, outcome| {
            Draft::login(context, claimed, method(&action), outcome).with_certificate(certificate.as_ref())
        };
        match judged {
            Ok((name, guard)) => {
                self.context.identity = Some(name.as_str().to_owned());
                self.name_session().await?;
                self.choose_upstream(&name)?;
                let committed = self.shared.audit.commit(draft(&self.context, Ok(()))).await;
                committed.map_err(|_| SessionEnd::AuditFailed)?;
                self.shared.metrics.logins.count("accepted");
                self.tell_security(SecurityKind::SuccessfulAuth, Some(name.as_str()));
                Ok(Login { name, guard, action })
            }
            Err(refusal) => {
                self.shared.metrics.logins.count(refusal.code());
                let name = std::str::from_utf8(username).ok().filter(|_| is_known);
                self.tell_security(security_kind(refusal, is_md5(&action)), name);
                if let Some(peer) = self.context.peer {
                    let draft = draft(&self.context, Err(refusal.code()));
                    best_effort(self.shared.audit.append_unauthenticated(peer.ip(), draft).await);
                }
                sleep_until(answer_at).await;
                send(client, &local::error(action.id(), words(refusal))).await?;
                Err(SessionEnd::LoginFailed)
            }
        }
    }

    /// An identity may have an Asterisk of its own: then it goes there, or nowhere.
    fn choose_upstream(&mut self, name: &ClientName) -> Result<(), SessionEnd> {
        let snapshot = self.shared.snapshot();
        if let Some(own) = snapshot.identities.get(name).and_then(|identity| identity.upstream.as_ref()) {
            let connector = snapshot.upstreams.get(own).ok_or(SessionEnd::UpstreamUnreachable)?;
            self.upstream = connector.clone();
            self.context.upstream.clone_from(own);
            self.is_own_upstream = true;
        }
        Ok(())
    }

    /// `account` is an identity that there is.
    fn tell_security(&self, kind: SecurityKind, account: Option<&str>) {
        let Some(peer) = self.context.peer else { return };
        let (session, listener) = (self.context.session.as_str(), self.context.listener.as_str());
        self.shared.audit.tell_security(&SecurityEvent { kind, account, session, listener, peer });
    }

    /// A session whose connect record was only counted (its address had many) gets one now: its seq is in the name.
    async fn name_session(&mut self) -> Result<(), SessionEnd> {
        if self.context.session.is_empty() {
            let recorded = self.shared.audit.append(vec![Draft::connect(&self.context)]).await;
            self.context.session = self.shared.audit.session_id(recorded.map_err(|_| SessionEnd::AuditFailed)?);
        }
        Ok(())
    }

    async fn authenticate(
        &mut self,
        action: &Action,
        challenge: Option<&Challenge>,
    ) -> Result<(ClientName, SessionGuard), LoginRefusal> {
        let Some(peer) = self.context.peer else { return Err(LoginRefusal::Networks) };
        let snapshot = self.shared.snapshot();
        // It may have changed since the connection was accepted.
        self.context.policy.clone_from(&snapshot.digest);
        let attempt = LoginAttempt {
            username: action.get("Username"),
            secret: action.get("Secret"),
            is_md5: is_md5(action),
            key: action.get("Key"),
            challenge,
            peer: peer.ip(),
            certificate: self.certificate.as_ref(),
        };
        let verification = snapshot.identities.prepare(&self.shared.memory, &attempt, Now::read());
        let name = if verification.needs_hashing() {
            let turn = self.shared.hash_slots.turn(peer.ip()).await.ok_or(LoginRefusal::Secret)?;
            self.ticket.await_verification();
            let slot = turn.slot().await.ok_or(LoginRefusal::Secret)?;
            self.ticket.verifies(true);
            let hashed = tokio::task::spawn_blocking(move || {
                let verified = verification.finish();
                // Not before: who aborts while it is computed does not get another one meanwhile.
                drop(slot);
                verified
            });
            let verified = hashed.await;
            self.ticket.verifies(false);
            verified.map_err(|_| LoginRefusal::Secret)??
        } else {
            verification.finish()?
        };
        let sessions_max = snapshot.identities.get(&name).and_then(|identity| identity.sessions_max);
        let guard = self.shared.memory.enter(&name, sessions_max).ok_or(LoginRefusal::Sessions)?;
        Ok((name, guard))
    }

    /// Opens the upstream session; only then is the client told that it is in. When Asterisk is not there the connection
    /// is closed without an answer: on "Authentication failed" clients stop trying.
    async fn attach<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut ClientIo<S>,
        login: Login,
    ) -> Result<LoggedIn, SessionEnd> {
        let Login { name, guard, action } = login;
        let snapshot = self.shared.snapshot();
        let view: Arc<View> = snapshot.policy.view(&name);
        let wish = action.get("Events").map_or(Ok(EventMask::ALL), EventMask::parse).unwrap_or(EventMask::ALL);
        let config = self.upstream.config();
        let account = config.login_for(name.as_str(), snapshot.policy.roles(&name));
        let attached = self.upstream.attach(account, view.subscription(wish)).await;
        let trouble = attached.as_ref().err().map(ToString::to_string);
        self.shared.sessions.note_upstream(&config.name, trouble);
        let (inlet, outlet) = attached.map_err(|error| {
            tracing::warn!("session of `{}` refused: {error}", name.as_str());
            match error {
                UpstreamError::Login { .. } => SessionEnd::UpstreamRefused,
                UpstreamError::Tls { fault, .. } => SessionEnd::UpstreamTls(fault),
                UpstreamError::Banner { .. } | UpstreamError::Io { .. } | UpstreamError::Timeout { .. } => {
                    SessionEnd::UpstreamUnreachable
                }
            }
        })?;
        let prefix = IdPrefix::from_random(random_bits().ok_or(SessionEnd::ClientClosed)?);
        send(client, &local::success(action.id(), &[("Message", b"Authentication accepted")])).await?;
        let is_own_upstream = self.is_own_upstream;
        Ok(LoggedIn { client: name, mask: wish, inlet, outlet, prefix, hold: config.hold, is_own_upstream, guard })
    }
}

/// What Asterisk would call it. Who is locked out, or late, or comes too often, may be who he says: his address is not to
/// be shut out for that.
const fn security_kind(refusal: LoginRefusal, is_md5: bool) -> SecurityKind {
    match refusal {
        LoginRefusal::Networks => SecurityKind::FailedAcl,
        LoginRefusal::UnknownIdentity => SecurityKind::InvalidAccountId,
        LoginRefusal::Secret if is_md5 => SecurityKind::ChallengeResponseFailed,
        LoginRefusal::Certificate | LoginRefusal::Secret => SecurityKind::InvalidPassword,
        LoginRefusal::Connections | LoginRefusal::ConnectionsPerAddress | LoginRefusal::Sessions => {
            SecurityKind::SessionLimit
        }
        LoginRefusal::Expired | LoginRefusal::Locked | LoginRefusal::LockedByAdmin => SecurityKind::RequestNotAllowed,
    }
}

/// What the client is told. Only who has proved who it is learns that there is no room.
const fn words(refusal: LoginRefusal) -> &'static str {
    match refusal {
        LoginRefusal::Connections | LoginRefusal::ConnectionsPerAddress => "Too many connections, retry later",
        LoginRefusal::Certificate
        | LoginRefusal::Expired
        | LoginRefusal::Locked
        | LoginRefusal::LockedByAdmin
        | LoginRefusal::Networks
        | LoginRefusal::Secret
        | LoginRefusal::Sessions
        | LoginRefusal::UnknownIdentity => "Authentication failed",
    }
}

/// How the client wants to prove who it is.
fn method(action: &Action) -> &'static str {
    if is_md5(action) {
        "md5"
    } else if action.get("Secret").is_some() {
        "plain"
    } else {
        "certificate"
    }
}

fn is_md5(action: &Action) -> bool {
    action.get("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case(b"MD5"))
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(client: &mut ClientIo<S>, answer: &Message) -> Result<(), SessionEnd> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    client.write(&bytes).await.map_err(|_| SessionEnd::ClientClosed)
}

/// A new challenge.
pub(super) fn random_challenge() -> Option<Challenge> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).ok()?;
    Some(Challenge::from_random(u32::from_le_bytes(bytes)))
}

pub(super) fn random_bits() -> Option<u128> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(u128::from_le_bytes(bytes))
}
