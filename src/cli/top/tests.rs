use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Next};
use super::draw::draw;
use crate::audit::LogState;
use crate::daemon::Overview;
use crate::policy::Pause;
use crate::session::{Recent, SessionInfo};

const AT: i64 = 1_795_000_000;

fn session(number: u64, identity: &str, forwarded: u64, limited: u64) -> SessionInfo {
    SessionInfo {
        id: format!("5e2b9c01-{number}"),
        identity: identity.to_owned(),
        peer: format!("203.0.113.{number}:51234"),
        listener: "0.0.0.0:5039".to_owned(),
        upstream: "pbx".to_owned(),
        since: AT - 130,
        forwarded,
        refused: 1,
        limited,
        sent: 90,
        events: 40,
        bytes_in: 4_096,
        bytes_out: 8_192,
        last: Some(Recent {
            time_ms: (AT - 2) * 1_000,
            name: "Originate".to_owned(),
            decision: "allow".to_owned(),
            ..Recent::default()
        }),
        queued: 0,
        queued_bytes: 0,
        outstanding: usize::try_from(number).unwrap_or_default(),
        ..SessionInfo::default()
    }
}

fn refusal(identity: &str, name: &str) -> Recent {
    Recent {
        time_ms: AT * 1_000,
        identity: identity.to_owned(),
        session: "5e2b9c01-1".to_owned(),
        name: name.to_owned(),
        decision: "limit".to_owned(),
        reason: "limits.rate".to_owned(),
        rule: "roles.dialer.limits.Originate".to_owned(),
        line: Some(41),
        ..Recent::default()
    }
}

fn overview(seconds: i64, sessions: Vec<SessionInfo>) -> Overview {
    Overview {
        version: "0.1.0".to_owned(),
        boot: "5e2b9c01".to_owned(),
        time_ms: (AT + seconds) * 1_000,
        sessions,
        unauthenticated: 3,
        refusals: vec![refusal("dialer", "Originate")],
        audit: LogState::Open,
        upstreams: BTreeMap::from([("pbx".to_owned(), None)]),
        ..Overview::default()
    }
}

/// An app that has seen two answers, a second apart.
fn app() -> App {
    let mut app = App::default();
    app.see(overview(-1, vec![session(1, "dialer", 100, 0), session(2, "wallboard", 10, 0)]));
    app.see(overview(0, vec![session(1, "dialer", 142, 5), session(2, "wallboard", 11, 0)]));
    app
}

fn press(app: &mut App, codes: &[KeyCode]) -> Next {
    let keys = codes.iter().map(|code| app.press(KeyEvent::new(*code, KeyModifiers::NONE)));
    keys.last().unwrap_or(Next::Continue)
}

/// What stands on a terminal of that size, line by line.
fn shown(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(frame, app)).expect("it is drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect()
}

#[test]
fn it_shows_who_does_what_and_what_was_refused() {
    let lines = shown(&mut app(), 130, 24);
    let expected = [
        "amiwall 0.1.0  11:06:40 UTC  sessions 2  not logged in 3  actions/s 48.0  refused/s 5.0  KiB/s 0",
        "audit log open  upstream pbx ok (2)",
        "",
        "identity         from                  for    act/s  ref/s  ev/s   KiB/s  refused  waiting queue  last action",
        "dialer           203.0.113.1:51234     2m10s  47.0   5.0    0.0    0      6        1       0      Originate 2s ago",
        "wallboard        203.0.113.2:51234     2m10s  1.0    0.0    0.0    0      1        2       0      Originate 2s ago",
    ];
    assert_eq!(lines[..6], expected);
    assert_eq!(lines[21], "refused last");
    assert_eq!(
        lines[22],
        "11:06:40 dialer           Originate          limits.rate  by roles.dialer.limits.Originate, line 41"
    );
    assert_eq!(lines[23], "q: quit  Enter: one session  s: sort (actions/s)  /: filter");
}

#[test]
fn on_a_narrow_terminal_numbers_stay_whole() {
    let lines = shown(&mut app(), 80, 12);
    assert!(lines[3].contains("act/s  ref/s  ev/s   KiB/s  refused  waiting queue"), "{}", lines[3]);
    assert!(lines[4].contains("47.0   5.0    0.0    0      6        1       0"), "{}", lines[4]);
    assert!(lines[4].starts_with("dialer"), "{}", lines[4]);
}

