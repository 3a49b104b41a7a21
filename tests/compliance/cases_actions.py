"""Cases: actions and their answers, lists, commands, variables, the database, events asked for."""

from ami import header, packet
from harness import case


def action(name, *headers, **flags):
    """One action with ActionID `1` and the whole of its answer (a list up to its end)."""

    @case(name, **flags)
    def _(run):
        s = run.login()
        s.action(*headers, "ActionID: 1")
        s.listing("1")
        s.barrier()


action("core-settings", "Action: CoreSettings")
action("core-status", "Action: CoreStatus")
action("list-queue-status", "Action: QueueStatus")
action("list-queue-status-of-one", "Action: QueueStatus", "Queue: labqueue")
action("list-queue-status-of-none", "Action: QueueStatus", "Queue: no-such-queue")
action("list-queue-summary", "Action: QueueSummary")
action("list-channels-none", "Action: CoreShowChannels")
action("list-status-none", "Action: Status")
action("list-parked-calls-none", "Action: ParkedCalls")
action("list-parking-lots", "Action: Parkinglots")
action("list-presence-none", "Action: PresenceStateList")
action("list-agents", "Action: Agents")
action("list-that-is-an-error", "Action: ConfbridgeListRooms")
action("list-error-with-a-bare-lf", "Action: PJSIPShowContacts",
       expect_differs="Asterisk's bare LF inside the message cannot be passed on as it is")
action("list-pjsip-endpoints", "Action: PJSIPShowEndpoints")
action("list-dialplan-of-a-context", "Action: ShowDialPlan", "Context: click-to-dial")
action("list-commands", "Action: ListCommands", expect_differs="ListCommands lists what the policy allows")
action("command-version", "Action: Command", "Command: core show version")
action("command-output-with-leading-blanks", "Action: Command", "Command: dialplan show click-to-dial")
action("command-long-output", "Action: Command", "Command: core show applications")
action("command-unknown", "Action: Command", "Command: no such command")
action("command-missing", "Action: Command")
action("command-other-case", "Action: Command", "Command: CORE SHOW Version")
action("getvar-global", "Action: Getvar", "Variable: LABGLOBAL")
action("getvar-absent", "Action: Getvar", "Variable: NO_SUCH_VARIABLE")
action("getvar-without-name", "Action: Getvar")
action("setvar-without-name", "Action: Setvar", "Value: x")
action("status-of-no-channel", "Action: Status", "Channel: none/1")
action("hangup-of-no-channel", "Action: Hangup", "Channel: none/1")
action("redirect-of-no-channel", "Action: Redirect", "Channel: none/1", "Context: test", "Exten: 1000", "Priority: 1")
action("mailbox-status", "Action: MailboxStatus", "Mailbox: 6001@default")
action("extension-state", "Action: ExtensionState", "Exten: 1000", "Context: test")
action("queue-add-to-no-queue", "Action: QueueAdd", "Queue: no-such-queue", "Interface: Local/1000@test")
action("module-check", "Action: ModuleCheck", "Module: app_queue.so")
action("db-get-of-nothing", "Action: DBGet", "Family: compliance", "Key: none")
action("db-del-of-nothing", "Action: DBDel", "Family: compliance", "Key: none")
action("db-put-without-key", "Action: DBPut", "Family: compliance")
action("originate-without-channel", "Action: Originate", "Context: test", "Exten: 1000", "Priority: 1")
action("originate-without-where-to", "Action: Originate", "Channel: Local/1000@test")
action("originate-of-a-bad-channel", "Action: Originate", "Channel: NoSuchTech/1", "Application: Wait", "Data: 1")
action("queue-pause-and-why", "Action: QueuePause", "Queue: labqueue", "Interface: Local/999@members", "Paused: true")


@case("getvar-setvar")
def _(run):
    s = run.login()
    for n, value in enumerate(["plain", "two words", "a=b;c,d|e", "łódź", ""]):
        s.action("Action: Setvar", "Variable: COMPLIANCE", f"Value: {value}", f"ActionID: s{n}")
        s.answer(f"s{n}")
        s.action("Action: Getvar", "Variable: COMPLIANCE", f"ActionID: g{n}")
        s.answer(f"g{n}")


