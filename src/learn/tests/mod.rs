//! Tests of learning: what a wide policy allowed is written to a real log, learned from, and judged by the draft.

mod drafts;
mod patterns;
mod properties;

use std::path::Path;
use std::sync::LazyLock;

use super::{Draft, LearnError, LearnedRole, Options, learn};
use crate::ami::{Action, Message};
use crate::audit::tests::kept;
use crate::audit::{self, Audit, AuditConfig, Frame, SessionContext};
use crate::catalogue;
use crate::config::{self, Checked, Files};
use crate::identity::ClientName;
use crate::policy::spec::{ClientSpec, PolicySpec, RoleSpec, RuleSpec, Spanned, ValueSpec};
use crate::policy::{Decision, Policy};

pub(super) fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), ..Spanned::default() }
}

pub(super) fn client(name: &str, role: &str, attributes: &[(&str, &str)]) -> ClientSpec {
    ClientSpec {
        name: spanned(name),
        roles: vec![spanned(role)],
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), spanned(value))).collect(),
        ..ClientSpec::default()
    }
}

fn bare(action: &str) -> RuleSpec {
    RuleSpec { action: spanned(action), params: None }
}

/// Alice and Bob may do everything that a policy can allow without naming it, and one thing that nobody knows.
static WIDE: LazyLock<Policy> = LazyLock::new(|| {
    let mut allow: Vec<RuleSpec> = catalogue::actions().map(|entry| bare(entry.name)).collect();
    let any = |name: &str| (spanned(name), ValueSpec::AnyOf(vec![spanned("**")]));
    allow.push(RuleSpec { action: spanned("SiteThing"), params: Some(vec![any("Place?"), any("Why?")]) });
    let exact = (spanned("Data"), ValueSpec::AnyOf(vec![spanned("$\\{EXTEN\\}")]));
    let application = (spanned("Application"), ValueSpec::AnyOf(vec![spanned("NoOp")]));
    let channel = (spanned("Channel"), ValueSpec::AnyOf(vec![spanned("**")]));
    allow.push(RuleSpec { action: spanned("Originate"), params: Some(vec![channel.clone(), application, exact]) });
    let names = ValueSpec::AnyOf(["s", "h", "\\_x"].map(spanned).to_vec());
    let channel = (spanned("Channel?"), channel.1);
    allow.push(RuleSpec { action: spanned("Originate"), params: Some(vec![channel, (spanned("Exten"), names)]) });
    let role = RoleSpec { name: spanned("wide"), allow, ..RoleSpec::default() };
    let clients = vec![client("alice", "wide", &[]), client("bob", "wide", &[])];
    Policy::compile(PolicySpec { roles: vec![role], clients, ..PolicySpec::default() }).expect("a policy").0
});

pub(super) fn act(name: &str, headers: &[(&str, &[u8])]) -> Action {
    let mut message = Message::new();
    message.push("Action", name.as_bytes()).expect("a header");
    message.push("ActionID", b"x").expect("a header");
    for (name, value) in headers {
        message.push(name, value).expect("a header");
    }
    Action::try_from(message).expect("an action")
}

/// A log of its own.
pub(super) struct Log {
    drafts: Vec<audit::Draft<'static>>,
    config: AuditConfig,
    directory: tempfile::TempDir,
}

