use std::sync::Arc;

use super::super::notes::Place;
use super::*;
use crate::ami::PrivilegeClass;

fn entry(line: &str) -> Entry {
    let (name, value) = line.split_once('=').expect("an option");
    let place = Place { file: Arc::from("x"), line: 1 };
    Entry { place, name: name.trim().to_owned(), value: value.trim().as_bytes().to_vec() }
}

fn filter(line: &str) -> Filter {
    Filter::of(&entry(line))
}

fn beginning(excludes: bool, names: &[&str]) -> Filter {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Filter { excludes, names: Some(Names::Beginning(names)) }
}

#[test]
fn plain_names_are_understood_and_nothing_else() {
    assert_eq!(filter("eventfilter = Event: Hangup"), beginning(false, &["Hangup"]));
    assert_eq!(filter("eventfilter = !Event: RTCP.*"), beginning(true, &["RTCP"]));
    assert_eq!(filter("eventfilter = ^Event: (Hangup|Newchannel)"), beginning(false, &["Hangup", "Newchannel"]));
    let exact = |excludes| Filter { excludes, names: Some(Names::Exact("Newchannel".to_owned())) };
    assert_eq!(filter("eventfilter(name(Newchannel)) ="), exact(false));
    assert_eq!(filter("eventfilter(action(exclude),name(Newchannel),method(none)) ="), exact(true));
    for other in [
        "eventfilter = Channel: PJSIP/",
        "eventfilter = Event: .*",
        "eventfilter = Event: Hang?up",
        "eventfilter = Event: Hangup$",
        "eventfilter = event: Hangup",
        "eventfilter = (Event: Hangup)",
        "eventfilter = Event: (Hangup|)",
        "eventfilter(name(Newchannel),header(Channel),method(starts_with)) = PJSIP/",
        "eventfilter(name(Newchannel),method(regex)) = x",
        "eventfilter(header(Channel)) =",
        "eventfilter(name(Newchannel) =",
        "eventfilter(name(Newchannel),frob(x)) =",
        "eventfilter(name(Newchannel),name(Hangup)) =",
    ] {
        assert_eq!(filter(other).names, None, "{other}");
    }
    assert!(filter("eventfilter(action(exclude),header(Channel)) =").excludes);
}

fn seen(read: &str, lines: &[&str]) -> (Events, Vec<String>) {
    let entries: Vec<Entry> = lines.iter().map(|line| entry(line)).collect();
    let mut told = Vec::new();
    let events =
        events(EventMask::from_labels(read.as_bytes()), &entries, |_, entry, why| told.push(entry.text() + ": " + why));
    (events, told)
}

#[test]
fn names_are_those_that_asterisk_would_have_sent() {
    let (events, told) = seen("call,agent", &["eventfilter = Event: Hangup", "eventfilter = Event: RTCPSent"]);
    assert_eq!(events.allow, ["Hangup", "HangupRequest"], "RTCPSent is of a class that is not read");
    assert!(events.deny.is_empty() && told.is_empty() && !events.keeps_includes);
    let (events, _) = seen("call", &["eventfilter = !Event: ExtensionStatus", "eventfilter = !Event: Hangup"]);
    assert_eq!(events.allow, ["call"]);
    let denied = ["Hangup", "HangupHandlerPop", "HangupHandlerPush", "HangupHandlerRun", "HangupRequest"];
    assert_eq!(events.deny, denied, "ExtensionStatus is an answer as well");
    assert_eq!(seen("", &["eventfilter = Event: Hangup"]).0, Events::default());
}

#[test]
fn a_name_that_nobody_knows_does_not_pass_a_class_by() {
    let (events, told) = seen("call", &["eventfilter = Event: Frobnicated", "eventfilter = Event: Hangup"]);
    assert_eq!(events.allow, ["Hangup", "HangupRequest"]);
    assert_eq!(told.len(), 1);
    let (events, told) = seen("all", &["eventfilter = Event: Frobnicated"]);
    assert_eq!((events.allow, told.len()), (vec!["Frobnicated".to_owned()], 0));
}

#[test]
fn what_only_asterisk_can_filter_it_goes_on_filtering() {
    let lines = ["eventfilter = Event: Hangup", "eventfilter = Channel: PJSIP/", "eventfilter = !Event: Newexten"];
    let (events, told) = seen("call", &lines);
    assert!(events.keeps_includes);
    assert_eq!(events.allow, [PrivilegeClass::Call.label()]);
    assert_eq!(events.deny, ["Newexten"]);
    assert_eq!(told.len(), 1);
}
