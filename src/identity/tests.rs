mod timing;

use super::*;
use crate::secret::Secret;
use std::time::Duration;

const HOME: &str = "10.20.0.5";
/// A cheap line: argon2id of `right`, m=8, t=1, p=1.
fn cheap_hash(secret: &str) -> StoredSecret {
    hash_of(secret, 8)
}

fn hash_of(secret: &str, memory_kib: u32) -> StoredSecret {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
    let params = Params::new(memory_kib, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = argon2.hash_password_with_salt(secret.as_bytes(), b"0123456789abcdef").expect("a hash").to_string();
    StoredSecret::argon2id(&phc).expect("a line")
}

fn identity(name: &str) -> Identity {
    Identity::new(name.to_owned(), vec![cheap_hash("right")])
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
    let rest = |identities: &Identities, done| {
        identities.work.rest(done).map(|costs| format!("{costs:?}")).collect::<Vec<_>>()
    };
    // One that has done its share of 8 KiB once has as much left as an unknown name after one of two.
    assert_eq!(rest(&gate.identities, 0), ["Costs { memory_kib: 8, passes: 2 }"]);
    assert_eq!(rest(&gate.identities, 8), ["Costs { memory_kib: 8, passes: 1 }"]);
    assert!(rest(&gate.identities, 16).is_empty());
    assert_eq!(rest(&Identities::default(), 0), ["Costs { memory_kib: 19456, passes: 2 }"]);
    let line = hash_secret(&Secret::new(b"x".to_vec())).expect("a hash").replace("m=19456,t=2", "m=65536,t=3");
    let dear = Identity { secrets: vec![StoredSecret::argon2id(&line).expect("a line")], ..identity("dear") };
    let mixed = Identities::new(vec![dear, identity("alice")]);
    let costs = ["Costs { memory_kib: 65536, passes: 2 }", "Costs { memory_kib: 65528, passes: 1 }"];
    assert_eq!(rest(&mixed, 8), costs, "a cheap identity costs what the dearest does");
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
    assert!(failures.is_locked(outside.peer, NOBODY, gate.now));
    assert!(!failures.is_locked(HOME.parse().expect("an address"), "alice", gate.now));
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
        serial: "1".to_owned(),
        spki_sha256: "ab".repeat(32),
        not_after,
        chain: Vec::new(),
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
    for version in ["$argon2id$v=16$m=19456", "$argon2id$m=19456"] {
        let old = line.replace("$argon2id$v=19$m=19456", version);
        assert_eq!(StoredSecret::argon2id(&old).map(drop), Err(HashError::NotArgon2id), "{old}");
    }
    // argon2 itself wants 8 KiB a lane: such a line would be right for nobody.
    assert_eq!(
        StoredSecret::argon2id(&line.replace("m=19456,t=2,p=1", "m=8,t=2,p=2")).map(drop),
        Err(HashError::NotArgon2id)
    );
    assert_eq!(
        StoredSecret::argon2id(line.get(..line.len() - 27).expect("a part")).map(drop),
        Err(HashError::TooShort)
    );
    let dear = line.replace("m=19456", "m=999999999");
    assert_eq!(StoredSecret::argon2id(&dear).map(drop), Err(HashError::TooCostly));
    for unsendable in ["", " x", "x ", "a\tb", "a\nb"] {
        assert!(matches!(hash_secret(&Secret::new(unsendable.into())), Err(HashError::Unsendable(_))));
    }
}

#[test]
fn who_has_neither_secret_nor_certificate_is_nobody() {
    // `secret: []` in a policy.
    let gate = Gate::new(vec![Identity { secrets: Vec::new(), ..identity("hollow") }]);
    assert_eq!(gate.log_in("hollow", "x"), Err(LoginRefusal::Secret));
    let empty = Identity { secrets: vec![recoverable("")], challenge: true, ..identity("empty") };
    let gate = Gate::new(vec![empty]);
    assert_eq!(gate.log_in("empty", ""), Err(LoginRefusal::Secret));
    let challenge = Challenge::from_random(7);
    let key = challenge.key(b"");
    let attempt = gate.attempt("empty", "");
    let attempt = LoginAttempt { is_md5: true, key: Some(key.as_bytes()), challenge: Some(&challenge), ..attempt };
    assert_eq!(gate.try_it(&attempt).0, Err(LoginRefusal::Secret), "a key that everybody can compute");
}

#[test]
fn guesses_made_at_the_same_time_gain_nothing() {
    let gate = Gate::new(vec![identity("alice")]);
    let prepare = |secret| gate.identities.prepare(&gate.memory, &gate.attempt("alice", secret), gate.now);
    let guesses: Vec<Verification> = ["a", "b", "c", "d", "right"].map(prepare).into_iter().collect();
    let outcomes: Vec<_> = guesses.into_iter().map(|guess| guess.finish().map(drop)).collect();
    let (wrong, locked) = (Err(LoginRefusal::Secret), Err(LoginRefusal::Locked));
    assert_eq!(outcomes, [wrong, wrong, wrong, locked, locked]);
}

#[test]
fn a_lock_out_ends_although_somebody_keeps_trying() {
    let mut gate = Gate::new(vec![identity("alice")]);
    for _ in 0..3 {
        assert!(gate.log_in("alice", "wrong").is_err());
    }
    for _ in 0..60 {
        gate.now.monotonic += Duration::from_secs(5);
        if gate.log_in("alice", "wrong") == Err(LoginRefusal::Secret) {
            break;
        }
    }
    assert!(gate.log_in("alice", "right").is_ok(), "300 s are over");
}

#[test]
fn the_memory_lets_in_and_tells_nothing() {
    let alice = Identity {
        networks: NetworkAcl::new(Some(vec!["10.20.0.0/16".parse().expect("a network")]), Vec::new()),
        ..identity("alice")
    };
    let gate = Gate::new(vec![alice]);
    assert!(gate.log_in("alice", "right").is_ok());
    let from = |peer: &str| LoginAttempt { peer: peer.parse().expect("an address"), ..gate.attempt("alice", "right") };
    let outside = gate.try_it(&from("192.0.2.1"));
    assert_eq!(outside, (Err(LoginRefusal::Networks), true), "a right secret takes as long to refuse as a wrong one");
    for _ in 0..3 {
        let guess = LoginAttempt { secret: Some(b"guess"), ..from("10.20.0.66") };
        assert!(gate.try_it(&guess).0.is_err());
    }
    let stranger = gate.try_it(&from("10.20.0.66"));
    assert_eq!(stranger, (Err(LoginRefusal::Locked), false), "guesses go on nowhere where it was not right before");
    assert_eq!(gate.try_it(&from("10.20.0.7")), (Ok("alice".to_owned()), false), "one that moves is remembered");
}

#[test]
fn a_certificate_that_is_enough_is_no_guess() {
    let now = Now::read().wall;
    let certificate = PeerCertificate {
        names: vec!["a.example".into()],
        serial: "1".to_owned(),
        spki_sha256: String::new(),
        not_after: now,
        chain: Vec::new(),
    };
    let wanted = Some(CertificateMatch::San("a.example".into()));
    let alone = Identity { secrets: Vec::new(), certificate: wanted.clone(), ..identity("alone") };
    let gate = Gate::new(vec![alone, Identity { certificate: wanted, ..identity("both") }, identity("bob")]);
    let attempt = |name, certificate| LoginAttempt { certificate, ..gate.attempt(name, "wrong") };
    for _ in 0..3 {
        assert!(gate.log_in("nobody", "x").is_err());
    }
    let md5 = LoginAttempt { is_md5: true, key: Some(b"ignored"), ..attempt("alone", Some(&certificate)) };
    for login in [attempt("alone", Some(&certificate)), md5] {
        assert_eq!(gate.try_it(&login), (Ok("alone".to_owned()), false));
    }
    for locked in [attempt("alone", None), attempt("both", Some(&certificate))] {
        assert_eq!(gate.try_it(&locked).0, Err(LoginRefusal::Locked));
    }
    let expired = PeerCertificate { not_after: now - 2, ..certificate };
    let peer = HOME.parse().expect("an address");
    let bob = ClientName::for_explain("bob");
    assert_eq!(gate.identities.recheck(&bob, peer, Some(&expired), gate.now), Err(LoginRefusal::Certificate));
}

#[test]
fn an_identity_that_logs_in_by_challenge_is_not_locked_out_by_its_neighbours() {
    let dialer = Identity { secrets: vec![recoverable("right")], challenge: true, ..identity("dialer") };
    let gate = Gate::new(vec![dialer]);
    let log_in = |digits, peer: &str| {
        let challenge = Challenge::from_random(digits);
        let key = challenge.key(b"right");
        let attempt = LoginAttempt { peer: peer.parse().expect("an address"), ..gate.attempt("dialer", "") };
        let (key, challenge) = (Some(key.as_bytes()), Some(&challenge));
        gate.try_it(&LoginAttempt { is_md5: true, key, challenge, ..attempt }).0
    };
    assert!(log_in(1, HOME).is_ok());
    for peer in [HOME, "10.20.0.6"] {
        for _ in 0..3 {
            let attempt = LoginAttempt { peer: peer.parse().expect("an address"), ..gate.attempt("nobody", "x") };
            assert!(gate.try_it(&attempt).0.is_err());
        }
    }
    assert!(log_in(2, HOME).is_ok());
    assert_eq!(log_in(3, "10.20.0.6"), Err(LoginRefusal::Locked));
}

#[test]
fn what_is_shown_of_a_stored_secret_does_not_help_to_guess_it() {
    let shown = format!("{:?}", identity("alice"));
    assert!(!shown.contains("$argon2id") && shown.contains("memory_kib: 8"), "{shown}");
    let recoverable = format!("{:?}", Identity { secrets: vec![recoverable("hunter2")], ..identity("alice") });
    assert!(!recoverable.contains("hunter2"), "{recoverable}");
}

#[test]
fn a_remembered_secret_does_not_help_who_is_locked_or_removed() {
    let gate = Gate::new(vec![identity("alice"), identity("bob")]);
    assert!(gate.log_in("alice", "right").is_ok());
    gate.memory.locks().set("alice", true);
    assert_eq!(gate.try_it(&gate.attempt("alice", "right")), (Err(LoginRefusal::LockedByAdmin), true));
    gate.memory.locks().set("alice", false);
    let gate = Gate { identities: Identities::new(vec![identity("bob")]), ..gate };
    assert_eq!(gate.try_it(&gate.attempt("alice", "right")), (Err(LoginRefusal::UnknownIdentity), true));
    gate.memory.forget_changed(&gate.identities);
    // Back again, it has to prove itself again.
    let gate = Gate { identities: Identities::new(vec![identity("alice")]), ..gate };
    assert!(gate.try_it(&gate.attempt("alice", "right")).1);
}
