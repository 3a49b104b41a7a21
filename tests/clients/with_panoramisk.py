"""The test dialogue with panoramisk (asyncio, TLS of its own)."""

import asyncio
import os
import ssl
import sys

from panoramisk import Manager

SEEN = ("Newchannel", "Hangup")


async def dialogue():
    ca = os.environ.get("AMI_CA")
    events = {name: asyncio.Event() for name in SEEN}
    lost = asyncio.Event()
    manager = Manager(
        host=os.environ["AMI_HOST"],
        port=int(os.environ["AMI_PORT"]),
        username=os.environ["AMI_USER"],
        secret=os.environ["AMI_SECRET"],
        ssl=ssl.create_default_context(cafile=ca) if ca else False,
        on_disconnect=lambda *_: lost.set(),
        loop=asyncio.get_running_loop(),
    )
    for name in SEEN:
        manager.register_event(name, lambda _manager, event: events[event.event].set())
    await manager.connect()
    while manager.protocol is None:  # set by a callback of the task that was just awaited
        await asyncio.sleep(0)
    login = await manager.authenticated_future
    assert login.success, f"login: {login}"

    pong = await manager.send_action({"Action": "Ping"})
    assert pong.success and pong.ping == "Pong", f"Ping: {pong}"
    queues = await manager.send_action({"Action": "QueueSummary"})
    assert len(queues) >= 3 and queues[-1].eventlist == "Complete", f"QueueSummary: {queues}"

    call = await manager.send_action({
        "Action": "Originate", "Channel": "Local/1000@test", "Context": "click-to-dial", "Exten": "2125551234",
        "Priority": "1", "Async": "true", "Variable": ["campaign_id=7"]})
    # The library takes the OriginateResponse, which carries the ActionID, for the last part of the answer.
    assert call[0].success and call[-1].event == "OriginateResponse", f"Originate: {call}"
    for name in SEEN:
        await events[name].wait()

    refused = await manager.send_action({"Action": os.environ["AMI_FORBIDDEN"], "Family": "clients", "Key": "k", "Val": "v"})
    assert not refused.success and refused.message == "Permission denied", f"the forbidden action: {refused}"
    manager.reconnect_timeout = 3600  # it would connect again behind the Logoff
    goodbye = await manager.send_action({"Action": "Logoff"})
    assert goodbye.response == "Goodbye", f"Logoff: {goodbye}"
    await lost.wait()
    manager.close()


async def main():
    await asyncio.wait_for(dialogue(), 45)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (AssertionError, asyncio.TimeoutError, OSError) as error:
        sys.exit(f"panoramisk: {type(error).__name__} {error}")
