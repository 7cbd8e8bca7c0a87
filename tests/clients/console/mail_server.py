#!/usr/bin/env python3
"""A mail server on loopback that writes each mail as a line of JSON.

    mail_server.py PORT FILE [starttls|tls PEM]

With `starttls` it takes no mail before the way is encrypted, with `tls` nothing is said in the open."""

import asyncio
import email
import email.policy
import json
import signal
import ssl
import sys

from aiosmtpd.controller import Controller


class Writer:
    def __init__(self, path: str):
        self.path = path

    async def handle_DATA(self, _server, _session, envelope) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: mail.get_body((kind,)).get_content()
        line = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": dict(mail.items()),
            "text": part("plain"),
            "html": part("html"),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return "250 OK"


def encryption(mode: str, pem: str) -> dict:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    if mode == "starttls":
        return {"tls_context": context, "require_starttls": True}
    return {"ssl_context": context}


async def serve(port: int, path: str, more: dict) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    controller = Controller(Writer(path), hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        await stopped.wait()
    finally:
        controller.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], encryption(*sys.argv[3:]) if sys.argv[3:] else {}))
