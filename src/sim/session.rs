//! One session: one packet after the other is read, checked, executed and answered; events go out in between.
//!
//! The order of the checks is that of `process_message` (main/manager.c). While an action blocks (a failed login, a
//! synchronous Originate, WaitEvent) nothing else is read and no event is sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::SimUser;
use super::answer::Answer;
use super::commands;
use super::login;
use super::originate::Origination;
use super::quirks::{Packet, Reader, Request};
use super::world::{Outgoing, World};
use super::{actions, calls};
use crate::ami::{Challenge, EventMask};

/// Bytes of one read.
const READ_LEN: usize = 4_096;
/// An error's text is cut to this (`astman_send_error_va`).
const ERROR_LEN_MAX: usize = 511;

/// `WaitEvent` does not wait longer, whatever the client says.
const WAIT_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Close,
    Read,
}

/// A connection.
pub(super) struct Session {
    id: u64,
    world: Arc<World>,
    stream: TcpStream,
    peer: SocketAddr,
    queue: mpsc::Receiver<Outgoing>,
    reader: Reader,
    user: Option<SimUser>,
    mask: EventMask,
    challenge: Option<Challenge>,
}

impl Session {
    pub(super) fn new(
        id: u64,
        world: Arc<World>,
        stream: TcpStream,
        (peer, queue): (SocketAddr, mpsc::Receiver<Outgoing>),
    ) -> Self {
        let (reader, mask) = (Reader::new(), EventMask::NONE);
        Self { id, world, stream, peer, queue, reader, user: None, mask, challenge: None }
    }

