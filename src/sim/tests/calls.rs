//! Originate and what follows from it.

use super::*;

/// The events of a call up to `last`, one line each: name and the headers that tell it apart.
async fn events(client: &mut Client, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let event = client.packet().await;
        let value = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.map(|value| format!(" {value}")).unwrap_or_default()
        };
        let leg = value("Channel").rsplit_once(';').map_or(String::new(), |(_, leg)| format!(";{leg}"));
        let mut line = value("Event").trim_start().to_owned() + &leg;
        for name in ["Application", "ChannelStateDesc", "Variable", "DialStatus", "State", "Cause", "Reason"] {
            if name != "ChannelStateDesc" || line.starts_with("Newstate") {
                line += &value(name);
            }
        }
        seen.push(line);
        if seen.last().is_some_and(|line| line == last) {
            return seen;
        }
    }
}

const QUEUED: &str = "Response: Success\r\nActionID: o1\r\nMessage: Originate successfully queued\r\n\r\n";
const FAILED: &str = "Response: Error\r\nActionID: o1\r\nMessage: Originate failed\r\n\r\n";

#[tokio::test]
async fn c01_the_life_of_an_async_call() {
    let pbx = start(config()).await;
    let mut client = pbx.login("dialer", "on").await;
    let mut all = pbx.login("amiwall", "call,dialplan").await;
    let originate = "Action: Originate\r\nActionID: o1\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\n\
        Async: true\r\nVariable: WAIT=2\r\nVariable: LABV=x\r\nCallerID: Lab <100>";
    assert_eq!(client.ask(originate).await, QUEUED);
    let seen = events(&mut all, "DeviceStateChange NOT_INUSE").await;
    let expected = [
        "Newchannel;1",
        "Newchannel;2",
        "Newexten;1 AppDial2",
        "VarSet;1 LABV",
        "VarSet;1 WAIT",
        "NewCallerid;1",
        "NewConnectedLine;1",
        "VarSet;2 WAIT",
        "VarSet;2 LABV",
        "NewCallerid;2",
        "NewConnectedLine;2",
        "LocalBridge",
        "DialBegin",
        "Newexten;2 NoOp",
        "Newexten;2 Answer",
        "Newstate;2 Up",
        "Newstate;1 Up",
        "OriginateResponse;1 Wait 4",
        "DialEnd ANSWER",
        "DeviceStateChange INUSE",
        "DeviceStateChange INUSE",
        "Newexten;2 Wait",
        "HangupRequest;2 0",
        "SoftHangupRequest;2 16",
        "Hangup;1 0",
        "Hangup;2 0",
        "DeviceStateChange NOT_INUSE",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn c01_events_are_asterisks_to_the_byte() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "call,dialplan").await;
    let originate = "Action: Originate\r\nActionID: o1\r\nChannel: Local/1000@test\r\nApplication: Wait\r\nData: 1\r\n\
        Async: true\r\nChannelId: lab1\r\nOtherChannelId: lab2\r\nCallerID: Lab <100>";
    assert_eq!(client.ask(originate).await, QUEUED);
    let snapshot = |state: &str, leg: &str, caller: (&str, &str), connected: (&str, &str)| {
        format!(
            "Channel: Local/1000@test-00000000;{leg}\r\nChannelState: {state}\r\nCallerIDNum: {}\r\nCallerIDName: {}\r\n\
             ConnectedLineNum: {}\r\nConnectedLineName: {}\r\nLanguage: en\r\nAccountCode: \r\nContext: test\r\n\
             Exten: 1000\r\nPriority: 1\r\nUniqueid: lab{leg}\r\nLinkedid: lab1\r\n",
            caller.0, caller.1, connected.0, connected.1
        )
    };
    let (unknown, lab) = (("<unknown>", "<unknown>"), ("100", "Lab"));
    let down = "0\r\nChannelStateDesc: Down";
    let head = "Privilege: call,all\r\nSystemName: lab\r\n";
    let new = client.packet().await;
    assert_eq!(new, format!("Event: Newchannel\r\n{head}{}\r\n", snapshot(down, "1", unknown, unknown)));
    let new = client.packet().await;
    let ring = "4\r\nChannelStateDesc: Ring";
    assert_eq!(new, format!("Event: Newchannel\r\n{head}{}\r\n", snapshot(ring, "2", unknown, unknown)));
    let new = client.packet().await;
    let dialplan = head.replace("call", "dialplan");
    let application = "Extension: 1000\r\nApplication: AppDial2\r\nAppData: (Outgoing Line)\r\n\r\n";
    assert_eq!(new, format!("Event: Newexten\r\n{dialplan}{}{application}", snapshot(down, "1", unknown, unknown)));
    let new = client.packet_named("Event: NewCallerid").await;
    let presentation = "CID-CallingPres: 0 (Presentation Allowed, Not Screened)\r\n\r\n";
    assert_eq!(new, format!("Event: NewCallerid\r\n{head}{}{presentation}", snapshot(down, "1", lab, unknown)));
    let new = client.packet_named("Event: LocalBridge").await;
    let tail = "Context: test\r\nExten: 1000\r\nLocalOptimization: Yes\r\n\r\n";
    let prefixed = |text: String, prefix: &str| {
        text.lines().map(|line| format!("{prefix}{line}\r\n")).collect::<Vec<_>>().concat()
    };
    let one = prefixed(snapshot(down, "1", lab, lab), "LocalOne");
    let two = prefixed(snapshot(ring, "2", lab, lab), "LocalTwo");
    assert_eq!(new, format!("Event: LocalBridge\r\n{head}{one}{two}{tail}"));
    let new = client.packet_named("Event: DialBegin").await;
    let dest = prefixed(snapshot(down, "1", lab, lab), "Dest");
    assert_eq!(new, format!("Event: DialBegin\r\n{head}{dest}DialString: 1000@test\r\n\r\n"));
    let response = client.packet_named("Event: OriginateResponse").await;
    let expected = "ActionID: o1\r\nResponse: Success\r\nChannel: Local/1000@test-00000000;1\r\nApplication: Wait\r\n\
        Data: 1\r\nReason: 4\r\nUniqueid: lab1\r\nCallerIDNum: 100\r\nCallerIDName: Lab\r\n\r\n";
    assert_eq!(response, format!("Event: OriginateResponse\r\n{head}{expected}"));
    let hangup = client.packet_named("Event: Hangup").await;
    let up = "6\r\nChannelStateDesc: Up";
    let cause = "Cause: 0\r\nCause-txt: Unknown\r\n\r\n";
    assert_eq!(hangup, format!("Event: Hangup\r\n{head}{}{cause}", snapshot(up, "1", lab, lab)));
}

