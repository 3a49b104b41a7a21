"""The numbered smuggling catalogue as cases: the bytes, and what has to become of them.

Each case says how a real Asterisk answers when the bytes reach it as they are (`direct`, the words
of its answers, and whether the canary then shows that something ran), and what amiwall has to do
(`through`): the words of its answers, where None leaves the number of answers open.
S is Success, E Error, G Goodbye. The canary never shows through amiwall, but for the cases that are
to be forwarded in canonical form: there `keeps` is the value that has to arrive.

Where Asterisk itself would do harm, a stand-in of the same shape is sent: a function that does
not exist, a database key of the tests' own.
"""

CASES = []


class Smuggle:
    """One case. `data` is bytes, or a list of bytes of which each is a write of its own."""

    def __init__(self, number, title, data, direct, through, fires, canary, keeps, phase, then):
        self.number, self.title, self.data = number, title, data
        self.direct, self.through = direct, through
        self.fires, self.canary, self.keeps = fires, canary, keeps
        self.phase, self.then = phase, then

    @property
    def expectation(self):
        """What is to become of it through amiwall, in words."""
        if self.through is None:
            return "without effect, and the session in step"
        if self.keeps is not None or (self.through and "E" not in self.through):
            return "forwarded canonical"
        return "refused"


def smuggle(number, title, data, direct, through, fires=False, canary=None, keeps=None, phase="session", then=None):
    """Registers a case.

    canary  ("db", family, key), ("packet", function) on what the session or the watcher was sent, or ("victim",)
    phase   `session`: after the login; `before`: instead of the login; `watch`: with events, while a call is made
    then    `half-close` after the bytes
    """
    CASES.append(Smuggle(number, title, data, direct, through, fires, canary, keeps, phase, then))


def put(key):
    """The header lines of the forbidden action, with its canary."""
    return f"Action: DBPut\r\nFamily: smuggle\r\nKey: {key}\r\nVal: x\r\n".encode()


def forbidden(key):
    """The forbidden action as a packet."""
    return put(key) + b"\r\n"


def boundary(number, title, before, direct, through, fires, **more):
    """Bytes in front of a forbidden packet, whose canary is a database key with the case's name."""
    key = f"case-{number}"
    smuggle(number, title, before + forbidden(key), direct, through, fires, ("db", "smuggle", key), **more)


def originate(number, title, headers, direct, through, fires=True, keeps=None, **more):
    """An Originate into the context that says in the database with which SMUG it was reached."""
    exten = extension(number)
    data = b"Action: Originate\r\n" + headers.replace(b"EXTEN", exten.encode()) + b"\r\n"
    smuggle(number, title, data, direct, through, fires, ("db", "smuggled", exten), keeps, **more)


def extension(number):
    """The extension of a case: 10 and two digits for its number, and one for its letter."""
    digits = "".join(c for c in number if c.isdigit())
    letter = number[len(digits):]
    return f"1{int(digits):02d}{ord(letter) - 96 if letter else 0}"


CALL = b"Channel: Local/1000@test\r\nContext: smuggling\r\nExten: EXTEN\r\nPriority: 1\r\n"
ASYNC = CALL + b"Async: true\r\n"
