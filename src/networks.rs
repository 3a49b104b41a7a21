//! [`NetworkAcl`]: which addresses may connect. IPv4-mapped IPv6 addresses are canonical on both sides: in the list when
//! it is read, in the address when it is asked.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// One network of a list: `10.0.0.0/8`, `203.0.113.7`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Bits are set behind the prefix: `10.0.0.1/8` could mean two things.
    #[error("`{0}` has bits set behind its prefix; write `{1}`")]
    HostBits(String, String),
    /// A mapped network that is wider than all of IPv4 would mean something else than it says.
    #[error("`{0}` spans more than the IPv4-mapped addresses; write the IPv4 network instead")]
    MappedTooWide(String),
    /// Neither an address nor a network.
    #[error("`{0}` is not an IP address or network (examples: 203.0.113.7, 10.20.0.0/16, 2001:db8::/32)")]
    Syntax(String),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let syntax = || NetworkError::Syntax(text.to_owned());
        // By the standard library, which takes no zero before a digit: elsewhere `010.0.0.0` is 8.0.0.0.
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| syntax());
        let net = match text.split_once('/') {
            None => IpNet::from(address(text)?),
            Some((base, prefix)) => {
                let is_number =
                    prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
                let prefix = prefix.parse().ok().filter(|_| is_number).ok_or_else(syntax)?;
                IpNet::new(address(base)?, prefix).map_err(|_| syntax())?
            }
        };
        if net != net.trunc() {
            return Err(NetworkError::HostBits(text.to_owned(), net.trunc().to_string()));
        }
        let IpNet::V6(v6) = net else { return Ok(Self(net)) };
        let Some(v4) = v6.addr().to_ipv4_mapped() else { return Ok(Self(net)) };
        let prefix = v6.prefix_len().checked_sub(96).ok_or_else(|| NetworkError::MappedTooWide(text.to_owned()))?;
        let v4 = ipnet::Ipv4Net::new(v4, prefix).map_err(|_| syntax())?;
        Ok(Self(IpNet::V4(v4)))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_host = self.0.prefix_len() == self.0.max_prefix_len();
        if is_host { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// What counts as one peer: an IPv4 address, or a /64 of IPv6, which one customer has for itself.
#[must_use]
pub fn host_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// The network around an address: /24 of IPv4, /48 of IPv6, which many who need one only have for themselves.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & !0xFF).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 80 << 80).into()),
    }
}

/// Who may connect: in `allow` (everybody, when it is absent) and not in `except`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAcl {
    allow: Option<Vec<Network>>,
    except: Vec<Network>,
}

impl NetworkAcl {
    /// A list. An `allow` that is present and empty lets nobody in.
    #[must_use]
    pub const fn new(allow: Option<Vec<Network>>, except: Vec<Network>) -> Self {
        Self { allow, except }
    }

    /// Whether `address` may connect.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |list: &[Network]| list.iter().any(|network| network.0.contains(&address));
        self.allow.as_deref().is_none_or(is_in) && !is_in(&self.except)
    }

    /// Whether every address may connect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let all_addresses = |network: &Network| network.0.prefix_len() == 0;
        self.except.is_empty() && self.allow.as_deref().is_none_or(|allow| allow.iter().any(all_addresses))
    }
}

impl fmt::Display for NetworkAcl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |networks: &[Network]| networks.iter().map(Network::to_string).collect::<Vec<_>>().join(", ");
        match self.allow.as_deref() {
            None => f.write_str("any address")?,
            Some([]) => f.write_str("no address")?,
            Some(networks) => f.write_str(&list(networks))?,
        }
        if self.except.is_empty() { Ok(()) } else { write!(f, " except {}", list(&self.except)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Vec<Network> {
        list.iter().map(|text| text.parse().expect("a network")).collect()
    }

    #[test]
    fn mapped_addresses_are_canonical_on_both_sides() {
        let acl = NetworkAcl::new(Some(networks(&["::ffff:10.0.0.0/104", "192.0.2.7"])), networks(&["10.9.0.0/16"]));
        let allows = |address: &str| acl.allows(address.parse().expect("an address"));
        assert!(allows("10.1.2.3") && allows("::ffff:10.1.2.3") && allows("::ffff:192.0.2.7"));
        assert!(!allows("10.9.0.1") && !allows("::ffff:10.9.0.1") && !allows("192.0.2.8") && !allows("2001:db8::1"));
    }

    #[test]
    fn absent_is_everybody_and_empty_is_nobody() {
        let anybody = "198.51.100.1".parse().expect("an address");
        assert!(NetworkAcl::default().allows(anybody) && NetworkAcl::default().is_open());
        assert!(!NetworkAcl::new(Some(Vec::new()), Vec::new()).allows(anybody));
        assert!(NetworkAcl::new(Some(networks(&["0.0.0.0/0"])), Vec::new()).is_open());
    }

    #[test]
    fn reads_as_people_say_it() {
        let acl = NetworkAcl::new(Some(networks(&["10.0.0.0/8", "192.0.2.7"])), networks(&["10.9.0.0/16"]));
        assert_eq!(acl.to_string(), "10.0.0.0/8, 192.0.2.7 except 10.9.0.0/16");
        assert_eq!(NetworkAcl::default().to_string(), "any address");
        assert_eq!(NetworkAcl::new(Some(Vec::new()), Vec::new()).to_string(), "no address");
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let error = |text: &str| text.parse::<Network>().expect_err("refused");
        assert_eq!(error("10.0.0.1/8"), NetworkError::HostBits("10.0.0.1/8".into(), "10.0.0.0/8".into()));
        assert!(matches!(error("::ffff:0:0/95"), NetworkError::HostBits(..) | NetworkError::MappedTooWide(_)));
        // A zero before a digit means octal to some.
        let zeros = ["010.0.0.0/8", "09.0.0.0/8", "010.0.0.1", "10.0.0.0/08", "10.0.0.0/+8", "::/00"];
        for text in ["", "office", "10.0.0", "10.0.0.0/33", "1.2.3.4/"].into_iter().chain(zeros) {
            assert_eq!(error(text), NetworkError::Syntax(text.into()));
        }
    }
}
