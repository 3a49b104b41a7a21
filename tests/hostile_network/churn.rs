//! Connections that end in every way, thousands of them: nothing is left behind.

use amiwall::admission::Occupancy;

use crate::floods::parallelism;
use crate::wall::{LOGIN, LOGOFF, Peer, WRONG, Wall, connect};

#[tokio::test]
async fn connection_churn() {
    let wall = Wall::new("  unauthenticated: 50\n").await;
    let mut good = wall.login(8).await;
    for number in 0..2_000_u32 {
        let to = if number % 2 == 0 { wall.plain() } else { wall.tls() };
        drop(connect(to, 9).await);
        if number % 200 == 0 {
            good.ping().await;
        }
    }
    wall.until(|occupancy, _| occupancy.unauthenticated == 0 && occupancy.connections == 1).await;
    good.ping().await;
}

#[tokio::test]
async fn semaphore_churn() {
    let limits = "  unauthenticated: 25\n  unauthenticated_per_address: 10\n  connections_per_address: 3\n  failed_logins: { rate: 100000/minute, lockout: 1s }\n";
    let wall = Wall::new(limits).await;
    let mut waiting = Vec::new();
    for round in 0..1_500_u32 {
        let host = 10 + u8::try_from(round % 7).expect("a small number");
        let reset = |peer: &Peer<tokio::net::TcpStream>| peer.stream.set_zero_linger().expect("an option");
        match round % 15 {
            // In the handshake: a hello that is none, half a record, an abort.
            0 => Peer::new(connect(wall.tls(), host).await).send("GET / HTTP/1.1\r\n\r\n").await,
            1 => Peer::new(connect(wall.tls(), host).await).send("\u{16}\u{3}\u{1}").await,
            2 => reset(&Peer::new(connect(wall.tls(), host).await)),
            // While argon2 is computed, or waits for it.
            3 if round % 4 == 3 => {
                let mut peer = wall.connect(host).await;
                peer.send(WRONG).await;
                reset(&peer);
            }
            // A login that fails, to its end.
            4 if round % 20 == 4 => {
                let mut peer = wall.connect(host).await;
                peer.send(WRONG).await;
                waiting.push(peer);
            }
            // Logged in: said goodbye, aborted, aborted before the answer.
            5 => {
                let mut peer = wall.connect(200).await;
                peer.send(&format!("{LOGIN}{LOGOFF}")).await;
                peer.rest().await;
            }
            6 if round % 2 == 0 => {
                let mut peer = wall.connect(201).await;
                peer.send(LOGIN).await;
                reset(&peer);
            }
            // Held until it gives way, or its address has too many.
            7 => waiting.push(wall.connect(host).await),
            8 => drop(wall.connect(host).await),
            _ => reset(&wall.connect(host).await),
        }
    }
    drop(waiting);
    wall.until(|occupancy, slots| occupancy == Occupancy::default() && slots == parallelism()).await;
    wall.login(8).await.ping().await;
}
