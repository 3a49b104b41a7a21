#!/usr/bin/env python3
"""An Asterisk over TLS that is started anew under a client that is logged in: the client stays.

Environment: AMIWALL, AMIWALL_PLAIN, AMIWALL_RUN (tests/steps/with-amiwall.sh); ASTERISK_PID, ASTERISK_START (a command that starts
it again in the foreground, a word a line), ASTERISK_OUT (a file for what it says then).
Exit status: 0 all as it should be, 1 not.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 60  # seconds: a test that needs them has failed
AWAY = "Message: Asterisk is not reachable"


class Session:
    """One connection that is logged in."""

    def __init__(self, events):
        host, port = os.environ["AMIWALL_PLAIN"].rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.buffer = b""
        self.until(b"\r\n")
        with open(os.path.join(HERE, "..", "compliance", "tester.secret"), encoding="utf-8") as file:
            secret = file.read().strip()
        self.send("Action: Login", "Username: tester", f"Secret: {secret}", f"Events: {events}")
        answer = self.packet()
        assert "Authentication accepted" in answer, answer

    def until(self, end):
        while end not in self.buffer:
            read = self.sock.recv(65536)
            assert read, f"closed behind {self.buffer!r}"
            self.buffer += read
        text, self.buffer = self.buffer.split(end, 1)
        return text.decode("latin-1")

    def packet(self):
        return self.until(b"\r\n\r\n")

    def packet_with(self, text):
        """The next packet with that in it; others are passed over."""
        while text not in (packet := self.packet()):
            pass
        return packet

    def send(self, *headers):
        self.sock.sendall("".join(header + "\r\n" for header in headers).encode() + b"\r\n")

    def ask(self, name, action_id):
        self.send(f"Action: {name}", f"ActionID: {action_id}")
        return self.packet_with(f"ActionID: {action_id}")


def expect(what, is_so, seen):
    print(("ok   " if is_so else "BAD  ") + what)
    if not is_so:
        sys.exit(f"     {seen!r}")


def end(pid):
    """Ends that Asterisk as a power cut would."""
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    ended, _, _ = select.select([process], [], [], PATIENCE)
    assert ended, "it does not end"
    os.close(process)


def audit():
    return os.path.join(os.environ["AMIWALL_RUN"], "audit")


def records(is_so):
    found = []
    for name in sorted(os.listdir(audit())):
        if name.endswith(".jsonl"):
            with open(os.path.join(audit(), name), encoding="utf-8") as file:
                # The last line may be one that is being written.
                lines = [line for line in file if line.startswith("{") and line.endswith("}\n")]
            found += [record for record in map(json.loads, lines) if is_so(record)]
    return found


def reason(word, kind="outage"):
    return lambda record: record["kind"] == kind and record.get("reason") == word


def until_recorded(count, is_so, news):
    """Looks again with each record that `amiwall audit tail` has told of."""
    while len(found := records(is_so)) < count:
        ready, _, _ = select.select([news], [], [], PATIENCE)
        assert ready and os.read(news, 65536), f"{len(found)} of {count} records"
    return found


def main():
    follow = [os.environ["AMIWALL"], "audit", "tail", "--follow", "--format", "json", audit()]
    with subprocess.Popen(follow, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as tail:
        try:
            dialogue(tail.stdout.fileno())
        finally:
            tail.terminate()
    print("restart.py: all is as it should be")


def dialogue(news):
    client, quiet = Session("on"), Session("off")
    expect("FullyBooted follows the login", "FullyBooted" in client.packet_with("Event: FullyBooted"), "")
    expect("a Ping is answered, over TLS to Asterisk", "Ping: Pong" in (seen := client.ask("Ping", "1")), seen)
    # It reads nothing any more, so that these are outstanding when it ends.
    pid = int(os.environ["ASTERISK_PID"])
    os.kill(pid, signal.SIGSTOP)
    client.send("Action: Originate", "ActionID: call", "Channel: Local/1000@test", "Application: Wait", "Data: 60")
    client.send("Action: Ping", "ActionID: behind")
    quiet.send("Action: CoreStatus", "ActionID: status")
    until_recorded(2, lambda record: record["kind"] == "action" and record["name"] in ("Originate", "CoreStatus"), news)
    end(pid)
    expect("a call that was waited for gets an error", AWAY in (seen := client.packet_with("ActionID: call")), seen)
    expect("what came behind it too", AWAY in (seen := client.packet_with("ActionID: behind")), seen)
    expect("and another action", AWAY in (seen := quiet.packet_with("ActionID: status")), seen)
    until_recorded(2, reason("upstream.held"), news)
    expect("what comes meanwhile gets an error", AWAY in (seen := quiet.ask("Ping", "2")), seen)
    begun = time.monotonic()
    with open(os.environ["ASTERISK_OUT"], "wb") as out:
        asterisk = subprocess.Popen(
            os.environ["ASTERISK_START"].split("\n"), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        expect("the client gets Asterisk's own FullyBooted", "FullyBooted" in client.packet_with("Event: FullyBooted"), "")
        expect("and its Ping is answered", "Ping: Pong" in (seen := client.ask("Ping", "3")), seen)
        print(f"     {time.monotonic() - begun:.1f} s after Asterisk was started")
        back = until_recorded(2, reason("upstream.back"), news)
        expect("the record says from when to when", all(one["since"] < one["until"] for one in back), back)
        expect("so is the one of a client without events", "Ping: Pong" in (seen := quiet.ask("Ping", "4")), seen)
        quiet.send("Action: Logoff")
        expect("and it may go", "Goodbye" in (seen := quiet.packet()), seen)
        lost = records(reason("upstream.lost", "end"))
        expect("no session was lost", not lost, lost)
    finally:
        asterisk.terminate()
        asterisk.wait(PATIENCE)


if __name__ == "__main__":
    main()