#[tokio::test]
async fn c04_c05_failures() {
    let pbx = start(config()).await;
    let mut client = pbx.login("dialer", "on").await;
    let call = |exten: &str| {
        format!(
            "Action: Originate\r\nActionID: o1\r\nChannel: Local/{exten}@test\r\nApplication: Wait\r\nData: 1\r\n\
             Timeout: 20\r\nAsync: true"
        )
    };
    assert_eq!(client.ask(&call("1004")).await, QUEUED);
    let no_answer = events(&mut client, "Hangup;2 19").await;
    let expected = [
        "Newchannel;1",
        "Newchannel;2",
        "LocalBridge",
        "DialBegin",
        "Newstate;1 Ringing",
        "DeviceStateChange INUSE",
        "DialState RINGING",
        "HangupRequest;2 19",
        "SoftHangupRequest;2 16",
        "OriginateResponse Wait 3",
        "Hangup;1 19",
        "Hangup;2 19",
    ];
    assert_eq!(no_answer, expected, "c04");
    assert_eq!(events(&mut client, "DeviceStateChange NOT_INUSE").await.len(), 1);
    client.packet().await;
    assert_eq!(client.ask(&call("1005")).await, QUEUED);
    let busy = events(&mut client, "Hangup;1 17").await;
    let expected = [
        "Newchannel;1",
        "Newchannel;2",
        "LocalBridge",
        "SoftHangupRequest;2 16",
        "HangupRequest;1 17",
        "Hangup;2 17",
        "DialBegin",
        "DialEnd BUSY",
        "OriginateResponse Wait 0",
        "Hangup;1 17",
    ];
    assert_eq!(busy, expected, "c05");
}

