//! From a wide trial to a narrow policy: what a client did in shadow mode is learned, put in force, and still passes.

use amiwall::ami::Message;
use amiwall::learn::{Options, learn};

use crate::harness::{Bench, Client, DENIED, Extra, is_pong};

/// What the client of this test does all day.
const ORIGINATE: &str = "Action: Originate\r\nChannel: Local/1001@test\r\nApplication: Wait\r\nData: 1\r\nAsync: true\r\nVariable: WAIT=1\r\nActionID: call\r\n\r\n";

async fn a_day(client: &mut Client) {
    client.send("Action: Ping\r\n\r\n").await;
    // Events of a call of before may come first.
    assert!(is_pong(&client.packet_of("Response: Success").await));
    client.send(ORIGINATE).await;
    assert!(client.packet_of("Response: Success").await.contains("queued"));
    client.send("Action: QueueSummary\r\nQueue: sales\r\nActionID: q\r\n\r\n").await;
    client.packet_of("Event: QueueSummaryComplete").await;
}

#[tokio::test]
async fn what_was_learned_in_shadow_mode_is_enough_to_enforce() {
    let extra = Extra {
        role: "    allow: [Ping]\n    events: { allow: [call, user] }\n".to_owned(),
        identity: "    mode: shadow\n    shadow_also: [Originate]\n".to_owned(),
        ..Extra::default()
    };
    let mut bench = Bench::with(extra).await;
    let mut client = bench.login_with("").await;
    a_day(&mut client).await;
    let event = Message::compose(&[("Event", b"UserEvent"), ("Privilege", b"user,all"), ("UserEvent", b"end")]);
    bench.sim.emit(&event);
    client.packet_of("Event: UserEvent").await;

    let draft = learn(&bench.audit_directory(), &Options::default()).expect("a draft");
    let [role] = draft.roles.as_slice() else { panic!("{}", draft.to_yaml()) };
    assert!(role.check.refused.is_empty() && role.check.allowed == 3, "{}", draft.to_yaml());
    let yaml = draft.to_yaml();
    assert!(yaml.contains("only because of shadow mode") && yaml.contains("- UserEvent  # user: once"), "{yaml}");
    let (_, roles) = yaml.split_once("  learned-tester:\n").expect("a role");
    let (role, _) = roles.split_once("\n# Who has these roles").expect("its end");

    let role = role.to_owned();
    bench
        .reload(|extra| {
            extra.role = role;
            extra.identity = String::new();
        })
        .await;
    let mut client = bench.login_with("").await;
    a_day(&mut client).await;
    bench.sim.emit(&event);
    client.packet_of("Event: UserEvent").await;
    let mut quiet = bench.login().await;
    for other in [
        "Action: CoreStatus\r\n\r\n",
        "Action: QueueSummary\r\nQueue: support\r\n\r\n",
        "Action: QueueSummary\r\n\r\n",
        &ORIGINATE.replace("1001@test", "1002@test").replace("ActionID: call\r\n", ""),
    ] {
        assert_eq!(quiet.ask(other).await, DENIED, "{other}");
    }
}
