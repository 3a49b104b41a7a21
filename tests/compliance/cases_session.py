"""Cases: banner, login, challenge, logoff, and what is said before a login."""

from ami import packet
from harness import case

REFUSED = "Response: Error"


@case("banner-and-logoff-without-login")
def _(run):
    s = run.connect()
    s.banner()
    s.action("Action: Logoff", "ActionID: 1")
    s.eof()


@case("login-ping-logoff")
def _(run):
    s = run.login()
    s.action("Action: Ping", "ActionID: 2")
    s.answer("2")
    s.action("Action: Logoff", "ActionID: 3")
    s.eof()


@case("login-without-action-id")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*[h for h in s.login_headers() if not h.startswith("ActionID")])
    s.answer()
    s.action("Action: Logoff")
    s.eof()


@case("login-before-the-banner-is-read")
def _(run):
    s = run.connect()
    s.action(*s.login_headers())
    s.banner()
    s.answer("login")
    s.barrier()


@case("login-and-actions-in-one-write")
def _(run):
    s = run.connect()
    s.banner()
    s.send(packet(*s.login_headers()) + packet("Action: Ping", "ActionID: 2") + packet("Action: Ping", "ActionID: 3"))
    s.answers(3)


@case("login-bytewise")
def _(run):
    s = run.connect()
    s.banner()
    s.send_in_pieces(packet(*s.login_headers()))
    s.answer("login")


@case("login-lf-only")
def _(run):
    s = run.connect()
    s.banner()
    s.send(packet(*s.login_headers(), end="\n"))
    s.answer("login")
    s.barrier()


@case("login-other-case-of-names-and-user")
def _(run):
    s = run.connect()
    s.banner()
    s.action("aCTION: lOGIN", "ACTIONID: x", f"username: {s.target.user.upper()}", f"SECRET: {s.target.secret}",
             "events: off")
    s.answer("x")


@case("login-blanks-before-values")
def _(run):
    s = run.connect()
    s.banner()
    s.action("Action:Login", f"Username:    {s.target.user}", f"Secret:\t {s.target.secret}", "Events: off")
    s.answer()


@case("login-with-unknown-headers")
def _(run):
    s = run.connect()
    s.banner()
    s.action("id: 7", *s.login_headers(), "Event: on", "X-Empty:")
    s.answer("login")
    s.barrier()


@case("login-unknown-authtype-is-plain")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*s.login_headers(), "AuthType: SHA256")
    s.answer("login")


@case("login-events-on-brings-fullybooted")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*s.login_headers("on"))
    s.answer("login")
    s.events_until(lambda text: text.startswith("Event: FullyBooted\r\n"), "FullyBooted")


@case("login-events-system-brings-fullybooted")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*s.login_headers("system"))
    s.events_until(lambda text: text.startswith("Event: FullyBooted\r\n"), "FullyBooted")


@case("login-events-call-brings-none")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*s.login_headers("call,cdr"))
    s.answer("login")
    s.barrier()


@case("login-events-nonsense-means-none")
def _(run):
    s = run.connect()
    s.banner()
    s.action(*s.login_headers("nonsense"))
    s.answer("login")
    s.barrier()


@case("login-when-logged-in")
def _(run):
    s = run.login()
    s.action("Action: Login", "ActionID: 9", "Username: nobody", "Secret: wrong")
    s.answer("9")
    s.barrier()


def failed(name, *headers, **flags):
    """A login that fails: the answer, and the end of the connection behind it."""

    @case(name, **flags)
    def _(run):
        s = run.connect()
        s.banner()
        s.action("Action: Login", "ActionID: w", *[h.format(u=s.target.user, s=s.target.secret) for h in headers])
        s.eof()


failed("failed-login-wrong-secret", "Username: {u}", "Secret: wrong")
failed("failed-login-unknown-user", "Username: nobody-here", "Secret: wrong")
failed("failed-login-no-username", "Secret: {s}")
failed("failed-login-no-secret", "Username: {u}")
failed("failed-login-empty-secret", "Username: {u}", "Secret:")
failed("failed-login-longer-secret", "Username: {u}", "Secret: {s}x")
failed("failed-login-md5-without-challenge", "Username: {u}", "AuthType: MD5", "Key: 0123456789abcdef0123456789abcdef")
failed("failed-login-blank-behind-the-secret", "Username: {u}", "Secret: {s} ", through=REFUSED,
       expect_differs="a blank at the end of a value is refused as malformed, not taken as part of it")
