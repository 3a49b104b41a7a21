use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;

use super::super::tests::{kinds, records};
use super::super::{Audit, AuditConfig, Draft, SessionContext};
use super::*;

fn config(address: String, is_required: bool) -> SyslogConfig {
    SyslogConfig { address, tls: None, ca: Vec::new(), is_required }
}

/// Reads one message by its count.
fn message(stream: &mut impl Read) -> String {
    let mut stream = BufReader::with_capacity(1, stream);
    let mut len = Vec::new();
    stream.read_until(b' ', &mut len).expect("a count");
    let len: usize = String::from_utf8_lossy(&len).trim().parse().expect("a number");
    let mut message = vec![0; len];
    stream.read_exact(&mut message).expect("a message");
    String::from_utf8(message).expect("UTF-8")
}

fn open(folder: &std::path::Path, syslog: SyslogConfig) -> io::Result<Audit> {
    let config = AuditConfig { syslog: Some(syslog), ..AuditConfig::new(folder) };
    Audit::open(&config).map_err(io::Error::other)
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

fn draft() -> Draft<'static> {
    Draft::connect(&SessionContext::default())
}

#[tokio::test]
async fn the_receiver_gets_each_record_as_it_stands_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listener, address) = listener();
    let audit = open(folder.path(), config(address, true)).expect("a log");
    audit.commit(draft()).await.expect("durable");
    let mut stream = listener.accept().expect("a sender").0;
    let (first, second) = (message(&mut stream), message(&mut stream));
    assert!(
        first.starts_with("<110>1 2") && first.contains(" amiwall ") && first.contains(" start - {\"seq\":1,"),
        "{first}"
    );
    let line = second.split_once(" connect - ").expect("its kind").1;
    let file = super::super::tests::segments(folder.path()).remove(0);
    assert_eq!(std::fs::read_to_string(file).expect("a segment").lines().nth(1), Some(line));
}

#[tokio::test]
async fn a_required_receiver_that_is_gone_closes_the_gate() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listener, address) = listener();
    let audit = open(folder.path(), config(address.clone(), true)).expect("a log");
    drop(listener.accept().expect("a sender"));
    drop(listener);
    // The first write into a connection that is closed may still be taken.
    let mut refused = false;
    for _ in 0..3 {
        refused |= audit.commit(draft()).await.is_err();
    }
    assert!(refused, "nothing may pass");
    assert!(open(&folder.path().join("other"), config(address, true)).is_err(), "nor does it start");
}

#[tokio::test]
async fn what_was_lost_is_on_record_when_the_receiver_is_there_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listener, address) = listener();
    drop(listener);
    let audit = open(folder.path(), config(address.clone(), false)).expect("a log all the same");
    audit.commit(draft()).await.expect("durable");
    let listener = TcpListener::bind(&address).expect("the same port");
    listener.set_nonblocking(true).expect("a listener");
    let mut streams = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !kinds(folder.path()).contains(&"outage".to_owned()) {
        assert!(Instant::now() < deadline, "there is no outage record");
        audit.commit(draft()).await.expect("durable");
        streams.extend(listener.accept());
    }
    let outage = records(folder.path()).into_iter().find(|record| record["kind"] == "outage").expect("a record");
    assert_eq!(outage["reason"], "audit.syslog");
    assert!(outage["count"].as_u64().expect("a count") >= 1);
}

#[tokio::test]
async fn a_receiver_that_reads_nothing_slows_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listener, address) = listener();
    let audit = open(folder.path(), config(address, false)).expect("a log");
    let stuck = listener.accept().expect("a sender").0;
    let begin = Instant::now();
    // More than the socket's buffers and the queue hold.
    let context = SessionContext { listener: "x".repeat(64 * 1024), ..SessionContext::default() };
    for _ in 0..400 {
        audit.append(vec![Draft::connect(&context)]).await.expect("written");
    }
    assert!(begin.elapsed() < IO_TIMEOUT, "{:?}", begin.elapsed());
    drop(stuck);
}

#[test]
fn tls_is_spoken_to_a_receiver_that_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let certs = folder.path().join("certs");
    crate::tls::issue(&certs, &crate::tls::IssueOptions::default()).expect("certificates");
    let files = crate::tls::ServerTlsFiles {
        certificate: &certs.join("server.crt"),
        key: &certs.join("server.key"),
        client_ca: None,
        client_crl: None,
        client_certificate_required: false,
        tls13_only: false,
    };
    let server = crate::tls::server_tls(&files).expect("a server").config;
    let client = crate::tls::client_config(&certs.join("ca.crt"), None).expect("a client");
    let (listener, address) = listener();
    let receiver = std::thread::spawn(move || {
        let stream = listener.accept().expect("a sender").0;
        let session = rustls::ServerConnection::new(server).expect("a session");
        message(&mut StreamOwned::new(session, stream))
    });
    let name = ServerName::try_from("localhost").expect("a name");
    let config = SyslogConfig { tls: Some((client, name)), ..config(address, true) };
    let mut copy = Mirror::open(Some(&config)).expect("a thread");
    copy.take(b"{\"seq\":1,\"time\":\"T\",\"kind\":\"start\"}\n");
    copy.flush().expect("taken");
    assert!(receiver.join().expect("a message").ends_with(" start - {\"seq\":1,\"time\":\"T\",\"kind\":\"start\"}"));
}
