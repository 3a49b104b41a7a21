#!/usr/bin/env python3
"""Calls at once, in front of a real Asterisk: whether they are counted until they are over.

Environment: AMIWALL_PLAIN, ASTERISK_AMI (tests/steps/with-amiwall.sh, tests/asterisk/with-asterisk.sh).
Exit status: 0 all as it should be, 1 not.
"""

import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NO_ROOM, NOT_WATCHED, QUEUED = "retry in 5 s", "Asterisk is not reachable", "successfully queued"
PATIENCE = 60  # seconds: a test that needs them has failed


def secret(name):
    with open(os.path.join(HERE, "..", "compliance", name), encoding="utf-8") as file:
        return file.read().strip()


class Session:
    """One connection that is logged in without events."""

    def __init__(self, address, user, password):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.buffer = b""
        self.until(b"\r\n")
        answer = self.ask("Action: Login", f"Username: {user}", f"Secret: {password}", "Events: off")
        assert "Authentication accepted" in answer, answer

    def until(self, end):
        while end not in self.buffer:
            read = self.sock.recv(65536)
            assert read, f"closed behind {self.buffer!r}"
            self.buffer += read
        text, self.buffer = self.buffer.split(end, 1)
        return text.decode("latin-1")

    def send(self, *headers):
        self.sock.sendall("".join(header + "\r\n" for header in headers).encode() + b"\r\n")

    def ask(self, *headers):
        self.send(*headers)
        return self.until(b"\r\n\r\n")

    def listed(self, *headers):
        """The items of a list."""
        self.send(*headers)
        items = []
        while "EventList: Complete" not in (packet := self.until(b"\r\n\r\n")):
            items += [packet] if packet.startswith("Event:") else []
        return items


def originate(channel, *more):
    """What a client is told that logs in, calls, and goes at once."""
    client = Session(os.environ["AMIWALL_PLAIN"], "dialer", secret("tester.secret"))
    answer = client.ask("Action: Originate", f"Channel: {channel}", "Application: Wait", "Data: 60", *more)
    client.sock.close()
    return answer


def until_not(refusal, channel, *more):
    """Calls again until another answer comes. Each try is a whole login, so this is no busy loop."""
    deadline = time.monotonic() + PATIENCE
    while refusal in (answer := originate(channel, *more)):
        assert time.monotonic() < deadline, f"still {answer!r}"
    return answer


def expect(what, answer, wanted):
    print(("ok   " if wanted in answer else "BAD  ") + what)
    if wanted not in answer:
        sys.exit(f"     wanted {wanted!r}, got {answer!r}")


def main():
    asterisk = Session(os.environ["ASTERISK_AMI"], "amiwall", secret("pbx.secret"))
    channels = lambda: asterisk.listed("Action: CoreShowChannels")
    value = lambda packet, name: re.search(rf"^{name}: (.*)$", packet, re.M)[1].strip()

    def hang_up(pattern):
        asterisk.ask("Action: Hangup", f"Channel: /{pattern}/")

    asynchronous = "Async: true"
    expect("a call is let through", until_not(NOT_WATCHED, "Local/1001@test/n", asynchronous), QUEUED)
    # Dials another Local channel, and both are optimized away as far as Asterisk can.
    expect("a second one too", originate("Local/1008@test", asynchronous), QUEUED)
    expect("a third one is not", originate("Local/1001@test", asynchronous), NO_ROOM)
    ids = [value(item, "Uniqueid") for item in channels()]
    # Asterisk's own begin with its `systemname`, where it has one.
    shaped = bool(ids) and all(re.fullmatch(r"(test-pbx-)?\d{10}\.\d+", one) for one in ids)
    expect(f"ids have Asterisk's shape ({', '.join(ids)})", str(shaped), "True")
    ours = [one for one in ids if re.fullmatch(r"\d{10}\.\d{9}", one)]
    expect("both halves have ids of amiwall's", str(len(ours) >= 2), "True")
    hang_up("^Local.1001@test.*")
    expect("one that is hung up gives its place back", until_not(NO_ROOM, "Local/1001@test/n", asynchronous), QUEUED)
    expect("but only that one", originate("Local/1001@test", asynchronous), NO_ROOM)
    hang_up("^Local.*")
    for name, more in [("at once", ["Timeout: 2000"]), ("later", ["Timeout: 2000", asynchronous])]:
        for number in range(3):
            answer = until_not(NO_ROOM, "PJSIP/nobody", *more)
            wanted = QUEUED if asynchronous in more else "Originate failed"
            expect(f"a call that fails {name} gives its place back ({number + 1})", answer, wanted)
    for channel in ("Local/1001@test", "Local/1001@test"):
        expect("two calls have room", until_not(NO_ROOM, channel, asynchronous), QUEUED)
    expect("and not three", originate("Local/1001@test", asynchronous), NO_ROOM)
    hang_up("^Local.*")
    # A call that ends by itself.
    for _ in range(3):
        expect("a call that ends by itself gives its place back", until_not(NO_ROOM, "Local/1005@test", asynchronous), QUEUED)
    print("concurrent.py: all is as it should be")


if __name__ == "__main__":
    main()