#[tokio::test]
async fn c02_c19_a_synchronous_call_blocks_its_session() {
    let pbx = start(config()).await;
    let mut client = pbx.login("dialer", "call").await;
    let call = |channel: &str| {
        format!("Action: Originate\r\nActionID: o1\r\nChannel: {channel}\r\nApplication: Wait\r\nTimeout: 30\r\n\r\n")
    };
    client.send(call("Local/1004@test") + "Action: Ping\r\nActionID: p\r\n\r\n").await;
    assert_eq!(client.packet().await, FAILED, "c19: before any event");
    assert!(client.packet().await.starts_with("Event: Newchannel\r\n"));
    assert!(client.packet_named("Response: Success").await.contains("ActionID: p\r\n"));
    for (channel, answer) in [
        ("Local/1000@test", QUEUED),
        ("Local/1005@test", FAILED),
        ("Local/9999@test", FAILED),
        ("Nonsense/1", FAILED),
        ("PJSIP/1001", QUEUED),
    ] {
        client.send(call(channel)).await;
        let first = answer.lines().next().expect("a line");
        assert_eq!(client.packet_named(first).await, answer, "{channel}");
    }
}

#[tokio::test]
async fn c20_a_live_call_is_shown_moved_and_hung_up() {
    let pbx = start(SimConfig { call_length: PATIENCE, ..config() }).await;
    let mut client = pbx.login("amiwall", "off").await;
    let originate = "Action: Originate\r\nActionID: o1\r\nChannel: Local/1001@test\r\nApplication: Wait\r\nData: 30\r\n\
        ChannelId: lab1\r\nOtherChannelId: lab2";
    assert_eq!(client.ask(originate).await, QUEUED);
    client.send("Action: Status\r\nActionID: 2\r\nChannel: lab1\r\nVariables: CHANNEL(state),LABX\r\n\r\n").await;
    client.packet().await;
    let snapshot = "Channel: Local/1001@test-00000000;1\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n\
        CallerIDNum: <unknown>\r\nCallerIDName: <unknown>\r\nConnectedLineNum: <unknown>\r\n\
        ConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: \r\nContext: test\r\nExten: 1001\r\nPriority: 1\r\n\
        Uniqueid: lab1\r\nLinkedid: lab1\r\n";
    let status = "Type: Local\r\nDNID: \r\nEffectiveConnectedLineNum: <unknown>\r\n\
        EffectiveConnectedLineName: <unknown>\r\nTimeToHangup: 0\r\nBridgeID: \r\nApplication: Wait\r\nData: 30\r\n\
        Nativeformats: (slin)\r\nReadformat: slin\r\nReadtrans: \r\nWriteformat: slin\r\nWritetrans: \r\nCallgroup: 0\r\n\
        Pickupgroup: 0\r\nSeconds: 0\r\nVariable: CHANNEL(state)=Up\r\nVariable: LABX=\r\nActionID: 2\r\n\r\n";
    assert_eq!(client.packet().await, format!("Event: Status\r\nPrivilege: Call\r\n{snapshot}{status}"));
    let complete = "Event: StatusComplete\r\nActionID: 2\r\nEventList: Complete\r\nListItems: 1\r\nItems: 1\r\n\r\n";
    assert_eq!(client.packet().await, complete);
    let shown = "Application: Wait\r\nApplicationData: 30\r\nDuration: 00:00:00\r\nBridgeId: \r\n\r\n";
    client.send("Action: CoreShowChannels\r\nActionID: 1\r\n\r\n").await;
    client.packet().await;
    assert_eq!(client.packet().await, format!("Event: CoreShowChannel\r\nActionID: 1\r\n{snapshot}{shown}"));
    assert!(client.packet().await.contains("Channel: Local/1001@test-00000000;2\r\n"));
    assert!(client.packet().await.contains("ListItems: 2\r\n\r\n"));
    let redirect = "Action: Redirect\r\nChannel: lab1\r\nContext: test\r\nExten: 1004\r\nPriority: 1";
    assert_eq!(client.ask(redirect).await, "Response: Success\r\nMessage: Redirect successful\r\n\r\n");
    client.send("Action: Hangup\r\nActionID: 15\r\nChannel: /^Local\\/1001@test-.*$/\r\n\r\n").await;
    let mut list = String::new();
    while !list.contains("ListItems") {
        list += &client.packet().await;
    }
    let expected = "Response: Success\r\nActionID: 15\r\nEventList: start\r\nMessage: Channels hung up will follow\r\n\r\n\
        Event: ChannelHungup\r\nChannel: Local/1001@test-00000000;1\r\nActionID: 15\r\n\r\n\
        Event: ChannelHungup\r\nChannel: Local/1001@test-00000000;2\r\nActionID: 15\r\n\r\n\
        Event: ChannelsHungupListComplete\r\nActionID: 15\r\nEventList: Complete\r\nListItems: 2\r\n\r\n";
    assert_eq!(list, expected);
}
