"""Cases: calls over Local channels, their events, and actions on channels that live."""

from ami import header, packet
from harness import case


def originate(action_id, exten, *headers, context="test", run_async=True):
    """The packet of an Originate of Local/<exten>@<context>."""
    return packet("Action: Originate", f"ActionID: {action_id}", f"Channel: Local/{exten}@{context}",
                  *headers, *(["Async: true"] if run_async else []))


def hangups(count):
    """A condition that holds once that many channels have hung up and OriginateResponse has come."""
    seen = {"Hangup": 0, "OriginateResponse": 0}

    def condition(text):
        name = header(text, "Event")
        if name in seen:
            seen[name] += 1
        return seen["Hangup"] >= count and seen["OriginateResponse"] >= 1

    return condition


WAIT = ("Application: Wait", "Data: 1")


def life(name, exten, headers, channels=2, events="call", **flags):
    """An async Originate and all of its events until its channels have hung up."""

    @case(name, **flags)
    def _(run):
        s = run.login(events=events)
        s.send(originate("o1", exten, *headers))
        s.read_until(hangups(channels), f"OriginateResponse and {channels} Hangup")
        run.quiet()
        s.barrier()


life("call-async-application", "1000", WAIT)
life("call-async-extension", "1000", ("Context: click-to-dial", "Exten: 2125551234", "Priority: 1"))
life("call-async-with-everything", "1000", (*WAIT, "CallerID: Comply <100>", "Account: acc", "Timeout: 9000",
     "Variable: WAIT=1,FIRST=1", "Variable: SECOND=two words", "EarlyMedia: false", "Codecs: ulaw"))
life("call-async-dialplan-events", "1000", WAIT, events="call,dialplan")
life("call-busy", "1005", WAIT)
life("call-to-no-extension", "9999", WAIT)
life("call-dials-another", "1008", WAIT, channels=4)


@case("call-channel-event-log", keep=["CEL"])
def _(run):
    s = run.login(events="call")
    s.send(originate("o1", "1000", *WAIT))
    s.events_until(lambda text: header(text, "EventName") == "LINKEDID_END", "CEL LINKEDID_END")
    run.quiet()
    s.barrier()


@case("call-detail-record", keep=["Cdr"])
def _(run):
    s = run.login(events="cdr")
    s.send(originate("o1", "1000", *WAIT))
    for _half in range(2):
        s.events_until(lambda text: header(text, "Event") == "Cdr", "Cdr")


@case("call-user-event-of-the-dialplan")
def _(run):
    s = run.login(events="user")
    s.send(originate("o1", "1006", *WAIT))
    s.events_until(lambda text: header(text, "UserEvent") == "LabEvent", "LabEvent")
    run.quiet()
    s.barrier()


@case("call-sync")
def _(run):
    s = run.login()
    s.send(originate("o1", "1000", "Application: NoOp", run_async=False))
    s.answer("o1")
    s.barrier()


@case("call-sync-what-is-behind-it-waits")
def _(run):
    s = run.login()
    s.send(originate("o1", "1000", "Application: NoOp", run_async=False) + packet("Action: Ping", "ActionID: behind"))
    s.answer("behind")


@case("call-sync-fails")
def _(run):
    s = run.login()
    s.send(originate("o1", "9999", *WAIT, run_async=False))
    s.answer("o1")
    s.barrier()


@case("call-sync-times-out")
def _(run):
    s = run.login()
    s.send(originate("o1", "1004", *WAIT, "Timeout: 500", run_async=False))
    s.answer("o1")
    s.barrier()


@case("call-without-action-id")
def _(run):
    s = run.login(events="call")
    s.send(packet("Action: Originate", "Channel: Local/1000@test", "Async: true", *WAIT))
    s.read_until(hangups(2), "OriginateResponse and 2 Hangup")


@case("call-seen-by-another-session")
def _(run):
    watcher, s = run.login("watcher", "call"), run.login()
    s.send(originate("mine", "1000", *WAIT))
    s.answer("mine")
    watcher.read_until(hangups(2), "OriginateResponse and 2 Hangup")
    s.barrier()


@case("calls-of-two-sessions-with-one-id")
def _(run):
    a, b = run.login("a", "call"), run.login("b", "call")
    a.send(originate("same", "1000", *WAIT))
    a.answer("same")
    a.read_until(hangups(2), "the first call")
    b.read_until(hangups(2), "the first call")
    b.send(originate("same", "1001", *WAIT))
    b.answer("same")
    b.read_until(hangups(2), "the second call")
    a.read_until(hangups(2), "the second call")


