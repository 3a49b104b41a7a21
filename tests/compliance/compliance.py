#!/usr/bin/env python3
"""The same AMI dialogues with any target, and the comparison of two recordings.

  compliance.py --target HOST:PORT [--tls [--ca FILE]] --user U --secret S --record OUT.json
                [--through] [--only TEXT]... [--skip-broken-in OTHER.json] [--verbose]
  compliance.py --compare DIRECT.json THROUGH.json [--at-least N]
  compliance.py --list

A recording holds every byte that was answered. The comparison takes out what differs from run to
run (normalise.py) and prints what is left. Cases that are documented to differ through amiwall are
held to what they say instead, and only when THROUGH.json was recorded with --through.
--at-least is for a target that does not know everything (the simulator): cases that were broken in
DIRECT.json are left out, and that many must remain.
Exit status: 0 alike, 1 differences or a case that could not be run, 2 usage.
"""

import argparse
import difflib
import json
import sys

import cases_actions  # noqa: F401 (each registers its cases)
import cases_calls  # noqa: F401
import cases_framing  # noqa: F401
import cases_session  # noqa: F401
import harness
import normalise
from ami import Target, header, kind


def record(args):
    """Runs the script against a target and writes what it answered."""
    target = Target(args.target, args.user, args.secret, tls=args.tls, ca=args.ca)
    skip = []
    if args.skip_broken_in:
        with open(args.skip_broken_in, encoding="utf-8") as file:
            skip = [name for name, case in json.load(file)["cases"].items() if "error" in case]
    cases, broken = harness.run_all(target, args.only, args.through, not args.tls, args.verbose, skip)
    with open(args.record, "w", encoding="utf-8") as out:
        json.dump({"target": args.target, "through": args.through, "cases": cases}, out, indent=1)
    print(f"{len(cases) - broken} cases recorded, {broken} broken", file=sys.stderr)
    return 1 if broken or not cases else 0


def flat(view):
    """A normalised case as lines of text."""
    lines = []
    for label, groups in sorted(view.items()):
        for group, entries in sorted(groups.items()):
            for entry in entries:
                lines.append(f"== {label} / {group}")
                lines.extend(repr(line)[1:-1] for line in entry.split("\r\n"))
    return lines


def unexpected(case):
    """What a case that is documented to differ does wrong through amiwall."""
    through = case["flags"].get("through")
    if not through:
        return None
    answers = [text for what, text in case["sessions"].get("s", [])
               if what == "packet" and kind(text) == "response"
               and not (header(text, "ActionID") or "").startswith(("barrier-", "login"))]
    if not answers:
        return "no answer at all"
    wrong = [text for text in answers if not text.startswith(through)]
    return f"answered {wrong[0]!r}, and not with {through!r}" if wrong else None


def compare(first, second, at_least):
    """Prints the differences of two recordings; returns the exit status."""
    with open(first, encoding="utf-8") as file:
        direct = json.load(file)
    with open(second, encoding="utf-8") as file:
        other = json.load(file)
    same = differing = documented = 0
    for name, case in direct["cases"].items():
        counterpart = other["cases"].get(name)
        if counterpart is None or (at_least and "error" in case):
            continue
        for side, part in ((first, case), (second, counterpart)):
            if "error" in part:
                print(f"BROKEN {name} in {side}: {part['error']}")
        if "error" in case or "error" in counterpart:
            differing += 1
            continue
        left, right = flat(normalise.case(case)), flat(normalise.case(counterpart))
        why = case["flags"].get("expect_differs")
        if other.get("through") and why:
            problem = unexpected(counterpart)
            if problem:
                differing += 1
                print(f"DIFFERS {name} (documented: {why}): {problem}")
            else:
                documented += 1
                if left == right:
                    print(f"note: {name} is the same, although documented to differ: {why}")
        elif left == right:
            same += 1
        else:
            differing += 1
            print(f"DIFFERS {name}")
            for line in difflib.unified_diff(left, right, "direct", "through", n=3, lineterm=""):
                print("   ", line)
    missing = [name for name in other["cases"] if name not in direct["cases"]]
    if missing:
        differing += len(missing)
        print(f"only in {second}: {', '.join(missing)}")
    print(f"{same} the same, {documented} different as documented, {differing} different or broken")
    if same + documented < at_least:
        print(f"fewer than {at_least} cases could be compared")
    return 1 if differing or not same or same + documented < at_least else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ca")
    parser.add_argument("--user")
    parser.add_argument("--secret")
    parser.add_argument("--record")
    parser.add_argument("--through", action="store_true", help="the target is amiwall: skip what makes sense direct only")
    parser.add_argument("--only", action="append", help="only cases with this text in their name")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--compare", nargs=2)
    parser.add_argument("--skip-broken-in", metavar="OTHER.json")
    parser.add_argument("--at-least", type=int, default=0, metavar="N")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        for case in harness.CASES:
            print(case.name, *([f"(differs: {case.expect_differs})"] if case.expect_differs else []))
        return 0
    if args.compare:
        return compare(*args.compare, args.at_least)
    if not (args.target and args.user and args.secret and args.record):
        parser.error("--target, --user, --secret and --record, or --compare")
    return record(args)


if __name__ == "__main__":
    sys.exit(main())
