//! Who reaches Asterisk's port: what listens, what manager.conf says, and a try from this machine's other addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::{Report, list};
use crate::import::Survey;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The state of a socket that listens (`TCP_LISTEN`).
const LISTENS: &str = "0A";

const HELP: &str = "set `bindaddr = 127.0.0.1` under [general] of manager.conf and restart Asterisk (a reload moves no open \
                    socket), or keep the port shut with the firewall of the machine";

/// `taken` are the ports of amiwall's own listeners.
pub(super) fn look(address: &str, conf: Option<&Survey>, taken: &[u16], report: &mut Report) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5038"));
    let port = port.parse().unwrap_or(5038);
    let tls = conf.and_then(|conf| conf.tls).filter(|tls| !taken.contains(&tls.port()));
    let own = own_addresses();
    if is_here(host, port, &own) {
        let ports: Vec<u16> = std::iter::once(port).chain(tls.map(|tls| tls.port())).collect();
        sockets(&ports, report);
        reachable(&ports, &own, report);
    } else {
        let help = "an own network for the two, a tunnel, or amiwall on Asterisk's machine; run doctor there";
        report.warning("upstream-remote", format!("Asterisk is on another machine ({address})"), help);
        for code in ["port-open", "port-reachable"] {
            report.unknown(code, format!("{address} is not on this machine"), "run doctor on Asterisk's machine");
        }
    }
    if let Some(conf) = conf {
        configured(conf, report);
    }
}

/// Whether the address of Asterisk is one of this machine.
fn is_here(host: &str, port: u16, own: &BTreeSet<IpAddr>) -> bool {
    let is_own = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified() || own.contains(&ip);
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => is_own(ip),
        Err(_) => (host, port).to_socket_addrs().is_ok_and(|mut found| found.any(|address| is_own(address.ip()))),
    }
}

fn sockets(ports: &[u16], report: &mut Report) {
    const CODE: &str = "port-open";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let [Ok(v4), v6] = tables else {
        report.unknown(CODE, "/proc/net/tcp cannot be read", "run: ss -ltn");
        return;
    };
    judge_sockets(&(v4 + &v6.unwrap_or_default()), ports, report);
}

fn judge_sockets(table: &str, ports: &[u16], report: &mut Report) {
    const CODE: &str = "port-open";
    let found: Vec<SocketAddr> = listening(table).filter(|address| ports.contains(&address.port())).collect();
    let open: Vec<String> =
        found.iter().filter(|address| !address.ip().to_canonical().is_loopback()).map(SocketAddr::to_string).collect();
    let told = |addresses: &[String]| format!("Asterisk's port listens on {}", list(addresses));
    if found.is_empty() {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let help = "start Asterisk, or say where it listens: --asterisk HOST:PORT";
        report.unknown(CODE, format!("nothing listens on port {} of this machine", list(&ports)), help);
    } else if open.is_empty() {
        report.ok(CODE, told(&found.iter().map(SocketAddr::to_string).collect::<Vec<_>>()));
    } else {
        report.problem(CODE, told(&open), HELP);
    }
}

/// The listening sockets in `/proc/net/tcp` and `tcp6`.
fn listening(table: &str) -> impl Iterator<Item = SocketAddr> {
    table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, port) = local.split_once(':').filter(|_| state == LISTENS)?;
        Some(SocketAddr::new(kernel_address(address)?, u16::from_str_radix(port, 16).ok()?))
    })
}

/// The kernel prints each 32 bits of an address as a number of this machine's byte order.
fn kernel_address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        words @ [_, _, _, _] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()),
        _ => None,
    }
}

/// The addresses of this machine, but for loopback and what holds on one link only.
fn own_addresses() -> BTreeSet<IpAddr> {
    let trie = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    addresses_in(&trie).chain(addresses_in_v6(&v6)).filter(|address| !address.is_loopback()).collect()
}

/// A line with an address, and below it `/32 host LOCAL`.
fn addresses_in(trie: &str) -> impl Iterator<Item = IpAddr> {
    trie.lines().zip(trie.lines().skip(1)).filter_map(|(line, below)| {
        let address = line.trim().strip_prefix("|-- ")?.parse::<Ipv4Addr>().ok()?;
        (below.trim() == "/32 host LOCAL").then_some(address.into())
    })
}

