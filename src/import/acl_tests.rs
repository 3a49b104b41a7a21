use super::*;

/// Lines as in manager.conf: `-` denies, `+` permits.
fn parse(lines: &str) -> Vec<Rule> {
    let rules = lines.split_whitespace().flat_map(|line| {
        let (sign, value) = line.split_at(1);
        rules(sign == "+", value)
    });
    rules.map(|rule| rule.expect("a rule")).collect()
}

fn written(lines: &str) -> String {
    let rules = parse(lines);
    let addresses = Addresses::of(&rules).expect("few rules");
    let Networks { allow, except } = addresses.written(&rules).expect("short");
    let allow = allow.map_or_else(|| "*".to_owned(), |allow| allow.join(" "));
    if except.is_empty() { allow } else { format!("{allow} except {}", except.join(" ")) }
}

#[test]
fn the_last_line_wins_and_what_nothing_names_is_permitted() {
    for (lines, expected) in [
        ("", "*"),
        ("+10.0.0.0/8", "*"),
        ("-10.0.0.5", "* except 10.0.0.5"),
        ("-::/0 -0.0.0.0/0 +10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("-::/0 -0.0.0.0/0.0.0.0 +10.0.0.0/8 -10.9.0.0/16", "10.0.0.0/8 except 10.9.0.0/16"),
        ("-::/0 +10.0.0.0/8 -0.0.0.0/0", ""),
        ("-10.0.0.0/8 +10.1.0.0/16 -0.0.0.0/0 +0.0.0.0/0", "*"),
        ("-::/0 -0.0.0.0/0 +2001:db8::1 +[2001:db8:1::]/48", "2001:db8::1 2001:db8:1::/48"),
        ("-::/0 -0.0.0.0/0 +::ffff:10.0.0.0/8", "10.0.0.0/8"),
        ("-::/0 -0.0.0.0/0 +209.16.236.73/255.255.255.0", "209.16.236.0/24"),
    ] {
        assert_eq!(written(lines), expected, "{lines}");
    }
}

#[test]
fn what_only_order_can_say_is_said_by_other_networks() {
    // With the lines as `allow` and `except` the last address would be in both, and be refused.
    let said = written("-::/0 -0.0.0.0/0 +10.0.0.0/30,!10.0.0.0/31,10.0.0.1");
    assert_eq!(said, "10.0.0.1 10.0.0.2/31");
}

#[test]
fn what_is_no_rule_is_told() {
    let bad = |value: &str| rules(true, value).into_iter().find_map(Result::err);
    for syntax in [
        "",
        "office",
        "amp",
        "10.0.0.0/33",
        "10.0.0.0/x",
        "10.0.0.0/::",
        "10.0.0.1,",
        "10.0.0.1, 10.0.0.2",
        "10.1",
        "::ffff:10.0.0.0/104",
    ] {
        assert_eq!(bad(syntax), Some(BadRule::Syntax), "{syntax}");
    }
    assert_eq!(bad("10.0.0.0/255.0.255.0"), Some(BadRule::Holes));
    assert_eq!(bad("10.0.0.0/8,192.0.2.1"), None);
}

#[test]
fn too_many_are_left_alone() {
    let many = vec![Rule { permits: false, network: "10.0.0.0/8".parse().expect("a network") }; 1_001];
    assert_eq!(Addresses::of(&many), None);
    let scattered: Vec<Rule> = (0..1_000_u32)
        .map(|n| Rule {
            permits: n % 2 == 0,
            network: IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::from(n << 20), 32)),
        })
        .collect();
    let addresses = Addresses::of(&scattered).expect("few enough");
    assert!(addresses.written(&scattered).is_some_and(|networks| networks.except.len() == 500));
}

mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::networks::{Network, NetworkAcl};

    fn rule() -> impl Strategy<Value = Rule> {
        let v4 = (0..16_u32, 0..=32_u8).prop_map(|(bits, len)| {
            IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::from(bits << 28 | bits), len)).trunc()
        });
        let v6 = (0..16_u128, 0..=128_u8).prop_map(|(bits, len)| {
            IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::from(bits << 124 | bits), len)).trunc()
        });
        (any::<bool>(), prop_oneof![v4, v6]).prop_map(|(permits, network)| Rule { permits, network })
    }

    proptest! {
        /// What the policy does with `allow` and `except` is what Asterisk does with the lines.
        #[test]
        fn the_policy_says_what_the_lines_said(rules in proptest::collection::vec(rule(), 0..8), probe in 0..256_u128) {
            let addresses = Addresses::of(&rules).expect("few");
            let written = addresses.written(&rules).expect("short");
            let list = |texts: Vec<String>| {
                texts.iter().map(|text| text.parse::<Network>().expect("a network")).collect::<Vec<_>>()
            };
            let acl = NetworkAcl::new(written.allow.map(list), list(written.except));
            let v4 = u32::try_from((probe >> 4) << 28 | (probe & 15)).expect("fits");
            let v6 = (probe >> 4) << 124 | (probe & 15);
            for address in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                let last = rules.iter().rev().find(|rule| rule.network.contains(&address));
                prop_assert_eq!(acl.allows(address), last.is_none_or(|rule| rule.permits), "{}", address);
            }
        }
    }
}
