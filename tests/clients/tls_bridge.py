#!/usr/bin/env python3
"""tls_bridge.py COMMAND...: runs COMMAND, whose AMI library knows no TLS, with a plain port in front of a TLS one.

Where AMI_CA is set, COMMAND finds AMI_HOST and AMI_PORT changed to a port of its own on loopback; every connection
to it is carried to the real one over TLS, whose certificate is verified. Without AMI_CA nothing is in between.
Exit status: that of COMMAND.
"""

import asyncio
import os
import ssl
import sys


async def copy(reader, writer):
    """Carries bytes one way until their end, and passes that on."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main():
    command, ca = sys.argv[1:], os.environ.get("AMI_CA")
    if not command:
        sys.exit(__doc__)
    if not ca:
        return (await (await asyncio.create_subprocess_exec(*command)).wait())
    host, port = os.environ["AMI_HOST"], int(os.environ["AMI_PORT"])
    context = ssl.create_default_context(cafile=ca)

    async def carry(near_reader, near_writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        except OSError as error:
            print(f"tls_bridge.py: {host}:{port}: {error}", file=sys.stderr)
            near_writer.close()
            return
        await asyncio.gather(copy(near_reader, far_writer), copy(far_reader, near_writer))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    environment = dict(os.environ, AMI_HOST="127.0.0.1", AMI_PORT=str(server.sockets[0].getsockname()[1]), AMI_CA="")
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
        server.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
