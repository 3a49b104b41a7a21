"""The test dialogue with asterisk-ami (a thread and futures, no TLS: run it behind `amiwall connect`)."""

import os
import sys
import threading

from asterisk.ami import AMIClient, SimpleAction

SEEN = ("Newchannel", "OriginateResponse", "Hangup", "QueueSummaryComplete")


def main():
    events = {name: threading.Event() for name in SEEN}
    lost = threading.Event()
    client = AMIClient(address=os.environ["AMI_HOST"], port=int(os.environ["AMI_PORT"]), timeout=15)
    client.add_event_listener(lambda event, **_: events[event.name].set(), white_list=list(SEEN))
    client.add_listener(on_disconnect=lambda **_: lost.set())

    def ask(name, **headers):
        return client.send_action(SimpleAction(name, **headers)).response

    login = client.login(username=os.environ["AMI_USER"], secret=os.environ["AMI_SECRET"]).response
    assert not login.is_error() and login.keys["Message"] == "Authentication accepted", f"login: {login}"
    assert ask("Ping").keys["Ping"] == "Pong", "no Pong"

    listed = ask("QueueSummary")
    assert listed.keys["EventList"] == "start", f"QueueSummary: {listed}"
    assert events["QueueSummaryComplete"].wait(15), "the list did not end"

    call = SimpleAction("Originate", Channel="Local/1000@test", Context="click-to-dial", Exten="2125551234",
                        Priority="1", Async="true")
    call["campaign_id"] = "7"  # becomes a Variable
    answer = client.send_action(call).response
    assert not answer.is_error(), f"Originate: {answer}"
    for name in ("Newchannel", "OriginateResponse", "Hangup"):
        assert events[name].wait(15), f"no {name}"

    refused = ask(os.environ["AMI_FORBIDDEN"], Family="clients", Key="k", Val="v")
    assert refused.is_error() and refused.keys["Message"] == "Permission denied", f"the forbidden action: {refused}"
    assert client.logoff().response.status == "Goodbye", "no Goodbye"
    assert lost.wait(15), "the connection stays open behind the Logoff"


if __name__ == "__main__":
    # A failure must not wait for the library's thread.
    try:
        main()
    except Exception as error:  # noqa: BLE001 (whatever it is: say it and end)
        print(f"asterisk-ami: {type(error).__name__} {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
