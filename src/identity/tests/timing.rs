//! What the time of a refusal tells about a name: the same work for each, and (long form) no difference that can be used.

use super::super::secrets::HASHED_KIB;
use super::*;

/// Logins of each kind in the long form.
const LOGINS: usize = 10_000;
/// What a hash costs: a tenth of the memory of the real one, and more than enough that the nanoseconds of a function call do not count.
const MEMORY_KIB: u32 = 2_048;
/// How far from one half the chance may be that a refusal of one kind takes longer than one of another.
const EFFECT_MAX: f64 = 0.05;
/// A challenge login is a few microseconds with hardly any noise, of which a nanosecond is an effect; but nobody sees it, as
/// the answer comes a second after the packet. There medians may differ by this part of them.
const MEDIANS_MAX: f64 = 0.05;

/// One kind of login that is refused: (what it is, who, with what, why).
type Class = (&'static str, &'static str, &'static str, LoginRefusal);

/// The first of each is what the others are compared with.
const PLAIN: [Class; 8] = [
    ("wrong secret", "alice", "wrong", LoginRefusal::Secret),
    ("empty secret", "alice", "", LoginRefusal::Secret),
    ("recoverable secret, wrong", "dialer", "wrong", LoginRefusal::Secret),
    ("unknown identity", "nobody", "wrong", LoginRefusal::UnknownIdentity),
    ("expired identity", "expired", "right", LoginRefusal::Expired),
    ("locked identity", "locked", "right", LoginRefusal::LockedByAdmin),
    ("out of its networks", "elsewhere", "right", LoginRefusal::Networks),
    ("certificate only", "machine", "right", LoginRefusal::Certificate),
];
const CHALLENGE: [Class; 7] = [
    ("wrong key", "dialer", "wrong", LoginRefusal::Secret),
    ("no recoverable secret", "alice", "right", LoginRefusal::Secret),
    ("unknown identity", "nobody", "right", LoginRefusal::UnknownIdentity),
    ("expired identity", "expired", "right", LoginRefusal::Expired),
    ("locked identity", "locked", "right", LoginRefusal::LockedByAdmin),
    ("out of its networks", "elsewhere", "right", LoginRefusal::Networks),
    ("certificate only", "machine", "right", LoginRefusal::Certificate),
];

/// A gate that locks nobody out, with an identity of each kind.
fn gate() -> Gate {
    let certificate = Some(CertificateMatch::San("x.example".into()));
    let networks = NetworkAcl::new(Some(vec!["192.0.2.0/24".parse().expect("a network")]), Vec::new());
    let by_challenge = |name| Identity { secrets: vec![recoverable("right")], challenge: true, ..identity(name) };
    let identities = vec![
        Identity { secrets: vec![hash_of("right", MEMORY_KIB)], ..identity("alice") },
        by_challenge("dialer"),
        Identity { valid_until: Some(1), ..by_challenge("expired") },
        by_challenge("locked"),
        Identity { networks, ..by_challenge("elsewhere") },
        Identity { secrets: Vec::new(), certificate, ..identity("machine") },
    ];
    let memory = Arc::new(LoginMemory::new(FailedLogins { count: u32::MAX, ..FailedLogins::default() }));
    memory.locks().set("locked", true);
    Gate { memory, ..Gate::new(identities) }
}

/// One login: why it was refused, and how long that took.
fn refuse(gate: &Gate, class: &Class, is_md5: bool, challenge: &Challenge) -> (LoginRefusal, Duration) {
    let (_, name, secret, _) = class;
    let key = challenge.key(secret.as_bytes());
    let mut attempt = gate.attempt(name, secret);
    if is_md5 {
        attempt = LoginAttempt { is_md5, key: Some(key.as_bytes()), challenge: Some(challenge), ..attempt };
    }
    let from = Instant::now();
    let verdict = gate.identities.prepare(&gate.memory, &attempt, gate.now).finish();
    let time = from.elapsed();
    (verdict.expect_err("it is refused"), time)
}

#[test]
fn every_refusal_does_the_same_work() {
    let (gate, challenge) = (gate(), Challenge::from_random(12_345));
    for (classes, is_md5, expected) in [(&PLAIN[..], false, MEMORY_KIB.into()), (&CHALLENGE[..], true, 0)] {
        for class in classes {
            HASHED_KIB.set(0);
            assert_eq!(refuse(&gate, class, is_md5, &challenge).0, class.3, "{}", class.0);
            assert_eq!(HASHED_KIB.get(), expected, "{}", class.0);
        }
    }
}

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = usize::try_from(self.0 >> 33).expect("31 bits");
        high % bound
    }
}

/// The chance that one of `ours` is longer than one of `theirs`, ties by half (Mann and Whitney's U over its maximum).
fn chance_longer(ours: &[Duration], theirs: &[Duration]) -> f64 {
    let mut sorted = theirs.to_vec();
    sorted.sort_unstable();
    let halves = |time: &Duration| {
        let below = sorted.partition_point(|other| other < time);
        below + sorted.partition_point(|other| other <= time)
    };
    let sum: usize = ours.iter().map(halves).sum();
    let pairs = 2 * ours.len() * theirs.len();
    f64::from(u32::try_from(sum.saturating_mul(1_000_000) / pairs).expect("a share")) / 1e6
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn the_chance_is_one_half_where_there_is_no_difference() {
    let times = |from: u64| (from..from + 100).map(Duration::from_nanos).collect::<Vec<_>>();
    let same = chance_longer(&times(0), &times(0));
    assert!((same - 0.5).abs() < 1e-5, "{same}");
    assert!(chance_longer(&times(100), &times(0)) > 0.999 && chance_longer(&times(0), &times(100)) < 0.001);
}

/// `AMIWALL_TEST_FULL=1`: 10,000 logins of each kind, in random order.
#[test]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn the_time_of_a_refusal_tells_nothing() {
    let is_full = std::env::var_os("AMIWALL_TEST_FULL").is_some_and(|full| full == "1");
    let logins = if is_full { LOGINS } else { 20 };
    let (gate, mut random) = (gate(), Random(1));
    let mut differences = Vec::new();
    for (classes, is_md5) in [(&PLAIN[..], false), (&CHALLENGE[..], true)] {
        let mut times = vec![Vec::with_capacity(logins); classes.len()];
        let mut order: Vec<usize> = (0..logins * classes.len()).map(|place| place % classes.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, random.below(place + 1));
        }
        for which in order {
            let challenge = Challenge::from_random(u32::try_from(random.below(1_000_000)).expect("six digits"));
            times[which].push(refuse(&gate, &classes[which], is_md5, &challenge).1);
        }
        for (class, ours) in classes.iter().zip(&times) {
            let (chance, medians) = (chance_longer(ours, &times[0]), median(ours).div_duration_f64(median(&times[0])));
            let (kind, with) = (if is_md5 { "MD5" } else { "plain" }, classes[0].0);
            let median = median(ours);
            println!("{kind:5}  {:26} median {median:>10?} ({medians:.3})  longer than `{with}`: {chance:.3}", class.0);
            let is_seen = !is_md5 || (medians - 1.0).abs() >= MEDIANS_MAX;
            if is_seen && (chance - 0.5).abs() >= EFFECT_MAX {
                differences.push((is_md5, class.0, chance));
            }
        }
    }
    assert!(!is_full || differences.is_empty(), "{differences:?}");
}
