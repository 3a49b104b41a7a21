"""The registry of compliance cases, and the run that records what a target answers to them."""

import sys
import time

from ami import Session, header

CASES = []


class Case:
    """One exchange: a function of a Run, and what is known about it."""

    def __init__(self, function, name, expect_differs, through, direct_only, plain_only, unordered, keep):
        self.function, self.name = function, name
        self.expect_differs = expect_differs
        self.through = through
        self.direct_only = direct_only
        self.plain_only = plain_only
        self.unordered = unordered
        self.keep = list(keep)

    def flags(self):
        """What the comparison has to know."""
        flags = {
            "expect_differs": self.expect_differs,
            "through": self.through,
            "unordered": self.unordered,
            "keep": self.keep,
        }
        return {key: value for key, value in flags.items() if value}


def case(name, expect_differs=None, through=None, direct_only=False, plain_only=False, unordered=False, keep=()):
    """Registers a case.

    expect_differs  why the answer through amiwall is another one than Asterisk's (a documented deviation)
    through         then: the text with which every answer in the session `s` through amiwall, but for
                    the login's and the barriers', has to begin
    direct_only     makes no sense through a proxy
    plain_only      cannot be done over TLS
    unordered       the events of one channel come in no certain order here
    keep            events that are compared although they are among normalise.DETACHED
    """

    def register(function):
        if any(known.name == name for known in CASES):
            raise ValueError(f"two cases are named {name}")
        CASES.append(Case(function, name, expect_differs, through, direct_only, plain_only, unordered, keep))
        return function

    return register


class Run:
    """What a case gets: sessions whose logs end up in the record."""

    def __init__(self, target):
        self.target = target
        self.sessions, self.notes = {}, {}
        self.open = []

    def connect(self, label="s"):
        """A connection that has not read anything yet."""
        log = self.sessions.setdefault(label, [])
        session = Session(self.target, log)
        self.open.append(session)
        return session

    def login(self, label="s", events="off"):
        """A session that is logged in."""
        session = self.connect(label)
        if not session.login(events):
            raise RuntimeError(f"the login of session {label} did not succeed: {session.log}")
        return session

    def note(self, name, value):
        """Records something that a case worked out itself."""
        self.notes[name] = value

    def quiet(self):
        """Waits until no channel is left (of a case before, or of this one)."""
        session = Session(self.target)
        try:
            if not session.login():
                raise RuntimeError(f"cannot log in: {session.log}")
            wait_for_no_channels(session)
        finally:
            session.close()

    def close(self):
        """Ends what the case left open."""
        for session in self.open:
            session.close()


def wait_for_no_channels(session, seconds=30):
    """Asks for the channels until there are none."""
    deadline, count = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        count += 1
        session.action("Action: CoreShowChannels", f"ActionID: quiet-{count}")
        packets = session.listing(f"quiet-{count}")
        if packets and header(packets[-1], "ListItems") == "0":
            return
        if session.closed:
            break
        time.sleep(0.05)  # between two looks
    raise RuntimeError("channels do not go away")


def run_all(target, only=None, through=False, plain=True, verbose=False, skip=()):
    """Runs the cases against a target and returns the record and the number of those that could not be run."""
    cases, broken = {}, 0
    for known in CASES:
        if known.name in skip:
            continue
        if only and not any(pattern in known.name for pattern in only):
            continue
        if (through and known.direct_only) or (not plain and known.plain_only):
            continue
        run = Run(target)
        started = time.monotonic()
        error = None
        try:
            run.quiet()
            known.function(run)
        except (OSError, RuntimeError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        finally:
            run.close()
        timeouts = [what for log in run.sessions.values() for sort, what in log if sort == "timeout"]
        if timeouts and not (through and known.expect_differs):
            error = error or f"no answer within the time: {', '.join(timeouts)}"
        record = {"flags": known.flags(), "sessions": run.sessions, "notes": run.notes}
        if error:
            broken += 1
            record["error"] = error
            print(f"BROKEN {known.name}: {error}", file=sys.stderr)
        elif verbose:
            print(f"{time.monotonic() - started:6.2f} s  {known.name}", file=sys.stderr)
        cases[known.name] = record
    return cases, broken
