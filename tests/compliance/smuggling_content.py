"""Smuggling cases 34 to 81: header syntax, values that are parsed again, answers and events."""

from smuggling_cases import ASYNC, CALL, extension, forbidden, originate, smuggle

P = b"Action: Ping\r\n"


def headers(number, title, data, direct, through, fires=False):
    """Header lines of one packet in which KEY stands for the canary's name."""
    key = f"case-{number}"
    smuggle(number, title, data.replace(b"KEY", key.encode()) + b"\r\n", direct, through, fires, ("db", "smuggle", key))


REST = b"Family: smuggle\r\nKey: KEY\r\nVal: x\r\n"

# C. Header syntax and selection
headers("34a", "a blank before the name", b" Action: DBPut\r\n" + REST, "E", "E")
headers("34b", "a TAB before the name", b"\tAction: DBPut\r\n" + REST, "E", "E")
headers("35", "a blank before the colon", b"Action : DBPut\r\n" + REST, "E", "E")
smuggle("36a", "no blank behind the colon", b"Action:Ping\r\n\r\n", "S", "S")
headers("36b", "no blank, and forbidden", b"Action:DBPut\r\n" + REST, "S", "E", True)
headers("37", "control bytes before the value vanish", b"Action:\x01\x0b\x1f\t DBPut\r\n" + REST, "S", "E", True)
smuggle("38", "control bytes before other values vanish",
        b"Action: Originate\r\nChannel:\x0bLocal/1000@test\r\nContext:\x02\x03forbidden\r\nExten: 138\r\nPriority: 1\r\n"
        b"Async: true\r\n\r\n", "S", "E", True, ("db", "forbidden", "138"))
headers("39a", "NBSP before the value stays", b"Action:\xa0DBPut\r\n" + REST, "E", "E")
headers("39b", "DEL before the value stays", b"Action:\x7fDBPut\r\n" + REST, "E", "E")
headers("40a", "a blank behind the value", b"Action: DBPut \r\n" + REST, "E", "E")
headers("40b", "a TAB behind the value", b"Action: DBPut\t\r\n" + REST, "E", "E")
headers("40c", "a CR behind the value", b"Action: DBPut\r\r\r\n" + REST, "E", "E")
smuggle("41a", "any case", b"aCtIoN: pInG\r\n\r\n", "S", "S")
headers("41b", "any case, and forbidden", b"aCtIoN: dBpUt\r\n" + REST, "S", "E", True)
headers("42a", "two actions, the harmless one first", P + b"Action: DBPut\r\n" + REST, "S", "E")
headers("42b", "two actions, the harmless one last", b"Action: DBPut\r\n" + REST + P, "S", "E", True)
headers("43", "an empty action first", b"Action:\r\nAction: DBPut\r\n" + REST, "S", "E", True)
headers("44", "a blank action first", b"Action: \x01\r\nAction: DBPut\r\n" + REST, "S", "E", True)
headers("45", "an action that NUL empties first", b"Action: \0Ping\r\nAction: DBPut\r\n" + REST, "S", "E", True)
headers("46", "NUL behind the action", b"Action: DBPut\0Ping\r\n" + REST, "S", "E", True)
headers("47", "an empty Command first", b"Action: Command\r\nCommand:\r\nCommand: database put smuggle KEY x\r\n", "E", "E")
smuggle("48", "an empty ActionID first", P + b"ActionID:\r\nActionID: 2\r\n\r\n", "S", "E")
headers("49", "there is no folding", b"Action:\r\n DBPut\r\n" + REST, "E", "E")
headers("50a", "a BOM before the name", b"\xef\xbb\xbfAction: DBPut\r\n" + REST, "E", "E")
headers("50b", "a full-width letter in the name", "Ａction: DBPut\r\n".encode() + REST, "E", "E")
headers("50c", "a colon in the action", b"Action: DBPut: x\r\n" + REST, "E", "E")
headers("51", "Action-000000 is not Action", b"Action-000000: Ping\r\nAction: DBPut\r\n" + REST, "S", "E", True)
originate("52a", "a variable twice: both are judged, the first counts",
          ASYNC + b"Variable: SMUG=one\r\nVariable: SMUG=two\r\n", "S", "S", keeps="[one]")
originate("52b", "a second line of variables that are not allowed",
          ASYNC + b"Variable: SMUG=one\r\nVariable: OTHER=two\r\n", "S", "E")
