//! Sessions that are listed and ended by an administrator, and actions that are paused.

use amiwall::daemon::{Answer, Overview, Request, Verb};
use amiwall::policy::Pause;
use amiwall::session::SessionInfo;
use amiwall::sim::SimConfig;

use crate::admin::{say, tell};
use crate::harness::{Bench, DENIED, Extra, is_pong, write_private};

const PING: &str = "Action: Ping\r\n\r\n";
const STATUS: &str = "Action: CoreStatus\r\n\r\n";
const OTHER: &str = "  other:\n    roles: [tester]\n    secret: { file: other.secret }\n    challenge: true\n";

async fn sessions(bench: &Bench) -> Vec<SessionInfo> {
    let answer = tell(bench, Verb::Sessions, "").await;
    let Answer::Sessions { sessions, .. } = answer else { panic!("{answer:?}") };
    sessions
}

async fn overview(bench: &Bench, session: &str) -> Overview {
    let request = Request { session: session.to_owned(), ..Request::new(Verb::Overview) };
    let answer = say(bench, request).await;
    let Answer::Overview(overview) = answer else { panic!("{answer:?}") };
    *overview
}

fn of(action: &str, identity: &str) -> Pause {
    Pause { action: action.to_owned(), identity: identity.to_owned() }
}

/// The outcome, or why it is none.
async fn pause(bench: &Bench, verb: Verb, action: &str, identity: &str) -> String {
    let answer = say(bench, Request { action: action.to_owned(), ..Request::of(verb, identity) }).await;
    if let Answer::Refused { message } | Answer::Failed { message } = answer {
        return message;
    }
    let Answer::Paused { outcome, .. } = answer else { panic!("{answer:?}") };
    outcome
}

