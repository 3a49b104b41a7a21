//! What somebody who may run an action can do with it, in a sentence for the person who has to allow it.

use super::{ActionEntry, Danger};

/// By the action's name. What is not here has the sentence of its kind of danger.
const SENTENCES: [(&str, &str); 51] = [
    ("AGI", "runs programs on the PBX, in a channel that has asked for it"),
    ("Atxfer", "sends a call to any number that the dialplan reaches, on the owner's bill"),
    ("BlindTransfer", "sends a call to any number that the dialplan reaches, on the owner's bill"),
    ("Bridge", "joins any two calls: a third party can be put into a conversation"),
    ("BridgeDestroy", "ends every call of a bridge; Asterisk lets any account do it"),
    ("BridgeKick", "throws somebody out of a call; Asterisk lets any account do it"),
    ("BridgeTechnologySuspend", "stops new calls from being joined at all; Asterisk lets any account do it"),
    ("BridgeTechnologyUnsuspend", "takes back what was suspended; Asterisk lets any account do it"),
    ("ChangeMonitor", "writes a recording to a file of the caller's choice"),
    ("Command", "does whatever Asterisk's CLI can do, shutting it down and running programs included"),
    ("ConfbridgeStartRecord", "writes files of the caller's choice, and with them can run programs"),
    ("CreateConfig", "makes files among Asterisk's configuration"),
    ("DAHDIDNDoff", "changes whether a line rings; Asterisk lets any account do it"),
    ("DAHDIDNDon", "keeps a line from ringing; Asterisk lets any account do it"),
    ("DAHDIDialOffhook", "dials any number on a line that is off hook; Asterisk lets any account do it"),
    ("DAHDIHangup", "ends the call of a line; Asterisk lets any account do it"),
    ("DAHDIRestart", "ends all calls of the DAHDI lines; Asterisk lets any account do it"),
    ("DAHDITransfer", "hangs up or flashes a line; Asterisk lets any account do it"),
    ("DBDel", "removes entries of Asterisk's database: forwardings, registrations, agents"),
    ("DBDelTree", "removes whole families of Asterisk's database: forwardings, registrations, agents"),
    ("DBGet", "reads Asterisk's database, which may hold numbers and secrets"),
    ("DBGetTree", "reads Asterisk's database, which may hold numbers and secrets"),
    ("DBPut", "writes Asterisk's database: call forwardings to paid numbers, registrations, agents"),
    ("DialplanExtensionAdd", "puts any code into the dialplan, running programs included"),
    ("DialplanExtensionRemove", "takes extensions out of the dialplan"),
    ("GetConfig", "reads any configuration file, with the secrets in it"),
    ("GetConfigJSON", "reads any configuration file, with the secrets in it"),
    ("Getvar", "reads variables of calls and, through functions, files and the database"),
    ("Hangup", "ends any call, and by a pattern all of them"),
    ("ListCategories", "tells what configuration files hold"),
    ("LoggerRotate", "rotates the logs: what is looked for may be gone"),
    ("MessageSend", "sends messages in any name to anybody, on the owner's bill"),
    ("MixMonitor", "records calls to files of the caller's choice and runs a program afterwards"),
    ("ModuleLoad", "loads and unloads Asterisk's modules, and with them code"),
    ("Monitor", "records calls to files of the caller's choice"),
    ("Originate", "calls any number on the owner's bill, and with `Application: System` runs programs"),
    ("PJSIPNotify", "sends SIP messages of any content to phones, which may configure themselves by them"),
    ("PRIDebugFileSet", "writes a file of the caller's choice; what it logs may hold numbers"),
    ("PRIDebugFileUnset", "ends the logging of a span; Asterisk lets any account do it"),
    ("PRIDebugSet", "changes the logging of a span; Asterisk lets any account do it"),
    ("QueueAdd", "adds any destination to a queue: its calls can be sent to paid numbers"),
    ("QueueChangePriorityCaller", "moves callers in a queue; Asterisk lets any account do it"),
    ("QueueReload", "reads the queues' configuration again; Asterisk lets any account do it"),
    ("QueueReset", "sets a queue's statistics to zero; Asterisk lets any account do it"),
    ("QueueWithdrawCaller", "throws callers out of a queue; Asterisk lets any account do it"),
    ("Redirect", "sends any call to any extension that the dialplan has, on the owner's bill"),
    ("Reload", "makes Asterisk read its configuration again: what was put there takes effect"),
    ("SIPnotify", "sends SIP messages of any content to phones, which may configure themselves by them"),
    ("Setvar", "sets variables of calls and, through functions, much of Asterisk and its machine"),
    ("Status", "tells of every call who speaks with whom, and with functions more"),
    ("UpdateConfig", "writes any configuration file: dialplan, accounts, programs to run"),
];

impl ActionEntry {
    /// What can be done with it that its author may not think of; none where there is nothing to say.
    #[must_use]
    pub fn sentence(&self) -> Option<&'static str> {
        let own = SENTENCES.iter().find(|(name, _)| *name == self.name).map(|(_, sentence)| *sentence);
        own.or_else(|| {
            self.danger.map(|danger| match danger {
                Danger::CodeExec => "can run code on the PBX, or configure something that does",
                Danger::Cost => "can cause calls or messages that somebody pays for",
                Danger::ConfigWrite => "changes configuration, files or the database",
                Danger::InfoLeak => "shows what not everybody may see",
                Danger::StateChange => "changes calls, queues or other state",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{action, actions};

    #[test]
    fn the_sentences_are_of_actions_that_there_are_and_stand_in_order() {
        assert!(SENTENCES.is_sorted());
        for (name, _) in SENTENCES {
            assert_eq!(action(&name.to_ascii_lowercase()).map(|entry| entry.name), Some(name));
        }
    }

    #[test]
    fn what_is_worst_and_what_any_account_may_do_has_a_sentence_of_its_own() {
        for entry in actions() {
            let is_worst = matches!(entry.danger, Some(Danger::CodeExec | Danger::ConfigWrite | Danger::Cost));
            let is_for_all = entry.classes.is_empty() && entry.danger == Some(Danger::StateChange);
            let has_own = SENTENCES.iter().any(|(name, _)| *name == entry.name);
            assert!(has_own || !(is_worst || is_for_all), "{}", entry.name);
            assert_eq!(entry.sentence().is_some(), entry.danger.is_some() || has_own, "{}", entry.name);
        }
    }
}