smuggle("52c", "two names in a Getvar", b"Action: Getvar\r\nVariable: LABGLOBAL\r\nVariable: OTHER\r\n\r\n", "S", "E")
originate("53a", "Variables is not Variable", ASYNC + b"Variables: SMUG=x\r\n", "S", "S", keeps="[]")
originate("53b", "a blank behind Variable", ASYNC + b"Variable : SMUG=x\r\n", "S", "E")
smuggle("54", "a PROXY line where none is believed",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nAction: Login\r\nUsername: USER\r\nSecret: SECRET\r\nEvents: off\r\n\r\n",
        "S", "E", phase="before")
smuggle("55a", "headers of answers are ignored", b"Response: Success\r\nEvent: x\r\n" + P + b"\r\n", "S", "S")
headers("55b", "headers of answers, and forbidden", b"Response: Success\r\nEvent: x\r\nAction: DBPut\r\n" + REST, "S", "E", True)
smuggle("56", "a browser's POST with a login in its body",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\nAction: Login\r\nUsername: USER\r\nSecret: SECRET\r\nEvents: off\r\n\r\n"
        + forbidden("case-56"), "ESS", None, True, ("db", "smuggle", "case-56"), phase="before")

# D. Values that are parsed again
originate("57a", "quotes vanish from a name", ASYNC + b'Variable: SM"U"G=quoted\r\n', "S", "E")
originate("57b", "backslashes vanish from a name", ASYNC + b"Variable: SM\\UG=escaped\r\n", "S", "E")
originate("57c", "a name with parentheses is a function (a stand-in)", ASYNC + b"Variable: NO_SUCH_FUNCTION(x)=1\r\n", "S", "E")
originate("57d", "the same, disguised (a stand-in)", ASYNC + b"Variable: NO_SUCH\\_FUNCTION(x)=1\r\n", "S", "E")
originate("58", "| separates nothing", ASYNC + b"Variable: SMUG=1|OTHER=2\r\n", "S", "E")
originate("59a", "an open quote swallows the rest", ASYNC + b'Variable: SMUG="x,OTHER=1\r\n', "S", "E")
originate("59b", "so does an open bracket", ASYNC + b"Variable: SMUG=(x,OTHER=1\r\n", "S", "E")
originate("60", "more than 63 elements",
          ASYNC + b"Variable: " + b",".join(b"SMUG=%d" % n for n in range(70)) + b"\r\n", "S", "E")
AT = b"Context: smuggling\r\nExten: 1000\r\nPriority: 1\r\nAsync: true\r\n"


def channel(number, title, value, direct, through, fires):
    """An Originate of another channel, whose canary is the forbidden context; LEG stands for the extension there."""
    exten = extension(number)
    smuggle(number, title, b"Action: Originate\r\nChannel: " + value.replace(b"LEG", exten.encode()) + b"\r\n" + AT + b"\r\n",
            direct, through, fires, ("db", "forbidden", exten))


channel("61a", "what is behind a second @ belongs to the context", b"Local/LEG@forbidden@test/n", "S", "E", False)
channel("61b", "what is behind the last slash are options", b"Local/LEG@forbidden/x@test", "S", "E", True)
channel("62", "a channel that is cut loses its context", b"Local/" + b"9" * 260 + b"@test", "S", "E", False)
channel("63a", "the technology in any case", b"lOcAl/LEG@forbidden", "S", "E", True)
channel("63b", "a second channel to be called", b"Local/1000@test&Local/LEG@forbidden", None, "E", False)
smuggle("64", "a channel by the beginning of its name", b"Action: Bridge\r\nChannel1: L\r\nChannel2: L\r\n\r\n", "E", "E")
smuggle("65", "a channel by a regular expression", b"Action: Hangup\r\nChannel: /.*/\r\n\r\n", "S", "E", True, ("victim",))
originate("66a", "a number with a tail: Priority", ASYNC.replace(b"Priority: 1", b"Priority: 1abc"), "S", "E")
originate("66b", "a number with a tail: Timeout", ASYNC + b"Timeout: 9000x\r\n", "S", "E")
for letter, yes in zip("abcdef", [b"t", b"1", b"on", b"YES", b"y", b"True"]):
    originate("67" + letter, f"Async: {yes.decode()}", CALL + b"Async: " + yes + b"\r\nVariable: SMUG=v\r\n", "S", "S", keeps="[v]")
