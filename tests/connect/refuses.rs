//! What cannot be used is told before a client comes.

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::harness::{Certificates, Connect, expired, greet_and_wait, greeting, patiently, server};

#[tokio::test]
async fn what_cannot_be_used_is_told_before_a_client_comes() {
    let (certs, other) = (Certificates::new(), Certificates::new());
    let ca = certs.file("ca.crt");
    let holder = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let taken = holder.local_addr().expect("an address").to_string();
    let (certificate, other_key) = (certs.file("client.crt"), other.file("client.key"));
    let old = Certificates::new();
    drop(expired(old.0.path()));
    let (old, key) = (old.file("old.crt"), certs.file("client.key"));
    let cases: [(&[&str], i32, &str); 8] = [
        (&["localhost:1", "--ca", &ca, "--certificate", &old, "--key", &key], 1, "expired on"),
        (&["localhost", "--ca", &ca], 2, "the port is missing"),
        (&["localhost:1", "--ca", &ca, "--name", "two words"], 2, "`two words` is neither a host name nor an address"),
        (&["localhost:1"], 2, "--ca <FILE>"),
        (&["localhost:1", "--ca", &ca, "--certificate", &certificate], 2, "--key <FILE>"),
        (&["localhost:1", "--ca", &other_key], 1, "client.key: holds no certificate in PEM form"),
        (
            &["localhost:1", "--ca", &ca, "--certificate", &certificate, "--key", &other_key],
            1,
            "cannot be a TLS client",
        ),
        (&["localhost:1", "--ca", &ca, "--listen", &taken], 1, "give another one with --listen"),
    ];
    for (args, code, why) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_amiwall")).arg("connect").args(args).output();
        let output = patiently(why, output).await.expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.contains(why), "{said}\n has not: {why}");
        assert_eq!(output.status.code(), Some(code), "{said}");
    }
}

#[tokio::test]
async fn another_address_than_loopback_is_taken_only_when_asked_for() {
    let certs = Certificates::new();
    let address = server(certs.server(None), greet_and_wait).await;
    let ca = certs.file("ca.crt");
    // Loopback, and yet not what `127.0.0.1` is written as: nobody else reaches it.
    let mapped = "[::ffff:127.0.0.1]:0";
    let connect = Connect::start_on(mapped, address, &["--ca", &ca, "--unsafe-listen"]).await;
    greeting(&mut connect.client().await).await;
    let mut refused = Command::new(env!("CARGO_BIN_EXE_amiwall"));
    refused.args(["connect", &address.to_string(), "--ca", &ca, "--listen", mapped]);
    let output = patiently("the refusal", refused.output()).await.expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is not a loopback address") && said.contains("--unsafe-listen"), "{said}");
}
