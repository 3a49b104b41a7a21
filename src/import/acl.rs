//! `permit`, `deny` and `acl` (acl.c, `ast_apply_ha`): what nothing names is permitted, and the last line that fits wins.
//! The addresses that remain are computed as sets, and written as `allow` and `except`, whose order does not matter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// More lines than this are nobody's, and would take long.
const RULES_MAX: usize = 1_000;
/// So are more networks than this.
const NETWORKS_MAX: usize = 500;

/// One element of a `permit` or `deny` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) permits: bool,
    pub(super) network: IpNet,
}

/// Why a line is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadRule {
    /// Asterisk deletes the account for it.
    Syntax,
    /// A mask with holes, which Asterisk takes.
    Holes,
}

/// The addresses, family by family, as ranges in order that do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

/// As the policy writes it; none: from everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    pub(super) allow: Option<Vec<String>>,
    pub(super) except: Vec<String>,
}

/// The elements of a value: `10.0.0.0/255.0.0.0`, `10.0.0.0/8,!10.9.0.0/16`.
pub(super) fn rules(permits: bool, value: &str) -> Vec<Result<Rule, BadRule>> {
    // A blank behind a comma makes Asterisk refuse the line.
    let elements = value.split(',');
    let rule = |element: &str| {
        let (permits, element) = element.strip_prefix('!').map_or((permits, element), |rest| (!permits, rest));
        network(element).map(|network| Rule { permits, network })
    };
    elements.map(rule).collect()
}

fn network(text: &str) -> Result<IpNet, BadRule> {
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // What is IPv4 in IPv6's clothes is IPv4 to Asterisk, its mask included.
    let address = address.map_err(|_| BadRule::Syntax)?.to_canonical();
    let len_max = if address.is_ipv4() { 32 } else { 128 };
    let len = match mask {
        None => len_max,
        Some(mask) => match mask.parse::<u8>() {
            Ok(len) if len <= len_max => len,
            Ok(_) => return Err(BadRule::Syntax),
            Err(_) => mask_len(address, mask)?,
        },
    };
    // Asterisk puts the mask over the address as well.
    IpNet::new(address, len).map(|network| network.trunc()).map_err(|_| BadRule::Syntax)
}

/// `255.255.0.0` is 16.
fn mask_len(address: IpAddr, mask: &str) -> Result<u8, BadRule> {
    let mask = mask.parse::<IpAddr>().map_err(|_| BadRule::Syntax)?;
    if mask.is_ipv4() != address.is_ipv4() {
        return Err(BadRule::Syntax);
    }
    ipnet::ip_mask_to_prefix(mask).map_err(|_| BadRule::Holes)
}

impl Addresses {
    /// Everywhere.
    pub(super) fn all() -> Self {
        Self { v4: vec![(0, u128::from(u32::MAX))], v6: vec![(0, u128::MAX)] }
    }

    /// Nowhere.
    pub(super) const fn none() -> Self {
        Self { v4: Vec::new(), v6: Vec::new() }
    }

    /// What a list of rules lets through; nothing where there are too many.
    pub(super) fn of(rules: &[Rule]) -> Option<Self> {
        if rules.len() > RULES_MAX {
            return None;
        }
        let mut addresses = Self::all();
        for rule in rules {
            if rule.permits { addresses.add(rule.network) } else { addresses.remove(rule.network) }
        }
        Some(addresses)
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let both = |a: &[(u128, u128)], b: &[(u128, u128)]| {
            let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
            pairs.filter(|(from, to)| from <= to).collect()
        };
        Self { v4: both(&self.v4, &other.v4), v6: both(&self.v6, &other.v6) }
    }

    /// Without IPv6.
    pub(super) fn only_v4(mut self) -> Self {
        self.v6.clear();
        self
    }

    /// Whether every IPv4 address is in.
    pub(super) fn has_all_v4(&self) -> bool {
        self.v4 == Self::all().v4
    }

    /// Whether every IPv6 address is in.
    pub(super) fn has_all_v6(&self) -> bool {
        self.v6 == Self::all().v6
    }

    fn add(&mut self, network: IpNet) {
        self.remove(network);
        let (ranges, (from, to)) = self.family(network);
        ranges.push((from, to));
        ranges.sort_unstable();
        // Ranges that touch are one.
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for &(from, to) in ranges.iter() {
            match joined.last_mut() {
                Some(last) if last.1.checked_add(1) == Some(from) => last.1 = to,
                _ => joined.push((from, to)),
            }
        }
        *ranges = joined;
    }