#[test]
fn one_session_has_its_last_actions_with_the_rule() {
    let mut app = app();
    press(&mut app, &[KeyCode::Down, KeyCode::Up, KeyCode::Enter]);
    assert_eq!(app.session(), "5e2b9c01-1");
    let mut next = overview(1, vec![session(1, "dialer", 143, 6), session(2, "wallboard", 11, 0)]);
    next.recent = vec![refusal("dialer", "Originate")];
    app.see(next);
    let lines = shown(&mut app, 100, 24);
    assert_eq!(lines[3], "session   5e2b9c01-1");
    assert_eq!(
        lines[7],
        "actions   143 forwarded, 1 refused, 6 limited; 2.0/s, refused 1.0/s; waiting for Asterisk: 1"
    );
    assert_eq!(lines[12], "11:06:40 Originate          limits.rate  by roles.dialer.limits.Originate, line 41");
    app.see(overview(2, vec![session(2, "wallboard", 11, 0)]));
    assert_eq!(shown(&mut app, 100, 24)[3], "this session is over");
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.session(), "");
    assert!(shown(&mut app, 100, 24)[4].starts_with("wallboard"));
}

#[test]
fn what_is_wrong_cannot_be_overlooked() {
    let mut app = App::default();
    assert_eq!(shown(&mut app, 60, 5)[0], "amiwall: not reached yet");
    let mut bad = overview(0, Vec::new());
    bad.audit = LogState::Closed;
    bad.upstreams =
        BTreeMap::from([("lab".to_owned(), Some("connection refused".to_owned())), ("pbx".to_owned(), None)]);
    bad.paused = vec![Pause { action: "Originate".to_owned(), identity: String::new() }];
    bad.locked = vec!["mallory".to_owned()];
    app.see(bad);
    let lines = shown(&mut app, 110, 10);
    assert_eq!(
        lines[1],
        "audit log CLOSED: actions are refused  upstream lab (0): connection refused  upstream pbx ok (0)"
    );
    assert_eq!(lines[2], "paused: `Originate` of everybody  locked: mallory");
    app.lose("/run/amiwall/admin.sock: Connection refused".to_owned());
    let lines = shown(&mut app, 110, 10);
    assert_eq!(lines[9], "amiwall does not answer, trying again: /run/amiwall/admin.sock: Connection refused");
    app.see(overview(1, Vec::new()));
    assert!(shown(&mut app, 110, 10)[9].starts_with("q: quit"));
}

#[test]
fn rates_are_not_counted_over_a_restart() {
    let mut app = app();
    let mut other = overview(1, vec![session(1, "dialer", 4, 0)]);
    other.boot = "00000001".to_owned();
    app.see(other);
    assert_eq!(app.total(), super::app::Rates::default());
}

#[test]
fn keys_sort_filter_and_end() {
    let mut app = app();
    let order = |app: &App| app.shown().iter().map(|session| session.identity.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(order(&app), "dialer wallboard");
    press(&mut app, &[KeyCode::Char('s'), KeyCode::Char('s')]);
    assert_eq!(order(&app), "wallboard dialer", "by what waits for Asterisk");
    press(
        &mut app,
        &[KeyCode::Char('/'), KeyCode::Char('D'), KeyCode::Char('q'), KeyCode::Backspace, KeyCode::Char('i')],
    );
    assert_eq!(order(&app), "dialer", "a `q` is a letter here");
    press(&mut app, &[KeyCode::Enter]);
    assert!(shown(&mut app, 80, 10)[9].ends_with("only: Di"));
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(order(&app), "wallboard dialer");
    // The mark stays with its session.
    press(&mut app, &[KeyCode::End]);
    assert_eq!(app.marked_place(), 1);
    press(&mut app, &[KeyCode::Char('s'), KeyCode::Char('s')]);
    assert_eq!((order(&app).as_str(), app.marked_place()), ("dialer wallboard", 0));
    assert_eq!(press(&mut app, &[KeyCode::Char('q')]), Next::End);
    assert_eq!(app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Next::End);
}

#[test]
fn no_terminal_is_too_small_and_no_name_speaks_to_it() {
    let mut app = app();
    let mut hostile = overview(1, vec![session(1, "a\u{1b}[2Jb\u{202e}", 142, 5)]);
    hostile.refusals = vec![refusal("x\u{9b}31m", "Ori\u{7}\nginate\u{1b}]0;title")];
    hostile.recent = hostile.refusals.clone();
    app.see(hostile);
    let sizes = [(0, 0), (1, 1), (2, 2), (10, 3), (5, 40), (200, 4), (80, 24), (120, 40)];
    for (width, height) in sizes {
        for keys in [&[][..], &[KeyCode::Enter], &[KeyCode::Esc, KeyCode::Char('/')], &[KeyCode::Esc]] {
            press(&mut app, keys);
            let lines = shown(&mut app, width, height).join("");
            assert!(!lines.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{lines:?}");
        }
    }
}