fn addresses_in_v6(table: &str) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(|line| {
        let bits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
        let address = Ipv6Addr::from(bits);
        (!address.is_unicast_link_local()).then_some(address.into())
    })
}

fn reachable(ports: &[u16], own: &BTreeSet<IpAddr>, report: &mut Report) {
    const CODE: &str = "port-reachable";
    if own.is_empty() {
        report.unknown(CODE, "no other address of this machine was found", "try from another machine: nc -z HOST 5038");
        return;
    }
    let addresses = own.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port)));
    let open: Vec<String> = addresses
        .filter(|address| TcpStream::connect_timeout(address, CONNECT_TIMEOUT).is_ok())
        .map(|address| address.to_string())
        .collect();
    if open.is_empty() {
        report.ok(CODE, format!("the port is closed on this machine's other {} addresses", own.len()));
    } else {
        report.problem(CODE, format!("the port answers on {}", list(&open)), HELP);
    }
}

/// What manager.conf says, whatever listens now: it counts from the next start on.
fn configured(conf: &Survey, report: &mut Report) {
    const CODE: &str = "port-open";
    if !conf.is_enabled {
        return;
    }
    let is_open = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    if is_open(&conf.bind) {
        report.problem(CODE, format!("manager.conf: Asterisk listens on {}", conf.bind), HELP);
    } else {
        report.ok(CODE, format!("manager.conf: Asterisk listens on {}", conf.bind));
    }
    if let Some(tls) = conf.tls.filter(is_open) {
        let help = "set `tlsenable = no` under [general] of manager.conf: TLS is amiwall's";
        report.problem(CODE, format!("manager.conf: Asterisk listens on {tls}, with TLS"), help);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const TCP: &str = include_str!("../../../tests/doctor/proc-net-tcp");
    const TCP6: &str = include_str!("../../../tests/doctor/proc-net-tcp6");
    const TRIE: &str = include_str!("../../../tests/doctor/fib_trie");
    const IF_INET6: &str = include_str!("../../../tests/doctor/if_inet6");

    fn levels(table: &str, ports: &[u16]) -> Vec<(Level, String)> {
        let mut report = Report::default();
        judge_sockets(table, ports, &mut report);
        report.0.into_iter().map(|finding| (finding.level, finding.found)).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn what_listens_is_read_from_the_kernel() {
        let found: Vec<String> = listening(&format!("{TCP}{TCP6}")).map(|address| address.to_string()).collect();
        assert_eq!(found, ["127.0.0.1:5038", "0.0.0.0:5039", "[::1]:5038", "[::]:8088", "[2001:db8::7]:5038"]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn loopback_is_well_and_any_other_address_is_not() {
        assert_eq!(levels(TCP, &[5038]), [(Level::Ok, "Asterisk's port listens on 127.0.0.1:5038".to_owned())]);
        let (level, found) = levels(TCP6, &[5038]).remove(0);
        assert_eq!(level, Level::Problem);
        assert!(found.contains("[2001:db8::7]:5038") && !found.contains("::1]"), "{found}");
        assert_eq!(levels(TCP, &[5040]).remove(0).0, Level::Unknown);
    }

    #[test]
    fn own_addresses_are_found() {
        let own: BTreeSet<IpAddr> = addresses_in(TRIE).collect();
        assert_eq!(own.iter().map(IpAddr::to_string).collect::<Vec<_>>(), ["10.20.0.5", "127.0.0.1"]);
        let own: Vec<String> = addresses_in_v6(IF_INET6).map(|address| address.to_string()).collect();
        assert_eq!(own, ["::1", "2001:db8::7"]);
    }

    #[test]
    fn a_name_of_this_machine_is_here() {
        let own = BTreeSet::from(["10.20.0.5".parse().expect("an address")]);
        for here in ["127.0.0.1", "[::1]", "localhost", "10.20.0.5", "::ffff:127.0.0.1"] {
            assert!(is_here(here, 5038, &own), "{here}");
        }
        assert!(!is_here("10.20.0.6", 5038, &own));
    }
}
