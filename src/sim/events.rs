//! The events of channels: names, classes, order of headers.

use super::answer::{Answer, escape_c};
use super::switch::Channel;
use super::world::World;

/// The classes of most events of a call.
pub(super) const CALL: &str = "call,all";
/// The classes of what the dialplan does.
pub(super) const DIALPLAN: &str = "dialplan,all";

/// The text of a hang-up cause (`ast_cause2str`).
fn cause_text(cause: u32) -> &'static str {
    match cause {
        1 => "Unallocated (unassigned) number",
        16 => "Normal Clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "User alerting, no answer",
        21 => "Call Rejected",
        34 => "Circuit/channel congestion",
        127 => "Interworking, unspecified",
        _ => "Unknown",
    }
}

impl World {
    /// An event with a channel's snapshot.
    fn channel_event(&self, name: &str, privilege: &str, channel: &Channel) -> Answer {
        channel.write(self.event(name, privilege), "")
    }

    /// `Newchannel`, `Newstate`, `NewConnectedLine`: a snapshot and nothing else.
    pub(super) fn say_channel(&self, name: &str, channel: &Channel) {
        self.publish(CALL, self.channel_event(name, CALL, channel));
    }

    /// `NewCallerid` and `NewConnectedLine` of a channel that got a caller id.
    pub(super) fn say_new_caller(&self, channel: &Channel) {
        let presentation = "0 (Presentation Allowed, Not Screened)";
        let mut named = channel.clone();
        named.connected = super::switch::Party::default();
        let event = self.channel_event("NewCallerid", CALL, &named).header("CID-CallingPres", presentation);
        self.publish(CALL, event);
        self.say_channel("NewConnectedLine", channel);
    }

    /// `Newexten`: the channel begins with the application that it holds.
    pub(super) fn say_new_exten(&self, channel: &Channel) {
        let event = self
            .channel_event("Newexten", DIALPLAN, channel)
            .header("Extension", &channel.place.exten)
            .header("Application", &channel.application)
            .header("AppData", &channel.data);
        self.publish(DIALPLAN, event);
    }

    /// `VarSet` of a channel, or of a global variable.
    pub(super) fn say_var_set(&self, channel: Option<&Channel>, variable: (&[u8], &[u8])) {
        let event = self.event("VarSet", DIALPLAN);
        let event = match channel {
            Some(channel) => channel.write(event, ""),
            None => event.headers([("Channel", "none"), ("Uniqueid", "none")]),
        };
        let event = event.header("Variable", variable.0).header("Value", escape_c(variable.1));
        self.publish(DIALPLAN, event);
    }

    /// `LocalBridge` of the two halves of a Local channel.
    pub(super) fn say_local_bridge(&self, halves: (&Channel, &Channel), is_optimized: bool) {
        let event = halves.0.write(self.event("LocalBridge", CALL), "LocalOne");
        let event = halves
            .1
            .write(event, "LocalTwo")
            .header("Context", &halves.1.place.context)
            .header("Exten", &halves.1.place.exten)
            .header("LocalOptimization", if is_optimized { "Yes" } else { "No" });
        self.publish(CALL, event);
    }

    /// `DialBegin`, `DialState`, `DialEnd` of a channel that nobody but an action dials.
    pub(super) fn say_dial(&self, name: &str, channel: &Channel, detail: (&str, &[u8])) {
        let event = channel.write(self.event(name, CALL), "Dest").header(detail.0, detail.1);
        self.publish(CALL, event);
    }

    /// `HangupRequest` and `SoftHangupRequest`.
    pub(super) fn say_hangup_request(&self, name: &str, channel: &Channel, cause: u32) {
        self.publish(CALL, self.channel_event(name, CALL, channel).header("Cause", cause.to_string()));
    }

    /// `Hangup`.
    pub(super) fn say_hangup(&self, channel: &Channel, cause: u32) {
        let event = self
            .channel_event("Hangup", CALL, channel)
            .header("Cause", cause.to_string())
            .header("Cause-txt", cause_text(cause));
        self.publish(CALL, event);
    }

    /// `DeviceStateChange`.
    pub(super) fn say_device_state(&self, device: &[u8], state: &str) {
        let event = self.event("DeviceStateChange", CALL).header("Device", device).header("State", state);
        self.publish(CALL, event);
    }
}
