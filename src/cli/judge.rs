//! A packet judged by a policy on the desk, as a session of an identity would judge it. `explain` and `test` share it.

use std::net::IpAddr;
use std::path::Path;

use super::Failure;
use crate::ami::{Action, Decoder, EventMask, Limits, Malformed, Message, PrivilegeClass, Reply, ReplyKind};
use crate::catalogue::{self, EventUse};
use crate::config::{self, Checked, Files};
use crate::identity::{ClientName, Identity};
use crate::policy::spec::{EventsSpec, RoleSpec, Spanned, effective_roles};
use crate::policy::{Denial, Explanation, Followed, View};

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
    /// A packet of Asterisk.
    Reply(Sight),
}

/// What a client sees of a packet of Asterisk.
#[derive(Debug)]
pub(super) enum Sight {
    /// This.
    Shown(Message),
    /// Nothing, unless it answers an action of the client's own: of this name, where only one is answered so.
    AsAnswer(Option<&'static str>),
    /// Nothing: it may answer an action of the client's own, but Asterisk is not asked for events of its classes.
    NotAsked,
    /// Nothing.
    Hidden(Withheld),
}

/// Why an identity does not see a packet.
#[derive(Debug)]
pub(super) struct Withheld {
    /// In words.
    pub(super) why: String,
    /// The line of the policy that says so, if one does.
    pub(super) line: Option<u32>,
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

    /// Every packet of Asterisk that the bytes hold, as broadcast to the client. `answers`: they answer its own action of
    /// that name.
    pub(super) fn show_all(&self, bytes: &[u8], answers: Option<&str>) -> Vec<Judged> {
        let view = self.checked.policy.view(&ClientName::for_explain(&self.identity.name));
        let mut decoder = Decoder::upstream();
        decoder.feed(bytes);
        let packets = std::iter::from_fn(|| decoder.next_message()).filter_map(Result::ok);
        let mut followed = Followed::default();
        let show = |message| {
            let reply = Reply::from(message);
            let mut seen = |is_answer| Some(view.show(&reply, is_answer, EventMask::ALL, &mut followed)?.into_owned());
            let answered = answered(&reply);
            let is_of = |action: &str| {
                let is_it = answered.is_some_and(|own| own.is_none_or(|own| own.eq_ignore_ascii_case(action)));
                is_it && self.may_ever(action)
            };
            let (arrives, is_answer) = (view.arrives(&reply), answers.is_some_and(is_of));
            Judged::Reply(match (seen(is_answer && arrives), answered) {
                (Some(message), _) => Sight::Shown(message),
                (None, Some(action)) if is_answer || action.is_none_or(|name| self.may_ever(name)) => {
                    match seen(true) {
                        Some(_) if !arrives => Sight::NotAsked,
                        Some(_) if answers.is_none() => Sight::AsAnswer(action),
                        _ => Sight::Hidden(self.withheld(&reply)),
                    }
                }
                (None, _) => Sight::Hidden(self.withheld(&reply)),
            })
        };
        packets.map(show).collect()
    }

    /// Why it does not see a packet that is broadcast. It asks the very views that decide, of a part of the policy each.
    fn withheld(&self, reply: &Reply) -> Withheld {
        let plain = |why: String| Withheld { why, line: None };
        if reply.kind() != ReplyKind::Event {
            return plain("only who sent an action gets its answer".to_owned());
        }
        let client = self.checked.clients.iter().find(|client| client.name.text == self.identity.name);
        let Some(client) = client else { return plain("it has no roles".to_owned()) };
        let roles = effective_roles(&client.roles, &self.checked.roles);
        let attributes = |name: &str| match name {
            "identity" => Some(client.name.text.as_str()),
            name => client.attributes.get(name).map(|value| value.text.as_str()),
        };
        let is_shown = |events: EventsSpec| {
            let role = RoleSpec { events, ..RoleSpec::default() };
            let view = View::compile(&[&role], &attributes);
            view.is_ok_and(|view| view.show(reply, false, EventMask::ALL, &mut Followed::default()).is_some())
        };
        let spanned = |text: &str| Spanned { text: text.to_owned(), ..Spanned::default() };
        let name = String::from_utf8_lossy(reply.name()).into_owned();
        let all: Vec<Spanned> =
            PrivilegeClass::ALL.iter().map(|class| class.label()).chain([name.as_str()]).map(spanned).collect();
        let denies = |denied: &&Spanned| {
            let with = |deny| is_shown(EventsSpec { allow: all.clone(), deny, ..EventsSpec::default() });
            with(Vec::new()) && !with(vec![(*denied).clone()])
        };
        for role in &roles {
            if let Some(denied) = role.events.deny.iter().find(denies) {
                let why = format!("`{}` is in roles.{}.events.deny", denied.text, role.name.text);
                return Withheld { why, line: Some(denied.at.line) };
            }
        }
        let allow: Vec<Spanned> = roles.iter().flat_map(|role| &role.events.allow).cloned().collect();
        let alone = |scope| is_shown(EventsSpec { allow: allow.clone(), scope, ..EventsSpec::default() });
        if alone(Vec::new())
            && let Some(role) = roles.iter().find(|role| !alone(role.events.scope.clone()))
        {
            let why = format!("it is about none of what roles.{}.events.where names", role.name.text);
            return Withheld { why, line: role.events.scope.first().map(|(header, _)| header.at.line) };
        }
        plain(format!("no `events.allow` of its roles has `{name}`, or all of its classes"))
    }

    /// Whether the identity may send some action of that name.
    pub(super) fn may_ever(&self, action: &str) -> bool {
        self.checked.policy.may_ever(&ClientName::for_explain(&self.identity.name), action)
    }
}

/// Which action a packet may answer, if it may answer one at all; the name where it can be only one.
fn answered(reply: &Reply) -> Option<Option<&'static str>> {
    match reply.kind() {
        ReplyKind::Response => Some(None),
        ReplyKind::Event if reply.name() == b"OriginateResponse" => Some(Some("Originate")),
        ReplyKind::Event => {
            let event = catalogue::event(std::str::from_utf8(reply.name()).ok()?)?;
            (event.used_as != EventUse::Event).then_some(None)
        }
        ReplyKind::Other => None,
    }
}
