#!/usr/bin/env python3
"""traffic.py AMI HTTP FILE: some packets through amiwall at AMI, then what HTTP tells of them, into FILE."""
import http.client
import socket
import sys


def talk(address, *packets):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as client:
        client.settimeout(20)
        reader = client.makefile("rb")
        reader.readline()
        for packet in packets:
            client.sendall(packet.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            while reader.readline() not in (b"\r\n", b""):
                pass


def get(address, path, expected):
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    if answer.status != expected:
        sys.exit(f"{path}: {answer.status} instead of {expected}: {body}")
    return body


def main():
    ami, http_address, path = sys.argv[1:]
    login = "Action: Login\nUsername: tester\nSecret: {}\nEvents: off"
    talk(ami, login.format("testerpw"), "Action: Ping", "Action: UpdateConfig", "Action: MadeUp", "Action: Logoff")
    talk(ami, login.format("wrong"))
    get(http_address, "/live", 200)
    get(http_address, "/ready", 200)
    text = get(http_address, "/metrics", 200)
    for sample in (
        'amiwall_actions_total{identity="tester",action="Ping",decision="allow"} 1',
        'amiwall_actions_total{identity="tester",action="other",decision="deny"} 1',
        'amiwall_logins_total{outcome="accepted"} 1',
        'amiwall_logins_total{outcome="login.secret"} 1',
        "amiwall_audit_open 1",
    ):
        if sample not in text.splitlines():
            sys.exit(f"not there: {sample}\n{text}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


main()