    fn remove(&mut self, network: IpNet) {
        let (ranges, (from, to)) = self.family(network);
        let parts = ranges.iter().flat_map(|&(a, b)| {
            let before = from.checked_sub(1).map(|end| (a, b.min(end)));
            let behind = to.checked_add(1).map(|start| (a.max(start), b));
            [before, behind].into_iter().flatten().filter(|(a, b)| a <= b).collect::<Vec<_>>()
        });
        *ranges = parts.collect();
    }

    fn family(&mut self, network: IpNet) -> (&mut Vec<(u128, u128)>, (u128, u128)) {
        match network {
            IpNet::V4(net) => {
                let number = |address: Ipv4Addr| u128::from(u32::from(address));
                (&mut self.v4, (number(net.network()), number(net.broadcast())))
            }
            IpNet::V6(net) => (&mut self.v6, (u128::from(net.network()), u128::from(net.broadcast()))),
        }
    }

    fn complement(&self) -> Self {
        let gaps = |ranges: &[(u128, u128)], last: u128| {
            let mut gaps = Vec::with_capacity(ranges.len() + 1);
            let mut next = Some(0);
            for &(from, to) in ranges {
                gaps.extend(next.zip(from.checked_sub(1)).filter(|(start, end)| start <= end));
                next = to.checked_add(1).filter(|next| *next <= last);
            }
            gaps.extend(next.map(|start| (start, last)));
            gaps
        };
        Self { v4: gaps(&self.v4, u128::from(u32::MAX)), v6: gaps(&self.v6, u128::MAX) }
    }

    /// The fewest networks that are these addresses; at most one more than may be written.
    fn cover(&self) -> Vec<IpNet> {
        let v4 = |number: u128| Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX));
        let v4 = self.v4.iter().flat_map(|&(from, to)| Ipv4Subnets::new(v4(from), v4(to), 0).map(IpNet::V4));
        let v6 = |number: u128| Ipv6Addr::from(number);
        let v6 = self.v6.iter().flat_map(|&(from, to)| Ipv6Subnets::new(v6(from), v6(to), 0).map(IpNet::V6));
        v4.chain(v6).take(NETWORKS_MAX + 1).collect()
    }

    /// As `allow` and `except`, by the networks that `rules` named where that says the same; nothing where it would be
    /// too long.
    pub(super) fn written(&self, rules: &[Rule]) -> Option<Networks> {
        if *self == Self::all() {
            return Some(Networks::default());
        }
        let of = |permits: bool| {
            let mut networks: Vec<IpNet> = Vec::new();
            for rule in rules.iter().filter(|rule| rule.permits == permits) {
                let is_all = !permits && rule.network.prefix_len() == 0;
                if !is_all && !networks.contains(&rule.network) {
                    networks.push(rule.network);
                }
            }
            networks
        };
        let (permits, denies) = (of(true), of(false));
        let mut forms = vec![(Some(permits.clone()), Vec::new()), (None, denies.clone()), (Some(permits), denies)];
        forms.retain(|(allow, except)| Self::meant(allow.as_deref(), except) == *self);
        // These two say it whatever the rules were.
        forms.push((None, self.complement().cover()));
        forms.push((Some(self.cover()), Vec::new()));
        let size = |(allow, except): &(Option<Vec<IpNet>>, Vec<IpNet>)| allow.iter().flatten().count() + except.len();
        let form = forms.into_iter().min_by_key(size).filter(|form| size(form) <= NETWORKS_MAX)?;
        let texts = |networks: Vec<IpNet>| networks.into_iter().filter_map(text).collect::<Vec<_>>();
        Some(Networks { allow: form.0.map(texts), except: texts(form.1) })
    }

    /// What the policy makes of `allow` and `except`.
    fn meant(allow: Option<&[IpNet]>, except: &[IpNet]) -> Self {
        let mut meant = if allow.is_some() { Self::none() } else { Self::all() };
        for network in allow.unwrap_or_default() {
            meant.add(*network);
        }
        for network in except {
            meant.remove(*network);
        }
        meant
    }
}

/// A single address without its length. The policy would take an IPv6 network of IPv4 addresses for IPv4, and nobody comes
/// from there by IPv6.
fn text(network: IpNet) -> Option<String> {
    let address = network.addr();
    if address != address.to_canonical() {
        return None;
    }
    let is_host = network.prefix_len() == network.max_prefix_len();
    Some(if is_host { address.to_string() } else { network.to_string() })
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