@case("db-put-get-del")
def _(run):
    s = run.login()
    s.action("Action: DBPut", "Family: compliance", "Key: one", "Val: some value, with: colons", "ActionID: 1")
    s.answer("1")
    s.action("Action: DBGet", "Family: compliance", "Key: one", "ActionID: 2")
    s.listing("2")
    s.action("Action: DBDel", "Family: compliance", "Key: one", "ActionID: 3")
    s.answer("3")
    s.action("Action: DBGet", "Family: compliance", "Key: one", "ActionID: 4")
    s.listing("4")


@case("two-lists-pipelined-are-not-mixed")
def _(run):
    s = run.login()
    s.send(packet("Action: QueueStatus", "ActionID: q") + packet("Action: CoreShowChannels", "ActionID: c")
           + packet("Action: QueueSummary", "ActionID: s") + packet("Action: Ping", "ActionID: p"))
    s.answer("p")


@case("list-without-action-id")
def _(run):
    s = run.login()
    s.action("Action: QueueSummary")
    s.events_until(lambda text: header(text, "EventList") == "Complete", "QueueSummaryComplete")
    s.barrier()


@case("mixed-pipeline-of-answers-and-errors")
def _(run):
    s = run.login()
    s.send(packet("Action: Ping", "ActionID: 1") + packet("Action: Getvar", "ActionID: 2")
           + packet("Action: Command", "Command: core show version", "ActionID: 3")
           + packet("ActionID: 4") + packet("Action: CoreStatus", "ActionID: 5"))
    s.answers(5)
    s.barrier()


def is_user_event(name):
    """Tells the user event of that name."""
    return lambda text: text.startswith("Event: UserEvent\r\n") and header(text, "UserEvent") == name


@case("user-event-reaches-who-listens-and-nobody-else")
def _(run):
    watcher, deaf, s = run.login("watcher", "user"), run.login("deaf", "call"), run.login()
    s.action("Action: UserEvent", "ActionID: 1", "UserEvent: Compliance", "First: one", "Second: two: three", "Third: ")
    s.answer("1")
    watcher.events_until(is_user_event("Compliance"), "the UserEvent")
    deaf.barrier()
    s.barrier()


def event_mask(s, action_id, mask):
    """Sets the event mask."""
    s.action("Action: Events", f"ActionID: {action_id}", *([f"EventMask: {mask}"] if mask is not None else []))
    return s.answer(action_id)


def rings(run, s, name, heard):
    """Sends a user event from another session; it has arrived at `s`, or cannot be coming any more."""
    ear = run.login(f"ear-{name}", "user")
    bell = run.login(f"bell-{name}")
    bell.action("Action: UserEvent", f"UserEvent: {name}", "ActionID: 1")
    bell.answer("1")
    ear.events_until(is_user_event(name), name)
    if heard:
        s.events_until(is_user_event(name), name)
    s.barrier()


@case("events-on-and-off")
def _(run):
    s = run.login()
    rings(run, s, "Before", False)
    event_mask(s, "on", "user")
    rings(run, s, "During", True)
    event_mask(s, "off", "off")
    rings(run, s, "After", False)


@case("events-masks")
def _(run):
    s = run.login()
    for n, mask in enumerate(["off", "0", "no", "false", "call", "call,agent", "nonsense", "cdr,", "2", "4294967295"]):
        event_mask(s, str(n), mask)
    event_mask(s, "missing", None)
    event_mask(s, "empty", "")
    event_mask(s, "end", "off")
    s.barrier()


@case("events-number-mask")
def _(run):
    s = run.login()
    event_mask(s, "user", "64")
    rings(run, s, "ByNumber", True)
    event_mask(s, "call", "2")
    rings(run, s, "NotByNumber", False)


@case("events-prefix-mask")
def _(run):
    s = run.login()
    event_mask(s, "prefix", "us,cdr")
    rings(run, s, "ByPrefix", True)


@case("wait-event-times-out")
def _(run):
    s = run.login()
    s.action("Action: WaitEvent", "Timeout: 1", "ActionID: 1")
    s.read_until(lambda text: text.startswith("Event: WaitEventComplete"), "WaitEventComplete")
    s.barrier()


@case("wait-event-is-woken-by-an-event")
def _(run):
    s, bell = run.login("s", "user"), run.login("bell")
    s.action("Action: WaitEvent", "Timeout: 10", "ActionID: 1")
    bell.action("Action: UserEvent", "UserEvent: Wake", "ActionID: 1")
    bell.answer("1")
    s.read_until(lambda text: text.startswith("Event: WaitEventComplete"), "WaitEventComplete")
    s.barrier()
