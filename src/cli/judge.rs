//! A packet judged by a policy on the desk, as a session of an identity would judge it. `explain` and `test` share it.

use std::net::IpAddr;
use std::path::Path;

use super::Failure;
use crate::ami::{Action, Decoder, EventMask, Limits, Malformed, Message, Reply};
use crate::config::{self, Checked, Files};
use crate::identity::{ClientName, Identity};
use crate::policy::{Denial, Explanation, Followed};

/// Reads a policy without the files that it names: judging needs none of them.
pub(super) fn load(policy: &Path) -> Result<Checked, Failure> {
    config::check(policy, Files::Skip).map_err(|problems| Failure::of_policy(&problems))
}

/// What comes of a packet.
#[derive(Debug)]
pub(super) enum Judged {
    /// An action.
    Action(Explanation),
    /// A packet of the client that is no action.
    NoAction(Denial),
    /// A packet of Asterisk, as the client sees it.
    Reply(Option<Message>),
}

/// The session of an identity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'c> {
    checked: &'c Checked,
    identity: &'c Identity,
}

impl<'c> Desk<'c> {
    /// Names are compared without case, as at login.
    pub(super) fn of(checked: &'c Checked, name: &str) -> Option<Self> {
        let identity = checked.identities.iter().find(|identity| identity.name.eq_ignore_ascii_case(name))?;
        Some(Self { checked, identity })
    }

    /// The name as the policy spells it.
    pub(super) fn name(&self) -> &'c str {
        &self.identity.name
    }

    /// The reason code for which a client from this address would not be let in.
    pub(super) fn keeps_out(&self, from: IpAddr) -> Option<&'static str> {
        let from = from.to_canonical();
        if !self.checked.listeners.iter().any(|listener| listener.networks.allows(from)) {
            Some("networks.listener")
        } else if !self.identity.networks.allows(from) {
            Some("login.networks")
        } else {
            None
        }
    }

    /// Every packet of the client that the bytes hold.
    pub(super) fn judge_all(&self, bytes: &[u8]) -> Vec<Judged> {
        let mut decoder = Decoder::client(Limits::CLIENT);
        decoder.feed(bytes);
        std::iter::from_fn(|| decoder.next_message()).map(|packet| self.judge(packet)).collect()
    }

    fn judge(&self, packet: Result<Message, Malformed>) -> Judged {
        let message = match packet {
            Ok(message) => message,
            Err(malformed) => return Judged::NoAction(Denial::of_malformed(malformed)),
        };
        let client = ClientName::for_explain(&self.identity.name);
        match Action::try_from(message) {
            Ok(action) => Judged::Action(self.checked.policy.explain(&client, action)),
            Err((error, message)) => Judged::NoAction(Denial::of_message(&error, message)),
        }
    }

    /// Every packet of Asterisk that the bytes hold, as broadcast to the client.
    pub(super) fn show_all(&self, bytes: &[u8]) -> Vec<Judged> {
        let view = self.checked.policy.view(&ClientName::for_explain(&self.identity.name));
        let mut decoder = Decoder::upstream();
        decoder.feed(bytes);
        let packets = std::iter::from_fn(|| decoder.next_message()).filter_map(Result::ok);
        let mut followed = Followed::default();
        let show = |message| {
            let reply = Reply::from(message);
            Judged::Reply(view.show(&reply, false, EventMask::ALL, &mut followed).map(std::borrow::Cow::into_owned))
        };
        packets.map(show).collect()
    }
}