    /// Serves until the client or Asterisk closes the connection.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let banner = format!("{}\r\n", self.world.config.banner);
        self.write(banner.as_bytes()).await?;
        let deadline = Instant::now() + self.world.config.auth_timeout;
        let mut buffer = vec![0; READ_LEN];
        loop {
            while let Some(packet) = self.reader.next_packet() {
                if self.handle(packet).await? == Next::Close {
                    return self.stream.shutdown().await;
                }
                self.flush_queue().await?;
            }
            tokio::select! {
                read = self.stream.read(&mut buffer) => match read? {
                    0 => return Ok(()),
                    len => self.reader.feed(buffer.get(..len).unwrap_or_default()),
                },
                Some(outgoing) = self.queue.recv() => self.deliver(outgoing).await?,
                () = tokio::time::sleep_until(deadline), if self.user.is_none() => return Ok(()),
            }
        }
    }

    /// Writes, once answering is not suspended, within the write timeout.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut is_answering = self.world.is_answering.subscribe();
        if is_answering.wait_for(|is_answering| *is_answering).await.is_err() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        tokio::time::timeout(self.world.config.write_timeout, self.stream.write_all(bytes)).await?
    }

    async fn deliver(&mut self, outgoing: Outgoing) -> io::Result<()> {
        match outgoing {
            Outgoing::Event { privilege, bytes } if self.mask.wants(privilege.as_bytes()) => self.write(&bytes).await,
            Outgoing::Event { .. } => Ok(()),
            Outgoing::Raw(bytes) => self.write(&bytes).await,
        }
    }

    /// Sends the events that wait, as Asterisk does behind each action.
    async fn flush_queue(&mut self) -> io::Result<()> {
        while let Ok(outgoing) = self.queue.try_recv() {
            self.deliver(outgoing).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Packet) -> io::Result<Next> {
        let request = match packet {
            Packet::Refused(refusal, request) => {
                self.write(&Answer::error(&request, refusal.text())).await?;
                return Ok(Next::Read);
            }
            Packet::Request(request) => request,
        };
        let action = request.action();
        let entry = commands::find(action);
        let is_open = matches!(entry.map(|entry| entry.name), Some("Challenge" | "Login" | "Logoff"));
        if self.user.is_none() && !is_open {
            self.write(&Answer::error(&request, "Permission denied")).await?;
            return Ok(Next::Read);
        }
        let Some(entry) = entry else {
            self.write(&unknown_action(&request)).await?;
            return Ok(Next::Read);
        };
        let write = self.user.as_ref().map_or(EventMask::NONE, |user| user.write);
        if !entry.is_allowed(write) {
            self.write(&Answer::error(&request, "Permission denied")).await?;
            return Ok(Next::Read);
        }
        self.world.record(self.id, self.user.as_ref().map(|user| user.name.as_str()), &request);
        let answer = match entry.name {
            "Challenge" => self.challenge(&request),
            "Events" => self.set_mask(&request),
            "Login" => return self.login(&request).await,
            "Logoff" => {
                let goodbye = Answer::response("Goodbye", &request).header("Message", "Thanks for all the fish.");
                self.write(&goodbye.end()).await?;
                return Ok(Next::Close);
            }
            "Originate" => self.originate(&request, write).await,
            "WaitEvent" => return self.wait_event(&request).await,
            _ => actions::execute(&self.world, entry, &request, write),
        };
        self.write(&answer).await?;
        Ok(Next::Read)
    }

    /// `action_challenge`: the same number for the life of the session.
    fn challenge(&mut self, request: &Request) -> Vec<u8> {
        if !request.get("AuthType").eq_ignore_ascii_case(b"MD5") {
            return Answer::error(request, "Must specify AuthType");
        }
        let challenge = self.challenge.get_or_insert_with(login::new_challenge);
        Answer::success(request).header("Challenge", challenge.text()).end()
    }

    /// `action_login`.
    async fn login(&mut self, request: &Request) -> io::Result<Next> {
        if self.user.is_some() {
            self.write(&Answer::ack(request, "Already authenticated")).await?;
            return Ok(Next::Read);
        }
        let user = login::authenticate(&self.world.config.users, request, self.challenge.as_ref()).cloned();
        let Some(user) = user else {
            tokio::time::sleep(self.world.config.login_failure_delay).await;
            self.write(&Answer::error(request, "Authentication failed")).await?;
            return Ok(Next::Close);
        };
        self.mask = login::first_mask(request.get("Events")).and(user.read);
        let name = user.name.clone();
        self.user = Some(user);
        self.world.authenticate(self.id);
        self.write(&Answer::ack(request, "Authentication accepted")).await?;
        if self.mask.wants(b"system") {
            self.write(&login::fully_booted(&self.world)).await?;
        }
        self.world.publish(login::SECURITY, login::successful_auth(&self.world, self.peer, &name));
        Ok(Next::Read)
    }

    /// `action_events`.
    fn set_mask(&mut self, request: &Request) -> Vec<u8> {
        let Ok(mask) = EventMask::parse(request.get("EventMask")) else {
            return Answer::error(request, "Invalid event mask");
        };
        self.mask = mask.and(self.user.as_ref().map_or(EventMask::NONE, |user| user.read));
        // What is answered is what was asked for, whatever of it the user may see.
        let word = if mask.is_none() { "Off" } else { "On" };
        Answer::success(request).header("Events", word).end()
    }

    /// `action_originate`: without `Async` the session waits for the call to be answered or to fail.
    async fn originate(&self, request: &Request, write: EventMask) -> Vec<u8> {
        let origination = match Origination::read(request, write) {
            Ok(origination) => origination,
            Err(refusal) => return refusal,
        };
        let is_async = origination.is_async;
        let (answered, outcome) = oneshot::channel();
        let world = Arc::clone(&self.world);
        self.world.tasks.spawn(async move {
            let stop = world.stop.clone();
            stop.run_until_cancelled(calls::run(world, origination, answered)).await
        });
        if is_async || outcome.await == Ok(true) {
            Answer::ack(request, "Originate successfully queued")
        } else {
            Answer::error(request, "Originate failed")
        }
    }

    /// `action_waitevent`: until an event that is wanted, new bytes of the client, or the timeout.
    async fn wait_event(&mut self, request: &Request) -> io::Result<Next> {
        let timeout = login::scan_any_number(request.get("Timeout")).and_then(|seconds| u64::try_from(seconds).ok());
        let deadline = timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds).min(WAIT_MAX));
        let mut first = None;
        let mut buffer = vec![0; READ_LEN];
        while first.is_none() {
            tokio::select! {
                Some(outgoing) = self.queue.recv() => match outgoing {
                    Outgoing::Event { ref privilege, .. } if !self.mask.wants(privilege.as_bytes()) => {}
                    wanted @ (Outgoing::Event { .. } | Outgoing::Raw(_)) => first = Some(wanted),
                },
                read = self.stream.read(&mut buffer) => match read? {
                    0 => return Ok(Next::Close),
                    len => {
                        self.reader.feed(buffer.get(..len).unwrap_or_default());
                        break;
                    }
                },
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
            }
        }
        self.write(&Answer::ack(request, "Waiting for Event completed.")).await?;
        if let Some(first) = first {
            self.deliver(first).await?;
        }
        self.flush_queue().await?;
        self.write(&Answer::event("WaitEventComplete").id(request).end()).await?;
        Ok(Next::Read)
    }
}

/// The answer to an action that does not exist; it repeats the name, and is cut.
fn unknown_action(request: &Request) -> Vec<u8> {
    let message =
        [b"Invalid/unknown command: ", request.action(), b". Use Action: ListCommands to show available commands."]
            .concat();
    Answer::error(request, message.get(..ERROR_LEN_MAX).unwrap_or(&message))
}
