//! The policies of the workloads, made without a file.

use amiwall::identity::ClientName;
use amiwall::policy::Policy;
use amiwall::policy::spec::{ClientSpec, EventsSpec, PolicySpec, RoleSpec, RuleSpec, Spanned, ValueSpec};

use crate::Failure;

/// The identity of all workloads.
pub(crate) fn client() -> ClientName {
    ClientName::for_explain("crm")
}

/// A policy whose role has so many rules about Originate. Only the last allows the one in `packets`; the others have
/// another channel.
pub(crate) fn of_rules(count: usize) -> Result<Policy, Failure> {
    let others = (0..count.saturating_sub(1)).map(|number| originate(&format!("PJSIP/{}", 2_000 + number)));
    let allow = others.chain([originate("PJSIP/1001")]).collect();
    compile(RoleSpec { allow, ..RoleSpec::default() })
}

/// A policy whose role sees this.
pub(crate) fn of_events(events: EventsSpec) -> Result<Policy, Failure> {
    compile(RoleSpec { events, ..RoleSpec::default() })
}

pub(crate) fn spanned(text: &str) -> Spanned {
    Spanned { text: text.to_owned(), ..Spanned::default() }
}

fn originate(channel: &str) -> RuleSpec {
    let any_of = |texts: &[&str]| ValueSpec::AnyOf(texts.iter().map(|text| spanned(text)).collect());
    let any = || any_of(&["*"]);
    let variables = ValueSpec::Map(vec![(spanned("campaign_id"), any()), (spanned("lead_id"), any())]);
    let params = [
        ("Channel", any_of(&[channel])),
        ("Context", any_of(&["click-to-dial"])),
        ("Exten", any_of(&["_NXXNXXXXXX", "_1NXXNXXXXXX"])),
        ("Priority", any_of(&["1"])),
        ("CallerID?", any_of(&["Alice <1001>", "1001"])),
        ("Timeout?", any_of(&["integer"])),
        ("Async?", any_of(&["boolean"])),
        ("Variable?", variables),
    ];
    RuleSpec {
        action: spanned("Originate"),
        params: Some(params.into_iter().map(|(name, value)| (spanned(name), value)).collect()),
    }
}

fn compile(role: RoleSpec) -> Result<Policy, Failure> {
    let role = RoleSpec { name: spanned("role"), ..role };
    let client = ClientSpec { name: spanned("crm"), roles: vec![spanned("role")], ..ClientSpec::default() };
    let spec = PolicySpec { roles: vec![role], clients: vec![client], ..PolicySpec::default() };
    let (policy, _warnings) = Policy::compile(spec).map_err(|problems| {
        let problems: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        problems.join("; ")
    })?;
    Ok(policy)
}
