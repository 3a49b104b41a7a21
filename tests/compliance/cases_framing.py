"""Cases: how bytes become packets and headers, on a session that is logged in."""

from ami import packet
from harness import case

REFUSED = "Response: Error"


def exchange(name, data, answers=1, **flags):
    """Sends bytes, reads that many answers, and makes sure with a Ping that there were no more."""

    @case(name, **flags)
    def _(run):
        s = run.login()
        s.send(data)
        s.answers(answers)
        s.barrier()


exchange("ping", b"Action: Ping\r\n\r\n")
exchange("ping-with-id", b"Action: Ping\r\nActionID: 1\r\n\r\n")
exchange("line-ends-lf", b"Action: Ping\nActionID: 1\n\n")
exchange("line-ends-mixed", b"Action: Ping\nActionID: 1\r\n\nAction: Ping\r\nActionID: 2\n\r\n", 2)
exchange("id-before-action", b"ActionID: 1\r\nAction: Ping\r\n\r\n")
exchange("other-case-of-names-and-action", b"aCtIoN: pInG\r\nACTIONid: x\r\n\r\n")
exchange("no-blank-behind-the-colon", b"Action:Ping\r\nActionID:1\r\n\r\n")
exchange("blanks-before-values", b"Action:     Ping\r\nActionID:    1\r\n\r\n")
exchange("tabs-before-values", b"Action:\t Ping\r\nActionID: \t1\r\n\r\n")
exchange("empty-headers", b"Action: Ping\r\nActionID: 1\r\nChannel:\r\nVariable: \r\n\r\n")
exchange("unknown-headers", b"id: 7\r\nAction: Ping\r\nActionID: 1\r\nX-Trace: abc\r\nPrivilege: all\r\n\r\n")
exchange("response-and-event-headers-are-ignored", b"Response: Success\r\nEvent: x\r\nAction: Ping\r\nActionID: 1\r\n\r\n")
exchange("empty-id", b"Action: Ping\r\nActionID:\r\n\r\n")
exchange("id-with-blanks-inside", b"Action: Ping\r\nActionID: a b  c\r\n\r\n")
exchange("id-with-colons-and-quotes", b"Action: Ping\r\nActionID: a:b: \"c\" 'd' \\e ${f} %g\r\n\r\n")
exchange("id-in-utf-8", "Action: Ping\r\nActionID: zażółć-語\r\n\r\n".encode())
exchange("id-not-utf-8", b"Action: Ping\r\nActionID: \xff\xfe\xa0\r\n\r\n")
exchange("id-of-64-bytes", b"Action: Ping\r\nActionID: " + b"i" * 64 + b"\r\n\r\n")
exchange("id-of-200-bytes-on-a-ping", b"Action: Ping\r\nActionID: " + b"i" * 200 + b"\r\n\r\n")
exchange("id-that-looks-like-a-header", b"Action: Ping\r\nActionID: Response: Error\r\n\r\n")
exchange("id-repeated-on-the-next-action", b"Action: Ping\r\nActionID: same\r\n\r\n" * 2, 2)
exchange("empty-line-alone", b"\r\n")
exchange("empty-lines-before-a-packet", b"\r\n\n\r\nAction: Ping\r\nActionID: 1\r\n\r\n", 4)
exchange("missing-action", b"ActionID: 1\r\nChannel: x\r\n\r\n")
exchange("empty-action", b"Action:\r\nActionID: 1\r\n\r\n")
exchange("unknown-action", b"Action: NoSuchAction\r\nActionID: 1\r\n\r\n", through=REFUSED,
         expect_differs="an action that the policy does not list is `Permission denied`, known to Asterisk or not")
exchange("action-with-a-colon-in-it", b"Action: Ping: x\r\nActionID: 1\r\n\r\n", through=REFUSED,
         expect_differs="an action that the policy does not list is `Permission denied`, known to Asterisk or not")
