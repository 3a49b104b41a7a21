//! A second policy, as small and as slow as can be, written from the words of the reference: both must say the same of
//! random policies and packets. It shares no code with the first but the catalogue's list of parameters, which it has by heart.

use proptest::prelude::*;

use super::super::{Decision, Policy};
use super::{Role, act, client, decide, is_by_deny, rule, spec};

/// What the reference has to know of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Text that Asterisk may expand.
    Data,
    Dialled,
    Priority,
    Whole,
    /// `Channel` of Getvar: who writes no `/` may mean any.
    Channel,
    /// One variable's name.
    Name,
    /// `name=value,…`.
    List,
    Command,
}
use Kind::{Channel, Command, Data, Dialled, List, Name, Priority, Text, Whole};

type Param = (&'static str, Kind);
const ORIGINATE: &[Param] = &[
    ("Account", Text),
    ("Data", Data),
    ("Exten", Dialled),
    ("Priority", Priority),
    ("Timeout", Whole),
    ("Variable", List),
];
const ACTIONS: [(&str, &[Param]); 4] = [
    ("Originate", ORIGINATE),
    ("Getvar", &[("Channel", Channel), ("Variable", Name)]),
    ("Command", &[("Command", Command)]),
    ("Ping", &[]),
];
const ATTRIBUTE: &str = "1001";

const fn patterns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Text | Channel | Name => &["a", "A*", "*", "**", "?b", "{extension}", "x\\*", "a/*", "__*", "F(x)", "a*c?"],
        Data => &["a", "**", "a*", r"$\{x\}", "*,*", "x"],
        Dialled => &[
            "100",
            "_NX",
            "_1.",
            "_X!",
            "**",
            "{extension}",
            "*8",
            "_[2-46]X*",
            "ab**",
            "xb**",
            "_Z",
            "abc",
            "_1{extension}",
        ],
        Priority => &["1", "n", "*", "**", "integer"],
        Whole => &["integer", "1", "3*", "**"],
        List => &["a", "*", "**", "__b", "b*"],
        Command => &["core show", "core *", "queue show a", "core **", "* show", r"$\{x\}"],
    }
}

const fn values(kind: Kind) -> &'static [&'static str] {
    match kind {
        Text | Channel | Name => {
            &["", "a", "A", "ab", "Abc", "1001", "x*", "a/b", "x b", "F(x)", "f(x)", "__a", "_a", "abcd", "é", "aé"]
        }
        Data => &["", "a", "A", "${x}", "a,b", "$[1]", "x", "^{y}", "$x"],
        Dialled => &[
            "", "100", "12", "21", "1001", "1-2", "1", "*8", "8", "abc", "ABC", "ab-c", "xb-c", "xb/c", "ab/c", "0",
            "24*", "1a", "11001",
        ],
        Priority => &["", "1", "n", "x y", "1x", "01", "a-b"],
        Whole => &["", "1", "30", "3000", "-1", "x", "1 "],
        List => {
            &["", "a=1", "a=1,b=2", "c=", "a=(1,2)", "f(x)=1", "_b=1", "a=${x}", "a", "=1", "a=\"1\"", "a=(", "b=12"]
        }
        Command => {
            &["", "core show", "CORE  show", "core show a", "core", "queue show A", "core \"show\"", "${x}", "core\\"]
        }
    }
}

/// One piece of a pattern.
#[derive(Clone, Copy)]
enum Piece {
    Is(char),
    OneOf(&'static str),
    One,
    Star,
    Run,
    More,
}

fn is_delimiter(character: char) -> bool {
    "/@&,;|$(){}[]<>\\\"'` ".contains(character) || character.is_ascii_control()
}

/// The pieces of a pattern, and whether it is text alone.
fn read(pattern: &str, is_dialled: bool) -> (Vec<Piece>, bool) {
    let text = pattern.replace("{extension}", ATTRIBUTE);
    let mut pieces = Vec::new();
    if let Some(digits) = text.strip_prefix('_').filter(|_| is_dialled) {
        let mut rest = digits;
        while let Some(first) = rest.chars().next() {
            let (piece, len) = match first {
                'X' => (Piece::OneOf("0123456789"), 1),
                'Z' => (Piece::OneOf("123456789"), 1),
                'N' => (Piece::OneOf("23456789"), 1),
                '[' => (Piece::OneOf("2346"), rest.find(']').expect("closed") + 1),
                '.' => (Piece::More, 1),
                '!' => (Piece::Run, 1),
                other => (Piece::Is(other), 1),
            };
            pieces.push(piece);
            rest = rest.get(len..).expect("ASCII");
        }
        return (pieces, false);
    }
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            '\\' => Piece::Is(characters.next().expect("a character")),
            '*' if characters.next_if_eq(&'*').is_some() => Piece::Run,
            '*' if !is_dialled => Piece::Star,
            '?' if !is_dialled => Piece::One,
            other => Piece::Is(other),
        });
    }
    let is_text = pieces.iter().all(|piece| matches!(piece, Piece::Is(_)));
    (pieces, is_text)
}

