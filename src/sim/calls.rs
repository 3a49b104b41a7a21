//! The life of a call that `Originate` made, with its events in the order in which Asterisk was seen to send them.
//!
//! One task a call; only it removes the call's channels. Asterisk's two halves of a Local channel run in threads of
//! their own, so there the order between them differs from run to run; here it is always the same.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dialplan::{self, Behaviour};
use super::events::CALL;
use super::originate::{Destination, Origination};
use super::switch::{Channel, ChannelState, HangupSwitch, Party, Place};
use super::world::World;

/// Why an Originate failed, as `OriginateResponse` says it (`AST_CONTROL_*`): nobody answered.
const REASON_RINGING: u32 = 3;
/// It was answered.
const REASON_ANSWER: u32 = 4;
/// Anything else.
const REASON_FAILURE: u32 = 0;
/// Hang-up causes.
const CAUSE_NORMAL: u32 = 16;
const CAUSE_BUSY: u32 = 17;
const CAUSE_NO_ANSWER: u32 = 19;

/// Technologies that there are; a channel of another one fails at once.
const TECHNOLOGIES: [&str; 6] = ["Local", "PJSIP", "SIP", "IAX2", "DAHDI", "Console"];

/// A call being made.
pub(super) struct Call {
    world: Arc<World>,
    origination: Origination,
    hangup: Arc<HangupSwitch>,
    /// Unique ids of the dialled channel and of the other half of a Local channel.
    one: Vec<u8>,
    two: Option<Vec<u8>>,
}

/// Makes the call; `answered` learns whether it was answered.
pub(super) async fn run(world: Arc<World>, origination: Origination, answered: oneshot::Sender<bool>) {
    let is_known = TECHNOLOGIES.iter().any(|name| origination.technology.eq_ignore_ascii_case(name.as_bytes()));
    let mut call = Call { world, origination, hangup: Arc::default(), one: Vec::new(), two: None };
    if !is_known {
        call.fail(REASON_FAILURE, answered);
        return;
    }
    call.begin();
    match dialplan::behaviour(&call.origination.place()) {
        Behaviour::Answer => call.answer(answered).await,
        Behaviour::Busy => call.be_busy(answered),
        Behaviour::Ring => call.ring(answered).await,
        Behaviour::Unknown => {
            call.fail(REASON_FAILURE, answered);
            call.hang_up(0);
        }
    }
}

impl Call {
    /// Makes the channels, with variables and caller id.
    fn begin(&mut self) {
        let place = self.origination.place();
        let base = self.origination.base_name();
        let is_local = self.origination.is_local();
        let (serial, one, two) = self.world.with_switch(|switch| {
            switch.processed_calls += 1;
            let serial = switch.take_name();
            (serial, switch.take_unique(), is_local.then(|| switch.take_unique()))
        });
        let id_or = |given: &[u8], number| if given.is_empty() { self.world.unique_id(number) } else { given.to_vec() };
        let name = [base.as_slice(), format!("-{serial:08x}").as_bytes()].concat();
        self.one = id_or(&self.origination.ids.0, one);
        self.two = two.map(|two| id_or(&self.origination.ids.1, two));
        let Some(two) = self.two.clone() else {
            let place = Place { exten: Vec::new(), ..place };
            self.add(&Channel { name, unique_id: self.one.clone(), place, ..self.blank() });
            self.begin_outgoing(&self.one);
            return;
        };
        let half = |half: &[u8]| [name.as_slice(), half].concat();
        self.add(&Channel { name: half(b";1"), unique_id: self.one.clone(), place: place.clone(), ..self.blank() });
        let state = ChannelState::Ring;
        self.add(&Channel { name: half(b";2"), unique_id: two.clone(), place, state, ..self.blank() });
        self.begin_outgoing(&self.one);
        self.set_up(&two, self.origination.variables.iter().rev());
    }

    /// A channel that is yet to get its name and place.
    fn blank(&self) -> Channel {
        Channel {
            name: Vec::new(),
            unique_id: Vec::new(),
            linked_id: self.one.clone(),
            state: ChannelState::Down,
            caller: Party::default(),
            connected: Party::default(),
            place: Place::default(),
            application: Vec::new(),
            data: Vec::new(),
            created: Instant::now(),
            variables: std::collections::BTreeMap::new(),
            hangup: Arc::clone(&self.hangup),
        }
    }

    fn add(&self, channel: &Channel) {
        self.world.with_switch(|switch| switch.channels.push(channel.clone()));
        self.world.say_channel("Newchannel", channel);
    }

    /// Changes a channel of this call and returns it as it is then.
    fn change(&self, id: &[u8], change: impl FnOnce(&mut Channel)) -> Option<Channel> {
        self.world.with_switch(|switch| {
            let channel = switch.channels.iter_mut().find(|channel| channel.unique_id == id)?;
            change(channel);
            Some(channel.clone())
        })
    }