originate("67g", "a blank behind Async makes it synchronous", CALL + b"Async: true \r\n", "S", "E")
headers("68a", "TAB separates the words of a command", b"Action: Command\r\nCommand: database\tput smuggle KEY x\r\n", "S", "E", True)
headers("68b", "quotes in a command", b'Action: Command\r\nCommand: database put smuggle "KEY" x\r\n', "S", "E", True)
headers("68c", "backslashes in a command", b"Action: Command\r\nCommand: database put smug\\gle KEY x\r\n", "S", "E", True)
headers("68d", "blanks in a command", b"Action: Command\r\nCommand: database    put smuggle  KEY x\r\n", "S", "E", True)
smuggle("69", "commas in a file name (a stand-in)", b"Action: MixMonitor\r\nChannel: none/1\r\nFile: smuggle.wav,,true\r\n\r\n", "E", "E")
smuggle("70", "a file outside the folder (a stand-in)", b"Action: ListCategories\r\nFilename: ../no-such-folder/x.conf\r\n\r\n", "E", "E")


def of_calls(packets):
    """Whether events of calls came."""
    return any(text.startswith("Event: Newchannel\r\n") for text in packets)


for letter, mask in zip("abcd", [b",", b"user,,log", b"c,", b"4294967294"]):
    smuggle("71" + letter, f"EventMask: {mask.decode()}", b"Action: Events\r\nEventMask: " + mask + b"\r\n\r\n",
            "E" if letter == "d" else "S", None, letter != "d", ("packet", of_calls), phase="watch")
smuggle("72", "WaitEvent with a time in hex", b"Action: WaitEvent\r\nTimeout: 0x1\r\n\r\n", "S", "S")


# E. Answers and events
def glued(identity):
    """A test for an ActionID line that does not end where it should, or a packet inside a packet."""
    line = f"ActionID: {identity}"

    def condition(packets):
        return any((part.startswith("ActionID: II") and part != line) or (n and part.startswith("Response: "))
                   for text in packets for n, part in enumerate(text.split("\r\n")))

    return condition


def long_id(number, title, action, length, direct):
    """An action with an ActionID too long for one of Asterisk's buffers."""
    identity = "I" * length
    smuggle(number, title, b"Action: " + action + b"\r\nActionID: " + identity.encode() + b"\r\n\r\n" + P + b"\r\n",
            direct, None, True, ("packet", glued(identity)))


long_id("73a", "an ActionID of 300 bytes loses a packet's end", b"WaitEvent\r\nTimeout: 1", 300, None)
long_id("73b", "the same in a list", b"QueueSummary", 300, None)
long_id("74", "an ActionID of 200 bytes and the header behind it", b"CoreStatus", 200, None)
smuggle("75", "CR in an ActionID comes back", P + b"ActionID: a\rb\r\n\r\n", "S", "E", True,
        ("packet", lambda packets: any("\ra" in text.replace("\r\n", "") or "a\rb" in text for text in packets)))


def forged(packets):
    """Whether a watcher was sent a line or a packet that claims to be another event."""
    return any("Event: Hangup" in text.split("UserEvent: Smuggle", 1)[-1] for text in packets if "UserEvent: Smuggle" in text)


USER_EVENT = b"Action: UserEvent\r\nUserEvent: Smuggle\r\n"
smuggle("76", "a second Event in a UserEvent", USER_EVENT + b"Event: Hangup\r\nPrivilege: system,all\r\n\r\n", "S", "E", True,
        ("watcher", forged))
smuggle("77", "a forged packet in a UserEvent", USER_EVENT + b"\r\r\nEvent: Hangup\r\n\r\n", "S", "E", True, ("watcher", forged))
smuggle("78", "a function whose result would forge packets (a stand-in)",
        b"Action: Getvar\r\nVariable: NO_SUCH_FUNCTION(x)\r\n\r\n", "S", "E")
# 79 needs Asterisk's HTTP interface and has no form on TCP.
smuggle("80", "an action of 600 bytes", b"Action: " + b"Z" * 600 + b"\r\n\r\n", "E", "E")
smuggle("81", "a Response header in an event is no answer",
        b"Action: Originate\r\nActionID: o\r\nChannel: Local/9999@test\r\n" + AT + b"\r\n" + P + b"\r\n", "SS", "SS")