def talking(s, exten="1001", action_id="o1"):
    """Starts a call that lasts and returns the name of the channel on the caller's side, once it is up."""
    s.send(originate(action_id, exten, "Application: Wait", "Data: 20"))
    packets = s.events_until(lambda text: header(text, "Event") == "OriginateResponse", "OriginateResponse")
    return header(packets[-1], "Channel") if packets else None


def until_gone(s, count=2):
    """Reads up to the Hangup of that many channels."""
    seen = []
    s.events_until(lambda text: header(text, "Event") == "Hangup" and (seen.append(1) or len(seen) >= count),
                   f"{count} Hangup")


@case("channel-lists-of-a-call")
def _(run):
    s, asks = run.login("s", "call"), run.login("asks")
    channel = talking(s)
    asks.action("Action: Status", f"Channel: {channel}", "ActionID: 1")
    asks.listing("1")
    asks.action("Action: Status", f"Channel: {channel}", "Variables: LABGLOBAL", "ActionID: 2")
    asks.listing("2")
    asks.action("Action: Hangup", f"Channel: {channel}", "Cause: 16", "ActionID: 3")
    asks.answer("3")
    until_gone(s)


@case("channel-getvar-setvar")
def _(run):
    s = run.login("s", "call")
    channel = talking(s)
    s.action("Action: Setvar", f"Channel: {channel}", "Variable: MINE", "Value: a, b: c", "ActionID: 1")
    s.answer("1")
    s.action("Action: Getvar", f"Channel: {channel}", "Variable: MINE", "ActionID: 2")
    s.answer("2")
    s.action("Action: Hangup", f"Channel: {channel}", "ActionID: 3")
    s.answer("3")
    until_gone(s)


@case("channel-redirect")
def _(run):
    s = run.login("s", "call")
    channel = talking(s)
    s.action("Action: Redirect", f"Channel: {channel}", "Context: click-to-dial", "Exten: 2125551234", "Priority: 1",
             "ActionID: 1")
    s.answer("1")
    until_gone(s)


@case("channel-hangup-by-pattern")
def _(run):
    s, asks = run.login("s", "call"), run.login("asks")
    talking(s)
    asks.action("Action: Hangup", "Channel: /^Local.1001@test-[0-9a-f]*;1$/", "ActionID: 1")
    asks.listing("1")
    until_gone(s)


@case("conference")
def _(run):
    s, asks = run.login("s", "call"), run.login("asks")
    s.send(originate("o1", "2000", "Application: Wait", "Data: 20"))
    s.events_until(lambda text: header(text, "Event") == "ConfbridgeJoin", "ConfbridgeJoin")
    asks.action("Action: ConfbridgeListRooms", "ActionID: 1")
    asks.listing("1")
    asks.action("Action: ConfbridgeList", "Conference: labconf", "ActionID: 2")
    asks.listing("2")
    asks.action("Action: ConfbridgeKick", "Conference: labconf", "Channel: all", "ActionID: 3")
    asks.answer("3")
    # The end of the conference may come behind the last Hangup.
    missing = ["ConfbridgeEnd", "Hangup", "Hangup"]

    def is_over(text):
        if header(text, "Event") in missing:
            missing.remove(header(text, "Event"))
        return not missing

    s.events_until(is_over, "ConfbridgeEnd and 2 Hangup")


@case("parking")
def _(run):
    s, asks = run.login("s", "call"), run.login("asks")
    s.send(originate("o1", "700", "Application: Wait", "Data: 20"))
    packets = s.events_until(lambda text: header(text, "Event") == "ParkedCall", "ParkedCall")
    asks.action("Action: ParkedCalls", "ActionID: 1")
    asks.listing("1")
    channel = header(packets[-1], "ParkeeChannel") if packets else None
    asks.action("Action: Hangup", f"Channel: {channel}", "ActionID: 2")
    asks.answer("2")
    until_gone(s)


@case("queue-call")
def _(run):
    s = run.login("s", "agent")
    s.send(originate("o1", "3000", "Application: Wait", "Data: 20"))
    packets = s.events_until(lambda text: header(text, "Event") == "AgentConnect", "AgentConnect")
    s.action("Action: Hangup", f"Channel: {header(packets[-1], 'Channel')}", "ActionID: 1")
    s.answer("1")
    run.quiet()


@case("list-bridges")  # behind `parking`: the holding bridge that it made stays
def _(run):
    s = run.login()
    s.action("Action: BridgeList", "ActionID: 1")
    s.listing("1")
