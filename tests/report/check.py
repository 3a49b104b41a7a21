#!/usr/bin/env python3
"""check.py WORK ARTEFACTS HEAD: what the browser made of the report of busy_log.py.

WORK has dom.html (the page as the browser has it), net.json (its network log), *.log (what it said), and canary.*, the
same of a page that does ask for something;
ARTEFACTS has the pictures and the tables. The numbers are counted here again, from the log itself.
"""

import csv
import glob
import json
import os
import re
import sys


def expect(what, is_so):
    if not is_so:
        sys.exit(f"report: {what}")


def count(log):
    """The main numbers, by another program than amiwall."""
    calls = refused = failed = sessions = 0
    for name in sorted(glob.glob(log + "/audit-*.jsonl")):
        for line in open(name, encoding="utf-8"):
            record = json.loads(line)
            is_call = record["kind"] == "action" and record["name"] == "Originate"
            calls += is_call and record["decision"] == "allow"
            refused += is_call and record["decision"] in ("deny", "limit")
            failed += record["kind"] == "login" and record["decision"] == "deny"
            failed += record.get("counts", {}).get("login", 0) if record["kind"] == "refuse" else 0
            sessions += record["kind"] == "login" and record["decision"] == "allow"
    return {"calls passed to Asterisk": calls, "calls refused": refused, "failed log-ins": failed, "sessions": sessions}


def check_page(dom, numbers, head):
    for label, number in numbers.items():
        found = re.search(r"<strong>([\d,]+)</strong>\s*<span class=\"label\">" + re.escape(label) + "<", dom)
        expect(f"{label} is not on the page", found)
        expect(f"{label}: {found[1]} instead of {number}", found[1] == f"{number:,}")
        expect(f"{label}: too few to show anything", number > 100)
    expect("the head is not that of `audit verify`", len(head) == 64 and head in dom)
    expect("no verdict", "✓ The chain of records is whole" in dom)
    for heading in ("Who did what", "What was refused", "Log-ins and failures", "Sessions", "Policy changes", "Suspensions",
                    "Gaps and outages", "What the log leaves out or hides", "Who can do what", "How to check this report"):
        expect(f"no section {heading}", f">{heading}</h2>" in dom)
    expect("two charts with bars", dom.count("<svg") == 2 and dom.count('class="bar"') > 200)
    for table in re.findall(r"<table.*?</table>", dom, re.S):
        expect("a table without heads", 'scope="col"' in table and 'scope="row"' in table)
    expect("a script", "<script" not in dom.lower())


def asked_by_page(path):
    """What the page asked for: what the browser wants for itself (its own updates) has no page as its initiator."""
    requests = [event["params"] for event in json.load(open(path, encoding="utf-8"))["events"] if "params" in event]
    requests = [request for request in requests if "url" in request and "initiator" in request]
    return {request["url"] for request in requests if request["initiator"] != "not an origin"}


def check_network(work):
    """The page asks for nothing; a page that does is noticed."""
    asked = asked_by_page(os.path.join(work, "canary.json"))
    expect(f"a request would not be seen: {asked}", any(url.endswith("/canary") for url in asked))
    asked = asked_by_page(os.path.join(work, "net.json"))
    asked = {url for url in asked if not url.startswith(("file:", "data:"))}
    expect(f"the page asked for {sorted(asked)}", not asked)
    said = open(os.path.join(work, "canary.log"), encoding="utf-8", errors="replace").read()
    expect("a message of the console would not be seen", "CONSOLE" in said)


def main():
    work, artefacts, head = sys.argv[1:]
    dom = open(os.path.join(work, "dom.html"), encoding="utf-8").read()
    numbers = count(os.path.join(work, "log"))
    check_page(dom, numbers, head)
    check_network(work)
    for name in set(glob.glob(work + "/*.log")) - {work + "/canary.log"}:
        said = [line for line in open(name, encoding="utf-8", errors="replace") if "CONSOLE" in line]
        expect(f"the browser said {said}", not said)
    for name, least in (("report.png", 30_000), ("report-whole.png", 100_000), ("report-broken.png", 20_000), ("report.pdf", 50_000)):
        expect(f"{name} is empty", os.path.getsize(os.path.join(artefacts, name)) > least)
    broken = open(os.path.join(artefacts, "report-broken.html"), encoding="utf-8").read()
    expect("a broken log is not called so", "✗ The chain of records is broken" in broken)
    with open(os.path.join(artefacts, "report-csv", "identities.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    total = sum(int(row["calls allowed"]) for row in rows)
    expect(f"{total} calls in identities.csv", total == numbers["calls passed to Asterisk"])
    print(f"the report is whole: {numbers}; pictures in {artefacts}")


if __name__ == "__main__":
    main()
