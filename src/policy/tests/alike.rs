//! A deny beside a bare allow sees every way to say what it names; some values pass no bare allow at all.

use super::{Params, Role, act, alice, check, check_values, is_by_deny};

/// What a deny beside a bare allow refuses, and what it lets pass.
#[track_caller]
fn check_deny(action: &str, rule: Params<'_>, denied: &[Params<'_>], allowed: &[Params<'_>]) {
    let policy = alice(Role::new("r").allow_bare(action).deny(action, rule));
    for headers in denied {
        assert!(is_by_deny(&policy, act(action, headers)), "{action} {headers:?}");
    }
    for headers in allowed {
        check(&policy, action, headers, "allow");
    }
}

#[test]
fn another_way_to_a_file_is_the_file() {
    for action in ["GetConfig", "GetConfigJSON", "ListCategories", "CreateConfig"] {
        let denied: [Params<'_>; 4] = [
            &[("Filename", "A.conf")],
            &[("Filename", "./a.conf")],
            &[("Filename", "/etc/asterisk/a.conf")],
            &[("Filename", "..")],
        ];
        check_deny(action, &[("Filename", "a.conf")], &denied, &[&[("Filename", "b.conf")]]);
    }
    for name in ["SrcFilename", "DstFilename"] {
        check_deny("UpdateConfig", &[(name, "a.conf")], &[&[(name, "x/a.conf")]], &[&[(name, "b.conf")]]);
    }
}

