"""The test dialogue with pystrix (threads, no TLS: run it behind `amiwall connect`)."""

import os
import sys
import threading

import pystrix

SEEN = ("Newchannel", "OriginateResponse", "Hangup")
core = pystrix.ami.core


def main():
    events = {name: threading.Event() for name in SEEN}
    manager = pystrix.ami.Manager()
    for name in SEEN:
        manager.register_callback(name, lambda event, _manager: events[event.name].set())
    manager.connect(os.environ["AMI_HOST"], int(os.environ["AMI_PORT"]))
    assert manager.get_asterisk_info()[0] == "Asterisk Call Manager", f"banner: {manager.get_asterisk_info()}"

    try:
        manager.send_action(core.Login(os.environ["AMI_USER"], "not the secret"))
    except core.ManagerAuthError as error:
        assert str(error) == "Authentication failed", f"a wrong secret: {error}"
    else:
        raise AssertionError("a wrong secret was taken")
    threading.excepthook = lambda _: None  # its reader dies of the end of each connection, and says so
    manager.connect(os.environ["AMI_HOST"], int(os.environ["AMI_PORT"]))

    # A challenge may have been asked for and the login be a plain one all the same.
    manager.send_action(core.Challenge())
    login = manager.send_action(core.Login(os.environ["AMI_USER"], os.environ["AMI_SECRET"]))
    assert login.success, f"login: {login}"
    assert manager.send_action(core.Ping()), "no Pong"

    listing = core.QueueSummary()
    listing.synchronous = True
    listed = manager.send_action(listing)
    assert listed.success and not listed.events_timeout, f"QueueSummary: {listed}"
    assert listed.events["QueueSummaryComplete"] and listed.events["QueueSummary"], f"QueueSummary: {listed.events}"

    call = manager.send_action(core.Originate_Context(
        "Local/1000@test", "click-to-dial", "2125551234", "1", variables={"campaign_id": "7"}))
    assert call.success, f"Originate: {call}"
    for name in SEEN:
        assert events[name].wait(15), f"no {name}"

    assert os.environ["AMI_FORBIDDEN"] == "DBPut", "this library has a class for each action"
    refused = manager.send_action(core.DBPut("clients", "k", "v"))
    assert not refused.success and refused.response.get("Message") == "Permission denied", f"refused: {refused}"
    goodbye = manager.send_action(core.Logoff())
    assert goodbye.response.get("Response") == "Goodbye", f"Logoff: {goodbye}"
    manager.close()


if __name__ == "__main__":
    # The library's threads must not hold up a failure.
    try:
        main()
    except Exception as error:  # noqa: BLE001 (whatever it is: say it and end)
        print(f"pystrix: {type(error).__name__} {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
