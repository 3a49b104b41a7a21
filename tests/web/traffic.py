#!/usr/bin/env python3
"""traffic.py AMI: sessions with calls, refusals of every kind and names made to be more than text. Stays logged in until
its standard input ends; says "ready" when everything was sent."""
import socket
import sys

HOSTILE = "</td><script>document.title='owned'</script><img src=x onerror=alert(1)>&amp;"
CALL = "Action: Originate\nChannel: {}\nContext: from-internal\nExten: {}\nPriority: 1\nAsync: true"


class Client:
    def __init__(self, address, user, secret):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.settimeout(20)
        self.reader = self.socket.makefile("rb")
        self.reader.readline()
        self.ask(f"Action: Login\nUsername: {user}\nSecret: {secret}\nEvents: off")

    def ask(self, packet):
        self.socket.sendall(packet.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        while self.reader.readline() not in (b"\r\n", b""):
            pass


def main():
    address = sys.argv[1]
    ops = Client(address, "ops-wallboard", "webpw-one")
    dialer = Client(address, "dialer", "webpw-one")
    for number in range(6):
        ops.ask("Action: Ping")
        dialer.ask(CALL.format("Local/100@phones", f"20{number}"))
    dialer.ask(CALL.format("Local/100@phones", "1900555"))
    dialer.ask(CALL.format("Local/100@phones", "999999999999999999999999999999999999999999999999999999999999999999999"))
    dialer.ask(CALL.format("PJSIP/100", "200") + "\nVariable: PIN=1234")
    dialer.ask("Action: " + HOSTILE)
    dialer.ask(f"Action: Command\nCommand: core show channels {HOSTILE}")
    dialer.ask("Action: UserEvent\nUserEvent: Test\nText: \x1b[2J\u202eevil\u202c " + HOSTILE)
    ops.ask("Action: UpdateConfig\nSrcFilename: manager.conf")
    ops.ask(CALL.format("Local/100@phones", "200"))
    for _ in range(4):
        ops.ask("Action: CoreStatus")
    print("ready", flush=True)
    sys.stdin.read()


main()