async fn kick(bench: &Bench, session: &str) -> Answer {
    say(bench, Request { session: session.to_owned(), ..Request::new(Verb::Kick) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_logged_in_is_listed_with_what_they_do_and_one_of_them_can_be_ended() {
    let bench = Bench::new().await;
    let (mut one, mut two) = (bench.login().await, bench.login().await);
    let stranger = bench.connect().await;
    assert!(is_pong(&one.ask(PING).await));
    assert_eq!(one.ask("Action: Command\r\nCommand: core stop now\r\n\r\n").await, DENIED);
    let all = sessions(&bench).await;
    let [first, second] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.identity.as_str(), first.upstream.as_str()), ("tester", "pbx"));
    assert_eq!((first.forwarded, first.refused, first.limited, first.outstanding), (1, 1, 0, 0));
    assert_eq!(first.last.as_ref().map(|last| last.name.as_str()), Some("Ping"));
    assert!(first.bytes_in > 60 && first.bytes_out > 60 && first.sent == 1 && first.since > 1_700_000_000, "{first:?}");
    assert_eq!((second.forwarded, &second.last), (0, &None));

    let seen = overview(&bench, &first.id).await;
    assert_eq!((seen.sessions.len(), seen.unauthenticated, seen.audit), (2, 1, amiwall::audit::LogState::Open));
    assert_eq!(seen.upstreams.get("pbx"), Some(&None));
    let told: Vec<String> =
        seen.recent.iter().map(|one| format!("{} {} {} {}", one.name, one.decision, one.reason, one.rule)).collect();
    assert_eq!(told, ["Ping allow  roles.tester.allow[0]", "Command deny actions.unlisted "]);
    let refusals: Vec<&str> = seen.refusals.iter().map(|refusal| refusal.session.as_str()).collect();
    assert_eq!(refusals, [first.id.as_str()]);
    assert!(overview(&bench, "nobody's").await.recent.is_empty());

    let done = Answer::Done { identity: "tester".to_owned(), outcome: "kicked".to_owned(), sessions: 1 };
    assert_eq!(kick(&bench, &first.id).await, done);
    assert_eq!(one.rest().await, "");
    assert!(is_pong(&two.ask(PING).await), "the other one goes on");
    let Answer::Refused { message } = kick(&bench, &first.id).await else { panic!("it is over") };
    assert!(message.contains("there is no session"), "{message}");
    assert_eq!(sessions(&bench).await.len(), 1);
    // It is not locked.
    assert!(is_pong(&bench.login().await.ask(PING).await));
    drop(stranger);
    let first = first.id.clone();
    let records = bench.records().await;
    let find = |kind: &str| records.iter().find(|record| record["kind"] == kind && record["session"] == first.as_str());
    assert_eq!(find("end").expect("its end")["reason"], "kicked-by-admin");
    let admin = find("admin").expect("who asked");
    assert_eq!(
        (&admin["name"], &admin["outcome"], &admin["identity"]),
        (&"kick".into(), &"kicked".into(), &"tester".into())
    );
    assert_eq!(admin["uid"], rustix::process::geteuid().as_raw());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_is_refused_until_it_is_resumed_and_nothing_else_is() {
    let bench = Bench::new().await;
    let mut client = bench.login().await;
    assert_eq!(pause(&bench, Verb::Pause, "ping", "").await, "paused");
    assert_eq!(client.ask(PING).await, DENIED);
    assert!(client.ask(STATUS).await.starts_with("Response: Success"));
    assert_eq!(pause(&bench, Verb::Pause, "Ping", "").await, "paused-before");
    let status = Answer::Status { locked: vec![], suspended: vec![], paused: vec![of("Ping", "")] };
    assert_eq!(tell(&bench, Verb::Status, "").await, status);
    assert_eq!(pause(&bench, Verb::Unpause, "*", "").await, "not-paused");
    assert_eq!(client.ask(PING).await, DENIED, "another one was taken off");
    assert_eq!(pause(&bench, Verb::Unpause, "PING", "").await, "unpaused");
    assert!(is_pong(&client.ask(PING).await));
    assert_eq!(sessions(&bench).await[0].limited, 2);
    assert_eq!(bench.executed().iter().filter(|name| *name == "Ping").count(), 1);

    let records = bench.records().await;
    let refused: Vec<_> = records.iter().filter(|record| record["reason"] == "limits.paused").collect();
    assert_eq!(refused.len(), 2);
    assert_eq!((&refused[0]["decision"], &refused[0]["limit"]), (&"limit".into(), &"pause Ping".into()));
    let told = records.iter().filter(|record| record["kind"] == "admin" && record["name"] != "drain");
    let told: Vec<String> = told.map(|r| format!("{} {} {}", r["name"], r["action"], r["outcome"])).collect();
    let expected = ["pause Ping paused", "pause Ping paused-before", "unpause * not-paused", "unpause Ping unpaused"];
    assert_eq!(
        told,
        expected.map(|line| line.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" "))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_but_logoff_can_be_paused_for_one_identity() {
    let mut bench = Bench::new().await;
    write_private(&bench.policy_path().with_file_name("other.secret"), "other-secret\n");
    bench.reload(|extra: &mut Extra| extra.identities = OTHER.to_owned()).await;
    let mut one = bench.login().await;
    let mut other = bench.connect().await;
    other.send("Action: Login\r\nUsername: other\r\nSecret: other-secret\r\nEvents: off\r\n\r\n").await;
    assert!(other.packet().await.contains("Authentication accepted"));
    assert_eq!(pause(&bench, Verb::Pause, "*", "Tester").await, "paused");
    assert_eq!((one.ask(PING).await, one.ask(STATUS).await), (DENIED.to_owned(), DENIED.to_owned()));
    assert!(is_pong(&other.ask(PING).await));
    assert!(one.ask("Action: Logoff\r\n\r\n").await.starts_with("Response: Goodbye"));
    // For everybody is another pause.
    assert_eq!(pause(&bench, Verb::Unpause, "*", "").await, "not-paused");
    assert_eq!(bench.login().await.ask(PING).await, DENIED);
    assert_eq!(pause(&bench, Verb::Unpause, "*", "tester").await, "unpaused");
    assert!(is_pong(&bench.login().await.ask(PING).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_would_stop_nothing_is_an_error() {
    let bench = Bench::new().await;
    let said = pause(&bench, Verb::Pause, "Orignate", "").await;
    assert!(said.contains("has an action `Orignate`; did you mean `Originate`?"), "{said}");
    let said = pause(&bench, Verb::Pause, "Originate", "nobody").await;
    assert!(said.contains("there is no identity `nobody`"), "{said}");
    let said = pause(&bench, Verb::Pause, "Logoff", "").await;
    assert!(said.contains("never paused"), "{said}");
    let said = pause(&bench, Verb::Pause, "", "").await;
    assert!(said.contains("names no `action`"), "{said}");
    let nothing = Answer::Status { locked: vec![], suspended: vec![], paused: vec![] };
    assert_eq!(tell(&bench, Verb::Status, "").await, nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_over_restarts_and_reloads_until_it_is_taken_off() {
    let mut bench = Bench::new().await;
    assert_eq!(pause(&bench, Verb::Pause, "Ping", "").await, "paused");
    assert_eq!(pause(&bench, Verb::Pause, "CoreStatus", "tester").await, "paused");
    bench.reload(|extra| extra.identity = "    sessions: 5\n".to_owned()).await;
    // Twice: from the records, and from the checkpoint behind them.
    for _ in 0..2 {
        assert_eq!(bench.login().await.ask(PING).await, DENIED);
        bench = bench.restart().await;
        let mut client = bench.login().await;
        assert_eq!((client.ask(PING).await, client.ask(STATUS).await), (DENIED.to_owned(), DENIED.to_owned()));
    }
    assert_eq!(pause(&bench, Verb::Unpause, "Ping", "").await, "unpaused");
    bench = bench.restart().await;
    let mut client = bench.login().await;
    assert!(is_pong(&client.ask(PING).await));
    assert_eq!(client.ask(STATUS).await, DENIED);
    let status = Answer::Status { locked: vec![], suspended: vec![], paused: vec![of("CoreStatus", "tester")] };
    assert_eq!(tell(&bench, Verb::Status, "").await, status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_for_one_identity_leaves_alone_the_session_of_another_that_is_stuck() {
    // Lets in who comes, and reads nothing more.
    let deaf = crate::fake::asterisk(|_, mut stream| {
        crate::fake::let_in(&mut stream);
        std::thread::park();
    });
    let extra = Extra {
        role: "    allow: [Ping, UserEvent]".to_owned(),
        identities: "  other: { roles: [tester], secret: { file: tester.secret }, challenge: true }".to_owned(),
        ..Extra::default()
    };
    let bench = Bench::in_front_of(Some(deaf), extra, SimConfig::with_secret(b"unused")).await;
    let mut client = bench.login().await;
    let headers: String = (0..100).map(|number| format!("H{number}: {}\r\n", "x".repeat(900))).collect();
    let sending = tokio::spawn(async move {
        for _ in 0..120 {
            client.send(format!("Action: UserEvent\r\nUserEvent: X\r\n{headers}\r\n")).await;
        }
        client
    });
    loop {
        let before = sessions(&bench).await[0].forwarded;
        assert!(pause(&bench, Verb::Pause, "UserEvent", "other").await.starts_with("paused"));
        let all = sessions(&bench).await;
        assert_eq!(all.len(), 1, "it is another's");
        if before == 0 || all[0].forwarded != before {
            continue;
        }
        // Whether it was stuck then a pause of its own tells, of an action that it does not send: it is ended if it is, since
        // what was judged before is over when that is answered.
        assert!(pause(&bench, Verb::Pause, "Ping", "tester").await.starts_with("paused"));
        if sessions(&bench).await.is_empty() {
            break;
        }
    }
    sending.abort();
}
