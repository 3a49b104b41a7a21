#!/usr/bin/env python3
"""real.py AMIWALL HOST:PORT ETC: init and doctor in front of a real Asterisk, whose files are in ETC."""

import json
import os
import pty
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

amiwall, address, etc = sys.argv[1:]
host, port = address.rsplit(":", 1)
conf = os.path.join(etc, "manager.conf")
work = tempfile.mkdtemp(prefix="amiwall-doctor.")
folder = os.path.join(work, "new")
policy = os.path.join(folder, "policy.yaml")


def fail(why):
    print(f"doctor: {why}", file=sys.stderr)
    sys.exit(1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ami(username, secret, *packets):
    """Logs in directly and sends packets; all that came until Asterisk closed."""
    with socket.create_connection((host, int(port)), 10) as stream:
        login = f"Action: Login\r\nUsername: {username}\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"
        stream.sendall((login + "".join(packets) + "Action: Logoff\r\n\r\n").encode())
        came = b""
        while chunk := stream.recv(65536):
            came += chunk
        return came.decode(errors="replace")


def reload():
    said = ami("admin", "adminpw", "Action: Command\r\nCommand: manager reload\r\n\r\n")
    if "Response: Success" not in said:
        fail(f"the manager was not reloaded: {said}")


def doctor(*arguments, wanted):
    files = ["--manager-conf", conf, "--asterisk", address]
    ran = subprocess.run([amiwall, "doctor", *arguments, *files, "--format", "json"], capture_output=True, text=True)
    if ran.returncode != wanted:
        fail(f"doctor ended with {ran.returncode}, and not {wanted}: {ran.stdout}{ran.stderr}")
    for secret in ("amp111", "adminpw", "amiwallpw"):
        if secret in ran.stdout + ran.stderr:
            fail(f"doctor shows a secret: {ran.stdout}")
    return [(finding["code"], finding["level"], finding["found"]) for finding in json.loads(ran.stdout)["findings"]]


def must_have(findings, code, level, *words):
    if not any(c == code and l == level and all(word in found for word in words) for c, l, found in findings):
        fail(f"no {level} {code} {words}: {findings}")


def ask(answers):
    """`amiwall init` on a terminal; each question is answered when it has come."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(amiwall, [amiwall, "init", folder])
    shown = ""
    for question, answer in answers + [(None, None)]:
        deadline = time.monotonic() + 60
        while question is None or question not in shown:
            if time.monotonic() > deadline:
                fail(f"{question} never came: {shown}")
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                chunk = os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                chunk = ""
            if not chunk:
                break
            shown += chunk
        if question is None:
            break
        if answer is signal.SIGINT:
            os.write(terminal, b"\x03")
            continue
        os.write(terminal, (answer + "\n").encode())
        shown = shown.split(question, 1)[1]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, shown


# Made weak on purpose: an account that anybody guesses.
with open(conf, "a", encoding="utf-8") as file:
    file.write("\n[phone]\nsecret = amp111\nread = all\nwrite = all\n\n[open]\nsecret =\nwrite = command\n")
reload()
if "Authentication accepted" not in ami("phone", "amp111"):
    fail("the weak account cannot log in: it would prove nothing")

# Ctrl-C at a question leaves nothing.
status, _ = ask([("manager.conf shall be read", conf), ("manager interface listen", signal.SIGINT)])
if status == 0 or os.listdir(work):
    fail(f"Ctrl-C ended with {status} and left {os.listdir(work)}")

listen = f"127.0.0.1:{free_port()}"
status, shown = ask([
    ("manager.conf shall be read", conf),
    ("manager interface listen", "nonsense"),
    ("expected a host and a port", ""),
    ("account there", "amiwall"),
    ("clients connect?", listen),
    ("reach this machine", "localhost"),
    ("first client do", "wallboard"),
    ("first client called", "lobby"),
])
if status != 0 or "lets `amiwall` in" not in shown:
    fail(f"init ended with {status}: {shown}")
secret = shown.split("Secret: ", 1)[1].split()[0]
if "amiwallpw" in shown or open(os.path.join(folder, "secrets/pbx.secret")).read() != "amiwallpw\n":
    fail("the secret of the account that is there was not taken, or was shown")

weak = doctor(policy, wanted=3)
must_have(weak, "secret-weak", "problem", "[phone]", "everybody tries first")
must_have(weak, "secret-weak", "problem", "[open]", "empty")
must_have(weak, "secret-weak", "warning", "[amiwall]", "fewer than 12")
must_have(weak, "account-wider", "problem", "[amiwall]", "write = all")
must_have(weak, "bypass-account", "problem" if "0.0.0.0" in open(conf).read().split("[amiwall]")[0] else "warning", "[phone]")
must_have(weak, "port-open", "ok", f"127.0.0.1:{port}")
must_have(weak, "asterisk-login", "ok", "amiwall")
must_have(weak, "live-dangerously", "ok")
must_have(weak, "running", "warning")
if not any(code == "asterisk-advisories" and level != "could-not-look" for code, level, _ in weak):
    fail(f"Asterisk's version was not judged: {weak}")

# A client through amiwall.
running = subprocess.Popen([amiwall, "run", policy], stderr=subprocess.PIPE, text=True)
try:
    for line in running.stderr:
        if "listening on" in line:
            break
    context = ssl.create_default_context(cafile=os.path.join(folder, "certs/ca.crt"))
    address_of = listen.rsplit(":", 1)
    with socket.create_connection((address_of[0], int(address_of[1])), 30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as stream:
            packets = f"Action: Login\r\nUsername: lobby\r\nSecret: {secret}\r\n\r\n"
            packets += "Action: Ping\r\n\r\nAction: CoreSettings\r\n\r\nAction: Logoff\r\n\r\n"
            stream.sendall(packets.encode())
            came = b""
            while chunk := stream.recv(65536):
                came += chunk
    for wanted in (b"Authentication accepted", b"Ping: Pong", b"Permission denied", b"Thanks for all the fish"):
        if wanted not in came:
            fail(f"{wanted} did not come: {came}")
    must_have(doctor(policy, wanted=3), "running", "ok")
finally:
    running.terminate()
    running.wait(20)

# Mended: amiwall's own account alone, as init has written it.
with open(conf, encoding="utf-8") as file:
    general = file.read().split("[amiwall]")[0].replace("tlsenable = yes", "tlsenable = no")
with open(os.path.join(folder, "manager.conf.snippet"), encoding="utf-8") as file:
    section = "[amiwall]" + file.read().split("[amiwall]")[1]
strong = "0f3b1d5c7a9e2468ace13579bdf02468ace1"
with open(conf, "w", encoding="utf-8") as file:
    file.write(general + section.replace("; keep the line `secret = …` that is there", f"secret = {strong}"))
    file.write("[admin]\nsecret = adminpw\nread = all\nwrite = all\n")
with open(os.path.join(folder, "secrets/pbx.secret"), "w", encoding="utf-8") as file:
    file.write(strong + "\n")
reload()
with open(conf, encoding="utf-8") as file:
    mended = file.read().split("[admin]")[0]
with open(conf, "w", encoding="utf-8") as file:
    file.write(mended)
reload()
left = [finding for finding in doctor(policy, wanted=3 if any(
    code == "asterisk-advisories" and level == "problem" for code, level, _ in weak) else 0)
    if finding[1] == "problem" and finding[0] != "asterisk-advisories"]
if left:
    fail(f"problems are left: {left}")
subprocess.run(["rm", "-r", work], check=True)
print(f"init and doctor in front of a real Asterisk: {len(weak)} findings")
