//! Bytes that Asterisk and another reader understand differently. Each case carries a Command, which the identity may not
//! use, and which Asterisk would run if it got the bytes: it has to be refused, or be no Command for Asterisk either.

use crate::harness::Bench;

const COMMAND: &str = "Action: Command\r\nCommand: core show uptime\r\n\r\n";

/// Sends the bytes and a Ping, and waits for the Ping's answer or the end. `runs`: what Asterisk may have run before it.
async fn case(name: &str, bytes: impl AsRef<[u8]>, runs: &[&str]) {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send(bytes).await;
    client.send("\r\n\r\nAction: Ping\r\nActionID: canary\r\n\r\n").await;
    client.half_close().await;
    let rest = client.rest().await;
    let mut executed = bench.executed();
    assert_eq!(executed.pop().as_deref(), Some("Ping"), "{name}: the session goes on: {rest}");
    assert!(rest.contains("ActionID: canary\r\n"), "{name}: {rest}");
    assert_eq!(executed, runs, "{name}: {rest}");
}

#[tokio::test]
async fn nul_lines() {
    case("a NUL line ends a packet", format!("Action: Ping\r\n\0\r\n{COMMAND}"), &[]).await;
    case("what follows the NUL is ignored", format!("Action: Ping\r\n\0junk: x\r\n{COMMAND}"), &[]).await;
    case("NUL before the first line", format!("\0Action: Ping\r\n{COMMAND}"), &[]).await;
    case("NUL behind a value, then a NUL line", format!("Action: Ping\r\nX: a\0\r\n\0\n{COMMAND}"), &[]).await;
    case("NUL in a value", "Action: Command\0Ping\r\nCommand: core show uptime\r\n\r\n", &[]).await;
    case("NUL before the value", format!("Action: \0Ping\r\n{COMMAND}"), &[]).await;
}

#[tokio::test]
async fn carriage_returns() {
    case("a CR line is data", format!("Action: Ping\r\n\r\r\n{COMMAND}"), &[]).await;
    case("CR inside a value", "Action: Ping\rAction: Command\r\nCommand: core show uptime\r\n\r\n", &[]).await;
    case("CR CR LF", "Action: Ping\r\r\nCommand: core show uptime\r\n\r\n", &[]).await;
}

#[tokio::test]
async fn blank_lines_that_are_none() {
    for line in [" ", "\t", "\x0b", "\x0c", "\u{a0}", "\u{85}"] {
        case("a line of blanks", format!("Action: Ping\r\n{line}\r\n{COMMAND}"), &[]).await;
    }
}

#[tokio::test]
async fn bare_line_feeds() {
    // For Asterisk these are two packets; the second is refused.
    case("LF LF ends a packet", "Action: Ping\n\nAction: Command\nCommand: core show uptime\n\n", &["Ping"]).await;
    case("LF LF inside a value", "Action: Ping\r\nX: a\n\nAction: Command\nCommand: core show uptime\n\r\n", &["Ping"])
        .await;
    case("LF CR LF", format!("Action: Ping\n\r\n{COMMAND}"), &["Ping"]).await;
}

#[tokio::test]
async fn overlong_lines() {
    for len in [1_020, 2_043, 3_066, 4_089] {
        let line = "A".repeat(len);
        case("1,023 bytes end a packet", format!("Action: Ping\r\nX: {line}\r\n{COMMAND}"), &[]).await;
    }
    case("the tail is a line", format!("{}{COMMAND}", "X".repeat(1_023)), &[]).await;
    case("a NUL is kept", format!("{}\0zzz\r\n{COMMAND}", "y".repeat(1_023)), &[]).await;
    case("a CR is kept", format!("{}\r\r\n{COMMAND}", "y".repeat(1_022)), &[]).await;
    case("only NULs", format!("{}\r\n{COMMAND}", "\0".repeat(1_023)), &[]).await;
}

#[tokio::test]
async fn too_many_lines() {
    let lines: String = (0..128).map(|n| format!("H{n}: v\r\n")).collect();
    case("the action is the 129th line", format!("{lines}{COMMAND}"), &[]).await;
    let long = "A".repeat(2_045);
    case("two faults do not void the next packet", format!("Action: Ping\r\n{lines}X: {long}\r\n\r\n"), &[]).await;
}

#[tokio::test]
async fn names() {
    case("blank before the name", format!("Action: Ping\r\n Action: x\r\n{COMMAND}"), &[]).await;
    case("blank before the colon", "Action : Ping\r\nAction: Command\r\nCommand: core show uptime\r\n\r\n", &[]).await;
    case("a byte order mark", format!("\u{feff}Action: Ping\r\n{COMMAND}"), &[]).await;
    case("no colon", format!("Action: Ping\r\nfoo\r\n{COMMAND}"), &[]).await;
    case("a fold", format!("Action:\r\n Ping\r\n{COMMAND}"), &[]).await;
}

#[tokio::test]
async fn repeated_headers() {
    case("the first Action wins", format!("Action: Ping\r\n{COMMAND}"), &[]).await;
    case("an empty Action is skipped", format!("Action:\r\n{COMMAND}"), &[]).await;
    case("a blank Action is skipped", format!("Action: \t \r\n{COMMAND}"), &[]).await;
    case("two parameters", "Action: Getvar\r\nVariable: LABX\r\nVariable: OTHER\r\n\r\n", &[]).await;
    case("two ActionIDs", "Action: Ping\r\nActionID:\r\nActionID: 2\r\n\r\n", &[]).await;
}

#[tokio::test]
async fn control_bytes() {
    case("skipped before a value", "Action:\x01\x0b Command\r\nCommand: core show uptime\r\n\r\n", &[]).await;
    case("DEL", "Action:\x7fPing\r\n\r\n", &[]).await;
    case("an unbroken line for Asterisk", format!("Action: Ping\u{2028}{COMMAND}"), &[]).await;
}

#[tokio::test]
async fn what_asterisk_gets_is_canonical() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    client.send("variable:LABX\nchannel:\nACTION:   getVAR\nactionid:x\n\n").await;
    client.packet().await;
    let executed = bench.sim.executed();
    let getvar = executed.iter().find(|action| action.is("Getvar")).expect("it was run");
    let headers: Vec<String> =
        getvar.request.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(headers[0], "Action: getVAR");
    assert!(headers[1].starts_with("ActionID: aw-"), "{headers:?}");
    assert_eq!(headers[2..], ["variable: LABX"]);
}
