#!/usr/bin/env python3
"""busy_log.py DIRECTORY: writes an audit log of a busy month, for the report to be looked at.

Thirty days of November 2026, twelve identities: office hours, a dialler that works at night, a burst of refusals of a
stolen account, guessers at the door, reloads, outages, a crash and a clock that was set. Always the same, and a whole
chain: `amiwall audit verify` says so. docs/audit-format.md describes what is written here.
"""

import datetime
import hashlib
import json
import os
import random
import sys

DAYS = 30
BEGIN = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
PEOPLE = ["alice", "bernd", "chiara", "dmitri", "eva-maria", "farid"]
PROGRAMS = ["crm-connector", "wallboard", "night-dialler", "callback-service", "monitoring", "provisioning"]
POLICIES = ["sha256:" + hashlib.sha256(str(n).encode()).hexdigest() for n in range(5)]
REFUSALS = [
    ("Originate", "deny", "params.Exten", "roles.click-to-dial.deny[0]", 86),
    ("Originate", "deny", "params.Context", None, None),
    ("Originate", "limit", "limits.rate", None, None),
    ("Command", "deny", "actions.unlisted", None, None),
    ("UpdateConfig", "deny", "actions.denied", "roles.base.deny[2]", 61),
    ("Getvar", "deny", "params.Variable", None, None),
]


class Log:
    """Puts records into the chain, and the chain into segments."""

    def __init__(self, directory):
        self.directory, self.seq, self.prev, self.file = directory, 0, "0" * 64, None
        self.boot, self.started, self.sessions = None, None, {}

    def write(self, time, kind, **members):
        self.seq += 1
        mono = int((time - self.started).total_seconds() * 1_000_000)
        head = {"seq": self.seq, "time": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "mono": mono, "kind": kind}
        record = {**head, **{key: value for key, value in members.items() if value is not None}, "prev": self.prev}
        text = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
        self.prev = hashlib.sha256(text.encode()).hexdigest()
        if self.file is None or self.file.tell() > 4_000_000:
            if self.file:
                self.file.close()
            self.file = open(os.path.join(self.directory, f"audit-{self.seq:020}.jsonl"), "w", encoding="ascii")
        self.file.write(f'{text[:-1]},"hash":"{self.prev}"}}\n')
        return self.seq

    def start(self, time, policy, trigger_file="/etc/amiwall/policy.yaml"):
        self.started, self.boot, self.sessions = time, f"{random.getrandbits(32):08x}", {}
        redact = ["*Secret*", "Login.Key", "*Password*", "*PIN*", "DTMF*.Digit"]
        self.write(time, "start", boot=self.boot, version="0.1.0", packets="both",
                   except_events=["RTCPSent", "RTCPReceived"], redact=redact)
        self.write(time, "policy", file=trigger_file, identities=12, trigger="start", outcome="loaded", policy=policy)


def week_weight(hour, day):
    """How busy an hour of an office is."""
    if (BEGIN + datetime.timedelta(days=day)).weekday() >= 5:
        return 0.12
    return {8: 0.5, 9: 1, 10: 1.2, 11: 1.1, 12: 0.5, 13: 0.7, 14: 1.1, 15: 1.2, 16: 0.9, 17: 0.5}.get(hour, 0.02)


