//! `events:`: names that are most likely typing errors. They cannot be errors: a module may send events of its own.

use crate::ami::PrivilegeClass;
use crate::catalogue::{self, nearest, nearest_event};
use crate::config::fields::Problems;
use crate::policy::spec::{EventsSpec, Spanned};

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
