//! What a real Asterisk shows of what it was made to do: a session with all rights, its configuration's folder, and its log
//! of the actions that it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::live_session::Session;

const PATIENCE: Duration = Duration::from_secs(30);

/// Something that nobody may make Asterisk do.
#[derive(Clone, Debug)]
pub(crate) struct Fire {
    /// What kind of canary it is.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// Every kind that a stream has.
pub(crate) const KINDS: [&str; 7] = ["channel", "command", "database", "file", "forged", "global", "queue"];

/// The headers of an allowed `UserEvent`, in order, without its name and `ActionID`.
pub(crate) type Said = Vec<(String, String)>;

#[derive(Debug)]
pub(crate) struct Beside {
    writer: TcpStream,
    packets: Receiver<String>,
    asked: u64,
    run: PathBuf,
    /// What was there before: lines of the database and the global variables, files.
    known: BTreeSet<String>,
    /// The allowed events that were seen, and how often each.
    pub(crate) said: BTreeMap<Said, u64>,
    /// Actions in Asterisk's log from before, and what this session ran itself since.
    before: BTreeMap<String, u64>,
    own: BTreeMap<String, u64>,
    /// Actions that only mark a place in the log.
    marks: u64,
    /// What was seen and not yet told.
    fires: Vec<Fire>,
}

impl Beside {
    /// `run` is Asterisk's own folder.
    pub(crate) fn open(address: &str, run: PathBuf) -> io::Result<Self> {
        let mut session = Session::open(address, "admin", "adminpw", "on")?;
        let (sender, packets) = channel();
        let writer = session.writer()?;
        // Read all the time: Asterisk ends a session that does not take its events.
        thread::spawn(move || {
            while let Ok(Some(packet)) = session.packet(Instant::now() + 100 * PATIENCE) {
                if sender.send(packet).is_err() {
                    break;
                }
            }
        });
        let mut beside = Self {
            writer,
            packets,
            asked: 0,
            run,
            known: BTreeSet::new(),
            said: BTreeMap::new(),
            before: BTreeMap::new(),
            own: BTreeMap::new(),
            marks: 0,
            fires: Vec::new(),
        };
        beside.command("core set debug 1 manager.c")?;
        beside.command("logger add channel actions debug")?;
        beside.look()?;
        beside.before = beside.logged()?;
        beside.own.clear();
        Ok(beside)
    }

    /// What has shown since this was last asked.
    pub(crate) fn look(&mut self) -> io::Result<Vec<Fire>> {
        // What was started may not be over: it has been said before the last channel is gone.
        let deadline = Instant::now() + PATIENCE;
        while !self.command("core show channels count")?.contains("0 active channels") {
            if Instant::now() > deadline {
                return Err(io::Error::other("a channel does not end"));
            }
        }
        self.act("UserEvent", "UserEvent: Barrier\r\n")?;
        let barrier = format!("UserEvent: Barrier\r\nActionID: beside-{}\r\n", self.asked);
        loop {
            let packet = self.next()?;
            if packet.contains(&barrier) {
                break;
            }
            self.judge(&packet);
        }
        let mut fires = std::mem::take(&mut self.fires);
        for (what, command) in [("database", "database show"), ("global", "dialplan show globals")] {
            for line in self.command(command)?.lines() {
                let Some(line) = line.strip_prefix("Output: ").filter(|line| line.contains([':', '='])) else {
                    continue;
                };
                let kind = if line.starts_with("/command/") { "command" } else { what };
                if self.known.insert(format!("{what} {line}")) {
                    fires.push(Fire { kind, text: line.to_owned() });
                }
            }
        }
        for entry in fs::read_dir(self.run.join("etc"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if self.known.insert(format!("file {name}")) {
                fires.push(Fire { kind: "file", text: name });
            }
        }
        Ok(fires)
    }

    /// What an event says: nothing, that somebody did what is allowed, or that something was done.
    fn judge(&mut self, packet: &str) {
        let mut lines = packet.split_terminator("\r\n").map(|line| line.split_once(": ").unwrap_or((line, "")));
        let kind = match lines.next() {
            Some(("Response", _)) => return,
            Some(("Event", "FullyBooted" | "SuccessfulAuth" | "ChallengeSent")) => return,
            Some(("Event", "UserEvent")) => {
                let (head, said): (Vec<_>, Vec<_>) =
                    lines.partition(|(name, _)| matches!(*name, "Privilege" | "SystemName" | "UserEvent" | "ActionID"));
                let is_named = head.iter().filter(|(name, _)| *name == "UserEvent").eq([&("UserEvent", "Allowed")]);
                if is_named && said.iter().all(|(name, _)| name.eq_ignore_ascii_case("Text")) {
                    let said = said.into_iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
                    *self.said.entry(said).or_default() += 1;
                    return;
                }
                "forged"
            }
            Some(("Event", "QueueMemberAdded")) => "queue",
            Some(("Event", "VarSet")) if packet.contains("\r\nChannel: none\r\n") => "global",
            Some(("Event", "Newchannel")) => "channel",
            // Whatever it is: no action that is allowed makes Asterisk say it.
            _ => "event",
        };
        self.fires.push(Fire { kind, text: packet.to_owned() });
    }

    /// How often Asterisk ran each action for others since this was opened.
    pub(crate) fn executed(&mut self) -> io::Result<BTreeMap<String, u64>> {
        let mut executed = self.logged()?;
        for (name, count) in self.before.iter().chain(&self.own) {
            if let Some(all) = executed.get_mut(name) {
                *all = all.saturating_sub(*count);
            }
        }
        executed.retain(|_, count| *count > 0);
        Ok(executed)
    }

    /// What is in Asterisk's log of actions, which a thread of its own writes, in order: when the last of this session's
    /// own actions is there, all others before it are.
    fn logged(&mut self) -> io::Result<BTreeMap<String, u64>> {
        self.act("CoreStatus", "")?;
        self.marks += 1;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut logged: BTreeMap<String, u64> = BTreeMap::new();
            for line in fs::read_to_string(self.run.join("log/actions"))?.lines() {
                if let Some(name) = line.split_once("Running action '").and_then(|(_, name)| name.strip_suffix('\'')) {
                    *logged.entry(name.to_owned()).or_default() += 1;
                }
            }
            if logged.get("CoreStatus") >= Some(&self.marks) {
                return Ok(logged);
            }
            thread::yield_now();
        }
        Err(io::Error::other("Asterisk's log of actions does not go on"))
    }

    /// How much was asked so far: another number each time.
    pub(crate) fn looks(&self) -> u64 {
        self.asked
    }

    fn command(&mut self, command: &str) -> io::Result<String> {
        self.act("Command", &format!("Command: {command}\r\n"))?;
        let id = format!("ActionID: beside-{}\r\n", self.asked);
        loop {
            let packet = self.next()?;
            if packet.contains(&id) {
                return Ok(packet);
            }
            self.judge(&packet);
        }
    }

    fn act(&mut self, name: &str, more: &str) -> io::Result<()> {
        self.asked += 1;
        *self.own.entry(name.to_owned()).or_default() += 1;
        write!(self.writer, "Action: {name}\r\nActionID: beside-{}\r\n{more}\r\n", self.asked)
    }

    fn next(&mut self) -> io::Result<String> {
        self.packets.recv_timeout(PATIENCE).map_err(|_| io::Error::other("Asterisk says nothing more, or has ended"))
    }
}
