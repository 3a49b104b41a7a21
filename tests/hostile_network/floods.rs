//! Many at once: a good client gets in and works all the same.

use crate::wall::{LOGIN, Peer, WRONG, Wall, connect, count};

#[tokio::test]
async fn handshake_flood() {
    let wall = Wall::new("  unauthenticated: 30\n  unauthenticated_per_address: 100\n").await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(Peer::new(connect(wall.tls(), 9).await));
    }
    // The oldest have given way, and only they.
    for peer in held.iter_mut().take(70) {
        assert_eq!(peer.rest().await, "");
    }
    wall.until(|occupancy, _| occupancy.unauthenticated == 30).await;
    let mut good = wall.connect_tls(8).await;
    good.log_in().await;
    good.ping().await;
    wall.until(|occupancy, _| occupancy.unauthenticated == 29 && occupancy.connections == 1).await;
    drop((good, held));
    let reasons = wall.reasons().await;
    // Ten of the address one by one, the others as a count.
    assert_eq!(count(&reasons, "refuse", "limits.unauthenticated"), 11, "{reasons:?}");
}

#[tokio::test]
async fn who_connects_all_the_time_from_few_addresses_displaces_his_own() {
    let wall = Wall::new("  unauthenticated: 30\n  unauthenticated_per_address: 15\n").await;
    // A client that takes its time to log in.
    let mut good = wall.connect(8).await;
    good.until("\r\n").await;
    let mut held = Vec::new();
    for n in 0..240 {
        held.push(connect(wall.tls(), 10 + n % 3).await);
    }
    wall.until(|occupancy, _| occupancy.unauthenticated == 30).await;
    good.send(LOGIN).await;
    good.until("Authentication accepted\r\n\r\n").await;
    good.ping().await;
    drop((good, held));
    wall.until(|occupancy, _| occupancy.unauthenticated == 0 && occupancy.connections == 0).await;
}

#[tokio::test]
async fn one_address_has_so_many_and_others_are_not_touched() {
    let wall = Wall::new("  unauthenticated_per_address: 3\n").await;
    let mut other = wall.connect(8).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut peer = wall.connect(9).await;
        peer.until("\r\n").await;
        held.push(peer);
    }
    assert_eq!(held[0].rest().await, "", "the oldest of the address has given way");
    other.log_in().await;
    other.ping().await;
    drop((other, held));
    assert_eq!(count(&wall.reasons().await, "end", "limits.unauthenticated_per_address"), 1);
}

#[tokio::test]
async fn silent_connections_of_its_own_address_do_not_keep_a_client_out() {
    for is_tls in [false, true] {
        let wall = Wall::new("").await;
        let to = if is_tls { wall.tls() } else { wall.plain() };
        let mut silent = Vec::new();
        for _ in 0..30 {
            silent.push(connect(to, 9).await);
        }
        if is_tls {
            wall.connect_tls(9).await.log_in().await;
        } else {
            wall.login(9).await.ping().await;
        }
        drop(silent);
        let reasons = wall.reasons().await;
        let kind = if is_tls { "refuse" } else { "end" };
        // One by one, and what is more than ten as a count.
        let gone = count(&reasons, kind, "limits.unauthenticated_per_address");
        assert!((1..=11).contains(&gone), "{reasons:?}");
        assert!(reasons.len() < 60, "{}", reasons.len());
    }
}

#[tokio::test]
async fn when_all_places_of_clients_are_taken_the_port_still_answers() {
    let wall = Wall::new("  connections: 2\n  connections_per_address: 1\n").await;
    let mut first = wall.login(7).await;
    for (host, limit) in [(7, "its address"), (8, "none"), (9, "all")] {
        let mut peer = wall.connect(host).await;
        peer.until("\r\n").await;
        peer.send(LOGIN).await;
        if limit == "none" {
            peer.until("Authentication accepted\r\n\r\n").await;
            // Kept to the end of the process.
            std::mem::forget(peer);
        } else {
            let answer = peer.rest().await;
            assert_eq!(answer, "Response: Error\r\nMessage: Too many connections, retry later\r\n\r\n", "{limit}");
        }
    }
    // Who does not know the secret learns nothing of that.
    let mut stranger = wall.connect(9).await;
    stranger.until("\r\n").await;
    stranger.send(WRONG).await;
    assert_eq!(stranger.rest().await, "Response: Error\r\nMessage: Authentication failed\r\n\r\n");
    first.ping().await;
    drop(first);
    let reasons = wall.reasons().await;
    let of = |reason| count(&reasons, "login", reason);
    assert_eq!((of("limits.connections_per_address"), of("limits.connections"), of("login.secret")), (1, 1, 1));
}

#[tokio::test]
async fn wrong_logins_for_an_identity_lock_it_out_from_their_address_alone() {
    let wall = Wall::new("  failed_logins: { rate: 3/minute, lockout: 1h }\n").await;
    let mut open = wall.login(7).await;
    let mut guessers = Vec::new();
    for _ in 0..10 {
        let mut peer = wall.connect(9).await;
        peer.until("\r\n").await;
        peer.send(WRONG).await;
        guessers.push(peer);
    }
    for peer in &mut guessers {
        assert!(peer.rest().await.contains("Authentication failed"));
    }
    // From there the right secret does not help, from elsewhere it does, and who is in stays in.
    let mut locked_out = wall.connect(9).await;
    locked_out.until("\r\n").await;
    locked_out.send(LOGIN).await;
    assert!(locked_out.rest().await.contains("Authentication failed"));
    wall.login(8).await.ping().await;
    open.ping().await;
    drop(open);
    let reasons = wall.reasons().await;
    assert!(count(&reasons, "login", "login.locked") >= 1, "{reasons:?}");
}

#[tokio::test]
async fn login_flood_while_a_good_client_works() {
    let wall = Wall::new("  unauthenticated: 40\n  failed_logins: { rate: 100000/minute, lockout: 1s }\n").await;
    let mut open = wall.login(7).await;
    let mut guessers = Vec::new();
    for host in 20..100 {
        let mut peer = wall.connect(host).await;
        peer.send(WRONG).await;
        guessers.push(peer);
        if host % 20 == 0 {
            open.ping().await;
            // Its secret is known: it waits for no slot.
            wall.login(8).await.ping().await;
        }
    }
    open.ping().await;
    drop((open, guessers));
    wall.until(|occupancy, slots| occupancy == Default::default() && slots == parallelism()).await;
}

pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
