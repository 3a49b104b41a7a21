//! What tests of the proxy use: the log of what was executed, misbehaviour, storms, limits.

use super::*;
use crate::ami::Message;
use crate::sim::Storm;

#[tokio::test]
async fn answers_can_be_withheld() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "off").await;
    pbx.sim.stop_answering();
    client.send("Action: Ping\r\nActionID: 1\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\n").await;
    let log = pbx.sim.wait_for(|log| log.iter().any(|done| done.is("Ping"))).await;
    assert_eq!(log.iter().filter(|done| done.is("Ping")).count(), 1, "one after the other");
    assert!(client.stream.try_read(&mut [0; 1]).is_err(), "nothing was answered");
    pbx.sim.resume_answering();
    assert!(client.packet().await.contains("ActionID: 1\r\n"));
    assert!(client.packet().await.contains("ActionID: 2\r\n"));
}

#[tokio::test]
async fn raw_bytes_and_events_reach_the_sessions() {
    let pbx = start(config()).await;
    let mut quiet = pbx.connect().await;
    let mut dialer = pbx.login("dialer", "on").await;
    let event = Message::compose(&[("Event", b"X"), ("Privilege", b"call,all"), ("Empty", b"")]);
    pbx.sim.emit(&Message::compose(&[("Event", b"Y"), ("Privilege", b"system,all")]));
    pbx.sim.emit(&event);
    pbx.sim.raw(b"Event: Half\r\n");
    assert_eq!(dialer.packet().await, "Event: X\r\nPrivilege: call,all\r\nEmpty: \r\n\r\n");
    assert_eq!(dialer.line().await, "Event: Half");
    assert_eq!(quiet.line().await, "Event: Half", "raw bytes go to everybody, events do not");
    pbx.sim.drop_sessions();
    assert_eq!(dialer.rest().await + &quiet.rest().await, "");
    pbx.sim.wait_for_sessions(|count| *count == 0).await;
}

#[tokio::test]
async fn a_storm_arrives_whole_and_in_order() {
    let pbx = start(config()).await;
    let mut client = pbx.login("amiwall", "user").await;
    let sim = pbx.sim.clone();
    let storm = tokio::spawn(async move { sim.storm(Storm { rate_per_s: 0, count: 2_000, size: 300 }).await });
    for sequence in 1..=2_000 {
        let event = client.packet().await;
        assert!(event.contains(&format!("\r\nSequence: {sequence}\r\n")) && event.len() == 300, "{event}");
    }
    storm.await.expect("the storm");
}

#[tokio::test]
async fn c30_a_session_that_does_not_read_is_dropped() {
    let pbx = start(SimConfig { send_buffer: Some(4_096), ..config() }).await;
    let client = pbx.login("amiwall", "user").await;
    pbx.sim.storm(Storm { rate_per_s: 0, count: 20_000, size: 1_000 }).await;
    pbx.sim.wait_for_sessions(|count| *count == 0).await;
    drop(client);
}

#[tokio::test]
async fn s33_an_unauthenticated_session_ends() {
    let pbx = start(SimConfig { auth_timeout: Duration::from_millis(10), ..config() }).await;
    assert_eq!(pbx.connect().await.rest().await, "");
}

#[tokio::test]
async fn s55_beyond_the_limit_there_is_not_even_a_banner() {
    let pbx = start(SimConfig { auth_limit: 2, ..config() }).await;
    let _first = pbx.connect().await;
    let _second = pbx.connect().await;
    let mut third = Client { stream: TcpStream::connect(pbx.address).await.expect("accepted"), buffer: Vec::new() };
    assert_eq!(third.rest().await, "");
}

#[tokio::test]
async fn shutting_down_ends_everything() {
    let sim = Sim::bind("127.0.0.1:0", config()).await.expect("a port");
    let (address, shutdown) = (sim.local_addr(), CancellationToken::new());
    let running = tokio::spawn(sim.run(shutdown.clone()));
    let mut client = Client { stream: TcpStream::connect(address).await.expect("a connection"), buffer: Vec::new() };
    client.line().await;
    shutdown.cancel();
    running.await.expect("it ends");
    assert_eq!(client.rest().await, "");
}
