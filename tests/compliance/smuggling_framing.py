"""Smuggling cases 1 to 33: packet boundaries and lengths."""

from smuggling_cases import CALL, boundary, extension, forbidden, put, smuggle

P = b"Action: Ping\r\n"

# A. Packet boundaries
boundary("1", "a line that begins with NUL ends the packet", P + b"\0\r\n", "SS", "E", True)
boundary("2", "NUL and junk end the packet", P + b"\0junk: x\r\n", "SS", "E", True)
boundary("3", "NUL before the first line", b"\0Action: Ping\r\n", "ES", "E", True)
boundary("4", "NUL and a bare LF", P + b"X: a\0\r\n\0\n", "SS", "E", True)
smuggle("5", "a line with only CR does not end the packet",
        b"Action: Originate\r\n" + CALL.replace(b"EXTEN", extension("5").encode())
        + b"\r\r\nAction: Ping\r\nAsync: true\r\nVariable: SMUG=five\r\n\r\n",
        "S", "E", True, ("db", "smuggled", extension("5")))
boundary("6", "a line of one blank is no end", P + b" \r\n", "S", "E", False)
for letter, blank in zip("abcde", [b"\t", b"\x0b", b"\x0c", b"\xc2\xa0", b"\x85"]):
    boundary("7" + letter, f"a line of {blank!r} is no end", P + blank + b"\r\n", "S", "E", False)
smuggle("8", "LF LF ends a packet", b"Action: Ping\n\n", "S", "S")
smuggle("9a", "CR LF LF ends a packet", b"Action: Ping\r\n\n", "S", "S")
smuggle("9b", "LF CR LF ends a packet", b"Action: Ping\n\r\n", "S", "S")
smuggle("10", "two packets with LF ends, one to a reader that wants CR LF",
        b"Action: Ping\n\n" + forbidden("case-10").replace(b"\r\n", b"\n"), "SS", "SE", True, ("db", "smuggle", "case-10"))
smuggle("11", "CR inside a line", b"Action: Ping\rActionID: 1\r\r\r\n\r\n", "E", "E")
boundary("12", "empty lines in front", b"\r\n\r\n", "EES", "EEE", True)
smuggle("13", "the line end in three segments", [b"Action: Ping\r", b"\n\r", b"\n"], "S", "S")
smuggle("14", "an unfinished packet, then the end", put("case-14"), "", "", False, ("db", "smuggle", "case-14"),
        then="half-close")
smuggle("15", "a whole packet, then the end", forbidden("case-15"), "S", "E", True, ("db", "smuggle", "case-15"),
        then="half-close")
boundary("16", "behind a Logoff", b"Action: Logoff\r\n\r\n", "G", "G", False)
boundary("17", "behind a WaitEvent", b"Action: WaitEvent\r\nTimeout: 1\r\n\r\n", "SS", "SE", True)
for letter, split in zip("abcd", [b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\xc2\x85"]):
    smuggle("18" + letter, f"{split!r} is no line end", b"Action: Ping" + split + forbidden("case-18" + letter), "E", "E",
            False, ("db", "smuggle", "case-18" + letter))


# B. Length
def overlong(content):
    """A header line of exactly that many bytes without its line end."""
    return b"X: " + b"A" * (content - 3)


boundary("19", "1023 bytes and CR LF leave an empty line", P + overlong(1023) + b"\r\n", "ES", "E", True)
boundary("20a", "the same with 2046 bytes", P + overlong(2046) + b"\r\n", "ES", "E", True)
boundary("20b", "the same with 3069 bytes", P + overlong(3069) + b"\r\n", "ES", "E", True)
for letter, length in zip("abcde", [1024, 1025, 1026, 2045, 2047]):
    smuggle("21" + letter, f"{length} bytes: the packet is refused, the next one is not",
            forbidden("case-21" + letter)[:-2] + overlong(length) + b"\r\n\r\n" + P + b"\r\n", "ES", "ES",
            False, ("db", "smuggle", "case-21" + letter))
smuggle("22", "1023 bytes and LF: accepted, but not to be written with CR LF",
        P.replace(b"\r", b"") + overlong(1023) + b"\n" + forbidden("case-22").replace(b"\r\n", b"\n"), "S", "E",
        False, ("db", "smuggle", "case-22"))
smuggle("23a", "1022 bytes with the blanks", b"Action:" + b" " * 1011 + b"Ping\r\n\r\n", "S", None)
smuggle("23b", "1023 bytes with the blanks", b"Action:" + b" " * 1012 + b"Ping\r\n\r\n", "EE", None)
boundary("24a", "1022 bytes and CR CR LF", b"y" * 1022 + b"\r\r\n", "ES", "E", True)
boundary("24b", "1021 bytes and CR CR LF", P + b"y" * 1021 + b"\r\r\n", "S", "E", False)
boundary("25", "NUL at the byte that is kept", b"y" * 1023 + b"\0zzz\r\n", "ES", "E", True)
boundary("26", "1023 NULs", b"\0" * 1023 + b"\r\n", "ES", "E", True)
boundary("27", "the rest of an over-long line looks like a header", b"X" * 1023, "E", "E", False)
smuggle("28a", "129 lines", P + b"".join(b"X-%d: 1\r\n" % n for n in range(128)) + b"\r\n", "E", "E")
smuggle("28b", "128 lines", P + b"".join(b"X-%d: 1\r\n" % n for n in range(127)) + b"\r\n", "S", "S")
boundary("29", "the action is the 129th line", b"".join(b"X-%d: 1\r\n" % n for n in range(128)), "E", "E", False)
smuggle("30", "129 lines and a long one: the next packet is innocent",
        P + b"".join(b"X-%d: 1\r\n" % n for n in range(127)) + overlong(1100) + b"\r\n\r\n" + P + b"\r\n", "EE", "ES")
smuggle("31", "5000 bytes before the login", b"X" * 5000 + b"\r\n\r\n", "E", "E", phase="before")
boundary("32a", "for 13 and older: 1023 bytes empty the buffer", overlong(1023) + b"\r\n", "ES", "E", True)
boundary("32b", "for 13 and older: 1024 bytes empty the buffer", P + overlong(1024) + b"\r\n", "E", "E", False)
smuggle("33", "for 1.8 and older: the over-long line vanishes and the rest runs",
        put("case-33") + overlong(1500) + b"\r\n\r\n", "E", "E", False, ("db", "smuggle", "case-33"))
