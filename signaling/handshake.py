"""The server's side of the opening: challenge, hello, and the id that it proves."""

from __future__ import annotations

import asyncio
import logging

from signaling.auth import check, new_nonce
from signaling.connection import POLICY_VIOLATION, NodeConnection
from signaling.errors import AuthError, DecodeError
from signaling.messages import PROTOCOL, Challenge, ClientMessage, Error, Hello, decode_client
from signaling.printable import printable

logger = logging.getLogger(__name__)


async def authenticate(connection: NodeConnection, timeout: float) -> str | None:
    """The id that the client proves within `timeout` seconds, or None after telling it what was wrong."""
    host, nonce = connection.take_host(), new_nonce()
    connection.tell(Challenge(PROTOCOL, nonce))
    try:
        async with asyncio.timeout(timeout):
            frame = await connection.recv()
        hello = decode_frame(frame)
        if not isinstance(hello, Hello):
            raise DecodeError("the first frame must be a hello")
        connection.says_got = hello.got
        return check(hello, host, nonce)
    except TimeoutError:
        turn_away(connection, "timeout", "no hello came in time")
    except DecodeError as error:
        turn_away(connection, "malformed", str(error))
    except AuthError as error:
        turn_away(connection, "unauthorized", str(error))
    return None


def turn_away(connection: NodeConnection, code: str, text: str) -> None:
    """Say why, and close."""
    logger.info("a client at %s was turned away: %s", connection.address, printable(text))
    connection.tell(Error(code, printable(text)))
    connection.end(POLICY_VIOLATION, code)


def decode_frame(frame: str | bytes) -> ClientMessage:
    """The message in a frame; raises DecodeError."""
    if isinstance(frame, bytes):
        raise DecodeError("a binary frame; messages are text")
    return decode_client(frame)
