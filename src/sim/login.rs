//! Who may log in, and what a session is told then.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;

use super::SimUser;
use super::answer::Answer;
use super::originate::scan_number;
use super::quirks::Request;
use super::world::World;
use crate::ami::{Challenge, EventMask};

/// The classes of security events.
pub(super) const SECURITY: &str = "security,all";

/// A new challenge. It protects a simulator: the randomness of the hash maps' seed is enough.
pub(super) fn new_challenge() -> Challenge {
    let bits = RandomState::new().hash_one(0_u8);
    Challenge::from_random(u32::try_from(bits >> 32).unwrap_or_default())
}

/// `authenticate`: names without case, secrets byte for byte; with `AuthType: MD5` only the `Key` counts.
pub(super) fn authenticate<'u>(
    users: &'u [SimUser],
    request: &Request,
    challenge: Option<&Challenge>,
) -> Option<&'u SimUser> {
    let name = request.get("Username");
    let user = users.iter().find(|user| name.eq_ignore_ascii_case(user.name.as_bytes()))?;
    let is_proved = if request.get("AuthType").eq_ignore_ascii_case(b"MD5") {
        let key = request.get("Key");
        challenge.is_some_and(|challenge| !key.is_empty() && challenge.key(&user.secret).as_bytes() == key)
    } else {
        request.get("Secret") == user.secret
    };
    is_proved.then_some(user)
}

/// The mask of `Events` in Login: without one everything; a number that is no mask leaves nothing.
pub(super) fn first_mask(events: &[u8]) -> EventMask {
    if events.is_empty() { EventMask::ALL } else { EventMask::parse(events).unwrap_or(EventMask::NONE) }
}

/// The event that follows a login at once.
pub(super) fn fully_booted(world: &World) -> Vec<u8> {
    let uptime = world.started.elapsed().as_secs().to_string();
    Answer::event("FullyBooted")
        .header("Privilege", "system,all")
        .headers([("Uptime", uptime.as_str()), ("LastReload", &uptime), ("Status", "Fully Booted")])
        .end()
}

/// The event that tells who watches for intruders about a login.
pub(super) fn successful_auth(world: &World, peer: SocketAddr, user: &str) -> Answer {
    let address = |address: SocketAddr| {
        let family = if address.is_ipv4() { "IPV4" } else { "IPV6" };
        format!("{family}/TCP/{}/{}", address.ip(), address.port())
    };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
    world
        .event("SuccessfulAuth", SECURITY)
        .headers([("EventTV", now.as_str()), ("Severity", "Informational"), ("Service", "AMI")])
        .headers([("EventVersion", "1"), ("AccountID", user)])
        .header("SessionID", format!("0x{:x}", peer.port()))
        .header("LocalAddress", address(world.address))
        .header("RemoteAddress", address(peer))
        .headers([("UsingPassword", "0"), ("SessionTV", &now)])
}

/// `sscanf("%i")`: decimal, hexadecimal with `0x`, octal with `0`.
pub(super) fn scan_any_number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let len = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        return i64::from_str_radix(digits.get(..len)?, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') {
        let len = text.bytes().take_while(|b| (b'0'..=b'7').contains(b)).count();
        return i64::from_str_radix(text.get(..len)?, 8).ok();
    }
    scan_number(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_any_base() {
        for (text, number) in [("2", 2), ("0x2", 2), ("010", 8), ("0", 0), ("-1", -1), ("5x", 5), ("08", 0)] {
            assert_eq!(scan_any_number(text.as_bytes()), Some(number), "{text}");
        }
        assert_eq!(scan_any_number(b""), None);
    }
}
