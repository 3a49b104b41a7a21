//! Actions that are done when they are answered, and what is answered to those that are only pretended.

use super::answer::Answer;
use super::commands::{self, Entry};
use super::quirks::Request;
use super::world::{World, unix_time};
use super::{console, control, lists, variables};
use crate::ami::EventMask;

/// What Asterisk says to some actions that the simulated one takes note of and does not do.
const PRETENDED: [(&str, &str); 9] = [
    ("AbsoluteTimeout", "Timeout Set"),
    ("Filter", "Success"),
    ("ModuleLoad", "Module loaded."),
    ("PlayDTMF", "DTMF successfully queued"),
    ("QueueAdd", "Added interface to queue"),
    ("QueuePause", "Interface paused successfully"),
    ("QueueRemove", "Removed interface from queue"),
    ("Reload", "Module Reloaded"),
    ("SendText", "Success"),
];
/// And to all others.
const SIMULATED: &str = "Simulated";

/// Executes an action of the table and returns all packets that answer it.
pub(super) fn execute(world: &World, entry: Entry, request: &Request, write: EventMask) -> Vec<u8> {
    match entry.name {
        "Command" => console::command(world, request),
        "CoreSettings" => core_settings(world, request),
        "CoreShowChannels" => lists::core_show_channels(world, request),
        "CoreStatus" => core_status(world, request),
        "DBDel" => either(variables::db_del(world, request)),
        "DBDelTree" => either(variables::db_del_tree(world, request)),
        "DBGet" => either(variables::db_get(world, request)),
        "DBGetTree" => variables::db_get_tree(world, request),
        "DBPut" => either(variables::db_put(world, request)),
        "Getvar" => variables::get(world, request, write),
        "Hangup" => control::hangup(world, request),
        "ListCommands" => list_commands(request, write),
        "Ping" => ping(request),
        "QueueStatus" => lists::queue_status(world, request),
        "QueueSummary" => lists::queue_summary(world, request),
        "Redirect" => control::redirect(world, request),
        "Setvar" => variables::set(world, request),
        "Status" => lists::status(world, request),
        "UserEvent" => user_event(world, request),
        name => {
            let said = PRETENDED.iter().find(|(pretended, _)| *pretended == name).map(|(_, message)| *message);
            Answer::ack(request, said.unwrap_or(SIMULATED))
        }
    }
}

fn either(answer: Result<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    answer.unwrap_or_else(|error| error)
}

/// `action_ping`.
fn ping(request: &Request) -> Vec<u8> {
    let (seconds, micros) = unix_time();
    let timestamp = format!("{seconds}.{micros:06}");
    Answer::success(request).header("Ping", "Pong").header("Timestamp", timestamp).end()
}

/// `action_listcommands`: those that the user may run.
fn list_commands(request: &Request, write: EventMask) -> Vec<u8> {
    let allowed = commands::all().filter(|entry| entry.is_allowed(write));
    let answer = allowed.fold(Answer::success(request), |answer, entry| {
        answer.header(entry.name, format!("Simulated.  (Priv: {})", entry.privilege()))
    });
    answer.end()
}

/// `action_userevent`: every line is copied as it is, but those of the names Action and UserEvent.
fn user_event(world: &World, request: &Request) -> Vec<u8> {
    let privilege = "user,all";
    let mut event = world.event("UserEvent", privilege).header("UserEvent", request.get("UserEvent"));
    for line in request.lines() {
        let begins_with = |name: &[u8]| line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
        if !begins_with(b"Action:") && !begins_with(b"UserEvent:") {
            event = event.line(line);
        }
    }
    world.publish(privilege, event);
    Answer::ack(request, "Event Sent")
}

/// `action_corestatus`.
fn core_status(world: &World, request: &Request) -> Vec<u8> {
    let started = world.started_at.to_string();
    let (date, time) = started.split_once('T').unwrap_or((&started, ""));
    let time = time.get(..8).unwrap_or(time);
    let (calls, processed) = world.with_switch(|switch| (switch.calls(), switch.processed_calls));
    Answer::success(request)
        .headers([("CoreStartupDate", date), ("CoreStartupTime", time)])
        .headers([("CoreReloadDate", date), ("CoreReloadTime", time)])
        .header("CoreCurrentCalls", calls.to_string())
        .header("CoreProcessedCalls", processed.to_string())
        .end()
}

/// `action_coresettings`.
fn core_settings(world: &World, request: &Request) -> Vec<u8> {
    let version = world.config.banner.rsplit('/').next().unwrap_or_default();
    Answer::success(request)
        .headers([("AMIversion", version), ("AsteriskVersion", console::VERSION)])
        .header("SystemName", world.config.system_name.as_deref().unwrap_or_default())
        .headers([("CoreMaxCalls", "0"), ("CoreMaxLoadAvg", "0.000000"), ("CoreRunUser", ""), ("CoreRunGroup", "")])
        .headers([("CoreMaxFilehandles", "0"), ("CoreRealTimeEnabled", "No"), ("CoreCDRenabled", "Yes")])
        .headers([("CoreHTTPenabled", "No"), ("SoundsSearchCustomDir", "No")])
        .end()
}
