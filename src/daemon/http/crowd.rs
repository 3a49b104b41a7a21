//! How many connections one address elsewhere may have: so it cannot take the places of others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::networks::host_network;

/// Connections at once of one address (IPv6: /64).
const CONNECTIONS_MAX: usize = 8;

/// How many connections each address has that is not on this machine.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<HashMap<IpAddr, usize>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct OfCrowd(Option<(Arc<Crowd>, IpAddr)>);

impl Crowd {
    /// None: that address has as many as it may.
    pub(super) fn enter(crowd: &Arc<Self>, ip: IpAddr) -> Option<OfCrowd> {
        if ip.to_canonical().is_loopback() {
            return Some(OfCrowd(None));
        }
        let network = host_network(ip);
        let mut counts = crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= CONNECTIONS_MAX {
            return None;
        }
        *count += 1;
        Some(OfCrowd(Some((crowd.clone(), network))))
    }
}

impl Drop for OfCrowd {
    fn drop(&mut self) {
        let Some((crowd, network)) = &self.0 else { return };
        let mut counts = crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts.get(network).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            counts.remove(network);
        } else {
            counts.insert(*network, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_elsewhere_has_so_many_and_this_machine_all() {
        let (crowd, ip) = (Arc::new(Crowd::default()), |text: &str| text.parse::<IpAddr>().expect("an address"));
        let enter = |text: &str| Crowd::enter(&crowd, ip(text));
        let mut held: Vec<_> =
            (0..CONNECTIONS_MAX).map(|at| enter(&format!("2001:db8::{at:x}")).expect("room")).collect();
        assert!(enter("2001:db8::ffff").is_none(), "a /64 is one address");
        assert!(enter("2001:db8:0:1::1").is_some() && enter("203.0.113.7").is_some());
        held.pop();
        let again = enter("2001:db8::ffff").expect("one has gone");
        let here: Vec<_> = (0..100).map(|_| enter("127.0.0.1")).collect();
        assert!(here.iter().all(Option::is_some));
        drop(held);
        drop(again);
        assert!(crowd.0.lock().expect("no panic").is_empty(), "nothing is kept of who is gone");
    }
}
