#!/usr/bin/env python3
"""Sends the smuggling catalogue and looks, from beside, whether any canary shows.

  smuggling.py --through HOST:PORT [--tls [--ca FILE]] --user U --secret S
               --direct HOST:PORT --direct-user U --direct-secret S
  smuggling.py --self-test --direct HOST:PORT --direct-user U --direct-secret S
  smuggling.py --list

Through amiwall each case must be answered as it says, must leave the session in step, and must
have no effect on Asterisk beyond what its canonical form says. --self-test sends the same bytes to
Asterisk itself, with all rights, and demands that the canaries show where Asterisk runs what was
smuggled: so they can show. Common: [--only N]... [--verbose]. Exit status: 0 good, 1 not, 2 usage.
"""

import argparse
import sys
import time

import smuggling_content  # noqa: F401 (each registers its cases)
import smuggling_framing  # noqa: F401
from ami import Session, Target, header, kind
from harness import wait_for_no_channels
from smuggling_cases import CASES

WORDS = {"Success": "S", "Error": "E", "Goodbye": "G"}


class Beside:
    """A session with Asterisk itself, with all rights: it sees what really happened."""

    def __init__(self, target):
        self.target = target
        self.session = Session(target)
        self.count = 0
        if not self.session.login():
            raise RuntimeError(f"cannot log in to {target.address} directly")

    def ask(self, *headers):
        """Runs an action and returns the packets of its answer."""
        self.count += 1
        self.session.action(*headers, f"ActionID: beside-{self.count}")
        return self.session.listing(f"beside-{self.count}")

    def get(self, family, key):
        """A value of Asterisk's database, or None."""
        for text in self.ask("Action: DBGet", f"Family: {family}", f"Key: {key}"):
            if text.startswith("Event: DBGetResponse\r\n"):
                return header(text, "Val")
        return None

    def wait_for(self, family, key, seconds=5):
        """A value of the database, given some time to appear."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.get(family, key)
            if value is not None:
                return value
            time.sleep(0.05)  # between two looks
        return None

    def delete(self, family, key):
        """Forgets a canary of an earlier run."""
        self.ask("Action: DBDel", f"Family: {family}", f"Key: {key}")

    def call(self, seconds):
        """Starts a call and waits until its two channels live."""
        self.ask("Action: Originate", "Channel: Local/1001@test", "Application: Wait", f"Data: {seconds}", "Async: true")
        deadline = time.monotonic() + 10
        while self.channels() < 2:
            if time.monotonic() > deadline:
                raise RuntimeError("the call did not come up")
            time.sleep(0.02)  # between two looks

    def channels(self):
        """How many channels live."""
        return int(header(self.ask("Action: CoreShowChannels")[-1], "ListItems") or 0)

    def hang_up(self):
        """Ends all calls."""
        self.ask("Action: Hangup", "Channel: /.*/")
        wait_for_no_channels(self.session)


class Result:
    """What a case did."""

    def __init__(self):
        self.words, self.in_step, self.canary, self.value = "", True, False, None
        self.packets, self.problem = [], None


def read_answers(session, result):
    """Reads up to a barrier, or to the end of the connection."""
    packets = session.barrier()
    barrier = f"barrier-{session.barriers}"
    result.in_step = bool(packets) and header(packets[-1], "ActionID") == barrier and packets[-1].startswith("Response: Success")
    result.packets = packets[:-1] if result.in_step else packets
    if session.closed:
        result.in_step = None


def words_of(packets):
    """The words of the answers among packets."""
    return "".join(WORDS.get(header(text, "Response") or "", "?") for text in packets if kind(text) == "response")


def send(session, case):
    """Sends the bytes of a case, with the names that they need."""
    target = session.target
    for piece in case.data if isinstance(case.data, list) else [case.data]:
        session.send(piece.replace(b"USER\r", target.user.encode() + b"\r").replace(b"SECRET\r", target.secret.encode() + b"\r"))


def play(case, target, beside):
    """Runs one case against a target."""
    result = Result()
    if case.canary and case.canary[0] == "db":
        beside.delete(*case.canary[1:])
    if case.canary == ("victim",):
        beside.call(20)
    watcher = Session(beside.target) if case.canary and case.canary[0] == "watcher" else None
    if watcher:
        watcher.login("user")
    session = Session(target)
    try:
        session.banner()
        if case.phase != "before":
            session.action(*session.login_headers("off"))
            answer = session.answer("login")
            if not (answer and answer.startswith("Response: Success")):
                raise RuntimeError("the login did not succeed")
        send(session, case)
        if case.then == "half-close":
            end_of_stream(session, result)
        elif case.phase == "before":
            session.action(*session.login_headers("off", "after"))
            read_until_login(session, result)
        else:
            first = None
            if case.phase == "watch":
                first = session.answer()
                beside.call(1)
                beside.hang_up()
            read_answers(session, result)
            if first:
                result.packets.insert(0, first)
        look(case, result, beside, watcher)
    finally:
        session.close()
        if watcher:
            watcher.close()
        if case.canary == ("victim",):
            beside.hang_up()
    return result


def end_of_stream(session, result):
    """Ends the stream towards the target and reads what comes."""
    if session.target.context:
        result.words = None  # Python cannot half-close TLS: only what happened counts
        session.close()
    else:
        session.half_close()
        result.packets = session.eof()
    result.in_step = None


def read_until_login(session, result):
    """Reads up to the answer to the login that follows the bytes."""
    packets = session.read_until(lambda text: header(text, "ActionID") == "after", "the login behind it")
    result.in_step = None if session.closed else bool(packets) and header(packets[-1], "ActionID") == "after"
    result.packets = [text for text in packets if header(text, "ActionID") != "after"]


def look(case, result, beside, watcher):
    """Looks for the canary."""
    if result.words is not None:
        result.words = words_of(result.packets)
    sort = case.canary[0] if case.canary else None
    if sort == "db":
        # What was answered with Success may still be about to happen; what was not is over.
        accepted = "S" in (result.words or "") or (case.then and case.fires)
        wait = case.keeps is not None or (accepted and case.fires)
        result.value = beside.wait_for(*case.canary[1:]) if wait and not beside.strict else beside.get(*case.canary[1:])
        if wait and case.keeps is not None and result.value is None:
            result.value = beside.wait_for(*case.canary[1:])
        wait_for_no_channels(beside.session)
        result.value = result.value if result.value is not None else beside.get(*case.canary[1:])
        result.canary = result.value is not None
    elif sort == "packet":
        result.canary = case.canary[1](result.packets)
    elif sort == "watcher":
        beside.ask("Action: UserEvent", "UserEvent: Last")
        seen = watcher.events_until(lambda text: header(text, "UserEvent") == "Last", "the last UserEvent")
        result.canary = case.canary[1](seen)
    elif sort == "victim":
        deadline = time.monotonic() + (5 if "S" in (result.words or "") else 0)
        while beside.channels() == 2 and time.monotonic() < deadline:
            time.sleep(0.05)  # between two looks
        result.canary = beside.channels() < 2


def judge(case, result, through):
    """What is wrong with a result; None if nothing is."""
    if through:
        if case.keeps is not None:
            if result.value != case.keeps:
                return f"Asterisk should have been told {case.keeps!r}, it was {result.value!r}"
        elif result.canary:
            return f"THE CANARY SHOWS: {result.value if result.value is not None else result.packets!r}"
        if result.in_step is False:
            return f"the session is out of step: {result.packets!r}"
        expected = case.through
    else:
        shows = case.fires or case.keeps is not None
        if shows != result.canary:
            return f"the canary {'shows' if result.canary else 'does not show'} on Asterisk itself"
        if case.keeps is not None and result.value != case.keeps:
            return f"Asterisk was told {result.value!r} and not {case.keeps!r}"
        expected = case.direct
    if expected is not None and result.words is not None and result.words != expected:
        return f"answered {result.words!r} and not {expected!r}: {result.packets!r}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ca")
    parser.add_argument("--user")
    parser.add_argument("--secret")
    parser.add_argument("--direct")
    parser.add_argument("--direct-user", default="admin")
    parser.add_argument("--direct-secret", default="adminpw")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        for case in CASES:
            print(f"{case.number:>4} {case.title}: {case.expectation}")
        print("  79 through the HTTP interface: no form on TCP")
        return 0
    if not args.direct or not (args.self_test or (args.through and args.user and args.secret)):
        parser.error("--direct with --self-test, or with --through, --user and --secret")
    beside = Beside(Target(args.direct, args.direct_user, args.direct_secret))
    target = beside.target if args.self_test else Target(args.through, args.user, args.secret, args.tls, args.ca)
    beside.strict = not args.self_test
    good = bad = canaries = 0
    for case in CASES:
        if args.only and case.number not in args.only:
            continue
        try:
            result = play(case, target, beside)
            problem = judge(case, result, not args.self_test)
        except (OSError, RuntimeError) as error:
            result, problem = Result(), f"{type(error).__name__}: {error}"
        canaries += result.canary
        if problem:
            bad += 1
            print(f"BAD {case.number} {case.title} ({case.expectation}): {problem[:600]}")
        else:
            good += 1
            if args.verbose:
                print(f"ok  {case.number} {case.title}: {result.words}{' canary' if result.canary else ''}")
    if not args.self_test:
        late = [case.number for case in CASES if case.keeps is None and case.canary and case.canary[0] == "db"
                and (not args.only or case.number in args.only) and beside.get(*case.canary[1:]) is not None]
        if late:
            bad += 1
            print(f"BAD canaries that show at the end: {', '.join(late)}")
    print(f"{good} good, {bad} bad, {canaries} canaries seen")
    return 1 if bad or not good else 0


if __name__ == "__main__":
    sys.exit(main())
