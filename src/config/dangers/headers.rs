//! `events.where`: names of headers that are most likely typing errors, and patterns that no channel's name fits. The
//! catalogue has no headers, and a module may send some of its own: a name that is like none of these is left alone.

use crate::catalogue::nearest;
use crate::config::fields::Problems;
use crate::policy::spec::Spanned;

/// Headers of Asterisk's events that say whose they are.
const HEADERS: &str = "AccountCode Address Agent AOR AppData Application BridgeName BridgeUniqueid CallerIDName \
    CallerIDNum Channel ChanVariable Conference ConnectedLineName ConnectedLineNum Context DestAccountCode \
    DestCallerIDName DestCallerIDNum DestChannel DestConnectedLineName DestConnectedLineNum DestContext DestExten \
    DestLinkedid DestUniqueid Device DialString Endpoint EndpointName Event Exten Extension Family Interface Language \
    Linkedid LocalOneChannel LocalTwoChannel Mailbox MemberName ParkeeChannel ParkerDialString Parkinglot ParkingSpace \
    Peer Presentity Privilege Queue RemoteAddress Service StateInterface SystemName TransfereeChannel \
    TransfererChannel TransferTargetChannel Uniqueid UserEvent Username Variable";

/// Looks at the `where` of one role.
pub(super) fn look(scope: &[(Spanned, Vec<Spanned>)], problems: &mut Problems) {
    for (Spanned { text, at }, patterns) in scope {
        // `Channel` stands for every header that ends so; and `SpyerChannel` is one that ends in it.
        let ends_in = |name: &str, end: &str| name.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase());
        let is_known = HEADERS.split_whitespace().any(|known| ends_in(known, text) || ends_in(text, known));
        if let Some(meant) = nearest(text, HEADERS.split_whitespace()).filter(|_| !is_known) {
            let message = format!("no event of Asterisk has a header `{text}`: nothing would be shown");
            problems.warn(*at, message, Some(format!("did you mean `{meant}`?")));
        }
        // Its halves are called `Local/1000@ctx-0000002a;1` and `;2`, and no wildcard but `**` matches a `;`.
        let is_no_local = |pattern: &&Spanned| {
            let name = &pattern.text;
            name.starts_with("Local/") && !name.contains(';') && !name.contains("**")
        };
        for Spanned { text, at } in patterns.iter().filter(is_no_local).filter(|_| ends_in(text, "channel")) {
            let message = format!("no channel is called `{text}`: the name of a `Local/` channel ends in `;1` or `;2`");
            problems.warn(*at, message, Some("`*` and `?` match no `;`: \"Local/1000@ctx-*;?\"".to_owned()));
        }
    }
}
