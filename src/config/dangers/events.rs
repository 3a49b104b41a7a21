//! `events:`: names that are most likely typing errors. They cannot be errors: a module may send events of its own.

use crate::ami::PrivilegeClass;
use crate::catalogue::{self, nearest, nearest_event};
use crate::config::fields::Problems;
use crate::policy::probe;
use crate::policy::spec::{EventsSpec, RuleSpec, Spanned, ValueSpec};

/// Headers that people mask; a mask with a typing error masks nothing.
const MASKED: &str = "AccountCode AppData ApplicationData CallerID CallerIDName CallerIDNum ChanVariable Channel ConnectedLineName ConnectedLineNum DestCallerIDName DestCallerIDNum \
    DestConnectedLineName DestConnectedLineNum DialString Exten Extension Mailbox NewPassword Password Secret Variable";

/// Looks at the events of one role.
pub(super) fn look(events: &EventsSpec, problems: &mut Problems) {
    for Spanned { text, at } in events.allow.iter().chain(&events.deny) {
        if text.parse::<PrivilegeClass>().is_ok() || catalogue::event(text).is_some() {
            continue;
        }
        let class = text.to_ascii_lowercase().parse::<PrivilegeClass>();
        let meant =
            class.map_or_else(|_| nearest_event(text).map(str::to_owned), |class| Some(class.label().to_owned()));
        if let Some(meant) = meant {
            problems.warn(*at, format!("Asterisk has no event `{text}`"), Some(format!("did you mean `{meant}`?")));
        }
    }
    for (Spanned { text, at }, _) in &events.mask {
        let is_known = MASKED.split(' ').any(|known| known.eq_ignore_ascii_case(text));
        if let Some(meant) = nearest(text, MASKED.split(' ')).filter(|_| !is_known && !text.contains(['*', '?'])) {
            let help = format!("did you mean `{meant}`?");
            problems.warn(
                *at,
                format!("`{text}` is like the name of a header, and is none of those that are known"),
                Some(help),
            );
        }
    }
}

/// Where some role has `where`, looks at who may choose the ids of calls.
pub(super) fn ids(rule: &RuleSpec, problems: &mut Problems) {
    let Some(entry) = catalogue::action("originate").filter(|_| rule.action.text.eq_ignore_ascii_case("originate"))
    else {
        return;
    };
    for (name, value) in rule.params.iter().flatten() {
        let known = entry.param(name.text.trim_end_matches('?'));
        let is_id = known.is_some_and(|known| ["ChannelId", "OtherChannelId"].contains(&known.name));
        let ValueSpec::AnyOf(texts) = value else { continue };
        let is_asterisks_own =
            |text: &&Spanned| probe(text, known).is_some_and(|lets_pass| lets_pass(b"1763725000.777"));
        for text in texts.iter().filter(|_| is_id).filter(is_asterisks_own) {
            let message = "a call may be given the id of another call here, which `events.where` of a role follows";
            let help = "leave it out, or begin it with what no id of Asterisk has: \"{identity}-*\"".to_owned();
            problems.warn(text.at, message, Some(help));
        }
    }
}