    fn look(&self, id: &[u8]) -> Option<Channel> {
        self.change(id, |_| {})
    }

    fn begin_outgoing(&self, id: &[u8]) {
        self.run_application(id, None, ("AppDial2", b"(Outgoing Line)"));
        self.set_up(id, self.origination.variables.iter());
    }

    /// Sets variables and the caller id, each with its event.
    fn set_up<'v>(&self, id: &[u8], variables: impl Iterator<Item = &'v (Vec<u8>, Vec<u8>)>) {
        for (name, value) in variables {
            let set = self.change(id, |channel| {
                channel.variables.insert(name.clone(), value.clone());
            });
            if let Some(channel) = set {
                self.world.say_var_set(Some(&channel), (name, value));
            }
        }
        let caller = &self.origination.caller;
        if *caller == Party::default() {
            return;
        }
        let named = self.change(id, |channel| {
            channel.caller = caller.clone();
            channel.connected = caller.clone();
        });
        if let Some(channel) = named {
            self.world.say_new_caller(&channel);
        }
    }

    /// Begins an application, at another priority if one is given.
    fn run_application(&self, id: &[u8], priority: Option<u32>, application: (&str, &[u8])) {
        let begun = self.change(id, |channel| {
            channel.place.priority = priority.unwrap_or(channel.place.priority);
            channel.application = application.0.as_bytes().to_vec();
            channel.data = application.1.to_vec();
        });
        if let Some(channel) = begun {
            self.world.say_new_exten(&channel);
        }
    }

    fn enter_state(&self, id: &[u8], state: ChannelState) {
        if let Some(channel) = self.change(id, |channel| channel.state = state) {
            self.world.say_channel("Newstate", &channel);
        }
    }

    fn say_dial(&self, event: &str, detail: (&str, &[u8])) {
        if let Some(channel) = self.look(&self.one) {
            self.world.say_dial(event, &channel, detail);
        }
    }

    /// `LocalBridge` where there are two halves.
    fn say_bridge(&self) {
        let two = self.two.as_ref().and_then(|two| self.look(two));
        if let (Some(one), Some(two)) = (self.look(&self.one), two) {
            self.world.say_local_bridge((&one, &two), self.origination.is_optimized());
        }
    }

    fn begin_dial(&self) {
        self.say_bridge();
        self.say_dial("DialBegin", ("DialString", &self.origination.resource));
    }

    /// `DeviceStateChange`, once for each half, as Asterisk sends it.
    fn say_device(&self, state: &str) {
        let device = self.origination.base_name();
        for _ in 0..=usize::from(self.two.is_some()) {
            self.world.say_device_state(&device, state);
        }
    }

    /// Runs the dialplan behind a Local channel up to (not including) `until`, from priority `from` on.
    fn run_steps(&self, from: usize, until: usize) {
        let Some(two) = &self.two else { return };
        for (at, (name, data)) in self.steps().into_iter().enumerate().take(until).skip(from) {
            self.run_application(two, u32::try_from(at + 1).ok(), (name, &data));
        }
    }

    /// What the extension does; the wait is the variable `WAIT`, else the configured length.
    fn steps(&self) -> Vec<(&'static str, Vec<u8>)> {
        let given = self.origination.variables.iter().find(|(name, _)| name == b"WAIT");
        let length = || self.world.config.call_length.as_secs_f64().to_string().into_bytes();
        dialplan::steps(&self.origination.place().exten, &given.map_or_else(length, |(_, value)| value.clone()))
    }

    async fn answer(&self, answered: oneshot::Sender<bool>) {
        self.begin_dial();
        if self.two.is_none() {
            self.enter_state(&self.one, ChannelState::Ringing);
            self.say_dial("DialState", ("DialStatus", b"RINGING"));
        }
        let up = self.steps().iter().position(|(name, _)| *name == "Answer").map_or(0, |at| at + 1);
        self.run_steps(0, up);
        for id in self.two.iter().chain([&self.one]) {
            self.enter_state(id, ChannelState::Up);
        }
        self.say_originate_response(true, REASON_ANSWER);
        answered.send(true).unwrap_or(()); // The session may be gone.
        self.say_dial("DialEnd", ("DialStatus", b"ANSWER"));
        self.say_device("INUSE");
        self.run_steps(up, usize::MAX);
        let behaviour = self.run_destination();
        if behaviour == Behaviour::Busy {
            return self.finish(CAUSE_BUSY);
        }
        let natural = if self.two.is_some() { 0 } else { CAUSE_NORMAL };
        let ended = tokio::time::timeout(self.world.config.call_length, self.hangup.token.cancelled()).await;
        self.finish(if ended.is_ok() { self.hangup.cause() } else { natural });
    }

    /// The dialled channel goes where the request wants it.
    fn run_destination(&self) -> Behaviour {
        match &self.origination.destination {
            Destination::Application { name, data } => {
                self.change(&self.one, |channel| {
                    channel.application.clone_from(name);
                    channel.data.clone_from(data);
                });
                Behaviour::Answer
            }
            Destination::Extension(place) => {
                self.change(&self.one, |channel| channel.place = place.clone());
                for (priority, (name, data)) in (place.priority..).zip(dialplan::steps(&place.exten, b"1")) {
                    self.run_application(&self.one, Some(priority), (name, &data));
                }
                dialplan::behaviour(place)
            }
        }
    }

    fn be_busy(&self, answered: oneshot::Sender<bool>) {
        self.say_bridge();
        self.run_steps(0, usize::MAX);
        if let Some(two) = self.two.as_ref().and_then(|two| self.look(two)) {
            self.world.say_hangup_request("SoftHangupRequest", &two, CAUSE_NORMAL);
        }
        if let Some(one) = self.look(&self.one) {
            self.world.say_hangup_request("HangupRequest", &one, CAUSE_BUSY);
        }
        self.remove(self.two.as_deref(), CAUSE_BUSY);
        self.say_dial("DialBegin", ("DialString", &self.origination.resource));
        self.say_dial("DialEnd", ("DialStatus", b"BUSY"));
        self.fail(REASON_FAILURE, answered);
        self.remove(Some(&self.one), CAUSE_BUSY);
        self.say_device("NOT_INUSE");
    }

    async fn ring(&self, answered: oneshot::Sender<bool>) {
        self.begin_dial();
        self.run_steps(0, 1);
        self.enter_state(&self.one, ChannelState::Ringing);
        self.world.say_device_state(&self.origination.base_name(), "INUSE");
        self.say_dial("DialState", ("DialStatus", b"RINGING"));
        self.run_steps(1, usize::MAX);
        let ended = tokio::time::timeout(self.origination.timeout, self.hangup.token.cancelled()).await;
        let (cause, reason) =
            if ended.is_ok() { (self.hangup.cause(), REASON_FAILURE) } else { (CAUSE_NO_ANSWER, REASON_RINGING) };
        let other = self.two.as_ref().unwrap_or(&self.one);
        self.request_hang_up(other, cause);
        self.fail(reason, answered);
        self.hang_up(cause);
    }

    /// The end of a call that was up.
    fn finish(&self, cause: u32) {
        self.request_hang_up(self.two.as_ref().unwrap_or(&self.one), cause);
        self.hang_up(cause);
    }

    fn request_hang_up(&self, id: &[u8], cause: u32) {
        if let Some(channel) = self.look(id) {
            self.world.say_hangup_request("HangupRequest", &channel, cause);
            self.world.say_hangup_request("SoftHangupRequest", &channel, CAUSE_NORMAL);
        }
    }

    fn hang_up(&self, cause: u32) {
        self.remove(Some(&self.one), cause);
        self.remove(self.two.as_deref(), cause);
        self.say_device("NOT_INUSE");
    }

    fn remove(&self, id: Option<&[u8]>, cause: u32) {
        let removed = self.world.with_switch(|switch| {
            let at = switch.channels.iter().position(|channel| Some(channel.unique_id.as_slice()) == id)?;
            Some(switch.channels.remove(at))
        });
        if let Some(channel) = removed {
            self.world.say_hangup(&channel, cause);
        }
    }

    fn fail(&self, reason: u32, answered: oneshot::Sender<bool>) {
        self.say_originate_response(false, reason);
        answered.send(false).unwrap_or(()); // The session may be gone.
    }

    /// `OriginateResponse`, which only asynchronous calls have (`fast_originate`).
    fn say_originate_response(&self, is_success: bool, reason: u32) {
        let origination = &self.origination;
        if !origination.is_async {
            return;
        }
        let channel = self.look(&self.one).filter(|_| is_success);
        let mut event = self.world.event("OriginateResponse", CALL);
        if !origination.action_id.is_empty() {
            event = event.header("ActionID", &origination.action_id);
        }
        let name = channel.as_ref().map_or(&origination.channel, |channel| &channel.name);
        event = event.header("Response", if is_success { "Success" } else { "Failure" }).header("Channel", name);
        event = match &origination.destination {
            Destination::Application { name, data } => event.header("Application", name).header("Data", data),
            Destination::Extension(place) => event.header("Context", &place.context).header("Exten", &place.exten),
        };
        let unique_id = channel.as_ref().map_or(&b"<unknown>"[..], |channel| &channel.unique_id);
        event = event
            .header("Reason", reason.to_string())
            .header("Uniqueid", unique_id)
            .header("CallerIDNum", origination.caller.shown_number())
            .header("CallerIDName", origination.caller.shown_name());
        self.world.publish(CALL, event);
    }
}
