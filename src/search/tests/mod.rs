//! Questions to logs of known content.

mod calls;
mod filters;
mod follow;
mod index;
mod recent;
mod sessions;
mod speed;

use std::path::Path;

use crate::audit::tests::forge::Forge;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn quiet() -> impl FnMut(u64, u64) {
    |_, _| {}
}

/// Members of a record of session `5e2b9c01-2`, of alice.
fn members(kind: &str, id: &str, name: &str, headers: &str, rest: &str) -> String {
    let direction = if kind == "action" { "to-asterisk" } else { "to-client" };
    let part =
        |key: &str, value: &str| if value.is_empty() { String::new() } else { format!(",\"{key}\":\"{value}\"") };
    format!(
        "\"kind\":\"{kind}\",\"session\":\"5e2b9c01-2\"{},\"identity\":\"alice\",\"peer\":\"203.0.113.7:51234\",\
         \"listener\":\"0.0.0.0:5039\",\"upstream\":\"pbx\",\"direction\":\"{direction}\"{},\"headers\":[{headers}]{rest}",
        part("id", id),
        part("name", name),
    )
}

const START: &str = r#""kind":"start","boot":"5e2b9c01","version":"0.1.0""#;
const CONNECT: &str = r#""kind":"connect","peer":"203.0.113.7:51234","listener":"0.0.0.0:5039""#;
const END: &str = r#""kind":"end","session":"5e2b9c01-2","identity":"alice","peer":"203.0.113.7:51234","reason":"client-closed","forwarded":2,"refused":1,"sent":5"#;

/// A log of three segments and three days: a session that calls +49 89 1234 and is refused 0900; then another one.
pub(crate) fn write_log(dir: &Path) {
    let mut log = Forge::new(dir);
    log.record(20, START);
    log.record(20, CONNECT);
    log.record(20, r#""kind":"login","session":"5e2b9c01-2","peer":"203.0.113.7:51234","decision":"allow","claimed":"alice","method":"plain""#);
    let headers = r#"["Action","Originate"],["ActionID","7"],["Channel","PJSIP/1001"],["Exten","+49 89-1234"],["CallerID","\"Al\" <5550>"]"#;
    let allowed =
        r#","decision":"allow","rule":"roles.dial.allow[0]","line":31,"set":["ChannelId"],"policy":"sha256:abc""#;
    log.record(20, &members("action", "5e2b9c01-2.1", "Originate", headers, allowed));
    let queued = r#"["Response","Success"],["ActionID","7"],["Message","Originate successfully queued"]"#;
    log.record(20, &members("response", "5e2b9c01-2.1", "", queued, r#","outcome":"Success","latency_us":1200"#));
    log.rotate();
    let made = r#"["Event","Newchannel"],["Channel","PJSIP/1001-0000002a"],["Uniqueid","170.1"],["Linkedid","170.1"]"#;
    log.record(21, &members("event", "", "Newchannel", made, ""));
    let second =
        r#"["Event","Newchannel"],["Channel","PJSIP/trunk-0000002b"],["Uniqueid","170.2"],["Linkedid","170.1"]"#;
    log.record(21, &members("event", "", "Newchannel", second, ""));
    let picked_up = r#"["Event","OriginateResponse"],["ActionID","7"],["Response","Success"],["Channel","PJSIP/1001-0000002a"],["Reason","4"],["Uniqueid","170.1"]"#;
    log.record(21, &members("event", "5e2b9c01-2.1", "OriginateResponse", picked_up, ""));
    let hangup = |channel: &str, id: &str| {
        format!(
            r#"["Event","Hangup"],["Channel","{channel}"],["Uniqueid","{id}"],["Linkedid","170.1"],["Cause","16"],["Cause-txt","Normal \u001b[2JClearing"]"#
        )
    };
    log.record(21, &members("event", "", "Hangup", &hangup("PJSIP/trunk-0000002b", "170.2"), ""));
    log.record(21, &members("event", "", "Hangup", &hangup("PJSIP/1001-0000002a", "170.1"), ""));
    log.rotate();
    let headers = r#"["Action","originate"],["Channel","Local/09005551234@outside/n"],["Application","Echo"]"#;
    let denied = r#","decision":"deny","reason":"params.Channel","rule":"roles.dial.deny[0]""#;
    log.record(22, &members("action", "5e2b9c01-2.2", "originate", headers, denied));
    let refused = r#"["Response","Error"],["Message","Permission denied"]"#;
    log.record(22, &members("response", "5e2b9c01-2.2", "", refused, r#","outcome":"Error","origin":"amiwall""#));
    let transfer = r#"["Action","BlindTransfer"],["Channel","PJSIP/1001-0000002a"],["Exten","0049891234"],["Name","J\u00fcrgen \u001b]0;x\u0007","latin1"]"#;
    log.record(
        22,
        &members(
            "action",
            "5e2b9c01-2.3",
            "BlindTransfer",
            transfer,
            r#","decision":"would-deny","reason":"actions.unlisted""#,
        ),
    );
    log.record(22, END);
    log.record(22, r#""kind":"connect","peer":"[2001:db8::7]:4000","listener":"0.0.0.0:5039""#);
    log.record(22, r#""kind":"login","session":"5e2b9c01-15","peer":"[2001:db8::7]:4000","decision":"deny","reason":"login.secret","claimed_length":9,"method":"plain""#);
    log.record(22, r#""kind":"stop""#);
}
