"""Takes out of a record what differs between two runs of the same Asterisk.

Times, unique ids, the serial numbers of channels, ports and challenges become names; events are
grouped by what they are about, because only within one channel is their order certain.
"""

import re

from ami import header, kind

# Headers whose whole value is of the moment.
VOLATILE = {
    name.lower()
    for name in """
    Timestamp Uptime LastReload Challenge Duration BillableSeconds Seconds StartTime AnswerTime EndTime
    CoreStartupDate CoreStartupTime CoreReloadDate CoreReloadTime CoreProcessedCalls CreationTime EventTime
    Holdtime TalkTime Completed Abandoned ServicelevelPerf ServicelevelPerf2 LongestHoldTime HoldTime RingTime Wait
    CallsTaken LastCall LastPause LoginTime ParkingDuration ParkingTimeout EventTV ToState SessionTimestamp
    AsteriskPID TimeToHangup BridgeVideoSourceMode Effective
    """.split()
} - {"bridgevideosourcemode"}

CHANNEL = re.compile(r"([A-Za-z]+/[^\s;,]*?)-([0-9a-f]{8})(?=[;,\s]|$)")
UNIQUE = re.compile(r"\b(?:test-pbx-)?\d{9,11}\.\d+\b")
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
CHANNEL_HEADERS = ("Channel", "ParkeeChannel", "LocalOneChannel", "DestChannel", "MemberName", "Queue", "BridgeUniqueid")


# Events that come from threads of their own, some time before or after what they are about: compared
# only in the cases that wait for them.
DETACHED = {"CEL", "Cdr", "DeviceStateChange", "ExtensionStatus", "BridgeCreate", "BridgeDestroy",
            "QueueMemberStatus", "AgentComplete", "ParkedCallGiveUp"}

# Events made from a channel's snapshots come in one order; others about it (dialling, variables, the outcome of
# an Originate) are published by other threads, and keep an order only among those of their own name.
OF_SNAPSHOTS = {"Newchannel", "Newstate", "Newexten", "NewCallerid", "NewConnectedLine", "NewAccountCode", "Hangup"}


class Names:
    """Stable names for what a run made up, in order of their first appearance in a case."""

    def __init__(self):
        self.channels, self.serials, self.uniques = {}, {}, {}

    def channel(self, match):
        """`Local/1000@test-0000001a` becomes `Local/1000@test-#1`."""
        base, serial = match.groups()
        known = self.serials.setdefault(base, {})
        return f"{base}-#{known.setdefault(serial, len(known) + 1)}"

    def learn(self, text):
        """Ties unique ids to the channels that they belong to."""
        for channel, unique in [("Channel", "Uniqueid"), ("DestChannel", "DestUniqueid"),
                                ("LocalOneChannel", "LocalOneUniqueid"), ("LocalTwoChannel", "LocalTwoUniqueid"),
                                ("ParkeeChannel", "ParkeeUniqueid")]:
            name, value = header(text, channel), header(text, unique)
            if name and value:
                self.uniques.setdefault(value, CHANNEL.sub(self.channel, name))

    def clean(self, text):
        """A packet with everything of the moment replaced."""
        lines = []
        for line in text.split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and name.lower() in VOLATILE and value.strip():
                value = f" <{name.lower()}>"
            elif colon:
                value = UUID.sub("<uuid>", value)
                value = UNIQUE.sub(lambda match: f"<id of {self.uniques.get(match.group(), '?')}>", value)
                value = CHANNEL.sub(self.channel, value)
                value = re.sub(r"\b127\.0\.0\.1([:/])\d+", r"127.0.0.1\1<port>", value)
            lines.append(name + colon + value)
        return "\r\n".join(lines)


def is_broadcast(text):
    """Whether a packet is an event that Asterisk sent to all, not the answer to an action."""
    return kind(text) == "event" and header(text, "Privilege") is not None


def of_security(text):
    """Events of who logged in where: a proxy's own log-ins are among them."""
    return "security" in (header(text, "Privilege") or "").split(",")


def about(text):
    """What an event is about: the events of one channel stay in order."""
    for name in CHANNEL_HEADERS:
        value = header(text, name)
        if value:
            return value
    return header(text, "Event")


def session(log, names, unordered, keep):
    """One session's log as a dict of lists that two runs of the same Asterisk have in common."""
    result = {"answers": []}
    for what, text in log:
        if what != "packet":
            result["answers"].append(f"[{what}] {names.clean(text)}".rstrip())
        elif not is_broadcast(text):
            result["answers"].append(names.clean(text))
        elif header(text, "Event") in DETACHED.difference(keep) or of_security(text):
            continue
        elif header(text, "EventName") == "LINKEDID_END":
            continue  # of the channel that happened to be the last
        else:
            if not any(entry.startswith("Response: Success") for entry in result["answers"]):
                result["answers"].append("[an event before the login was answered]")
            clean = names.clean(text)
            name = header(text, "Event")
            source = "the life" if name in OF_SNAPSHOTS else name
            result.setdefault(f"{source} of {about(clean)}", []).append(clean)
    if unordered:
        for key, entries in result.items():
            if key != "answers":
                entries.sort()
    return result


def case(record):
    """A recorded case in comparable form."""
    names = Names()
    for log in record["sessions"].values():
        for what, text in log:
            if what == "packet":
                CHANNEL.sub(names.channel, text)
                names.learn(text)
    flags = record.get("flags", {})
    unordered, keep = flags.get("unordered", False), flags.get("keep", [])
    result = {label: session(log, names, unordered, keep) for label, log in record["sessions"].items()}
    result["notes"] = {"": [f"{key}: {value}" for key, value in record["notes"].items()]}
    return result
