"""The test dialogue with pyst2 (threads, no TLS: run it behind `amiwall connect`)."""

import os
import sys
import threading

from asterisk.manager import Manager, ManagerAuthException

SEEN = ("Newchannel", "OriginateResponse", "Hangup", "QueueSummaryComplete")


def refuse_a_wrong_secret():
    """It is an exception here. The object is of no use behind it: its threads start once."""
    manager = Manager()
    manager.connect(os.environ["AMI_HOST"], int(os.environ["AMI_PORT"]))
    try:
        manager.login(os.environ["AMI_USER"], "not the secret")
    except ManagerAuthException as error:
        assert str(error) == "Authentication failed", f"a wrong secret: {error}"
    else:
        raise AssertionError("a wrong secret was taken")


def main():
    refuse_a_wrong_secret()
    events = {name: threading.Event() for name in SEEN}
    manager = Manager()
    manager.connect(os.environ["AMI_HOST"], int(os.environ["AMI_PORT"]))
    for name in SEEN:
        manager.register_event(name, lambda event, _manager: events[event.name].set())
    assert manager.version, "no version in the banner"
    login = manager.login(os.environ["AMI_USER"], os.environ["AMI_SECRET"])
    assert login.get_header("Response") == "Success", f"login: {login}"
    assert manager.ping().get_header("Ping") == "Pong", "no Pong"

    listed = manager.send_action({"Action": "QueueSummary"})
    assert listed.get_header("EventList") == "start", f"QueueSummary: {listed}"
    assert events["QueueSummaryComplete"].wait(15), "the list did not end"

    call = manager.originate("Local/1000@test", "2125551234", context="click-to-dial", priority="1", run_async=True,
                             variables={"campaign_id": "7"})
    assert call.get_header("Response") == "Success", f"Originate: {call.headers}"
    for name in ("Newchannel", "OriginateResponse", "Hangup"):
        assert events[name].wait(15), f"no {name}"

    refused = manager.send_action({"Action": os.environ["AMI_FORBIDDEN"], "Family": "clients", "Key": "k", "Val": "v"})
    assert refused.get_header("Response") == "Error", f"the forbidden action: {refused.headers}"
    assert refused.get_header("Message") == "Permission denied", f"the forbidden action: {refused.headers}"
    assert manager.logoff().get_header("Response") == "Goodbye", "no Goodbye"
    manager.message_thread.join(15)
    assert not manager.message_thread.is_alive(), "the connection stays open behind the Logoff"


if __name__ == "__main__":
    # The library's threads are not daemons; a failure must not wait for them.
    try:
        main()
    except Exception as error:  # noqa: BLE001 (whatever it is: say it and end)
        print(f"pyst2: {type(error).__name__} {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
