//! [`Action`]: a message with exactly one, non-empty `Action` header and nothing said twice.

use super::{Header, Message};

/// Actions whose `Variable` header may repeat: Asterisk collects all of them (manager.c, `astman_get_variables_order`).
const COLLECT_VARIABLE: [&str; 3] = ["originate", "messagesend", "pjsipnotify"];

/// Why a message is not an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// A header that may stand only once stands twice; Asterisk would take the first, others the last.
    #[error("the header `{0}` stands twice")]
    DuplicateHeader(String),
    /// There is no `Action` header, or it is empty.
    #[error("there is no Action header")]
    MissingAction,
    /// There are two `Action` headers.
    #[error("there are two Action headers")]
    RepeatedAction,
}

impl ActionError {
    /// The stable name, as it stands behind `message.` in the audit log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateHeader(_) => "duplicate-header",
            Self::MissingAction => "missing-action",
            Self::RepeatedAction => "repeated-action",
        }
    }

    /// What the client is told.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::DuplicateHeader(_) => "Failed to parse message: duplicate header",
            // manager.c, `process_message`.
            Self::MissingAction => "Missing action in request",
            Self::RepeatedAction => "Failed to parse message: more than one Action",
        }
    }
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    message: Message,
    name: Vec<u8>,
    key: String,
}

impl Action {
    /// The action's name as the client spelled it.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name in lower case, for look-ups; bytes that are not UTF-8 are replaced, so no catalogue name is ever equal to it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The client's `ActionID`; an empty one counts as none, as in Asterisk.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.message.get("ActionID").filter(|id| !id.is_empty())
    }

    /// All headers, `Action` and `ActionID` among them.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The value of a header; an empty value counts as absent (it is what Asterisk sees).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.message.get(name).filter(|value| !value.is_empty())
    }

    /// The same action without the headers for which `keep` is false. `Action` and `ActionID` always stay.
    #[must_use]
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let message = self.message.rewrite(|header| {
            if header.is("Action") || header.is("ActionID") || keep(header.name()) {
                super::Rewrite::Keep
            } else {
                super::Rewrite::Drop
            }
        });
        Self { message, name: self.name.clone(), key: self.key.clone() }
    }

    /// The same action with these headers at its end, instead of any of their names.
    #[must_use]
    pub fn with(&self, headers: &[(&str, &[u8])]) -> Self {
        let is_replaced = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let Self { mut message, name, key } = self.retain(|name| !is_replaced(name));
        for (name, value) in headers {
            message.push_lossy(name, value);
        }
        Self { message, name, key }
    }
}

impl Action {
    /// The same action with more headers, right behind `Action`, and the others as `change` leaves them. It is still the
    /// action that it was: `Action` and `ActionID` stay as they are.
    #[must_use]
    pub fn rebuilt(&self, more: &[(&str, Vec<u8>)], change: impl FnOnce(&Message) -> Message) -> Self {
        let rest = change(&self.message);
        let mut message = Message::new();
        message.push_lossy("Action", &self.name);
        if let Some(id) = self.message.get("ActionID") {
            message.push_lossy("ActionID", id);
        }
        let is_own = |name: &str| name.eq_ignore_ascii_case("Action") || name.eq_ignore_ascii_case("ActionID");
        for (name, value) in more.iter().filter(|(name, _)| !is_own(name)) {
            message.push_lossy(name, value);
        }
        for header in rest.headers().filter(|header| !is_own(header.name())) {
            message.push_lossy(header.name(), header.value);
        }
        Self { message, name: self.name.clone(), key: self.key.clone() }
    }
}

impl TryFrom<Message> for Action {
    /// The message is handed back, for the answer and the record.
    type Error = (ActionError, Message);

    fn try_from(message: Message) -> Result<Self, Self::Error> {
        let values: Vec<&[u8]> = message.get_all("Action").take(2).collect();
        let name = match values.as_slice() {
            [] | [b""] => return Err((ActionError::MissingAction, message)),
            [name] => name.to_vec(),
            _ => return Err((ActionError::RepeatedAction, message)),
        };
        let key = String::from_utf8_lossy(&name).to_ascii_lowercase();
        if let Some(duplicate) = duplicate_header(&message, COLLECT_VARIABLE.contains(&key.as_str())) {
            return Err((ActionError::DuplicateHeader(duplicate), message));
        }
        Ok(Self { message, name, key })
    }
}

fn duplicate_header(message: &Message, variable_may_repeat: bool) -> Option<String> {
    let headers: Vec<Header<'_>> = message.headers().collect();
    let is_repeated = |(at, header): (usize, &Header<'_>)| {
        let may_repeat = variable_may_repeat && header.is("Variable");
        let mut behind = headers.iter().skip(at + 1);
        !may_repeat && behind.any(|other| other.name_bytes().eq_ignore_ascii_case(header.name_bytes()))
    };
    let at = headers.iter().enumerate().position(is_repeated)?;
    headers.get(at).map(|header| header.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(headers: &[(&str, &[u8])]) -> Result<Action, ActionError> {
        Action::try_from(Message::compose(headers)).map_err(|(error, _)| error)
    }

    #[test]
    fn exactly_one_action_is_wanted() {
        assert_eq!(action(&[]), Err(ActionError::MissingAction));
        assert_eq!(action(&[("Action", b"")]), Err(ActionError::MissingAction));
        assert_eq!(action(&[("Action", b""), ("Action", b"Command")]), Err(ActionError::RepeatedAction));
        assert_eq!(action(&[("Action", b"Ping"), ("ACTION", b"Ping")]), Err(ActionError::RepeatedAction));
        let ping = action(&[("aCtIoN", b"pInG"), ("ActionID", b"")]).expect("an action");
        assert_eq!((ping.name(), ping.key(), ping.id()), (&b"pInG"[..], "ping", None));
    }

    #[test]
    fn nothing_stands_twice_but_variable_where_asterisk_collects_it() {
        let twice = |name: &str, header| action(&[("Action", name.as_bytes()), (header, b"a=1"), (header, b"b=2")]);
        assert!(twice("Originate", "Variable").is_ok());
        assert!(twice("originate", "variable").is_ok());
        assert_eq!(twice("Getvar", "Variable"), Err(ActionError::DuplicateHeader("Variable".into())));
        assert_eq!(twice("Originate", "Channel"), Err(ActionError::DuplicateHeader("Channel".into())));
        assert_eq!(twice("Ping", "ActionID"), Err(ActionError::DuplicateHeader("ActionID".into())));
        assert_eq!(twice("UserEvent", "X"), Err(ActionError::DuplicateHeader("X".into())));
    }
}
