//! Every warning of a reviewer: the smallest policy that is worth it, and one beside it that is not.

use super::Folder;

/// A policy whose role and identity are these; nothing else of it is worth a warning.
fn policy(role: &str, identity: &str, more: &str) -> String {
    format!(
        "version: 1
listeners: [{{ address: \"127.0.0.1:5039\", plaintext: true }}]
upstreams: {{ pbx: {{ address: 127.0.0.1:5038, username: amiwall, secret: {{ file: pbx.secret }} }} }}
audit: {{ directory: audit }}
roles:
  r: {{ {role} }}
{more}identities:
  alice: {{ roles: [r], secret: \"{}\"{identity} }}
",
        super::HASH
    )
}

/// `line:column message` of each warning.
fn told(text: String) -> Vec<String> {
    let config = Folder::new().load(text).expect("a policy");
    config.warnings.iter().map(|one| format!("{}:{} {}", one.line, one.column, one.message)).collect()
}

#[test]
fn a_proxy_that_anybody_can_be_is_named() {
    let told_of = |address: &str, from: &str| {
        let proxied = format!("{address}\", proxy_protocol: {{ from: {from} }}, unsafe_plaintext: true");
        let warnings = told(policy("allow: [Ping]", "", "").replace("127.0.0.1:5039\"", &proxied));
        warnings.into_iter().filter(|warning| warning.contains("may say that")).collect::<Vec<_>>()
    };
    let anybody = "2:66 whoever connects may say that he is at any address";
    assert_eq!(told_of("127.0.0.1:5039", "[\"::/0\"]"), [anybody]);
    assert_eq!(told_of("127.0.0.1:5039", "[10.0.0.5, 0.0.0.0/0]"), [anybody]);
    assert_eq!(
        told_of("0.0.0.0:5039", "[127.0.0.1]"),
        ["2:64 every program on this machine may say that its client is at any address"]
    );
    assert!(told_of("127.0.0.1:5039", "[127.0.0.1]").is_empty() && told_of("0.0.0.0:5039", "[10.0.0.5]").is_empty());
}

const LIMITS: &str = "limits: { Originate: { rate: 10/minute } }";

#[track_caller]
fn check(role: &str, expected: &[&str]) {
    assert_eq!(told(policy(role, "", "")), expected, "{role}");
}

#[test]
fn a_free_originate_is_a_shell() {
    check(
        &format!("allow: [Originate], {LIMITS}"),
        &["6:16 Originate with any parameters is a shell on the PBX: `Application: System` runs programs"],
    );
    check(
        &format!("allow: [{{ Originate: {{ Channel: \"PJSIP/1\", Application: \"*\", Data: x }} }}], {LIMITS}"),
        &["6:64 any application may be run: `System` runs programs, `Dial` calls anywhere"],
    );
    check(
        &format!("allow: [{{ Originate: {{ Channel: [\"PJSIP/*\", \"Local/**\"], Exten: _X. }} }}], {LIMITS}"),
        &["6:52 this lets a `Local/` channel go into any context of the dialplan"],
    );
    check(
        &format!(
            "allow: [{{ Originate: {{ Channel: \"Local/1?@agents\", Exten: 1, \"Variable?\": {{ \"*\": \"1\", \"F(x)\": a }} }} }}], {LIMITS}"
        ),
        &[
            "6:84 any variable may be set: a dialplan trusts its own",
            "6:94 `F(x)` is a dialplan function: what it does happens at once",
        ],
    );
    check(&format!("allow: [{{ Originate: {{ Channel: \"Local/*@agents\", Application: [Wait] }} }}], {LIMITS}"), &[]);
}

#[test]
fn what_is_worst_needs_parameters() {
    check(
        "allow: [GetConfig]",
        &["6:16 GetConfig with any parameters reads any configuration file, with the secrets in it"],
    );
    check(
        "allow: [DBPut, Ping, QueueStatus]",
        &[
            "6:16 DBPut with any parameters writes Asterisk's database: call forwardings to paid numbers, registrations, agents",
        ],
    );
    check(
        "allow: [{ MixMonitor: { Channel: \"PJSIP/*\", Command: \"**\" } }]",
        &["6:61 any program may be run when the recording ends"],
    );
    check(
        "allow: [{ Command: { Command: [core show channels, \"**\"] } }]",
        &["6:59 `**` allows every command of Asterisk's CLI, shutting it down included"],
    );
}

/// What is told of one rule.
fn told_of(rule: &str) -> Vec<String> {
    told(policy(&format!("allow: [{{ {rule} }}], {LIMITS}"), "", ""))
}

#[test]
fn a_pattern_is_judged_by_what_it_matches() {
    let originate = |rest: &str| format!("Originate: {{ {rest}, Priority: \"1\" }}");
    let to = |channel: &str| originate(&format!("Channel: \"{channel}\", Exten: \"100\", Context: x"));
    let runs = |application: &str, data: &str| {
        originate(&format!("Channel: PJSIP/1, Application: \"{application}\", \"Data?\": \"{data}\""))
    };
    let each_warns = [
        to("?ocal/100@*"),
        to("*/*"),
        to("*/1"),
        to("L*/*@*"),
        to("**"),
        to("PJSIP/trunk/**"),
        to("Local/1@*"),
        runs("S*", "a"),
        runs("?ystem", "a"),
        runs("s*", "a"),
        runs("System", "**"),
        runs("MSet", "**"),
        runs("WaitForCondition", "*"),
        runs("Dial", "PJSIP/**"),
        originate("Channel: PJSIP/1, Exten: \"1\", Context: \"*\""),
        originate("Channel: PJSIP/1, Exten: \"**\", Context: x"),
        originate("Channel: PJSIP/1"),
        originate("Channel: PJSIP/1, Exten: 1, Context: x, Variable: { EXEC: \"**\" }"),
        originate("Channel: PJSIP/1, Exten: 1, Context: x, Variable: { \"FILE(/tmp/x)\": \"a\" }"),
        "AGI: { Channel: \"**\", Command: \"**\" }".to_owned(),
        "AGI: { Channel: \"**\", Command: \"EXEC **\" }".to_owned(),
    ];
    for rule in each_warns {
        assert_eq!(told_of(&rule).len(), 1, "{rule}: {:?}", told_of(&rule));
    }
    for rule in [
        "Command: { Command: \"channel **\" }",
        "Command: { Command: \"* **\" }",
        "Command: { Command: \"core * now\" }",
        "Command: { Command: \"module load *\" }",
        "DialplanExtensionAdd: { Context: x, Extension: \"1\", Priority: \"1\", Application: \"S*\", ApplicationData: a }",
        "DialplanExtensionAdd: { Context: x, Extension: \"1\", Priority: \"1\", Application: System, ApplicationData: \"**\" }",
        "QueueAdd: { Queue: s, Interface: \"**\" }",
        "QueueAdd: { Queue: s, Interface: \"Loca?/1@*\" }",
        "Redirect: { Channel: \"**\", Context: \"*\", Exten: \"**\", Priority: \"1\" }",
        "BlindTransfer: { Channel: \"**\", Context: \"**\", Exten: \"1\" }",
        "Atxfer: { Channel: a, Context: a, Exten: _. }",
        "GetConfig: { Filename: \"**\" }",
        "GetConfig: { Filename: \"*.conf\" }",
        "GetConfig: { Filename: \"p*\" }",
        "Getvar: { Variable: \"**\" }",
        "Setvar: { Channel: \"**\", Variable: \"**\", Value: \"**\" }",
        "Setvar: { Variable: \"FILE(/etc/x)\", Value: \"**\" }",
        "ModuleLoad: { LoadType: load, Module: \"**\" }",
        "ModuleLoad: { LoadType: load, Module: \"*.so\" }",
        "DBPut: { Family: \"**\", Key: \"**\", Val: \"**\" }",
        "PJSIPNotify: { URI: \"sip:**\", Option: x }",
        "PJSIPNotify: { Endpoint: \"1\", Variable: \"**\" }",
        "MessageSend: { To: \"sip:*@*\", Body: x }",
        "MessageSend: { Destination: \"**\", Body: x }",
        "ConfbridgeStartRecord: { Conference: \"1\", RecordFile: \"**\" }",
        "Status: { \"Variables\": \"**\" }",
        "MixMonitor: { Channel: \"**\", File: \"**\" }",
        "MixMonitor: { Channel: a, File: \"/tmp/*\" }",
        "Monitor: { Channel: a, File: \"**\" }",
        "CreateConfig: { Filename: \"*\" }",
        "DAHDIDialOffhook: { Number: \"**\" }",
    ] {
        assert_eq!(told_of(rule).len(), 1, "{rule}: {:?}", told_of(rule));
    }
    assert_eq!(
        told_of(&originate("Channel: PJSIP/1, Exten: \"**\", Context: x")),
        ["6:56 any `Exten` may be named: Originate calls any number on the owner's bill"]
    );
    let update = "UpdateConfig: { SrcFilename: \"**\", DstFilename: \"**\", \"Action-#?\": \"**\", \"Cat-#?\": \"**\", \"Var-#?\": \"**\", \"Value-#?\": \"**\" }";
    assert_eq!(told_of(update).len(), 3, "both files, and what is written: {:?}", told_of(update));
    assert_eq!(
        told_of("Redirect: { Channel: \"**\", Context: \"*\", Exten: \"**\", Priority: \"1\" }"),
        [
            "6:54 any `Context`, `Exten` may be named: Redirect sends any call to any extension that the dialplan has, on the owner's bill"
        ]
    );
}

#[test]
fn a_rule_that_says_what_it_means_is_not_told_of() {
    for rule in [
        "Originate: { Channel: [\"PJSIP/*\", \"PJSIP/{identity}\", \"Local/*@agents/n\"], Context: x, Exten: _X., Priority: \"1\", \"Account?\": \"*\", \"CallerID?\": \"**\" }",
        "Originate: { Channel: PJSIP/1, Application: [Playback, MeetMe], Data: \"**\" }",
        "Originate: { Channel: PJSIP/1, Application: Queue, Data: [sales, support] }",
        "Originate: { Channel: PJSIP/1, Context: \"{identity}-*\", Exten: \"100\", Variable: { a: \"*\" } }",
        "Redirect: { Channel: \"**\", Context: x, Exten: _1XX, Priority: \"1\" }",
        "AGI: { Channel: \"**\", Command: \"STREAM FILE hello\" }",
        "Command: { Command: [\"core show **\", \"queue show *\"] }",
        "DBPut: { Family: panel, Key: \"**\", Val: \"*\" }",
        "Getvar: { Channel: \"**\", Variable: [A, \"CHANNEL(state)\"] }",
        "Setvar: { Channel: \"**\", Variable: A, Value: \"**\" }",
        "Setvar: { Variable: \"CHANNEL(language)\", Value: [en, de] }",
        "MixMonitor: { Channel: \"**\", File: \"call-*.wav\" }",
        "GetConfig: { Filename: [queues.conf, \"musiconhold*\"] }",
        "QueueAdd: { Queue: \"*\", Interface: [\"PJSIP/2???\", \"Local/2???@q\"], \"MemberName?\": \"**\" }",
        "Status: { \"Channel?\": \"**\" }",
        "MessageSend: { To: \"pjsip:1??\", From: \"*\", Body: \"**\" }",
        "Reload: { Module: [app_queue] }",
    ] {
        assert_eq!(told_of(rule), [""; 0], "{rule}");
    }
}

#[test]
fn a_site_s_own_actions_are_looked_at_too() {
    let own = "actions: { UcmDial: [Channel, { Number: dialable }], Say: [{ What: data }], Look: [Node] }\n";
    let told = |role: &str| told(policy(role, "", own)).len();
    assert_eq!(told("allow: [UcmDial, Say, Look]"), 2);
    assert_eq!(told("allow: [UcmDial: { Number: \"**\" }, Say: { What: \"*\" }, Look: { Node: \"**\" }]"), 2);
    assert_eq!(told("allow: [UcmDial: { Number: _1XX, Channel: \"**\" }, Say: { What: hello }]"), 0);
}

#[test]
fn ids_of_calls_are_looked_at_where_calls_are_followed() {
    let role = |id: &str, more: &str| {
        format!("allow: [{{ Originate: {{ Channel: PJSIP/1, Exten: 1, \"ChannelId?\": \"{id}\" }} }}], {LIMITS}{more}")
    };
    let scope = ", events: { allow: [call], where: { Context: \"t1-*\" } }";
    check(&role("**", ""), &[]);
    check(&role("{identity}-*", scope), &[]);
    check(
        &role("*.*", scope),
        &["6:73 a call may be given the id of another call here, which `events.where` of a role follows"],
    );
}

#[test]
fn calls_need_a_limit() {
    let allow = "allow: [{ Originate: { Channel: PJSIP/1, Exten: 1 } }]";
    check(allow, &["6:18 nothing limits how often this Originate may be done"]);
    check(&format!("{allow}, limits: {{ \"*\": {{ rate: 10/minute }} }}"), &[]);
    let shared = "limits: { actions: { Originate: { rate: 10/minute } } }\n";
    assert_eq!(told(policy(allow, "", shared)), [""; 0]);
}

#[test]
fn a_deny_of_numbers_has_a_way_round_it() {
    let role = |channel: &str, deny: &str| {
        format!("allow: [{{ Originate: {{ Channel: \"{channel}\", Exten: _X. }} }}], deny: [{deny}], {LIMITS}")
    };
    check(&role("Local/*@x", "{ Originate: { Exten: _1900. } }"), &[]);
    check(&role("*", "{ Originate: { Exten: _1900. } }"), &[]);
    let told = told(policy(&role("**", "{ Originate: { Exten: _1900. } }"), "", ""));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].ends_with("a `Local/` channel dials the number itself, past this deny"), "{told:?}");
    let closed = role("**", "{ Originate: { Exten: _1900. } }, { Originate: { Channel: \"Local/*\" } }");
    check(&closed, &["6:40 this lets a `Local/` channel go into any context of the dialplan"]);
}

#[test]
fn roles_and_identities_are_looked_at_together() {
    check("allow: [Ping, QueueStatus], deny: [Ping]", &["6:16 `alice` never gets this: a deny wins"]);
    assert_eq!(told(policy("allow: [Ping]", "", "  other: { allow: [Ping] }\n")), ["7:3 nobody has the role `other`"]);
    assert_eq!(
        told(policy("allow: [Ping]", ", mode: shadow", "")).last().map(String::as_str),
        Some("8:139 `alice` is in shadow mode without an end")
    );
    assert_eq!(told(policy("allow: [Ping]", ", mode: shadow, valid: { until: 2030-01-01 }", "")), [""; 0]);
    let open =
        |identity: &str| {
            told(policy("allow: [Ping]", identity, "").replace(
                "127.0.0.1:5039\", plaintext: true",
                "0.0.0.0:5039\", plaintext: true, unsafe_plaintext: true",
            ))
        };
    assert_eq!(open("").last().map(String::as_str), Some("8:3 `alice` may log in from any address"));
    assert_eq!(open(", networks: [10.0.0.0/8]").len(), 1, "only that it is plain text");
}

#[test]
fn a_typing_error_in_events_is_told() {
    check(
        "events: { allow: [OriginateRespons, Call, call, Hangup, MyModulesEvent] }, allow: [Ping]",
        &["6:26 Asterisk has no event `OriginateRespons`", "6:44 Asterisk has no event `Call`"],
    );
    check(
        "events: { allow: [call], mask: { CalerIDNum: last4, CallerIDNum: last4, \"*PIN*\": hide, X-Own: hide } }, allow: [Ping]",
        &["6:41 `CalerIDNum` is like the name of a header, and is none of those that are known"],
    );
}

#[test]
fn a_typing_error_in_where_is_told() {
    let role = |header: &str| format!("allow: [Ping], events: {{ allow: [call], where: {{ {header}: x }} }}");
    for header in ["Channel", "channel", "DestChannel", "SpyerChannel", "Context", "Queue", "X-Own", "Tenant"] {
        check(&role(header), &[]);
    }
    check(&role("Chanel"), &["6:57 no event of Asterisk has a header `Chanel`: nothing would be shown"]);
    check(&role("Contxt"), &["6:57 no event of Asterisk has a header `Contxt`: nothing would be shown"]);
    check(&role("Queues"), &["6:57 no event of Asterisk has a header `Queues`: nothing would be shown"]);
    let config = Folder::new().load(policy(&role("Chanel"), "", "")).expect("a policy");
    assert!(config.warnings.to_string().contains("did you mean `Channel`?"), "{}", config.warnings);
}

#[test]
fn a_local_channel_that_there_is_never_is_told() {
    let role = |header: &str| format!("allow: [Ping], events: {{ allow: [call], where: {{ {header} }} }}");
    const NEVER: &str = "no channel is called `Local/1000@ctx-*`: the name of a `Local/` channel ends in `;1` or `;2`";
    check(&role("Channel: \"Local/1000@ctx-*\""), &[&format!("6:66 {NEVER}")]);
    check(&role("DestChannel: [\"PJSIP/1-*\", \"Local/1000@ctx-*\"]"), &[&format!("6:84 {NEVER}")]);
    for silent in ["Local/1000@ctx-*;?", "Local/1000@ctx-*;1", "Local/1000@**", "PJSIP/1000-*"] {
        check(&role(&format!("Channel: \"{silent}\"")), &[]);
    }
    // What is dialled has no such end.
    check(&role("Interface: \"Local/1000@ctx\""), &[]);
}

#[test]
fn a_deny_that_can_never_fire_is_told() {
    const NEVER: &str = "this deny can never fire";
    let role = |allow: &str, deny: &str| format!("deny: [{deny}], allow: [{allow}], {LIMITS}");
    let originate = |channel: &str, exten: &str| format!("{{ Originate: {{ Channel: {channel}, Exten: {exten} }} }}");
    let denied = |what: &str| format!("{{ Originate: {{ {what} }} }}");
    let is_told = |allow: &str, deny: &str| told(policy(&role(allow, deny), "", "")) == [format!("6:17 {NEVER}")];
    let is_silent = |allow: &str, deny: &str| told(policy(&role(allow, deny), "", "")).is_empty();
    let number = originate("PJSIP/1", "_0XXXXXXXXX");
    for what in
        ["Exten: _1XXX", "Exten: \"911\"", "Exten: _0XXXXXXXXXX.", "Exten: _00XXX", "Channel: \"SIP/*\"", "Data: x"]
    {
        assert!(is_told(&number, &denied(what)), "{what}");
    }
    assert!(is_told("Ping", "{ Hangup: { Channel: \"PJSIP/1\" } }"));
    assert!(is_told(&originate("\"PJSIP/2*\"", "_0XXX"), &denied("Channel: \"PJSIP/1*\"")));
    for what in
        ["Exten: _09.", "Exten: _XXXXX!", "Exten: \"0123456789\"", "Exten: [_1XXX, _0.]", "Channel: \"pjsip/*\""]
    {
        assert!(is_silent(&number, &denied(what)), "{what}");
    }
    // In another spelling, or by a value that an allow leaves open, it may.
    assert!(is_silent(
        "{ Originate: { Channel: \"Local/?11@x\", Exten: _0X } }",
        &denied("Channel: \"Local/911@x/n\"")
    ));
    assert!(is_silent("{ Originate: { Channel: \"PJSIP/1\", Exten: [_0X, \"0-1\"] } }", &denied("Exten: \"01\"")));
    assert!(is_silent("{ Hangup: { Channel: \"PJSIP/1-*\" } }", "{ Hangup: { Channel: \"SIP/*\" } }"));
    assert!(is_silent("{ Redirect: { Channel: a, ExtraChannel: b } }", "{ Redirect: { Channel: b } }"));
    // amiwall answers it itself, without a rule.
    assert!(is_silent("Ping", "Events"));
    // In shadow mode it stops what no rule allows.
    let shadow = ", mode: shadow, valid: { until: 2030-01-01 }";
    assert_eq!(told(policy(&role("Ping", "{ Hangup: { Channel: x } }"), shadow, "")), [""; 0]);
    // One of two who have it is enough.
    let two = "identities:\n  bob: { roles: [r, calls], secret: \"$HASH\" }\n".replace("$HASH", super::HASH);
    let text = policy(&role("Ping", "Hangup"), "", "  calls: { allow: [Hangup] }\n").replace("identities:\n", &two);
    let told = told(text);
    assert!(!told.iter().any(|one| one.ends_with(NEVER)), "{told:?}");
    let config = Folder::new().load(policy(&role(&number, &denied("Exten: _1XXX")), "", "")).expect("a policy");
    let help = "a typo? no `allow` of who has this role lets Originate through with such a `Exten`";
    assert!(config.warnings.to_string().contains(help), "{}", config.warnings);
}
