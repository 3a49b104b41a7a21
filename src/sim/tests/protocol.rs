//! Login, rights, framing over a socket, the simple actions.

use super::*;
use crate::ami::Challenge;

#[tokio::test]
async fn s01_login_ping_logoff() {
    let pbx = start(config()).await;
    let mut client = pbx.connect().await;
    let login = "Action: Login\r\nActionID: 1\r\nUsername: AMIWALL\r\nSecret: \t pw\r\nEvents: off";
    let accepted = "Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\n";
    assert_eq!(client.ask(login).await, accepted);
    let pong = client.ask("Action: Ping\r\nActionID: 2").await;
    let expected = "Response: Success\r\nActionID: 2\r\nPing: Pong\r\nTimestamp: #.#\r\n\r\n";
    assert_eq!(masked(&pong, &["Timestamp"]), expected);
    client.send("Action: Logoff\r\nActionID: 3\r\n\r\nAction: Ping\r\n\r\n").await;
    let goodbye = "Response: Goodbye\r\nActionID: 3\r\nMessage: Thanks for all the fish.\r\n\r\n";
    assert_eq!(client.rest().await, goodbye);
    let log = pbx.sim.wait_for(|log| log.len() == 3).await;
    let names: Vec<_> = log.iter().map(|done| (done.user.as_deref(), done.is("ping"))).collect();
    assert_eq!(names, [(None, false), (Some("amiwall"), true), (Some("amiwall"), false)]);
}

#[tokio::test]
async fn s02_what_follows_a_login() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "on").await;
    let booted =
        "Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 0\r\nLastReload: 0\r\nStatus: Fully Booted\r\n\r\n";
    assert_eq!(client.packet().await, booted);
    let auth = client.packet().await;
    assert!(auth.starts_with("Event: SuccessfulAuth\r\nPrivilege: security,all\r\nSystemName: lab\r\nEventTV: 20"));
    assert!(auth.contains("\r\nAccountID: amiwall\r\nSessionID: 0x") && auth.contains("\r\nUsingPassword: 0\r\n"));
    let mut dialer = pbx.login("dialer", "on").await;
    assert!(dialer.ask("Action: Ping").await.starts_with("Response: Success"), "s03: no FullyBooted");
}

#[tokio::test]
async fn s04_to_s07_challenge() {
    let pbx = start(config()).await;
    let mut client = pbx.connect().await;
    let refused = "Response: Error\r\nMessage: Must specify AuthType\r\n\r\n";
    assert_eq!(client.ask("Action: Challenge").await, refused);
    assert_eq!(client.ask("Action: Challenge\r\nAuthType: SHA256").await, refused);
    let challenge = client.ask("Action: Challenge\r\nAuthType: md5").await;
    let number = challenge.strip_prefix("Response: Success\r\nChallenge: ").expect("a challenge").trim_end();
    assert_eq!(client.ask("Action: Challenge\r\nAuthType: MD5").await, challenge);
    let key = Challenge::from_random(number.parse().expect("a number")).key(b"pw");
    let login = format!("Action: Login\r\nAuthType: MD5\r\nUsername: amiwall\r\nKey: {key}\r\nEvents: off");
    assert_eq!(client.ask(&login).await, "Response: Success\r\nMessage: Authentication accepted\r\n\r\n");
    assert_eq!(client.ask("Action: Challenge\r\nAuthType: MD5").await, challenge);
}

#[tokio::test]
async fn s10_to_s23_failed_logins_are_alike() {
    let pbx = start(config()).await;
    for login in [
        "Username: amiwall\r\nSecret: nope",
        "Username: nobody\r\nSecret: pw",
        "Secret: pw",
        "Username: amiwall",
        "Username: amiwall\r\nSecret: pw ",
        "Username: amiwall\r\nSecret: PW",
        "Username: amiwall\r\nAuthType: MD5\r\nSecret: pw",
        "Username:\r\nUsername: amiwall\r\nSecret: pw",
    ] {
        let mut client = pbx.connect().await;
        client.send(format!("Action: Login\r\nActionID: w\r\n{login}\r\n\r\nAction: Ping\r\n\r\n")).await;
        let failed = "Response: Error\r\nActionID: w\r\nMessage: Authentication failed\r\n\r\n";
        assert_eq!(client.rest().await, failed, "{login}");
    }
}

#[tokio::test]
async fn before_login_and_without_rights() {
    let pbx = start(config()).await;
    let mut client = pbx.connect().await;
    let denied = "Response: Error\r\nActionID: 1\r\nMessage: Permission denied\r\n\r\n";
    assert_eq!(client.ask("Action: Ping\r\nActionID: 1").await, denied);
    assert_eq!(client.ask("Action: Nonsense\r\nActionID: 1").await, denied);
    let missing = "Response: Error\r\nMessage: Missing action in request\r\n\r\n";
    assert_eq!(client.ask("hello").await, missing);
    let mut listener = pbx.login("listener", "off").await;
    for action in ["CoreStatus", "Command\r\nCommand: core show version", "Originate\r\nChannel: Local/1000@test"] {
        assert_eq!(listener.ask(&format!("Action: {action}\r\nActionID: 1")).await, denied);
    }
    let commands = listener.ask("Action: ListCommands").await;
    assert!(commands.contains("\r\nBridgeKick: Simulated.  (Priv: <none>)\r\n"));
    assert!(!commands.contains("Originate"));
    assert_eq!(pbx.sim.executed().iter().filter(|done| !done.is("Login")).count(), 1, "what is denied is not executed");
}

