//! Actions that answer with a list: `CoreShowChannels`, `Status`, `QueueStatus`, `QueueSummary`.

use super::SimQueue;
use super::answer::Answer;
use super::quirks::Request;
use super::switch::Channel;
use super::variables;
use super::world::World;

/// `action_coreshowchannels`.
pub(super) fn core_show_channels(world: &World, request: &Request) -> Vec<u8> {
    let channels = world.with_switch(|switch| switch.channels.clone());
    let mut bytes = Answer::list_start(request, "Channels will follow");
    for channel in &channels {
        let item = channel
            .write(Answer::event("CoreShowChannel").id(request), "")
            .header("Application", &channel.application)
            .header("ApplicationData", &channel.data)
            .header("Duration", channel.duration())
            .header("BridgeId", "");
        bytes.extend(item.end());
    }
    bytes.extend(Answer::list_complete(request, "CoreShowChannelsComplete", channels.len()).end());
    bytes
}

/// `action_status`, of one channel or all.
pub(super) fn status(world: &World, request: &Request) -> Vec<u8> {
    let name = request.get("Channel");
    let channels = world.with_switch(|switch| {
        if name.is_empty() { switch.channels.clone() } else { switch.find(name).cloned().into_iter().collect() }
    });
    if channels.is_empty() && !name.is_empty() {
        return Answer::error(request, "No such channel");
    }
    let mut bytes = Answer::list_start(request, "Channel status will follow");
    for channel in &channels {
        bytes.extend(status_item(world, request, channel));
    }
    let complete = Answer::list_complete(request, "StatusComplete", channels.len());
    bytes.extend(complete.header("Items", channels.len().to_string()).end());
    bytes
}

fn status_item(world: &World, request: &Request, channel: &Channel) -> Vec<u8> {
    let technology = channel.name.split(|&b| b == b'/').next().unwrap_or_default();
    let mut item = channel
        .write(Answer::event("Status").header("Privilege", "Call"), "")
        .header("Type", technology)
        .header("DNID", "")
        .header("EffectiveConnectedLineNum", channel.connected.shown_number())
        .header("EffectiveConnectedLineName", channel.connected.shown_name())
        .headers([("TimeToHangup", "0"), ("BridgeID", "")])
        .header("Application", &channel.application)
        .header("Data", &channel.data)
        .headers([("Nativeformats", "(slin)"), ("Readformat", "slin"), ("Readtrans", "")])
        .headers([("Writeformat", "slin"), ("Writetrans", ""), ("Callgroup", "0"), ("Pickupgroup", "0")])
        .header("Seconds", channel.created.elapsed().as_secs().to_string());
    for name in request.get("Variables").split(|&b| b == b',').filter(|name| !name.is_empty()) {
        let value = world.with_switch(|switch| variables::value_of(switch, Some(channel), name));
        item = item.header("Variable", [name, b"=", &value].concat());
    }
    item.id(request).end()
}

/// The queues that the request's `Queue` names; all without it.
fn queues<'w>(world: &'w World, request: &Request) -> impl Iterator<Item = &'w SimQueue> {
    let wanted = request.get("Queue").to_vec();
    let is_wanted = move |queue: &&SimQueue| wanted.is_empty() || queue.name.as_bytes().eq_ignore_ascii_case(&wanted);
    world.config.queues.iter().filter(is_wanted)
}

/// `manager_queues_status`.
pub(super) fn queue_status(world: &World, request: &Request) -> Vec<u8> {
    let member = request.get("Member");
    let login_time = world.started_at.as_second().to_string();
    let mut bytes = Answer::list_start(request, "Queue status will follow");
    let mut items = 0;
    for queue in queues(world, request) {
        let params = Answer::event("QueueParams")
            .headers([("Queue", queue.name.as_str()), ("Max", "0"), ("Strategy", &queue.strategy), ("Calls", "0")])
            .headers([("Holdtime", "0"), ("TalkTime", "0"), ("Completed", "0"), ("Abandoned", "0")])
            .headers([("ServiceLevel", "0"), ("ServicelevelPerf", "0.0"), ("ServicelevelPerf2", "0.0")])
            .header("Weight", "0");
        bytes.extend(params.id(request).end());
        items += 1;
        for found in queue.members.iter().filter(|m| member.is_empty() || m.location.as_bytes() == member) {
            let (name, location) = (found.name.as_str(), found.location.as_str());
            let item = Answer::event("QueueMember")
                .headers([("Queue", queue.name.as_str()), ("Name", name), ("Location", location)])
                .headers([("StateInterface", location), ("Membership", "static")])
                .header("Penalty", found.penalty.to_string())
                .headers([("CallsTaken", "0"), ("LastCall", "0"), ("LastPause", "0")])
                .header("LoginTime", &login_time)
                .headers([("InCall", "0"), ("Status", "1"), ("Paused", "0"), ("PausedReason", "")])
                .header("Wrapuptime", "0");
            bytes.extend(item.id(request).end());
            items += 1;
        }
    }
    bytes.extend(Answer::list_complete(request, "QueueStatusComplete", items).end());
    bytes
}

/// `manager_queues_summary`.
pub(super) fn queue_summary(world: &World, request: &Request) -> Vec<u8> {
    let mut bytes = Answer::list_start(request, "Queue summary will follow");
    let mut items = 0;
    for queue in queues(world, request) {
        let members = queue.members.len().to_string();
        let item = Answer::event("QueueSummary")
            .headers([("Queue", queue.name.as_str()), ("LoggedIn", &members), ("Available", &members)])
            .headers([("Callers", "0"), ("HoldTime", "0"), ("TalkTime", "0"), ("LongestHoldTime", "0")]);
        bytes.extend(item.id(request).end());
        items += 1;
    }
    bytes.extend(Answer::list_complete(request, "QueueSummaryComplete", items).end());
    bytes
}
