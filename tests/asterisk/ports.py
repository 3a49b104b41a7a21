#!/usr/bin/env python3
"""ports.py N: prints N loopback ports that are free now, for TCP and for UDP."""

import socket
import sys


def free_ports(count):
    """Ports that were free when asked for; all are held until the last one is found."""
    held, ports = [], []
    while len(ports) < count:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.append(tcp)
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.append(udp)
        try:
            udp.bind(("127.0.0.1", port))
        except OSError:
            continue
        ports.append(port)
    for sock in held:
        sock.close()
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