class Month:
    """What happens, as a list of things to write, sorted by time."""

    def __init__(self):
        self.things = []

    def add(self, time, kind, **members):
        self.things.append((time, len(self.things), kind, members))

    def day(self, day):
        at = BEGIN + datetime.timedelta(days=day)
        for number, name in enumerate(PEOPLE + PROGRAMS):
            peer = f"10.20.{number}.{10 + number}:{40000 + day * 13 + number}"
            if name in ("crm-connector", "callback-service"):
                peer = f"[2001:db8:20:{number}::{day + 1:x}]:50{number:03}"
            self.add(at + datetime.timedelta(hours=6.5, minutes=3 * number), "login", identity=name, peer=peer)
            if name != "wallboard":
                self.add(at + datetime.timedelta(hours=19, minutes=7 * number), "end", identity=name)
            self.acts(at, day, name, number)
        for minute in range(0, 24 * 60):
            if not (day == 11 and 190 <= minute < 214):
                self.add(at + datetime.timedelta(minutes=minute, seconds=random.random() * 2), "checkpoint")
        for _ in range(random.randrange(2, 6)):
            who = random.choice(PEOPLE)
            reason = random.choice(["login.secret", "login.secret", "login.expired", "login.sessions"])
            when = at + datetime.timedelta(hours=random.uniform(7, 18))
            self.add(when, "failed", claimed=who, peer=f"10.20.1.{random.randrange(5, 99)}:41000", reason=reason)
        for _ in range(random.randrange(5, 40)):
            peer = f"198.51.100.{random.randrange(1, 60)}:{random.randrange(2000, 60000)}"
            when = at + datetime.timedelta(hours=random.uniform(0, 24))
            reason = random.choice(["networks.listener", "networks.listener", "tls.handshake", "tls.handshake-timeout"])
            self.add(when, "refuse", peer=peer, reason=reason)

    def acts(self, at, day, name, number):
        for hour in range(24):
            weight = week_weight(hour, day)
            if name == "night-dialler":
                weight = 1.5 if hour in (19, 20, 21) and day % 7 < 5 else 0
            calls = int(weight * {"crm-connector": 16, "night-dialler": 30, "callback-service": 8}.get(name, 4) * random.random())
            for _ in range(0 if name in ("wallboard", "monitoring") else calls):
                self.act(at, hour, name, "Originate", "allow")
            for _ in range(int(weight * 6 * random.random())):
                self.act(at, hour, name, random.choice(["CoreShowChannels", "QueueStatus", "Ping", "Hangup"]), "allow")
            if random.random() < 0.05 * (weight + 0.1):
                self.act(at, hour, name, *random.choice(REFUSALS))
            if name == "provisioning" and day < 9 and random.random() < weight / 3:
                self.act(at, hour, name, "DBPut", "would-deny", "actions.unlisted")

    def act(self, at, hour, identity, name, decision, reason=None, rule=None, line=None):
        when = at + datetime.timedelta(hours=hour, seconds=random.uniform(0, 3599))
        self.add(when, "action", identity=identity, name=name, decision=decision, reason=reason, rule=rule, line=line)

    def stolen(self):
        """One night somebody uses chiara's secret."""
        at = BEGIN + datetime.timedelta(days=18, hours=2, minutes=11)
        self.add(at, "login", identity="chiara", peer="203.0.113.77:51234")
        for n in range(420):
            when = at + datetime.timedelta(seconds=5 + n * 2.7)
            refusal = REFUSALS[0] if n % 3 else REFUSALS[1]
            name, decision, reason, rule, line = refusal if n < 60 else ("Originate", "limit", "limits.tripped", None, None)
            self.add(when, "action", identity="chiara", name=name, decision=decision, reason=reason, rule=rule, line=line)
            if n == 60:
                self.add(when, "limit", identity="chiara", limit="roles.click-to-dial.trip", count=60, seconds=86400)
        self.add(at + datetime.timedelta(minutes=25), "end", identity="chiara")
        self.add(at + datetime.timedelta(hours=6), "admin", identity="chiara", name="resume", outcome="resumed")

    def guessers(self):
        for n in range(1500):
            when = BEGIN + datetime.timedelta(days=5 + n / 300, seconds=random.random() * 60)
            peer = f"[2001:db8:bad:{n % 3}::{n:x}]:4444" if n % 2 else f"192.0.2.{n % 5}:{2000 + n}"
            self.add(when, "failed", claimed_length=random.randrange(3, 20), peer=peer, reason="login.unknown-identity")
        for n in range(40):
            when = BEGIN + datetime.timedelta(days=6, minutes=n)
            self.add(when, "refuse", peer=f"2001:db8:bad:{n % 3}::/64", reason="limits.unauthenticated", count=500,
                     counts={"connect": 200, "end": 200, "login": 90, "refuse": 10})

    def changes(self):
        for index, day in enumerate((4, 9, 16, 23), 1):
            when = BEGIN + datetime.timedelta(days=day, hours=10, minutes=17)
            changes = ["role click-to-dial: Originate limit 20/second to 5/second", "identity farid: role agents added"]
            self.add(when, "policy", file="/etc/amiwall/policy.yaml", identities=12, trigger="reload", outcome="loaded",
                     policy=POLICIES[index], changes=changes[: 1 + index % 2])
        when = BEGIN + datetime.timedelta(days=16, hours=10, minutes=12)
        self.add(when, "policy", file="/etc/amiwall/policy.yaml", trigger="reload", outcome="refused", policy=POLICIES[2],
                 problem="policy.yaml:41:9: unknown key `alow`")
        for day, hour, minutes in ((7, 15, 4), (21, 3, 52)):
            since = BEGIN + datetime.timedelta(days=day, hours=hour)
            until = since + datetime.timedelta(minutes=minutes)
            stamp = "%Y-%m-%dT%H:%M:%S.%fZ"
            self.add(until, "outage", reason="audit.unavailable", cause="No space left on device (os error 28)",
                     since=since.strftime(stamp), until=until.strftime(stamp), counts={"action": 12 * minutes, "end": 2})
        self.add(BEGIN + datetime.timedelta(days=13, hours=22), "restart", minutes=95, crash=False)
        self.add(BEGIN + datetime.timedelta(days=25, hours=4), "restart", minutes=18, crash=True)

    def happen(self, log):
        policy = POLICIES[0]
        log.start(BEGIN, policy)
        closed_until = BEGIN
        step = datetime.timedelta(0)
        for time, _, kind, members in sorted(self.things):
            time += step
            if kind == "restart":
                if not members["crash"]:
                    log.write(time, "stop")
                closed_until = time + datetime.timedelta(minutes=members["minutes"])
                log.start(closed_until, policy)
                if members["crash"]:
                    log.write(closed_until, "recovery", reason="audit.torn", file="audit-00000000000000000001.jsonl.torn-1", bytes=211)
                continue
            if time < closed_until:
                continue
            if kind == "policy" and members["outcome"] == "loaded":
                policy = members["policy"]
            self.one(log, time, kind, members, policy)
        log.write(BEGIN + datetime.timedelta(days=DAYS), "stop")
        log.file.close()

    def one(self, log, time, kind, members, policy):
        common = {"listener": "0.0.0.0:5039", "upstream": "pbx"}
        who, peer = members.get("identity"), members.get("peer")
        if kind == "login":
            if who == "wallboard" and log.sessions.get(who):
                return                                       # it stays logged in over night
            seq = log.write(time, "connect", peer=peer, **common, policy=policy)
            session = f"{log.boot}-{seq}"
            log.sessions.setdefault(who, []).append((session, peer))
            log.write(time, "login", session=session, identity=who, peer=peer, **common, decision="allow", claimed=who,
                      method="plain" if who in PEOPLE else "certificate", policy=policy)
        elif kind == "failed":
            members = {**members, "decision": "deny", "method": "plain"}
            log.write(time, "login", **common, **members, policy=policy)
        elif kind == "end":
            if log.sessions.get(who):
                session, peer = log.sessions[who].pop()
                log.write(time, "end", session=session, identity=who, peer=peer, **common, reason="client-closed",
                          forwarded=20, refused=1, sent=300, policy=policy)
        elif kind == "action":
            if not log.sessions.get(who):
                self.one(log, time, "login", {"identity": who, "peer": "10.20.0.99:40000"}, policy)
            session, peer = log.sessions[who][-1]
            limit = members["reason"] if members["decision"] == "limit" else None
            limit = {"limits.rate": "limits.actions.Originate", "limits.tripped": "roles.click-to-dial.trip"}.get(limit)
            log.write(time, "action", session=session, id=f"{session}.{log.seq + 1}", identity=who, peer=peer, **common,
                      direction="to-asterisk", name=members["name"], headers=[["Action", members["name"]]],
                      decision=members["decision"], reason=members["reason"], rule=members["rule"], line=members["line"],
                      limit=limit, policy=policy)
        elif kind == "limit":
            log.write(time, "limit", **members, decision="limit", reason="limits.tripped", policy=policy)
        elif kind == "checkpoint":
            log.write(time, "checkpoint", quotas={})
        else:
            log.write(time, kind, **members)


def main():
    random.seed(42)
    os.makedirs(sys.argv[1], exist_ok=True)
    month = Month()
    for day in range(DAYS):
        month.day(day)
    month.stolen()
    month.guessers()
    month.changes()
    month.happen(Log(sys.argv[1]))


if __name__ == "__main__":
    main()
