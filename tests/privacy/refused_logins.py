"""refused_logins.py HOST:PORT: logs in wrongly in each way, once rightly, and asks for something too early."""
import socket
import sys


def dialogue(*packets):
    host, port = sys.argv[1].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 15) as peer, peer.makefile("rb") as answers:
        answers.readline()
        for packet in packets:
            peer.sendall("\r\n".join([*packet, "", ""]).encode("utf-8", "surrogateescape"))
            text = b""
            while not text.endswith(b"\r\n\r\n"):
                byte = answers.read(1)
                if not byte:
                    break
                text += byte
        return text


def login(*headers):
    return ["Action: Login", *headers]


FORGED = 'a",RemoteAddress="IPV4/TCP/192.0.2.99/1"\udc9b\u202e'
dialogue(login("Username: tester", "Secret: wrong"))
dialogue(login(f"Username: {FORGED}", "Secret: wrong"))
dialogue(["Action: Challenge", "AuthType: MD5"], login("Username: tester", "AuthType: MD5", "Key: 0123"))
dialogue(["Action: Originate", "Channel: PJSIP/1"])
answer = dialogue(login("Username: tester", "Secret: testerpw", "Events: off"))
if b"Success" not in answer:
    sys.exit(f"the login failed: {answer!r}")