fn fits(pieces: &[Piece], value: &[char], is_deny: bool) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return value.is_empty() };
    let free = |character: &char| is_deny || !is_delimiter(*character);
    let next = |ok: bool| ok && fits(rest, &value[1..], is_deny);
    let run = |from: usize, ok: &dyn Fn(&char) -> bool| {
        (from..=value.len()).any(|len| value[..len].iter().all(ok) && fits(rest, &value[len..], is_deny))
    };
    match piece {
        Piece::Is(own) => {
            next(value.first().is_some_and(|c| if is_deny { c.eq_ignore_ascii_case(own) } else { c == own }))
        }
        Piece::OneOf(set) => next(value.first().is_some_and(|c| set.contains(*c))),
        Piece::One => next(value.first().is_some_and(free)),
        Piece::Star => run(0, &free),
        // In a dialplan pattern, `!` and `.` hold no delimiter in an allow; `**` holds anything.
        Piece::Run => run(0, &|_| true),
        Piece::More => run(1, &free),
    }
}

/// Whether a value is like a pattern. Letters of a dialplan pattern have no case.
fn like(pattern: &str, kind: Kind, value: &str, is_deny: bool) -> bool {
    if pattern == "integer" {
        let digits = value.strip_prefix('-').unwrap_or(value);
        return (1..=9).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit());
    }
    let (pieces, _) = read(pattern, kind == Dialled);
    let is_digits = kind == Dialled && pattern.starts_with('_');
    if is_digits && !is_deny && pattern.ends_with('!') && value.chars().any(is_delimiter) {
        return false;
    }
    fits(&pieces, &value.chars().collect::<Vec<_>>(), is_deny)
}

fn expands(value: &str) -> bool {
    ["${", "$[", "^{", "#{"].iter().any(|start| value.contains(start))
}

/// Whether only a rule with exactly this text lets it pass.
fn needs_text(kind: Kind, value: &str) -> bool {
    match kind {
        Data | Command => expands(value),
        Dialled => !value.chars().all(|c| "0123456789ABCDabcd*#+".contains(c)),
        Name => value.contains(['(', ')']) || expands(value),
        Text | Priority | Whole | List | Channel => false,
    }
}

fn allows_one(pattern: &str, kind: Kind, value: &str) -> bool {
    let is_name = kind == Dialled
        && pattern.starts_with(|c: char| c.is_ascii_alphabetic())
        // A to D are keys of a phone.
        && pattern.contains(|c: char| c.is_ascii_alphabetic() && !"ABCDabcd".contains(c))
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-.*#+".contains(c));
    like(pattern, kind, value, false) && (!needs_text(kind, value) || read(pattern, kind == Dialled).1 || is_name)
}

/// The elements of a list, if it can be read in one way only.
fn elements(list: &str) -> Option<Vec<(String, String)>> {
    if list.contains(['"', '\\']) || list.matches('(').count() != list.matches(')').count() {
        return None;
    }
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in list.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        if character == ',' && depth == 0 { parts.push(String::new()) } else { parts.last_mut()?.push(character) }
    }
    let split = |part: &String| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.iter().map(split).collect::<Option<Vec<_>>>().filter(|all| all.iter().all(|(name, _)| !name.is_empty()))
}

/// Words of a command, if it can be read in one way only.
fn words(command: &str) -> Option<Vec<String>> {
    (!command.contains(['"', '\\', '\t']))
        .then(|| command.split(' ').filter(|word| !word.is_empty()).map(str::to_lowercase).collect())
}

fn is_command(pattern: &str, command: &str, is_deny: bool) -> bool {
    let Some(words) = words(command) else { return false };
    let own: Vec<&str> = pattern.split(' ').collect();
    let open = own.last() == Some(&"**");
    let own = if open { &own[..own.len() - 1] } else { &own[..] };
    let same = |(own, word): (&&str, &String)| *own == "*" || own.replace('\\', "") == *word;
    own.len() <= words.len() && own.iter().zip(&words).all(same) && (open || is_deny || own.len() == words.len())
}

