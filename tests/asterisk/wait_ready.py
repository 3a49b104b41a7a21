#!/usr/bin/env python3
"""wait_ready.py booted|banner HOST:PORT PID SECONDS

Waits until the process PID serves AMI at HOST:PORT.
  booted   a real Asterisk: a login as `admin` is followed by the FullyBooted event (the banner alone comes earlier)
  banner   amiwall or its simulator: they greet when they are ready
Exit status 1 when the process ends first or the time is over.
"""

import os
import socket
import sys
import time

LOGIN = b"Action: Login\r\nUsername: admin\r\nSecret: adminpw\r\nEvents: system\r\n\r\n"


def alive(pid):
    """Whether the process exists (a zombie does not count)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ready(address, login, deadline):
    """One attempt: whether the greeting came, or with `login` the FullyBooted event."""
    wanted = b"Event: FullyBooted" if login else b"Asterisk Call Manager/"
    try:
        with socket.create_connection(address, timeout=1) as sock:
            if login:
                sock.sendall(LOGIN)
            seen = b""
            while wanted not in seen:
                sock.settimeout(max(0.05, min(5, deadline - time.monotonic())))
                chunk = sock.recv(4096)
                if not chunk:
                    return False
                seen += chunk
            return True
    except OSError:
        return False


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in ("booted", "banner"):
        sys.exit(__doc__)
    if not os.path.isdir("/proc/self"):
        sys.exit("wait_ready.py: needs /proc")
    host, port = sys.argv[2].rsplit(":", 1)
    deadline = time.monotonic() + float(sys.argv[4])
    while time.monotonic() < deadline and alive(int(sys.argv[3])):
        if ready((host, int(port)), sys.argv[1] == "booted", deadline):
            return 0
        time.sleep(0.05)  # between two looks at a port that is not open yet
    return 1


if __name__ == "__main__":
    sys.exit(main())