failed("failed-login-two-secrets", "Username: {u}", "Secret: wrong", "Secret: {s}", through=REFUSED,
       expect_differs="a duplicate header is refused as malformed, the session stays open")


@case("failed-login-then-a-good-one-pipelined")
def _(run):
    s = run.connect()
    s.banner()
    s.send(packet("Action: Login", "ActionID: w", f"Username: {s.target.user}", "Secret: wrong")
           + packet(*s.login_headers()) + packet("Action: Ping"))
    s.eof()


def challenge(s, action_id, auth_type="MD5"):
    """Asks for a challenge and returns its digits, or None."""
    s.action("Action: Challenge", f"ActionID: {action_id}", f"AuthType: {auth_type}")
    for line in (s.answer(action_id) or "").split("\r\n"):
        if line.startswith("Challenge: "):
            return line.removeprefix("Challenge: ")
    return None


@case("challenge-login")
def _(run):
    s = run.connect()
    s.banner()
    first, second = challenge(s, "c1"), challenge(s, "c2", "md5")
    run.note("decimal digits", bool(first) and first.isdigit() and len(first) <= 10)
    run.note("the same one again", first == second)
    s.action("Action: Login", "ActionID: c3", "AuthType: MD5", f"Username: {s.target.user}",
             f"Key: {s.key(first or '')}", "Events: off")
    s.answer("c3")
    s.barrier()


@case("challenge-differs-between-connections")
def _(run):
    a, b = run.connect("a"), run.connect("b")
    a.banner()
    b.banner()
    run.note("different", challenge(a, "1") != challenge(b, "1"))


@case("challenge-wrong-key")
def _(run):
    s = run.connect()
    s.banner()
    digits = challenge(s, "c1") or ""
    s.action("Action: Login", "ActionID: w", "AuthType: MD5", f"Username: {s.target.user}", f"Key: {s.key(digits + '1')}")
    s.eof()


@case("challenge-upper-case-key")
def _(run):
    s = run.connect()
    s.banner()
    digits = challenge(s, "c1") or ""
    s.action("Action: Login", "ActionID: w", "AuthType: MD5", f"Username: {s.target.user}", f"Key: {s.key(digits).upper()}")
    s.eof()


@case("challenge-of-unknown-type-then-plain-login")
def _(run):
    s = run.connect()
    s.banner()
    challenge(s, "c1", "SHA256")
    s.action("Action: Challenge", "ActionID: c2")
    s.answer("c2")
    s.action(*s.login_headers())
    s.answer("login")


@case("challenge-when-logged-in")
def _(run):
    s = run.login()
    challenge(s, "c1")
    s.barrier()


@case("action-before-login")
def _(run):
    s = run.connect()
    s.banner()
    s.action("Action: Ping", "ActionID: 5")
    s.answer("5")
    s.action("Action: Nonsense", "ActionID: 6")
    s.answer("6")
    s.action("Action: WaitEvent", "Timeout: 1", "ActionID: 7")
    s.answer("7")
    s.action("ActionID: 8")
    s.answer()
    s.action(*s.login_headers())
    s.answer("login")


@case("line-without-colon-before-login", expect_differs="a line without a colon is refused as malformed", through=REFUSED)
def _(run):
    s = run.connect()
    s.banner()
    s.action("hello")
    s.answer()


@case("http-request", expect_differs="an HTTP request is refused as such", through=REFUSED)
def _(run):
    s = run.connect()
    s.banner()
    s.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    s.answer()


@case("logoff-drops-what-is-pipelined-behind")
def _(run):
    s = run.login()
    s.send(packet("Action: Ping", "ActionID: 1") + packet("Action: Logoff", "ActionID: 2") + packet("Action: Ping", "ActionID: 3"))
    s.eof()


@case("half-close-after-an-action", plain_only=True)
def _(run):
    s = run.login()
    s.action("Action: CoreSettings", "ActionID: 1")
    s.half_close()
    s.eof()


@case("half-close-after-many", plain_only=True)
def _(run):
    s = run.login()
    s.send(b"".join(packet("Action: Ping", f"ActionID: {n}") for n in range(20)))
    s.half_close()
    s.eof()


@case("half-close-in-a-packet", plain_only=True)
def _(run):
    s = run.login()
    s.send(packet("Action: Ping", "ActionID: whole") + b"Action: Ping\r\nActionID: unfinished\r\n")
    s.half_close()
    s.eof()
