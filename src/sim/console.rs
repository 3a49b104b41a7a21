//! `Command`: the few console commands that there are, and Asterisk's words about the others.

use super::answer::Answer;
use super::quirks::Request;
use super::switch::Channel;
use super::world::World;

/// The commands, in words.
const COMMANDS: [&str; 8] = [
    "core show calls",
    "core show channels",
    "core show channels concise",
    "core show uptime",
    "core show version",
    "manager show users",
    "no debug channel",
    "queue show",
];
/// The words with which commands begin that `action_command` refuses by itself.
const BLACKLIST: [&str; 3] = ["module load", "module unload", "restart gracefully"];
/// What `core show version` says.
pub(super) const VERSION: &str = "22.10.1";

/// `action_command`.
pub(super) fn command(world: &World, request: &Request) -> Vec<u8> {
    let command = request.get("Command");
    if command.is_empty() {
        return Answer::error(request, "No command provided");
    }
    let text = String::from_utf8_lossy(command);
    // The blacklist compares the raw text; only what gets past it is taken apart as the console does.
    if BLACKLIST.iter().any(|banned| begins_with_words(&text, banned)) {
        return Answer::error(request, "Command blacklisted");
    }
    let words: Vec<String> = words(&text);
    let (kind, lines) = match output(world, &words) {
        Some(lines) => ("Success", lines),
        None => ("Error", vec![no_such_command(&words)]),
    };
    let mut answer = Answer::response(kind, request).header("Message", "Command output follows");
    for line in lines {
        answer = answer.header("Output", line);
    }
    answer.end()
}

/// Whether the text begins with these words, with any blanks between them, without case.
fn begins_with_words(text: &str, banned: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    banned.split(' ').all(|banned| words.next().is_some_and(|word| word.eq_ignore_ascii_case(banned)))
}

/// `parse_args` of main/cli.c: blanks and tabs part words, quotes and backslashes go.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_quoted, mut is_in_word) = (false, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '"' => {
                is_quoted = !is_quoted;
                continue;
            }
            ' ' | '\t' if !is_quoted => {
                is_in_word = false;
                continue;
            }
            '\\' => characters.next(),
            other => Some(other),
        };
        if !std::mem::replace(&mut is_in_word, true) {
            words.push(String::new());
        }
        if let (Some(word), Some(literal)) = (words.last_mut(), literal) {
            word.push(literal);
        }
    }
    words
}

