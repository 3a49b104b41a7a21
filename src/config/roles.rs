//! `roles:`: filled into [`RoleSpec`]s as they stand; what they mean is the policy's business.

use super::fields::{Fields, Problems};
use super::node::{Node, Value};
use super::values;
use crate::policy::spec::{
    ActionSpec, EventsSpec, RoleSpec, RuleSpec, SetSpec, SetValueSpec, Spanned, TripSpec, ValueSpec,
};

/// All roles.
pub(super) fn roles(node: &Node, problems: &mut Problems) -> Vec<RoleSpec> {
    node.map(problems).iter().map(|(name, node)| role(name, node, problems)).collect()
}

/// `actions:`: `UcmDial: [Channel, { Number: dialable }]`. A parameter without a kind is a text.
pub(super) fn actions(node: &Node, problems: &mut Problems) -> Vec<ActionSpec> {
    let mut all = Vec::new();
    for (name, node) in node.map(problems) {
        let mut params = Vec::new();
        for element in node.list(problems) {
            match &element.value {
                Value::Map(map) => {
                    params.extend(map.iter().filter_map(|(name, kind)| Some((name.clone(), kind.text(problems)?))));
                }
                Value::Empty | Value::List(_) | Value::Scalar(_) => {
                    let kind = Spanned { text: "text".to_owned(), at: element.at };
                    params.extend(element.text(problems).map(|name| (name, kind)));
                }
            }
        }
        all.push(ActionSpec { name: name.clone(), params });
    }
    all
}

fn role(name: &Spanned, node: &Node, problems: &mut Problems) -> RoleSpec {
    let known = ["include", "allow", "deny", "events", "limits", "set", "trip"];
    let fields = Fields::of(node, format!("the role `{}`", name.text), &known, &["hours"], problems);
    RoleSpec {
        name: name.clone(),
        include: fields.take("include").map(|node| values::texts(node, problems)).unwrap_or_default(),
        allow: fields.take("allow").map(|node| rules(node, problems)).unwrap_or_default(),
        deny: fields.take("deny").map(|node| rules(node, problems)).unwrap_or_default(),
        events: fields.take("events").map(|node| events(node, problems)).unwrap_or_default(),
        limits: fields.take("limits").map(|node| values::rates(node, problems)).unwrap_or_default(),
        trip: fields.take("trip").and_then(|node| trip(node, problems)),
        set: fields.take("set").map(|node| set(node, problems)).unwrap_or_default(),
    }
}

fn trip(node: &Node, problems: &mut Problems) -> Option<TripSpec> {
    let fields = Fields::of(node, "`trip`", &["exceeded", "first_call", "for"], &[], problems);
    let exceeded = fields.take("exceeded").and_then(|node| node.text(problems));
    let first_call = fields.take("first_call").map(|node| values::texts(node, problems)).unwrap_or_default();
    let lasts = fields.take("for").map(|node| values::duration(node, problems).map(|lasts| (node.at, lasts)));
    // One that is wrong was told, so that this is no policy; the rest is looked at all the same.
    Some(TripSpec { at: node.at, exceeded, first_call, lasts: lasts.flatten() })
}

fn rules(node: &Node, problems: &mut Problems) -> Vec<RuleSpec> {
    let mut rules = Vec::new();
    for element in node.list(problems) {
        match &element.value {
            Value::Scalar(_) => {
                rules.extend(element.text(problems).map(|action| RuleSpec { action, params: None }));
            }
            Value::Map(map) => match map.as_slice() {
                [(action, params)] => {
                    rules.push(RuleSpec { action: action.clone(), params: parameters(params, problems) });
                }
                _ => {
                    let help = Some("one action an entry: `- Ping` or `- QueueStatus: { Queue: sales }`".to_owned());
                    problems.error(element.at, format!("{} actions in one entry", map.len()), help);
                }
            },
            Value::Empty | Value::List(_) => {
                problems.error(element.at, format!("expected an action, found {}", element.what()), None);
            }
        }
    }
    rules
}

fn parameters(node: &Node, problems: &mut Problems) -> Option<Vec<(Spanned, ValueSpec)>> {
    if node.value == Value::Empty {
        let help = Some("`- Ping` allows any parameters, `- Ping: {}` none".to_owned());
        problems.error(node.at, "the action's parameters are missing", help);
        return None;
    }
    let entries = node.map(problems).iter();
    Some(entries.filter_map(|(name, node)| Some((name.clone(), value(node, problems)?))).collect())
}

fn value(node: &Node, problems: &mut Problems) -> Option<ValueSpec> {
    match &node.value {
        Value::Scalar(_) | Value::List(_) => Some(ValueSpec::AnyOf(values::texts(node, problems))),
        Value::Map(map) => {
            let entries = map.iter().filter_map(|(name, node)| Some((name.clone(), value(node, problems)?)));
            Some(ValueSpec::Map(entries.collect()))
        }
        Value::Empty => {
            let help = Some("an empty value counts as absent: name only what may be present".to_owned());
            problems.error(node.at, "expected a pattern", help);
            None
        }
    }
}

fn set(node: &Node, problems: &mut Problems) -> Vec<SetSpec> {
    let mut all = Vec::new();
    for (action, node) in node.map(problems) {
        let params = node.map(problems).iter();
        let params = params.filter_map(|(name, node)| Some((name.clone(), set_value(node, problems)?))).collect();
        all.push(SetSpec { action: action.clone(), params });
    }
    all
}

fn set_value(node: &Node, problems: &mut Problems) -> Option<SetValueSpec> {
    match &node.value {
        Value::Map(map) => match map.as_slice() {
            [(key, value)] if key.text == "at_most" => value.text(problems).map(SetValueSpec::AtMost),
            map => {
                let entries = map.iter().filter_map(|(name, node)| Some((name.clone(), node.text(problems)?)));
                Some(SetValueSpec::Variables(entries.collect()))
            }
        },
        Value::Empty | Value::List(_) | Value::Scalar(_) => node.text(problems).map(SetValueSpec::Text),
    }
}

fn events(node: &Node, problems: &mut Problems) -> EventsSpec {
    let known = ["allow", "deny", "mask", "where"];
    let fields = Fields::inside(node, "`events`", (&known, &[]), &["include", "limits", "trip", "set"], problems);
    let allow = fields.take("allow").map(|node| values::texts(node, problems)).unwrap_or_default();
    let deny = fields.take("deny").map(|node| values::texts(node, problems)).unwrap_or_default();
    let masks = fields.take("mask").map(|node| node.map(problems)).unwrap_or_default();
    let mask = masks.iter().filter_map(|(name, node)| Some((name.clone(), node.text(problems)?))).collect();
    let scope = fields.take("where").map(|node| node.map(problems)).unwrap_or_default();
    let scope = scope.iter().map(|(name, node)| (name.clone(), values::texts(node, problems))).collect();
    EventsSpec { allow, deny, mask, scope }
}