/// Names of variables of the list of `Variable`: `a` and what else the rule's map has.
type RuleParam = (usize, bool, usize, usize);
type RuleText = (bool, usize, Option<Vec<RuleParam>>);
type Packet = (usize, Vec<usize>);

fn allows(rule: &[RuleParam], params: &[Param], packet: &[usize]) -> bool {
    params.iter().enumerate().all(|(place, (_, kind))| {
        let value = values(*kind)[packet[place]];
        match rule.iter().find(|(param, ..)| *param == place) {
            None => value.is_empty(),
            Some((_, is_optional, ..)) if value.is_empty() => *is_optional,
            Some((.., one, other)) => {
                let both = [patterns(*kind)[*one], patterns(*kind)[*other]];
                match kind {
                    List => elements(value).is_some_and(|all| {
                        all.iter().all(|(name, value)| {
                            let is_plain = !name.contains(['(', ')']) && !expands(name);
                            like(both[0], Text, name, false)
                                && (is_plain || read(both[0], false).1)
                                && allows_one(both[1], Data, value)
                        })
                    }),
                    Command => both.iter().any(|pattern| {
                        is_command(pattern, value, false) && (!expands(value) || !pattern.contains('*'))
                    }),
                    Text | Data | Dialled | Priority | Whole | Channel | Name => {
                        both.iter().any(|pattern| allows_one(pattern, *kind, value))
                    }
                }
            }
        }
    })
}

fn denies(rule: &[RuleParam], params: &[Param], packet: &[usize]) -> bool {
    rule.iter().all(|(place, _, one, other)| {
        let kind = params[*place].1;
        let value = values(kind)[packet[*place]];
        let both = [patterns(kind)[*one], patterns(kind)[*other]];
        let is = |value: &str| both.iter().any(|pattern| like(pattern, kind, value, true));
        let bare = |name: &str| vec![name.to_owned(), name.replacen('_', "", 1), name.replacen('_', "", 2)];
        let names = |name: &str| match name.bytes().take_while(|b| *b == b'_').count() {
            0 => vec![name.to_owned()],
            1 => bare(name)[..2].to_vec(),
            _ => bare(name),
        };
        !value.is_empty()
            && match kind {
                Command => both.iter().any(|pattern| is_command(pattern, value, true)),
                List => {
                    value.split(',').count() > 0
                        && loose_elements(value).iter().any(|(name, value)| {
                            names(name).iter().any(|name| like(both[0], Text, name, true))
                                && like(both[1], Data, value, true)
                        })
                }
                Channel => is(value) || !value.contains('/'),
                Dialled => is(value) || (value.contains('-') && is(&value.replace('-', ""))),
                Name => names(value).iter().any(|name| is(name)),
                Priority | Whole => {
                    let is_whole = value.chars().all(|c| c.is_ascii_digit());
                    is(value) || (is_whole && is(value.trim_start_matches('0')))
                }
                Text | Data => is(value),
            }
    })
}