#[tokio::test]
async fn framing_over_a_socket() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "off").await;
    let long = "A".repeat(1_020);
    client.send(format!("Action: Ping\r\nActionID: 1\r\nX: {long}\r\nAction: Events\r\nEventMask: off\r\n\r\n")).await;
    let too_long = "Response: Error\r\nActionID: 1\r\nMessage: Failed to parse message: line too long\r\n\r\n";
    assert_eq!(client.packet().await, too_long, "f65");
    assert_eq!(client.packet().await, "Response: Success\r\nEvents: Off\r\n\r\n", "f65: the rest is a packet");
    let unknown = client.ask(&format!("Action: {}\r\nActionID: 1", "N".repeat(600))).await;
    let cut = format!("Message: Invalid/unknown command: {}\r\n\r\n", "N".repeat(486));
    assert_eq!(unknown, format!("Response: Error\r\nActionID: 1\r\n{cut}"), "f47");
    client.send(b"Action: No\x1b[31m\xff\r\nActionID: a\rb\x01\r\n\r\n").await;
    let echoed = b"Response: Error\r\nActionID: a\rb\x01\r\nMessage: Invalid/unknown command: No\x1b[31m\xff. \
        Use Action: ListCommands to show available commands.\r\n\r\n";
    assert_eq!(client.until(b"\r\n\r\n").await, echoed, "f08, f46");
    client.send("Action: DBPut\r\nFamily: lab\r\nKey: unfinished\r\nVal: 1\r\n").await;
    client.stream.shutdown().await.expect("a half-close");
    assert_eq!(client.rest().await, "", "f64: an unfinished packet is not executed");
    assert!(!pbx.sim.executed().iter().any(|done| done.is("DBPut")));
}

#[tokio::test]
async fn masks_and_wait_event() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "off").await;
    for (mask, answer) in [
        ("off", "Response: Success\r\nEvents: Off\r\n\r\n"),
        ("call,nonsense", "Response: Success\r\nEvents: On\r\n\r\n"),
        ("", "Response: Error\r\nMessage: Invalid event mask\r\n\r\n"),
        ("user", "Response: Success\r\nEvents: On\r\n\r\n"),
    ] {
        assert_eq!(client.ask(&format!("Action: Events\r\nEventMask: {mask}")).await, answer, "{mask}");
    }
    client.send("Action: WaitEvent\r\nActionID: 1\r\nTimeout: 3000\r\n\r\n").await;
    pbx.sim.wait_for(|log| log.iter().any(|done| done.is("WaitEvent"))).await;
    let mut other = pbx.login("actor", "on").await;
    let sent = "Response: Success\r\nActionID: secret-id\r\nMessage: Event Sent\r\n\r\n";
    let event = "Action: UserEvent\r\nActionID: secret-id\r\nUserEvent: Hello\r\nfoo:x\r\nEvent: Forged\r\nnocolon";
    assert_eq!(other.ask(event).await, sent, "c22");
    let waited = "Response: Success\r\nActionID: 1\r\nMessage: Waiting for Event completed.\r\n\r\n";
    assert_eq!(client.packet().await, waited);
    let user_event = "Event: UserEvent\r\nPrivilege: user,all\r\nSystemName: lab\r\nUserEvent: Hello\r\n\
        ActionID: secret-id\r\nfoo:x\r\nEvent: Forged\r\nnocolon\r\n\r\n";
    assert_eq!(client.packet().await, user_event, "c09");
    assert_eq!(client.packet().await, "Event: WaitEventComplete\r\nActionID: 1\r\n\r\n");
}

