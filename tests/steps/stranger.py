#!/usr/bin/env python3
"""What stranger.sh needs beside the programs of the page.

stranger.py HOST:PORT LOG          some actions, until the log has a signed checkpoint behind them
stranger.py --rechain LOG          makes the chain anew, with one value changed
stranger.py --note LOG BODY SIG    writes the last note's text and its signature
"""
import base64
import glob
import hashlib
import json
import re
import socket
import sys
import time


def lines(folder):
    for path in sorted(glob.glob(folder + "/audit-*.jsonl")):
        with open(path, "rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def act(address, folder):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as client:
        client.settimeout(10)
        reader = client.makefile("rb")
        reader.readline()
        client.sendall(b"Action: Login\r\nUsername: tester\r\nSecret: testerpw\r\nEvents: off\r\n\r\n")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            client.sendall(b"Action: Ping\r\n\r\n")
            while b"Pong" not in reader.readline():
                pass
            kinds = [json.loads(line)["kind"] for line in lines(folder)]
            if "action" in kinds and "checkpoint" in kinds[kinds.index("action"):]:
                return
        sys.exit("no checkpoint came within 30 s")


def rechain(folder):
    seq, prev = 0, b"0" * 64
    for path in sorted(glob.glob(folder + "/audit-*.jsonl")):
        out = b""
        for line in open(path, "rb"):
            seq += 1
            line = line.replace(b'"listener":"', b'"listener":"x', 1)
            body = re.sub(rb',"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}\n$', b"", line)
            body += b',"prev":"' + prev + b'"}'
            prev = hashlib.sha256(body).hexdigest().encode()
            out += body[:-1] + b',"hash":"' + prev + b'"}\n'
        with open(path, "wb") as file:
            file.write(out)


def note(folder, body_path, signature_path):
    last = [record["note"] for record in map(json.loads, lines(folder)) if "note" in record][-1]
    body, _, signature = last.partition("\n\u2014 ")
    with open(body_path, "w", encoding="utf-8", newline="") as file:
        file.write(body)
    with open(signature_path, "wb") as file:
        file.write(base64.b64decode(signature.split()[1])[4:])


if sys.argv[1] == "--rechain":
    rechain(sys.argv[2])
elif sys.argv[1] == "--note":
    note(*sys.argv[2:])
else:
    act(*sys.argv[1:])
