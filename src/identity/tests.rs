use super::*;
use crate::secret::Secret;
use std::time::Duration;

const HOME: &str = "10.20.0.5";
/// A cheap line: argon2id of `right`, m=8, t=1, p=1.
fn cheap_hash(secret: &str) -> StoredSecret {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
    let params = Params::new(8, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = argon2.hash_password_with_salt(secret.as_bytes(), b"0123456789abcdef").expect("a hash").to_string();
    StoredSecret::argon2id(&phc).expect("a line")
}

fn identity(name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        secrets: vec![cheap_hash("right")],
        challenge: false,
        certificate: None,
        networks: NetworkAcl::default(),
        valid_from: None,
        valid_until: None,
        sessions_max: None,
    }
}

fn recoverable(secret: &str) -> StoredSecret {
    StoredSecret::Recoverable(Secret::new(secret.as_bytes().to_vec()))
}

struct Gate {
    identities: Identities,
    memory: Arc<LoginMemory>,
    now: Now,
}

impl Gate {
    fn new(identities: Vec<Identity>) -> Self {
        let memory = Arc::new(LoginMemory::new(FailedLogins { count: 3, ..FailedLogins::default() }));
        Self { identities: Identities::new(identities), memory, now: Now::read() }
    }

    fn attempt<'a>(&self, name: &'a str, secret: &'a str) -> LoginAttempt<'a> {
        LoginAttempt {
            username: Some(name.as_bytes()),
            secret: Some(secret.as_bytes()),
            is_md5: false,
            key: None,
            challenge: None,
            peer: HOME.parse().expect("an address"),
            certificate: None,
        }
    }

    /// The outcome, and whether a hash was needed.
    fn try_it(&self, attempt: &LoginAttempt<'_>) -> (Result<String, LoginRefusal>, bool) {
        let verification = self.identities.prepare(&self.memory, attempt, self.now);
        let hashed = verification.needs_hashing();
        (verification.finish().map(|name| name.as_str().to_owned()), hashed)
    }

    fn log_in(&self, name: &str, secret: &str) -> Result<String, LoginRefusal> {
        self.try_it(&self.attempt(name, secret)).0
    }
}

#[test]
fn names_have_no_case_and_secrets_have() {
    let gate = Gate::new(vec![identity("Alice")]);
    assert_eq!(gate.log_in("aLICE", "right"), Ok("Alice".to_owned()));
    assert_eq!(gate.log_in("alice", "RIGHT"), Err(LoginRefusal::Secret));
    assert_eq!(gate.log_in("alice", ""), Err(LoginRefusal::Secret));
}

#[test]
fn every_plain_login_hashes_until_a_secret_is_remembered() {
    let certificate_only = Identity {
        secrets: Vec::new(),
        certificate: Some(CertificateMatch::San("x.example".into())),
        ..identity("machine")
    };
    let elsewhere = Identity {
        networks: NetworkAcl::new(Some(vec!["192.0.2.0/24".parse().expect("a network")]), Vec::new()),
        ..identity("elsewhere")
    };
    let plain = Identity { secrets: vec![recoverable("right")], ..identity("plain") };
    let expired = Identity { valid_until: Some(1), ..identity("expired") };
    for (name, secret, expected) in [
        ("alice", "wrong", LoginRefusal::Secret),
        ("nobody", "right", LoginRefusal::UnknownIdentity),
        ("elsewhere", "right", LoginRefusal::Networks),
        ("expired", "right", LoginRefusal::Expired),
        ("machine", "right", LoginRefusal::Certificate),
        ("plain", "wrong", LoginRefusal::Secret),
    ] {
        let all = [&certificate_only, &elsewhere, &plain, &expired, &identity("alice")];
        let gate = Gate::new(all.map(Clone::clone).to_vec());
        assert_eq!(gate.try_it(&gate.attempt(name, secret)), (Err(expected), true), "{name}");
    }
    let gate = Gate::new(vec![identity("alice"), plain]);
    for name in ["alice", "plain"] {
        assert_eq!(gate.try_it(&gate.attempt(name, "right")), (Ok(name.to_owned()), true));
        assert_eq!(gate.try_it(&gate.attempt(name, "right")), (Ok(name.to_owned()), false));
        assert_eq!(gate.try_it(&gate.attempt(name, "wrong")), (Err(LoginRefusal::Secret), true));
    }
}

