//! Actions that change a call: `Hangup` and `Redirect`.

use super::answer::Answer;
use super::originate::scan_number;
use super::quirks::Request;
use super::switch::{Channel, Place};
use super::world::World;

/// The cause of a hang-up that names none.
const CAUSE_NORMAL: u32 = 16;

/// `action_hangup`: one channel by name or unique id, or all that match `/pattern/`.
pub(super) fn hangup(world: &World, request: &Request) -> Vec<u8> {
    let name = request.get("Channel");
    if name.is_empty() {
        return Answer::error(request, "No channel specified");
    }
    let cause = scan_number(request.get("Cause")).and_then(|cause| u32::try_from(cause).ok());
    let cause = cause.filter(|cause| (1..=127).contains(cause)).unwrap_or(CAUSE_NORMAL);
    if let Some(pattern) = name.strip_prefix(b"/").and_then(|rest| rest.strip_suffix(b"/")) {
        return hangup_matching(world, request, (pattern, cause));
    }
    match world.with_switch(|switch| switch.find(name).map(|channel| channel.clone())) {
        Some(channel) => {
            channel.hangup.hang_up(cause);
            Answer::ack(request, "Channel Hungup")
        }
        None => Answer::error(request, "No such channel"),
    }
}

fn hangup_matching(world: &World, request: &Request, (pattern, cause): (&[u8], u32)) -> Vec<u8> {
    let matching: Vec<Channel> = world.with_switch(|switch| {
        switch.channels.iter().filter(|channel| matches(pattern, &channel.name)).cloned().collect()
    });
    let mut bytes = Answer::list_start(request, "Channels hung up will follow");
    for channel in &matching {
        channel.hangup.hang_up(cause);
        bytes.extend(Answer::event("ChannelHungup").header("Channel", &channel.name).id(request).end());
    }
    bytes.extend(Answer::list_complete(request, "ChannelsHungupListComplete", matching.len()).end());
    bytes
}

/// `action_redirect`, for a channel and an extra one.
pub(super) fn redirect(world: &World, request: &Request) -> Vec<u8> {
    let name = request.get("Channel");
    if name.is_empty() {
        return Answer::error(request, "Channel not specified");
    }
    let priority = scan_number(request.get("Priority")).and_then(|priority| u32::try_from(priority).ok());
    let Some(priority) = priority.filter(|priority| *priority > 0) else {
        return Answer::error(request, "Invalid priority");
    };
    let place = Place { context: request.get("Context").to_vec(), exten: request.get("Exten").to_vec(), priority };
    for name in [name, request.get("ExtraChannel")] {
        if name.is_empty() {
            continue;
        }
        let moved = world.with_switch(|switch| {
            let channel = switch.find(name)?;
            channel.place = place.clone();
            Some(channel.clone())
        });
        let Some(channel) = moved else {
            return Answer::error(request, [b"Channel does not exist: ", name].concat());
        };
        world.say_new_exten(&channel);
    }
    Answer::ack(request, "Redirect successful")
}

/// A small part of POSIX regular expressions: literals, `.`, `*`, `^`, `$` and `\`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.strip_prefix(b"^") {
        Some(pattern) => matches_here(pattern, text),
        None => (0..=text.len()).any(|at| text.get(at..).is_some_and(|rest| matches_here(pattern, rest))),
    }
}

fn matches_here(pattern: &[u8], text: &[u8]) -> bool {
    if pattern.is_empty() || pattern == b"$" && text.is_empty() {
        return true;
    }
    let (is_escaped, rest) = pattern.strip_prefix(b"\\").map_or((false, pattern), |rest| (true, rest));
    let Some((&atom, rest)) = rest.split_first() else { return false };
    let is_match = |byte: u8| byte == atom || (atom == b'.' && !is_escaped);
    if let Some(rest) = rest.strip_prefix(b"*") {
        let run = text.iter().take_while(|byte| is_match(**byte)).count();
        return (0..=run).any(|taken| text.get(taken..).is_some_and(|text| matches_here(rest, text)));
    }
    text.split_first().is_some_and(|(&byte, text)| is_match(byte) && matches_here(rest, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_channel_names() {
        let name = b"Local/1001@test-00000017;1";
        for pattern in ["^Local\\/1001@test-.*$", ".*", "", "1001", ";1$", "^Lo*cal"] {
            assert!(matches(pattern.as_bytes(), name), "{pattern}");
        }
        for pattern in ["^local", "\\.", "^1001", ";$", "$1"] {
            assert!(!matches(pattern.as_bytes(), name), "{pattern}");
        }
    }
}
