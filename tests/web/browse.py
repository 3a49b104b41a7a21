#!/usr/bin/env python3
"""browse.py BROWSER URL USER PASSWORD FOLDER: logs in with the form, opens every page in light and dark, on a desk and on a
phone, keeps pictures in FOLDER, and fails where the browser has anything to say, something runs that is not amiwall's, or
text does not fit."""
import base64
import json
import os
import subprocess
import sys
import tempfile

PAGES = {
    "overview": "/", "sessions": "/sessions", "refusals": "/refusals", "calls": "/calls", "calls-week": "/calls?range=7d",
    "audit": "/audit", "search": "/audit?decision=deny", "reasons": "/reasons",
}
SIZES = {"desk": (1180, 900, False), "phone": (390, 844, True)}
# What sticks out of its box, but for boxes that scroll.
OVERFLOW = """(() => {
  const out = [];
  if (document.documentElement.scrollWidth > innerWidth) out.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const one of document.querySelectorAll("main *, header *")) {
    if (one.closest("svg") || one.closest(".skip") || one.closest("thead")) continue;
    const style = getComputedStyle(one);
    if (style.display === "inline" || ["auto", "scroll"].includes(style.overflowX)) continue;
    const fits = one.scrollWidth <= one.clientWidth + 1 || one.clientWidth === 0;
    if (!fits) out.push(`${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`);
  }
  for (const one of document.querySelectorAll(".scroll")) {
    if (one.scrollWidth > one.clientWidth + 1) out.push(`a table is ${one.scrollWidth} wide in ${one.clientWidth}`);
  }
  return out;
})()"""


class Browser:
    def __init__(self, command, profile):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
            "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe", "about:blank",
        ]
        shell = f'exec "$@" 3<&{to_read} 4>&{from_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "-", command, *options], pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.out, self.into = os.fdopen(to_write, "wb"), os.fdopen(from_read, "rb")
        self.number, self.session, self.rest, self.said = 0, None, b"", []
        self.loaded, self.shown = [], None          # documents that were loaded, and the one that was last waited for

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.into.fileno(), 1 << 16)
            if not more:
                sys.exit("the browser ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.lifecycleEvent" and params["name"] == "load":
            self.loaded.append(params["loaderId"])
        if method == "Log.entryAdded":
            self.said.append(params["entry"]["text"])
        if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.said.append(json.dumps(params)[:500])
        return message

    def ask(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        self.out.write(json.dumps(request).encode() + b"\0")
        self.out.flush()
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]

    def wait_for(self, loader=None):
        """Until that document is loaded, or any other than the one before."""
        while not (loader in self.loaded if loader else self.loaded and self.loaded[-1] != self.shown):
            self.message()
        self.shown = self.loaded[-1]

    def evaluate(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def go(self, url):
        self.wait_for(self.ask("Page.navigate", url=url)["loaderId"])

    def begin(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)

    def set(self, scheme, size):
        width, height, is_phone = SIZES[size]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shoot(self, path):
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


def log_in(browser, url, user, password):
    browser.evaluate(f"""document.querySelector("[name=user]").value = {json.dumps(user)};
        document.querySelector("[name=password]").value = {json.dumps(password)};
        document.querySelector("form").requestSubmit();""")
    browser.wait_for()


def look(browser, folder, name, problems):
    for size in SIZES:
        for scheme in ("light", "dark"):
            browser.set(scheme, size)
            browser.shoot(f"{folder}/web-{name}-{size}-{scheme}.png")
        problems += [f"{name} on a {size}: {line}" for line in browser.evaluate(OVERFLOW)]
    if browser.evaluate("document.title").find("owned") >= 0:
        problems.append(f"{name}: a value of the log has run")
    if browser.evaluate("document.querySelectorAll('script:not([src]), main img, [style], [onclick]').length"):
        problems.append(f"{name}: there is something inline")
    problems += [f"{name}: the browser says {line}" for line in browser.said]
    browser.said.clear()


def main():
    command, url, user, password, folder = sys.argv[1:]
    problems = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(command, profile)
        try:
            browser.begin()
            browser.set("light", "desk")
            browser.go(f"{url}/audit")
            if not browser.evaluate("location.pathname === '/login'"):
                sys.exit("nobody was asked to log in")
            look(browser, folder, "login", problems)
            log_in(browser, url, user, "wrong")
            if "wrong" not in browser.evaluate("document.querySelector('[role=alert]').textContent"):
                sys.exit("a wrong password was taken")
            browser.said.clear()                  # the browser tells of the 403
            log_in(browser, url, user, password)
            if browser.evaluate("location.pathname") != "/" or browser.evaluate("document.cookie") != "":
                sys.exit("not logged in, or the cookie can be read: " + browser.evaluate("document.body.innerText"))
            for name, path in PAGES.items():
                browser.set("light", "desk")
                browser.go(url + path)
                look(browser, folder, name, problems)
            links = """[...document.querySelectorAll('a')].map((a) => a.href)"""
            browser.go(f"{url}/sessions")
            session = next(link for link in browser.evaluate(links) if "id=" in link)
            browser.go(session)
            look(browser, folder, "session", problems)
            browser.go(f"{url}/refusals")
            records = [link for link in browser.evaluate(links) if "/record?" in link]
            if len(records) < 9:
                sys.exit(f"only {len(records)} refusals: {browser.evaluate('document.body.innerText')}")
            for number, record in enumerate(records):
                browser.go(record)
                look(browser, folder, f"record-{number}", problems)
            # Keyboard: the first stop leads past the menu.
            browser.go(f"{url}/")
            browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            if browser.evaluate("document.activeElement.className") != "skip":
                problems.append("the first stop of the keyboard is not the way past the menu")
            # A live page is asked for again by its own script.
            browser.evaluate("document.querySelector('h1').textContent = 'old'; document.activeElement.blur()")
            browser.evaluate("""new Promise((done, fail) => {
                new MutationObserver(() => done(1)).observe(document.getElementById("main"), { childList: true });
                setTimeout(() => fail(new Error("the page was not asked for again")), 20000); })""")
            if browser.evaluate("document.querySelector('h1').textContent") != "Overview":
                problems.append("a live page stays old")
            browser.go(f"{url}/audit")
            browser.evaluate("document.querySelector('form[action=\"/verify\"]').requestSubmit()")
            browser.wait_for()
            while "being verified" in browser.evaluate("document.body.innerText"):
                browser.go(f"{url}/audit")
            if "Whole:" not in browser.evaluate("document.body.innerText"):
                problems.append("the chain was not verified: " + browser.evaluate("document.body.innerText")[:600])
            look(browser, folder, "verified", problems)
            # That a breach of the policy would be noticed.
            browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title=\"owned\"'}))")
            browser.evaluate("new Promise((done) => setTimeout(done, 100))")
            if not any("Content Security Policy" in line for line in browser.said):
                problems.append("a script in the page was not blocked, or not told")
            browser.said.clear()
            browser.evaluate("document.querySelector('form[action=\"/logout\"]').requestSubmit()")
            browser.wait_for()
            browser.go(f"{url}/sessions")
            if browser.evaluate("location.pathname") != "/login":
                problems.append("who has logged out is still in")
        finally:
            browser.process.kill()
            browser.process.wait()
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(PAGES) + len(records) + 3} pages, light and dark, on a desk and on a phone: nothing blocked, nothing overflows")


main()