#[test]
fn the_work_is_that_of_the_identity_with_most_and_dearest_hashes() {
    let rotating = Identity { secrets: vec![cheap_hash("new"), cheap_hash("old")], ..identity("rotating") };
    let gate = Gate::new(vec![rotating, identity("alice")]);
    assert_eq!(gate.log_in("rotating", "old"), Ok("rotating".to_owned()));
    assert_eq!(gate.log_in("rotating", "new"), Ok("rotating".to_owned()));
    let work = format!("{:?}", gate.identities.work);
    assert!(work.contains("hashes: 2") && work.contains("m=8,t=1,p=1"), "{work}");
    assert!(format!("{:?}", Identities::default().work).contains("m=19456,t=2,p=1"));
}

#[test]
fn failures_lock_out_the_address_and_who_was_in_before_gets_in() {
    let mut gate = Gate::new(vec![identity("alice"), identity("bob")]);
    assert!(gate.log_in("alice", "right").is_ok());
    for _ in 0..3 {
        assert_eq!(gate.log_in("nobody", "x"), Err(LoginRefusal::UnknownIdentity));
    }
    assert_eq!(gate.try_it(&gate.attempt("bob", "right")), (Err(LoginRefusal::Locked), false), "without any work");
    assert!(gate.log_in("alice", "right").is_ok(), "its secret is remembered");
    let other = LoginAttempt { peer: "10.20.0.6".parse().expect("an address"), ..gate.attempt("bob", "right") };
    assert!(gate.try_it(&other).0.is_ok(), "from elsewhere nobody is locked out");
    gate.now.monotonic += Duration::from_secs(301);
    assert!(gate.log_in("bob", "right").is_ok(), "the time is over");
}

#[test]
fn failures_from_outside_an_identitys_networks_do_not_count_against_it() {
    let alice = Identity {
        networks: NetworkAcl::new(Some(vec!["10.20.0.0/16".parse().expect("a network")]), Vec::new()),
        ..identity("alice")
    };
    let gate = Gate::new(vec![alice]);
    let outside = LoginAttempt { peer: "192.0.2.1".parse().expect("an address"), ..gate.attempt("alice", "x") };
    for _ in 0..5 {
        assert!(gate.try_it(&outside).0.is_err());
    }
    let failures = gate.memory.clone();
    assert!(failures.is_locked(outside.peer, None, gate.now));
    assert!(!failures.is_locked(HOME.parse().expect("an address"), Some("alice"), gate.now));
    assert!(gate.log_in("alice", "right").is_ok());
}

#[test]
fn an_ipv6_network_is_one_address() {
    let gate = Gate::new(vec![identity("alice")]);
    for host in 1..4 {
        let peer = format!("2001:db8::{host}").parse().expect("an address");
        assert!(gate.try_it(&LoginAttempt { peer, ..gate.attempt("nobody", "x") }).0.is_err());
    }
    let peer = "2001:db8::99".parse().expect("an address");
    assert_eq!(gate.try_it(&LoginAttempt { peer, ..gate.attempt("alice", "right") }).0, Err(LoginRefusal::Locked));
    let next = "2001:db8:0:1::99".parse().expect("an address");
    assert!(gate.try_it(&LoginAttempt { peer: next, ..gate.attempt("alice", "right") }).0.is_ok());
}

#[test]
fn a_challenge_proves_a_recoverable_secret_of_an_identity_that_may_use_it() {
    let dialer = Identity { secrets: vec![recoverable("right")], challenge: true, ..identity("dialer") };
    let plain_only = Identity { secrets: vec![recoverable("right")], ..identity("plain") };
    let gate = Gate::new(vec![dialer, plain_only]);
    let challenge = Challenge::from_random(12_345);
    let key = challenge.key(b"right");
    let upper = key.to_ascii_uppercase();
    let attempt =
        |name, key, challenge| LoginAttempt { is_md5: true, key: Some(key), challenge, ..gate.attempt(name, "right") };
    assert_eq!(gate.try_it(&attempt("dialer", key.as_bytes(), Some(&challenge))), (Ok("dialer".to_owned()), false));
    for wrong in [
        attempt("dialer", upper.as_bytes(), Some(&challenge)),
        attempt("dialer", key.as_bytes(), None),
        attempt("dialer", b"", Some(&challenge)),
    ] {
        assert_eq!(gate.try_it(&wrong).0, Err(LoginRefusal::Secret));
    }
    let gate = Gate::new(vec![Identity { secrets: vec![recoverable("right")], ..identity("plain") }]);
    assert_eq!(gate.try_it(&attempt("plain", key.as_bytes(), Some(&challenge))).0, Err(LoginRefusal::Secret));
    assert!(!gate.identities.any_challenge());
}