exchange("action-id-is-not-action", b"Action-1: Command\r\nAction: Ping\r\nActionID: 1\r\n\r\n")
exchange("pipelined-3", b"".join(packet("Action: Ping", f"ActionID: {n}") for n in range(3)), 3)
exchange("pipelined-100", b"".join(packet("Action: Ping", f"ActionID: {n}") for n in range(100)), 100)
exchange("pipelined-10-without-ids", b"Action: Ping\r\n\r\n" * 10, 10)
exchange("line-of-1022-bytes", b"Action: Ping\r\nX-Long: " + b"x" * 1014 + b"\r\nActionID: 1\r\n\r\n")
exchange("line-of-1100-bytes", b"Action: Ping\r\nActionID: 1\r\nX-Long: " + b"x" * 1092 + b"\r\n\r\n", through=REFUSED,
         expect_differs="the refusal may carry the ActionID, which Asterisk's does not")
exchange("lines-128", packet("Action: Ping", "ActionID: 1", *[f"X-{n}: {n}" for n in range(126)]))
exchange("lines-129", packet("Action: Ping", "ActionID: 1", *[f"X-{n}: {n}" for n in range(127)]))


@case("ping-bytewise")
def _(run):
    s = run.login()
    s.send_in_pieces(b"Action: Ping\r\nActionID: 1\r\n\r\n")
    s.answer("1")


@case("ping-one-write-per-line")
def _(run):
    s = run.login()
    for line in (b"Action: Ping\r\n", b"ActionID: 1\r\n", b"\r\n"):
        s.send(line)
    s.answer("1")


@case("line-end-cut-between-two-writes")
def _(run):
    s = run.login()
    for piece in (b"Action: Ping\r", b"\nActionID: 1\r\n\r", b"\nAction: Ping\r\nActionID: 2\r\n\r\n"):
        s.send(piece)
    s.answers(2)


@case("ping-waits-for-its-answer-each-time")
def _(run):
    s = run.login()
    for n in range(20):
        s.action("Action: Ping", f"ActionID: {n}")
        s.answer(str(n))


# What amiwall refuses although Asterisk makes something of it.
MALFORMED = "the profile of DESIGN.md refuses what two readers could understand in two ways: "
for _name, _data, _why in [
    ("two-actions", b"Action: Ping\r\nAction: CoreStatus\r\nActionID: 1\r\n\r\n", "a duplicate header"),
    ("two-ids", b"Action: Ping\r\nActionID: 1\r\nActionID: 2\r\n\r\n", "a duplicate header"),
    ("empty-action-then-another", b"Action:\r\nAction: Ping\r\nActionID: 1\r\n\r\n", "a duplicate header"),
    ("unknown-header-twice", b"Action: Ping\r\nActionID: 1\r\nX: 1\r\nX: 2\r\n\r\n", "a duplicate header"),
    ("line-without-colon", b"Action: Ping\r\nhello\r\nActionID: 1\r\n\r\n", "a line without a colon"),
    ("blank-before-the-colon", b"ActionID: 1\r\nAction : Ping\r\n\r\n", "a blank in a name"),
    ("blank-before-the-name", b"ActionID: 1\r\n Action: Ping\r\n\r\n", "a blank in a name"),
    ("line-of-blanks", b"Action: Ping\r\n  \r\nActionID: 1\r\n\r\n", "a line without a colon"),
    ("blank-behind-the-action", b"ActionID: 1\r\nAction: Ping \r\n\r\n", "a blank at the end"),
    ("control-byte-before-a-value", b"ActionID: 1\r\nAction:\x01 Ping\r\n\r\n", "a control byte"),
    ("control-byte-in-a-value", b"ActionID: 1\r\nAction: Ping\r\nX: a\x1bb\r\n\r\n", "a control byte"),
    ("tab-in-a-value", b"ActionID: 1\r\nAction: Ping\r\nX: a\tb\r\n\r\n", "a control byte"),
    ("nul-in-a-value", b"ActionID: 1\r\nAction: Ping\r\nX: a\0b\r\n\r\n", "a control byte"),
    ("cr-in-a-value", b"ActionID: 1\r\nAction: Ping\r\nX: a\rb\r\n\r\n", "a lone CR"),
    ("name-with-a-dot", b"ActionID: 1\r\nAction: Ping\r\nX.y: a\r\n\r\n", "a name outside the profile"),
    ("name-not-ascii", b"ActionID: 1\r\nAction: Ping\r\nX\xc3\xa9: a\r\n\r\n", "a name outside the profile"),
]:
    exchange("refused-" + _name, _data, expect_differs=MALFORMED + _why, through=REFUSED)