#[test]
fn an_entry_of_the_database_is_a_path() {
    for action in ["DBGet", "DBPut", "DBDel"] {
        let denied: [Params<'_>; 3] = [
            &[("Family", "a"), ("Key", "k")],
            &[("Family", "A/b"), ("Key", "k")],
            &[("Family", "a/b/c"), ("Key", "k/l")],
        ];
        let allowed: [Params<'_>; 2] = [&[("Family", "ab"), ("Key", "k")], &[("Family", "b/a"), ("Key", "a")]];
        check_deny(action, &[("Family", "a")], &denied, &allowed);
        let both = [("Family", "a/b"), ("Key", "k")];
        let denied: [Params<'_>; 2] = [&[("Family", "a"), ("Key", "b/k")], &both];
        let allowed: [Params<'_>; 2] = [&[("Family", "a"), ("Key", "k")], &[("Family", "a/b"), ("Key", "l")]];
        check_deny(action, &both, &denied, &allowed);
        let allowed: [Params<'_>; 1] = [&[("Family", "x"), ("Key", "l")]];
        check_deny(action, &[("Key", "k")], &[&[("Family", "x"), ("Key", "k")]], &allowed);
    }
    let value = [("Family", "a"), ("Key", "k"), ("Val", "1")];
    check_deny("DBPut", &[("Family", "a"), ("Val", "1")], &[&value], &[&[("Family", "a"), ("Key", "k"), ("Val", "2")]]);
}

#[test]
fn a_tree_of_the_database_is_all_that_is_in_it() {
    for action in ["DBGetTree", "DBDelTree"] {
        let denied: [Params<'_>; 6] = [
            &[],
            &[("Key", "k")],
            &[("Family", "a")],
            &[("Family", "a/b"), ("Key", "k")],
            &[("Family", "a/b/c")],
            &[("Family", "%")],
        ];
        let allowed: [Params<'_>; 2] = [&[("Family", "b")], &[("Family", "a"), ("Key", "c")]];
        check_deny(action, &[("Family", "a/b")], &denied, &allowed);
        let denied: [Params<'_>; 3] = [&[("Family", "a")], &[("Family", "a"), ("Key", "k")], &[("Family", "a/k")]];
        let allowed: [Params<'_>; 1] = [&[("Family", "a"), ("Key", "l")]];
        check_deny(action, &[("Family", "a"), ("Key", "k")], &denied, &allowed);
        check_deny(action, &[("Family", "a"), ("Key", "k/m")], &[&[("Family", "a"), ("Key", "k")]], &allowed);
    }
}

#[test]
fn a_module_has_its_name_with_and_without_suffix() {
    for rule in ["res_a", "res_a.so"] {
        for action in ["ModuleLoad", "ModuleCheck", "Reload"] {
            let denied: [Params<'_>; 3] =
                [&[("Module", "res_a")], &[("Module", "RES_A.SO")], &[("Module", "x/res_a.so")]];
            check_deny(action, &[("Module", rule)], &denied, &[&[("Module", "res_b.so")]]);
        }
        check_deny("Reload", &[("Module", rule)], &[&[], &[("Module", "")]], &[]);
        check_deny("ModuleLoad", &[("Module", rule)], &[&[("LoadType", "reload")]], &[]);
    }
}

#[test]
fn any_channel_may_be_meant_by_a_unique_id() {
    let rule = "PJSIP/boss-*";
    for (action, name) in [
        ("Hangup", "Channel"),
        ("Redirect", "ExtraChannel"),
        ("Park", "TimeoutChannel"),
        ("Park", "AnnounceChannel"),
        ("Park", "Channel2"),
        ("Bridge", "Channel1"),
    ] {
        let denied: [Params<'_>; 2] = [&[(name, "1700000000.1")], &[(name, "pjsip/boss-1")]];
        check_deny(action, &[(name, rule)], &denied, &[&[(name, "PJSIP/alice-1")]]);
    }
}

#[test]
fn channels_of_a_bridge_are_prefixes_in_either_place() {
    let denied: [Params<'_>; 3] =
        [&[("Channel1", "PJSIP/bo")], &[("Channel2", "pjsip/boss-1")], &[("Channel2", "PJSIP/")]];
    let allowed: [Params<'_>; 2] = [&[("Channel1", "PJSIP/a"), ("Channel2", "PJSIP/box")], &[]];
    check_deny("Bridge", &[("Channel1", "PJSIP/boss-*")], &denied, &allowed);
    check_deny("Bridge", &[("Channel1", "PJSIP/boss-1")], &denied, &allowed);
    check_deny("Bridge", &[("Channel2", "PJSIP/boss-**")], &[&[("Channel1", "PJSIP/boss-1")]], &allowed);
}

#[test]
fn two_parameters_for_one_thing_are_one() {
    check_deny("MessageSend", &[("To", "sip:x")], &[&[("Destination", "sip:x")]], &[&[("Destination", "sip:y")]]);
    check_deny("MessageSend", &[("Destination", "sip:x")], &[&[("To", "sip:x")]], &[&[("To", "sip:y")]]);
    for (name, extra, value, other) in [
        ("Context", "ExtraContext", "a", "b"),
        ("Exten", "ExtraExten", "1", "2"),
        ("Channel", "ExtraChannel", "PJSIP/a", "PJSIP/b"),
        ("Priority", "ExtraPriority", "1", "2"),
    ] {
        let denied: [Params<'_>; 2] = [&[(name, value)], &[(name, other), (extra, value)]];
        check_deny("Redirect", &[(name, value)], &denied, &[&[(name, other), (extra, other)]]);
    }
}

#[test]
fn mailboxes_are_judged_one_by_one() {
    for action in ["MailboxStatus", "MailboxCount"] {
        let denied: [Params<'_>; 3] =
            [&[("Mailbox", "1")], &[("Mailbox", "2@x,1@DEFAULT")], &[("Mailbox", "2, 1,3@x")]];
        for rule in ["1", "1@default", "1@*"] {
            check_deny(action, &[("Mailbox", rule)], &denied, &[&[("Mailbox", "2,11@x")]]);
        }
    }
}

#[test]
fn all_variables_are_those_that_are_denied_too() {
    let denied: [Params<'_>; 3] =
        [&[("AllVariables", "yes")], &[("Variables", "b"), ("AllVariables", "1")], &[("Variables", "b,a")]];
    let allowed: [Params<'_>; 2] = [&[("Variables", "b"), ("AllVariables", "no")], &[]];
    check_deny("Status", &[("Variables", "a")], &denied, &allowed);
}

#[test]
fn what_runs_behind_the_scenes_needs_its_exact_text() {
    let bare = |action| alice(Role::new("r").allow_bare(action));
    let add = bare("DialplanExtensionAdd");
    check_values(&add, "DialplanExtensionAdd", "Application", &["NoOp"], &["${x}", "No$[1]"]);
    check_values(&add, "DialplanExtensionAdd", "Priority", &["1"], &["hint", "HINT"]);
    let hint = alice(Role::new("r").allow("DialplanExtensionAdd", &[("Priority", "hint|*")]));
    check_values(&hint, "DialplanExtensionAdd", "Priority", &["1", "hint"], &["HINT"]);
    for (action, name) in [("MixMonitor", "File"), ("MixMonitor", "Options"), ("ConfbridgeStartRecord", "RecordFile")] {
        check_values(&bare(action), action, name, &["a.wav"], &["a.wav,b", ",", "${x}"]);
        let policy = alice(Role::new("r").allow(action, &[(name, "a,b|**")]));
        check_values(&policy, action, name, &["a,b", "c"], &["a,c"]);
    }
}
