//! A log to measure with.

use std::path::PathBuf;

use super::members;
use crate::audit::tests::forge::Forge;

/// Writes two million records to the directory that `AMIWALL_SPEED_LOG` names: a call, with its answer and events, is
/// eight of them. `cargo test --release --lib search::tests::speed -- --ignored`
#[test]
#[ignore = "makes a log for measurements, checks nothing"]
fn a_log_of_two_million_records() {
    let Some(dir) = std::env::var_os("AMIWALL_SPEED_LOG").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&dir).expect("a directory");
    let mut log = Forge::new(&dir);
    for call in 0..250_000_u64 {
        if call % 12_500 == 0 {
            log.rotate();
        }
        let (day, id, number) = (1 + call / 12_500, format!("5e2b9c01-2.{call}"), 49_890_000_000 + call);
        let originate = format!(
            r#"["Action","Originate"],["ActionID","{call}"],["Channel","PJSIP/{}"],["Exten","{number}"],["Context","outside"],["Priority","1"],["Async","true"]"#,
            1_000 + call % 50
        );
        let allowed = r#","decision":"allow","rule":"roles.dial.allow[0]","line":31,"policy":"sha256:0000000000000000000000000000000000000000000000000000000000000000""#;
        log.record(day, &members("action", &id, "Originate", &originate, allowed));
        log.record(
            day,
            &members(
                "response",
                &id,
                "",
                &format!(r#"["Response","Success"],["ActionID","{call}"],["Message","Originate successfully queued"]"#),
                r#","outcome":"Success""#,
            ),
        );
        let channel = |name: &str, leg: u64| {
            format!(
                r#"["Event","{name}"],["Privilege","call,all"],["Channel","PJSIP/{}-{call:08x}"],["ChannelState","0"],["ChannelStateDesc","Down"],["CallerIDNum","{number}"],["CallerIDName","<unknown>"],["Exten",""],["Uniqueid","170{call}.{leg}"],["Linkedid","170{call}.1"]"#,
                1_000 + call % 50
            )
        };
        for (name, leg) in [("Newchannel", 1), ("Newstate", 1), ("Newchannel", 2), ("Hangup", 2), ("Hangup", 1)] {
            log.record(day, &members("event", "", name, &channel(name, leg), ""));
        }
        let result = format!(
            r#"["Event","OriginateResponse"],["ActionID","{call}"],["Response","Success"],["Uniqueid","170{call}.1"]"#
        );
        log.record(day, &members("event", &id, "OriginateResponse", &result, ""));
    }
}
