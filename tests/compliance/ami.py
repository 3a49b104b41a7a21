"""A client of the Asterisk Manager Interface for tests: raw bytes out, whole packets in.

It is no more tolerant than it must be. A packet ends with CR LF CR LF and nothing else, what
was read is kept byte for byte (as latin-1 text), and every wait has a deadline.
"""

import hashlib
import os
import socket
import ssl
import time

END = b"\r\n\r\n"
TIMEOUT = float(os.environ.get("COMPLIANCE_TIMEOUT", "15"))  # seconds that an answer may take


def packet(*headers, end="\r\n"):
    """The bytes of one packet; each header is a line of text or bytes, without its line end."""
    lines = [h if isinstance(h, bytes) else h.encode("utf-8") for h in headers]
    return b"".join(line + end.encode() for line in lines) + end.encode()


def header(text, name):
    """The first value of a header in a packet's text, or None."""
    for line in text.split("\r\n"):
        key, colon, value = line.partition(":")
        if colon and key.lower() == name.lower():
            return value.lstrip(" ")
    return None


def kind(text):
    """`response`, `event` or `other`, by the first line alone, as a reader must."""
    first = text.split(":", 1)[0]
    return {"Response": "response", "Event": "event"}.get(first, "other")


class Target:
    """Where a session connects to, and as whom."""

    def __init__(self, address, user, secret, tls=False, ca=None):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.user, self.secret = user, secret
        self.context = None
        if tls:
            self.context = ssl.create_default_context(cafile=ca)
            if ca is None:
                self.context.check_hostname = False
                self.context.verify_mode = ssl.CERT_NONE

    def connect(self):
        """A connected socket, with TLS where the target has it."""
        sock = socket.create_connection(self.address, timeout=TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(sock, server_hostname=self.address[0]) if self.context else sock


class Session:
    """One connection. `log` grows by [what, text] for everything that happens on it."""

    def __init__(self, target, log=None):
        self.target = target
        self.log = log if log is not None else []
        self.sock = target.connect()
        self.buffer = b""
        self.closed = False
        self.barriers = 0

    # -- sending

    def send(self, data):
        """Sends bytes, in one write. A peer that is gone is noted, not raised: reading will tell."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.log.append(["send-failed", ""])

    def action(self, *headers):
        """Sends one packet, one header a line."""
        self.send(packet(*headers))

    def send_in_pieces(self, data, size=1):
        """Sends bytes in small writes, each a segment of its own (TCP_NODELAY)."""
        for at in range(0, len(data), size):
            self.send(data[at : at + size])

    def half_close(self):
        """Says that nothing more will be sent. (TLS has no half-close in Python: not to be used there.)"""
        self.sock.shutdown(socket.SHUT_WR)

    # -- reading

    def _fill(self, deadline):
        """Reads some bytes. False at the end of the stream; TimeoutError when the time is over."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self.sock.settimeout(remaining)
        try:
            chunk = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            chunk = b""
        self.closed = self.closed or not chunk
        self.buffer += chunk
        return bool(chunk)

    def banner(self, timeout=TIMEOUT):
        """Reads the greeting line."""
        deadline = time.monotonic() + timeout
        while b"\r\n" not in self.buffer:
            try:
                if not self._fill(deadline):
                    self.log.append(["eof", self.buffer.decode("latin-1")])
                    return None
            except TimeoutError:
                self.log.append(["timeout", "banner"])
                return None
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.log.append(["banner", line.decode("latin-1")])
        return line.decode("latin-1")

    def next_packet(self, deadline):
        """The next packet as text without its final empty line; None at the end of the stream."""
        while END not in self.buffer:
            if self.closed or not self._fill(deadline):
                if self.buffer:
                    self.log.append(["rest", self.buffer.decode("latin-1")])
                    self.buffer = b""
                return None
        raw, _, self.buffer = self.buffer.partition(END)
        text = raw.decode("latin-1")
        self.log.append(["packet", text])
        return text

    def read_until(self, condition, what, timeout=TIMEOUT):
        """Reads packets until one satisfies `condition`; returns all that were read, that one last."""
        deadline, packets = time.monotonic() + timeout, []
        while True:
            try:
                text = self.next_packet(deadline)
            except TimeoutError:
                self.log.append(["timeout", what])
                return packets
            if text is None:
                self.log.append(["eof", ""])
                return packets
            packets.append(text)
            if condition(text):
                return packets

    def answer(self, action_id=None, timeout=TIMEOUT):
        """Reads up to the next answer (to that ActionID) and returns it, else None."""

        def fits(text):
            return kind(text) == "response" and (action_id is None or header(text, "ActionID") == action_id)

        packets = self.read_until(fits, f"answer {action_id or ''}", timeout)
        return packets[-1] if packets and fits(packets[-1]) else None

    def answers(self, count):
        """Reads that many answers."""
        return [self.answer() for _ in range(count)]

    def listing(self, action_id, timeout=TIMEOUT):
        """Reads an answer and, when it opens a list, up to the list's end."""

        def over(text):
            if header(text, "ActionID") != action_id:
                return False
            return header(text, "EventList") == "Complete" or (
                kind(text) == "response" and header(text, "EventList") is None
            )

        return self.read_until(over, f"list {action_id}", timeout)

    def events_until(self, condition, what, timeout=TIMEOUT):
        """Reads up to an event that satisfies `condition`."""
        return self.read_until(lambda text: kind(text) == "event" and condition(text), what, timeout)

    def barrier(self):
        """A Ping, and everything up to its answer: what should not have come would be among it."""
        self.barriers += 1
        name = f"barrier-{self.barriers}"
        self.action("Action: Ping", f"ActionID: {name}")
        return self.read_until(lambda text: header(text, "ActionID") == name, name)

    def eof(self, timeout=TIMEOUT):
        """Reads up to the end of the stream."""
        return self.read_until(lambda _text: False, "end of stream", timeout)

    def close(self):
        """Closes without a word."""
        self.closed = True
        self.sock.close()

    # -- logging in

    def login(self, events="off", action_id="login"):
        """Reads the banner and logs in; True when that succeeded."""
        self.banner()
        self.action(*self.login_headers(events, action_id))
        answer = self.answer(action_id)
        return answer is not None and answer.startswith("Response: Success")

    def login_headers(self, events="off", action_id="login"):
        """The headers of a plain login as this target's user."""
        return [
            "Action: Login",
            f"ActionID: {action_id}",
            f"Username: {self.target.user}",
            f"Secret: {self.target.secret}",
            f"Events: {events}",
        ]

    def key(self, challenge):
        """The Key that answers a challenge."""
        return hashlib.md5((challenge + self.target.secret).encode()).hexdigest()