/// A deny reads even what an allow would refuse.
fn loose_elements(list: &str) -> Vec<(String, String)> {
    let (mut parts, mut depth) = (vec![String::new()], 0_i32);
    for character in list.chars() {
        depth = (depth + i32::from(character == '(') - i32::from(character == ')')).max(0);
        if character == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    let split = |part: &String| {
        part.split_once('=').map_or_else(|| (part.clone(), String::new()), |(a, b)| (a.to_owned(), b.to_owned()))
    };
    parts.iter().map(split).collect()
}

/// What no rule can allow.
fn is_impossible(kind: Kind, value: &str) -> bool {
    match kind {
        _ if value.is_empty() => false,
        Priority => {
            let is_number = value.chars().all(|c| c.is_ascii_digit());
            let is_label = value.starts_with(|c: char| c.is_ascii_alphabetic())
                && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            !is_number && !is_label
        }
        Whole => !value.chars().all(|c| c.is_ascii_digit()),
        List => elements(value).is_none(),
        Command => words(value).is_none(),
        Text | Data | Dialled | Channel | Name => false,
    }
}

/// Whether a rule without parameters lets it pass.
fn is_free(kind: Kind, value: &str) -> bool {
    match kind {
        List => elements(value).is_some_and(|all| {
            all.iter().all(|(name, value)| !name.contains(['(', ')']) && !expands(name) && !expands(value))
        }),
        Text | Data | Dialled | Priority | Whole | Channel | Name | Command => !needs_text(kind, value),
    }
}

/// Whether the packet is allowed, and whether a deny refuses it.
fn judge(rules: &[RuleText], (action, packet): &Packet) -> (bool, bool) {
    let params = ACTIONS[*action].1;
    let of_action = || rules.iter().filter(|(_, other, _)| other == action);
    let is_denied = of_action()
        .any(|(is_allow, _, list)| !is_allow && list.as_ref().is_none_or(|list| denies(list, params, packet)));
    let value = |place: usize| values(params[place].1)[packet[place]];
    let is_possible = (0..params.len()).all(|place| !is_impossible(params[place].1, value(place)));
    let is_plain = || (0..params.len()).all(|place| value(place).is_empty() || is_free(params[place].1, value(place)));
    let is_allowed = of_action().any(|(is_allow, _, list)| {
        *is_allow && list.as_ref().map_or_else(is_plain, |list| allows(list, params, packet))
    });
    (is_allowed && is_possible && !is_denied, is_denied)
}

fn rules() -> impl Strategy<Value = Vec<RuleText>> {
    let one = (0..ACTIONS.len()).prop_flat_map(|action| {
        let params = ACTIONS[action].1;
        let each: Vec<_> = (0..params.len())
            .map(|place| {
                let some = 0..patterns(params[place].1).len();
                prop::option::of((Just(place), any::<bool>(), some.clone(), some))
            })
            .collect();
        let list = prop::option::weighted(0.9, each.prop_map(|each| each.into_iter().flatten().collect::<Vec<_>>()));
        (prop::bool::weighted(0.7), Just(action), list)
    });
    // A deny that names nothing would refuse everything, and so would one without parameters.
    let is_useful = |(is_allow, _, list): &RuleText| *is_allow || list.as_ref().is_some_and(|list| !list.is_empty());
    prop::collection::vec(one.prop_filter("a useful rule", is_useful), 1..8)
}

fn packet() -> impl Strategy<Value = Packet> {
    (0..ACTIONS.len()).prop_flat_map(|action| {
        let each: Vec<_> =
            ACTIONS[action].1.iter().map(|(_, kind)| prop_oneof![Just(0), 0..values(*kind).len()]).collect();
        (Just(action), each)
    })
}

fn compile(rules: &[RuleText]) -> Policy {
    let mut role = Role::new("r");
    for (is_allow, action, list) in rules {
        let (name, params) = ACTIONS[*action];
        let texts: Option<Vec<(String, String)>> = list.as_ref().map(|list| {
            list.iter()
                .map(|(place, is_optional, one, other)| {
                    let (name, kind) = params[*place];
                    let mark = if *is_optional && *is_allow { "?" } else { "" };
                    let (one, other) = (patterns(kind)[*one], patterns(kind)[*other]);
                    if kind == List {
                        (format!("{name}{mark}.{one}"), other.to_owned())
                    } else {
                        (format!("{name}{mark}"), format!("{one}|{other}"))
                    }
                })
                .collect()
        });
        let texts: Option<Vec<(&str, &str)>> =
            texts.as_ref().map(|texts| texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect());
        let spec = rule(name, texts.as_deref());
        if *is_allow { role.0.allow.push(spec) } else { role.0.deny.push(spec) }
    }
    let alice = client("alice", &["r"], &[("extension", ATTRIBUTE)]);
    Policy::compile(spec(vec![role], vec![alice])).expect("a policy").0
}

proptest! {
    /// Of 100 packets a policy. `PROPTEST_CASES=10000` makes it a million pairs.
    #[test]
    fn the_reference_says_the_same(rules in rules(), packets in prop::collection::vec(packet(), 100)) {
        let policy = compile(&rules);
        for packet in &packets {
            let (name, params) = ACTIONS[packet.0];
            let headers = params.iter().zip(&packet.1).map(|((name, kind), value)| (*name, values(*kind)[*value]));
            let headers: Vec<_> = headers.filter(|(_, value)| !value.is_empty()).collect();
            let (is_allowed, is_denied) = judge(&rules, packet);
            let decision = decide(&policy, act(name, &headers));
            prop_assert_eq!(matches!(decision, Decision::Allow(_)), is_allowed, "{} {:?}", name, headers);
            prop_assert_eq!(is_by_deny(&policy, act(name, &headers)), is_denied, "{} {:?}", name, headers);
        }
    }
}