impl Log {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // A log to learn from says what was in messages, and which digits were sent.
        let redact = ["*Secret*", "*Password*", "*PIN*"].map(str::to_owned).to_vec();
        let config = AuditConfig { redact, ..AuditConfig::new(directory.path()) };
        Self { drafts: Vec::new(), config, directory }
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn session(identity: &str) -> &'static Frame {
        kept(Frame::from(SessionContext {
            session: "5e2b9c01-37".to_owned(),
            identity: Some(identity.to_owned()),
            peer: Some("203.0.113.7:51234".parse().expect("an address")),
            ..SessionContext::default()
        }))
    }

    /// An action, as the wide policy decides. Whether it is allowed.
    pub(super) fn action(&mut self, identity: &str, action: Action) -> bool {
        let decision = WIDE.decide(&ClientName::for_explain(identity), action, "1.2");
        let is_allowed = matches!(decision, Decision::Allow(_));
        self.drafts.push(audit::Draft::action(Self::session(identity), "1.2", kept(decision)));
        is_allowed
    }

    /// An action that no rule allows.
    pub(super) fn refused(&mut self, identity: &str, name: &str) {
        let decision = Policy::default().decide(&ClientName::for_explain(identity), act(name, &[]), "1.2");
        self.drafts.push(audit::Draft::action(Self::session(identity), "1.2", kept(decision)));
    }

    #[track_caller]
    pub(super) fn allowed(&mut self, identity: &str, name: &str, headers: &[(&str, &str)]) {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        assert!(self.action(identity, act(name, &headers)), "{name} {headers:?} is not allowed");
    }

    pub(super) fn event(&mut self, identity: &str, name: &str, id: Option<&str>) {
        let event = Message::compose(&[("Event", name.as_bytes()), ("Privilege", b"call,all")]);
        self.drafts.push(audit::Draft::reply(
            Self::session(identity),
            kept(id.map(str::to_owned)).as_deref(),
            kept(event),
            None,
        ));
    }

    /// Writes everything to the directory.
    pub(super) fn write(&mut self) {
        let drafts = std::mem::take(&mut self.drafts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let audit = Audit::open(&self.config).expect("a log");
            audit.append(drafts).await.expect("written");
            audit.close().await.expect("closed");
        });
    }

    pub(super) fn learn_with(&mut self, options: &Options) -> Result<Draft, LearnError> {
        self.write();
        learn(self.directory(), options)
    }

    pub(super) fn learn(&mut self) -> Draft {
        self.learn_with(&Options::default()).expect("a draft")
    }
}

/// The patterns of one parameter of the first rule for an action.
#[track_caller]
pub(super) fn patterns(role: &LearnedRole, action: &str, param: &str) -> Vec<String> {
    let spec = role.spec();
    let rule = spec.allow.iter().find(|rule| rule.action.text == action).unwrap_or_else(|| panic!("no {action}"));
    let params = rule.params.iter().flatten();
    let value = params.filter(|(name, _)| name.text == param).map(|(_, value)| value).next();
    match value.unwrap_or_else(|| panic!("no {param} in {rule:?}")) {
        ValueSpec::AnyOf(list) => list.iter().map(|text| text.text.clone()).collect(),
        ValueSpec::Map(map) => map.iter().map(|(name, values)| format!("{}: {}", name.text, texts(values))).collect(),
    }
}

fn texts(value: &ValueSpec) -> String {
    match value {
        ValueSpec::AnyOf(list) => list.iter().map(|text| text.text.as_str()).collect::<Vec<_>>().join(" | "),
        ValueSpec::Map(_) => "a map".to_owned(),
    }
}

/// The draft in the smallest policy around it, read as any policy file is.
#[track_caller]
pub(super) fn installed(draft: &Draft, attributes: &str) -> Checked {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("policy.yaml");
    let identity = |role: &LearnedRole| {
        format!(
            "  \"{}\":\n    roles: [\"{}\"]\n    secret: {{ env: X }}\n    attributes: {{ {attributes} }}\n",
            role.identity, role.name
        )
    };
    let identities: String = draft.roles.iter().map(identity).collect();
    let text = format!(
        "version: 1\nlisteners: [ {{ address: \"127.0.0.1:0\", plaintext: true }} ]\n\
         upstreams: {{ pbx: {{ address: \"127.0.0.1:1\", username: a, secret: {{ env: X }} }} }}\n\
         audit: {{ directory: audit }}\n{}\nidentities:\n{identities}",
        draft.to_yaml()
    );
    std::fs::write(&path, &text).expect("written");
    config::check(&path, Files::Skip).unwrap_or_else(|problems| panic!("{problems}\n\n{text}"))
}

/// The reason of a refusal, or `allow`.
pub(super) fn outcome(checked: &Checked, identity: &str, action: Action) -> String {
    match checked.policy.decide(&ClientName::for_explain(identity), action, "") {
        Decision::Allow(_) => "allow".to_owned(),
        Decision::Deny(denial) => denial.reason().code(),
    }
}