fn output(world: &World, words: &[String]) -> Option<Vec<String>> {
    let command = words.join(" ").to_ascii_lowercase();
    Some(match command.as_str() {
        "core show version" => {
            vec![format!(
                "Asterisk {VERSION} built by nobody @ simulated on a x86_64 running Linux on 2026-01-01 00:00:00 UTC"
            )]
        }
        "core show uptime" => {
            let uptime = uptime(world.started.elapsed().as_secs());
            vec![format!("System uptime: {uptime}"), format!("Last reload: {uptime}")]
        }
        "core show calls" => counts(world).into_iter().skip(1).collect(),
        "core show channels" => channels(world),
        "core show channels concise" => {
            let channels = world.with_switch(|switch| switch.channels.clone());
            // Nothing to say is one empty line.
            if channels.is_empty() { vec![String::new()] } else { channels.iter().map(concise).collect() }
        }
        "manager show users" => manager_users(world),
        "queue show" => queues(world),
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn concise(channel: &Channel) -> String {
    let (place, caller) = (&channel.place, &channel.caller);
    format!(
        "{}!{}!{}!{}!{:?}!{}!{}!{}!!!3!{}!(None)!{}",
        text(&channel.name),
        text(&place.context),
        text(&place.exten),
        place.priority,
        channel.state,
        text(&channel.application),
        text(&channel.data),
        text(&caller.number),
        channel.created.elapsed().as_secs(),
        text(&channel.unique_id),
    )
}

fn channels(world: &World) -> Vec<String> {
    let row = |a: &str, b: &str, c: &str, d: &str| format!("{a:<20.20} {b:<20.20} {c:<7.7} {d:<30.30}");
    let mut lines = vec![row("Channel", "Location", "State", "Application(Data)")];
    for channel in world.with_switch(|switch| switch.channels.clone()) {
        let place = &channel.place;
        let location = format!("{}@{}:{}", text(&place.exten), text(&place.context), place.priority);
        let application = format!("{}({})", text(&channel.application), text(&channel.data));
        lines.push(row(&text(&channel.name), &location, &format!("{:?}", channel.state), &application));
    }
    lines.extend(counts(world));
    lines
}

/// How many channels and calls there are and were.
fn counts(world: &World) -> [String; 3] {
    let (channels, calls, processed) =
        world.with_switch(|switch| (switch.channels.len(), switch.calls(), switch.processed_calls));
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    [
        format!("{channels} active channel{}", plural(channels as u64)),
        format!("{calls} active call{}", plural(calls as u64)),
        format!("{processed} call{} processed", plural(processed)),
    ]
}

fn manager_users(world: &World) -> Vec<String> {
    let users = &world.config.users;
    let mut lines = vec![String::new(), "username".to_owned(), "--------".to_owned()];
    lines.extend(users.iter().map(|user| user.name.clone()));
    lines.push("-------------------".to_owned());
    lines.push(format!("{} manager users configured.", users.len()));
    lines
}

fn queues(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for queue in &world.config.queues {
        lines.push(format!(
            "{} has 0 calls (max unlimited) in '{}' strategy (0s holdtime, 0s talktime), W:0, C:0, A:0, SL:0.0%, SL2:0.0% within 0s",
            queue.name, queue.strategy
        ));
        lines.push(if queue.members.is_empty() { "   No Members" } else { "   Members: " }.to_owned());
        for member in &queue.members {
            let penalty = if member.penalty > 0 { format!(" with penalty {}", member.penalty) } else { String::new() };
            lines.push(format!(
                "      {} ({}){penalty} (ringinuse enabled) (Not in use) has taken no calls yet",
                member.name, member.location
            ));
        }
        lines.extend(["   No Callers".to_owned(), String::new()]);
    }
    lines
}

/// `print_uptimestr`.
fn uptime(seconds: u64) -> String {
    let units = [("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, len) in units {
        let count = rest / len;
        rest %= len;
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(", ")
}

/// `ast_cli_command`: help is offered for the words up to the first one that no command goes on with (`find_best`).
fn no_such_command(words: &[String]) -> String {
    let is_known = |words: &[String]| {
        COMMANDS.iter().any(|command| {
            let mut command = command.split(' ');
            words.iter().enumerate().all(|(at, word)| {
                let is_last = at + 1 == words.len();
                command.next().is_some_and(|known| known == word || (is_last && known.starts_with(word.as_str())))
            })
        })
    };
    let failing = (1..=words.len()).find(|len| !is_known(words.get(..*len).unwrap_or_default()));
    let help = words.get(..failing.unwrap_or(words.len())).unwrap_or_default().join(" ");
    let command = words.join(" ");
    format!("No such command '{command}' (type 'core show help {help}' for other possible commands)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_apart_as_the_console_does() {
        assert_eq!(words("  core\tshow   version "), ["core", "show", "version"]);
        assert_eq!(words("\"module\" lo\\ad mod\"ul\"e a\\ b"), ["module", "load", "module", "a b"]);
    }

    #[test]
    fn unknown_commands_are_refused_in_asterisks_words() {
        let refusal = |command: &str| no_such_command(&words(command));
        assert_eq!(
            refusal("no such command"),
            "No such command 'no such command' (type 'core show help no such' for other possible commands)"
        );
        assert_eq!(
            refusal("core sho version"),
            "No such command 'core sho version' (type 'core show help core sho version' for other possible commands)"
        );
    }

    #[test]
    fn uptimes_are_in_words() {
        assert_eq!(uptime(705), "11 minutes, 45 seconds");
        assert_eq!(uptime(3_661), "1 hour, 1 minute, 1 second");
    }
}