#[test]
fn certificates_alone_and_together_with_a_secret() {
    let now = Now::read().wall;
    let certificate = |name: &str, not_after| PeerCertificate {
        names: vec![name.to_owned()],
        spki_sha256: "ab".repeat(32),
        not_after,
    };
    let alone = Identity {
        secrets: Vec::new(),
        certificate: Some(CertificateMatch::San("BackOffice.example".into())),
        ..identity("alone")
    };
    let both = Identity { certificate: Some(CertificateMatch::SpkiSha256("ab".repeat(32))), ..identity("both") };
    let gate = Gate::new(vec![alone, both]);
    let (right, expired) = (certificate("backoffice.example", now + 60), certificate("backoffice.example", now - 1));
    let sub = certificate("x.backoffice.example", now + 60);
    let outcome = |name, secret, certificate| {
        gate.try_it(&LoginAttempt { certificate, ..gate.attempt(name, secret) }).0.map(drop)
    };
    assert_eq!(outcome("alone", "ignored", Some(&right)), Ok(()));
    assert_eq!(outcome("both", "right", Some(&right)), Ok(()));
    assert_eq!(outcome("both", "wrong", Some(&right)), Err(LoginRefusal::Secret));
    assert_eq!(outcome("alone", "right", Some(&sub)), Err(LoginRefusal::Certificate));
    assert_eq!(outcome("alone", "right", Some(&expired)), Err(LoginRefusal::Certificate));
    let client = ClientName::for_explain("alone");
    let peer = HOME.parse().expect("an address");
    assert_eq!(gate.identities.recheck(&client, peer, Some(&right), gate.now), Ok(()));
    assert_eq!(gate.identities.recheck(&client, peer, Some(&expired), gate.now), Err(LoginRefusal::Certificate));
    let nobody = ClientName::for_explain("gone");
    assert_eq!(gate.identities.recheck(&nobody, peer, None, gate.now), Err(LoginRefusal::UnknownIdentity));
}

#[test]
fn a_changed_secret_is_not_remembered() {
    let gate = Gate::new(vec![identity("alice"), identity("bob")]);
    assert!(gate.log_in("alice", "right").is_ok() && gate.log_in("bob", "right").is_ok());
    let changed = Identity { secrets: vec![recoverable("other")], ..identity("alice") };
    let gate = Gate { identities: Identities::new(vec![changed, identity("bob")]), ..gate };
    assert_eq!(gate.try_it(&gate.attempt("alice", "right")), (Err(LoginRefusal::Secret), true));
    gate.memory.forget_changed(&gate.identities);
    assert_eq!(gate.try_it(&gate.attempt("bob", "right")), (Ok("bob".to_owned()), false));
}

#[test]
fn sessions_are_counted_until_their_guard_is_dropped() {
    let gate = Gate::new(vec![identity("alice")]);
    let enter = |name: &str| gate.memory.enter(&ClientName::for_explain(name), Some(2));
    let (first, _second) = (enter("alice").expect("room"), enter("ALICE").expect("room"));
    assert!(enter("alice").is_none());
    drop(first);
    assert!(enter("alice").is_some());
}

#[test]
fn lines_that_are_no_argon2id_or_cost_too_much_are_refused() {
    let line = hash_secret(&Secret::new(b"hunter2".to_vec())).expect("a hash");
    assert!(line.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{line}");
    assert!(StoredSecret::argon2id(&line).expect("a line").is(b"hunter2"));
    for bad in [
        "",
        "hunter2",
        "$2y$10$abc",
        "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHRz$aGFzaGhhc2hoYXNo",
        "$argon2id$v=19$m=0,t=1,p=1$c2FsdHNhbHRz$aGFzaGhhc2hoYXNo",
    ] {
        assert_eq!(StoredSecret::argon2id(bad).map(drop), Err(HashError::NotArgon2id), "{bad}");
    }
    let dear = line.replace("m=19456", "m=999999999");
    assert_eq!(StoredSecret::argon2id(&dear).map(drop), Err(HashError::TooCostly));
    for unsendable in ["", " x", "x ", "a\tb", "a\nb"] {
        assert!(matches!(hash_secret(&Secret::new(unsendable.into())), Err(HashError::Unsendable(_))));
    }
}
