//! When a login is refused: a second after its packet, whatever is wrong with it.

use std::sync::mpsc;
use std::time::Duration;

use amiwall::daemon::{Answer, Request, Verb, ask};

use crate::wall::{Peer, Wall};

const IDENTITIES: &str = r#"  expired: { roles: [tester], secret: { file: tester.secret }, challenge: true, valid: { until: "2001-01-01T00:00:00Z" } }
  elsewhere: { roles: [tester], secret: { file: tester.secret }, challenge: true, networks: { allow: [192.0.2.0/24] } }
  locked: { roles: [tester], secret: { file: tester.secret }, challenge: true }
"#;

/// A clock that stands still but for what a test advances it by: a paused one runs on whenever it is waited for a thread,
/// but not as long as one is blocked.
struct StillClock(#[expect(dead_code, reason = "its end is what the thread waits for")] mpsc::Sender<()>);

impl StillClock {
    fn new() -> Self {
        let (end, ended) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv().ok());
        tokio::time::pause();
        Self(end)
    }
}

/// The Login of a class, or of the same by challenge.
async fn login(peer: &mut Peer<tokio::net::TcpStream>, name: &str, secret: &str, is_md5: bool) -> String {
    if !is_md5 {
        return format!("Action: Login\r\nUsername: {name}\r\nSecret: {secret}\r\n\r\n");
    }
    peer.send("Action: Challenge\r\nAuthType: MD5\r\n\r\n").await;
    assert!(peer.until("\r\n\r\n").await.contains("Challenge: "));
    format!("Action: Login\r\nAuthType: MD5\r\nUsername: {name}\r\nKey: {}\r\n\r\n", "ab".repeat(16))
}

#[tokio::test]
async fn a_refusal_comes_a_second_after_the_login_whatever_is_wrong() {
    let wall = Wall::with("  failed_logins: { rate: 5/minute, lockout: 1h }\n", IDENTITIES).await;
    let (socket, locked) = (wall.audit().join("admin.sock"), Request::of(Verb::Lock, "locked"));
    let told = tokio::task::spawn_blocking(move || ask(&socket, &locked)).await.expect("no panic");
    assert!(matches!(told, Ok(Answer::Done { .. })), "{told:?}");
    let mut good = wall.login(7).await;
    let clock = StillClock::new();
    let classes = [
        ("tester", "wrong"),
        ("tester", ""),
        ("nobody", "wrong"),
        ("expired", "tester-secret"),
        ("locked", "tester-secret"),
        ("elsewhere", "tester-secret"),
    ];
    let all = [false, true].into_iter().flat_map(|is_md5| classes.map(|(name, secret)| (name, secret, is_md5)));
    // From its sixth failure on an address is locked out: that looks the same.
    let locked_out = [("tester", "wrong", false); 6];
    let mut refused = 0;
    for (number, (name, secret, is_md5)) in all.chain(locked_out).enumerate() {
        let host = if number < 12 { 20 + u8::try_from(number).expect("few") } else { 9 };
        let mut peer = wall.connect(host).await;
        peer.until("\r\n").await;
        let packet = login(&mut peer, name, secret, is_md5).await;
        let sent = tokio::time::Instant::now();
        peer.send(&packet).await;
        refused += 1;
        while wall.records().matches("\"reason\":\"login.").count() < refused {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_millis(999)).await;
        // All that is due was done when this is answered.
        good.ping().await;
        assert!(peer.stream.try_read(&mut [0; 1]).is_err(), "{name} {is_md5}: too early");
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(peer.rest().await, "Response: Error\r\nMessage: Authentication failed\r\n\r\n", "{name} {is_md5}");
        assert_eq!(sent.elapsed(), Duration::from_millis(1_001), "{name} {is_md5}");
    }
    assert!(wall.records().contains("\"reason\":\"login.locked\""));
    drop(clock);
}