#[tokio::test]
async fn simple_actions_answer_as_recorded() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "off").await;
    let version = "Output: Asterisk 22.10.1 built by nobody @ simulated on a x86_64 running Linux on \
        2026-01-01 00:00:00 UTC\r\n";
    let output = "Response: Success\r\nActionID: 1\r\nMessage: Command output follows\r\n";
    for (request, answer) in [
        ("Hangup\r\nChannel: none/1", "Response: Error\r\nActionID: 1\r\nMessage: No such channel\r\n\r\n"),
        ("Status\r\nChannel: none/1", "Response: Error\r\nActionID: 1\r\nMessage: No such channel\r\n\r\n"),
        (
            "Redirect\r\nChannel: none/1\r\nContext: test\r\nExten: 1000\r\nPriority: 1",
            "Response: Error\r\nActionID: 1\r\nMessage: Channel does not exist: none/1\r\n\r\n",
        ),
        ("Setvar\r\nVariable: LABX\r\nValue: 1", "Response: Success\r\nActionID: 1\r\nMessage: Variable Set\r\n\r\n"),
        ("Getvar\r\nVariable: LABX", "Response: Success\r\nActionID: 1\r\nVariable: LABX\r\nValue: 1\r\n\r\n"),
        ("Getvar\r\nVariable: NO", "Response: Success\r\nActionID: 1\r\nVariable: NO\r\nValue: \r\n\r\n"),
        (
            "Setvar\r\nVariable: FILE(/tmp/x)\r\nValue: x",
            "Response: Error\r\nActionID: 1\r\nMessage: Variable not set\r\n\r\n",
        ),
        (
            "DBPut\r\nFamily: lab\r\nKey: k\r\nVal: v w",
            "Response: Success\r\nActionID: 1\r\nMessage: Updated database successfully\r\n\r\n",
        ),
        (
            "DBGet\r\nFamily: lab\r\nKey: none",
            "Response: Error\r\nActionID: 1\r\nMessage: Database entry not found\r\n\r\n",
        ),
        ("Command\r\nCommand: core\tshow  VERSION", &format!("{output}{version}\r\n")),
        ("Command\r\nCommand: core show channels concise", &format!("{output}Output: \r\n\r\n")),
        (
            "Command\r\nCommand: no such command",
            "Response: Error\r\nActionID: 1\r\nMessage: Command output follows\r\nOutput: No such command 'no such \
             command' (type 'core show help no such' for other possible commands)\r\n\r\n",
        ),
        ("Command", "Response: Error\r\nActionID: 1\r\nMessage: No command provided\r\n\r\n"),
        (
            "Command\r\nCommand: module load x.so",
            "Response: Error\r\nActionID: 1\r\nMessage: Command blacklisted\r\n\r\n",
        ),
        ("Login\r\nUsername: x", "Response: Success\r\nActionID: 1\r\nMessage: Already authenticated\r\n\r\n"),
    ] {
        assert_eq!(client.ask(&format!("Action: {request}\r\nActionID: 1")).await, answer, "{request}");
    }
    client.send("Action: DBGet\r\nActionID: 1\r\nFamily: lab\r\nKey: k\r\n\r\n").await;
    let list = [client.packet().await, client.packet().await, client.packet().await].concat();
    let expected = "Response: Success\r\nActionID: 1\r\nEventList: start\r\nMessage: Result will follow\r\n\r\n\
        Event: DBGetResponse\r\nFamily: lab\r\nKey: k\r\nVal: v w\r\nActionID: 1\r\n\r\n\
        Event: DBGetComplete\r\nActionID: 1\r\nEventList: Complete\r\nListItems: 1\r\n\r\n";
    assert_eq!(list, expected, "a24");
    let status = client.ask("Action: CoreStatus\r\nActionID: 1").await;
    let expected = "Response: Success\r\nActionID: 1\r\nCoreStartupDate: #-#-#\r\nCoreStartupTime: #:#:#\r\n\
        CoreReloadDate: #-#-#\r\nCoreReloadTime: #:#:#\r\nCoreCurrentCalls: 0\r\nCoreProcessedCalls: 0\r\n\r\n";
    let times = ["CoreStartupDate", "CoreStartupTime", "CoreReloadDate", "CoreReloadTime"];
    assert_eq!(masked(&status, &times), expected, "e21");
}

#[tokio::test]
async fn queues_are_listed_as_recorded() {
    let pbx = start(config()).await;
    let mut client = pbx.login("listener", "off").await;
    client.send("Action: QueueStatus\r\nActionID: L1\r\nQueue: sales\r\nMember: Local/102@members\r\n\r\n").await;
    let mut list = String::new();
    while !list.contains("Event: QueueStatusComplete") {
        list += &client.packet().await;
    }
    let expected = "Response: Success\r\nActionID: L1\r\nEventList: start\r\nMessage: Queue status will follow\r\n\r\n\
        Event: QueueParams\r\nQueue: sales\r\nMax: 0\r\nStrategy: ringall\r\nCalls: 0\r\nHoldtime: 0\r\nTalkTime: 0\r\n\
        Completed: 0\r\nAbandoned: 0\r\nServiceLevel: 0\r\nServicelevelPerf: 0.0\r\nServicelevelPerf2: 0.0\r\n\
        Weight: 0\r\nActionID: L1\r\n\r\n\
        Event: QueueMember\r\nQueue: sales\r\nName: Agent/102\r\nLocation: Local/102@members\r\n\
        StateInterface: Local/102@members\r\nMembership: static\r\nPenalty: 1\r\nCallsTaken: 0\r\nLastCall: 0\r\n\
        LastPause: 0\r\nLoginTime: #\r\nInCall: 0\r\nStatus: 1\r\nPaused: 0\r\nPausedReason: \r\nWrapuptime: 0\r\n\
        ActionID: L1\r\n\r\n\
        Event: QueueStatusComplete\r\nActionID: L1\r\nEventList: Complete\r\nListItems: 2\r\n\r\n";
    assert_eq!(masked(&list, &["LoginTime"]), expected, "e03");
}
