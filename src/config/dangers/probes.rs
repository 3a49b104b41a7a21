//! What a pattern is asked for, to see what it amounts to: a rule is judged by what it lets pass, not by its spelling.

/// Applications that run programs, call or jump anywhere, or change what others trust.
pub(super) const APPLICATIONS: &str = "System TrySystem Exec TryExec ExecIf AGI EAGI DeadAGI FastAGI AsyncAGI ExternalIVR Set MSet \
    Gosub GosubIf Goto GotoIf GotoIfTime Macro MacroIf Dial RetryDial Page FollowMe Queue DISA Originate ChannelRedirect \
    WaitForCondition While ChanSpy ExtenSpy MixMonitor Monitor Record Dictate Stasis AudioSocket SendFAX ReceiveFAX \
    MessageSend JabberSend SMS ConfBridge MinivmNotify DBdel DBdeltree Transfer Bridge BridgeAdd SoftHangup Log";

/// Commands of the CLI that nobody wants to allow by a wildcard.
pub(super) const COMMANDS: [&str; 27] = [
    "core stop now",
    "core restart now",
    "core reload",
    "core set verbose 9",
    "channel originate PJSIP/1 application System x",
    "channel redirect PJSIP/1-1 a,1,1",
    "channel request hangup all",
    "module load x",
    "module unload x",
    "module reload x",
    "dialplan add extension 1,1,System,x into y",
    "dialplan reload",
    "dialplan remove context x",
    "dialplan set global a b",
    "config reload x",
    "database put a b c",
    "database deltree a",
    "manager show user x",
    "manager reload",
    "agi exec PJSIP/1-1 x",
    "mixmonitor start PJSIP/1-1 x",
    "file convert a b",
    "logger add channel x",
    "pjsip send notify x endpoint y",
    "pjsip show auth x",
    "sip notify x y",
    "queue add member Local/1@a to b",
];

/// Files that hold secrets or programs to run.
pub(super) const FILES: [&str; 8] = [
    "manager.conf",
    "extensions.conf",
    "extensions.ael",
    "pjsip.conf",
    "sip.conf",
    "voicemail.conf",
    "modules.conf",
    "asterisk.conf",
];

/// Places outside of the folder of recordings.
pub(super) const PATHS: [&str; 5] =
    ["/etc/asterisk/a.conf", "/tmp/a.wav", "../a.wav", "/var/lib/asterisk/agi-bin/a.wav", "/etc/a"];

/// What AGI is told to do.
pub(super) const AGI: [&str; 5] =
    ["EXEC System x", "exec System x", "EXEC Dial PJSIP/1", "SET VARIABLE a b", "SET CONTEXT a"];

/// Texts that have nothing in common: what lets all of them pass is free.
pub(super) const UNLIKE: [&str; 3] = ["a", "zz9-x", "Default"];
/// The same for what is dialled.
pub(super) const UNLIKE_DIALLED: [&str; 3] = ["5", "0049301234567", "*98"];
/// The same for addresses of messages.
pub(super) const UNLIKE_ADDRESSES: [&str; 2] = ["sip:1@a.example", "sip:zz9@b.test"];
/// The same for modules.
pub(super) const UNLIKE_MODULES: [&str; 2] = ["app_a.so", "zz9.so"];

/// What of an action decides what it amounts to. Where any of these is free, the rule is as good as a bare one.
pub(super) const DECISIVE: [(&str, &[&str]); 31] = [
    ("AGI", &["Command"]),
    ("Atxfer", &["Context", "Exten"]),
    ("BlindTransfer", &["Context", "Exten"]),
    ("ChangeMonitor", &["File"]),
    ("Command", &["Command"]),
    ("ConfbridgeStartRecord", &["RecordFile"]),
    ("CreateConfig", &["Filename"]),
    ("DAHDIDialOffhook", &["Number"]),
    ("DBGet", &["Family"]),
    ("DBGetTree", &["Family"]),
    ("DBPut", &["Family"]),
    ("DialplanExtensionAdd", &["Context", "Application"]),
    ("DialplanExtensionRemove", &["Context"]),
    ("GetConfig", &["Filename"]),
    ("GetConfigJSON", &["Filename"]),
    ("Getvar", &["Variable"]),
    ("ListCategories", &["Filename"]),
    ("MessageSend", &["To", "Destination", "Variable"]),
    ("MixMonitor", &["File", "Command"]),
    ("ModuleLoad", &["Module"]),
    ("Monitor", &["File"]),
    ("Originate", &["Channel", "Context", "Exten", "Application", "Variable", "PreDialGoSub"]),
    ("PJSIPNotify", &["URI", "Option", "Variable"]),
    ("PRIDebugFileSet", &["File"]),
    ("QueueAdd", &["Interface"]),
    ("Redirect", &["Context", "ExtraContext", "Exten", "ExtraExten"]),
    ("Reload", &["Module"]),
    ("SIPnotify", &["Variable"]),
    ("Setvar", &["Variable"]),
    ("Status", &["Variables"]),
    ("UpdateConfig", &["SrcFilename", "DstFilename", "Var-#"]),
];
#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{self, Danger};

    #[test]
    fn every_action_that_is_dangerous_has_what_decides() {
        let of_table = |name: &str| DECISIVE.iter().find(|(action, _)| *action == name).map(|(_, params)| *params);
        for entry in catalogue::actions() {
            let is_worst = matches!(entry.danger, Some(Danger::CodeExec | Danger::ConfigWrite | Danger::Cost));
            let decisive = of_table(entry.name);
            assert!(!is_worst || decisive.is_some(), "{}", entry.name);
            for name in decisive.unwrap_or_default() {
                assert!(entry.params.iter().any(|param| param.name == *name), "{} {name}", entry.name);
            }
        }
    }
}
