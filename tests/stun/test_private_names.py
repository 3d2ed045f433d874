"""The names of aioice that this project leans on, public or not: an upgrade that moves one fails here first."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect

import pytest

from atmosphere.stun import library
from atmosphere.stun.library import stun, turn


def test_the_pinned_version() -> None:
    assert importlib.metadata.version("aioice").startswith("0.13.")


@pytest.mark.parametrize("name", list(library.__all__))
def test_the_library_exports(name: str) -> None:
    assert getattr(library, name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "ATTRIBUTES_BY_NAME",
        "ATTRIBUTES_BY_TYPE",
        "Class",
        "Message",
        "Method",
        "Transaction",
        "TransactionError",
        "TransactionFailed",
        "TransactionTimeout",
        "message_fingerprint",
        "message_integrity",
        "pack_address",
        "pack_bytes",
        "pack_none",
        "pack_unsigned",
        "pack_unsigned_short",
        "padding_length",
        "parse_message",
        "unpack_address",
        "unpack_xor_address",
    ],
)
def test_the_codec(name: str) -> None:
    assert hasattr(stun, name)


def test_a_message_remembers_what_its_signature_covers() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    assert "_integrity_data" in vars(message)
    message.add_message_integrity(b"key")
    assert message._integrity_data is not None
    assert message.check_message_integrity(b"key")


def test_an_attribute_is_four_columns() -> None:
    for kind, entry in stun.ATTRIBUTES_BY_TYPE.items():
        assert entry[0] == kind
        assert stun.ATTRIBUTES_BY_NAME[entry[1]] == entry
        assert callable(entry[2])
        assert callable(entry[3])


@pytest.mark.parametrize("entry", library.ADDED, ids=lambda entry: entry[1])
def test_our_attributes_are_registered(entry: library.Entry) -> None:
    assert stun.ATTRIBUTES_BY_TYPE[entry[0]] == entry


def test_registering_leaves_what_is_there() -> None:
    before = stun.ATTRIBUTES_BY_TYPE[0x0024]
    library.register(((0x0024, "PRIORITY", stun.pack_none, stun.unpack_none),))
    assert stun.ATTRIBUTES_BY_TYPE[0x0024] is before


def test_create_turn_endpoint_takes_what_the_turn_client_gives() -> None:
    assert list(inspect.signature(turn.create_turn_endpoint).parameters) == [
        "protocol_factory",
        "server_addr",
        "username",
        "password",
        "lifetime",
        "channel_refresh_time",
        "ssl",
        "transport",
    ]


async def test_the_turn_clients_internals() -> None:
    inner = turn.TurnClientUdpProtocol(("192.0.2.1", 3478), "user", "password", 600, 500)
    for name in (
        "channel_number",
        "channel_refresh_at",
        "channel_refresh_time",
        "channel_to_peer",
        "integrity_key",
        "lifetime",
        "mapped_address",
        "nonce",
        "password",
        "peer_connect_waiters",
        "peer_to_channel",
        "peer_to_failed_channel",
        "realm",
        "receiver",
        "refresh_task",
        "relayed_address",
        "server",
        "transactions",
        "username",
    ):
        assert hasattr(inner, name), name
    for name in ("channel_bind", "connect", "delete", "refresh", "request", "request_with_retry", "send_data"):
        assert asyncio.iscoroutinefunction(getattr(inner, name)), name
    for name in ("datagram_received", "send_stun", "connection_made", "connection_lost"):
        assert callable(getattr(inner, name)), name
    outer = turn.TurnTransport(inner)
    assert outer._TurnTransport__inner_protocol is inner  # type: ignore[attr-defined]
    assert outer._TurnTransport__send_tasks == set()  # type: ignore[attr-defined]


def test_the_turn_clients_numbers() -> None:
    assert turn.CHANNEL_NUMBER_MAX == 0x4FFF
    assert turn.UDP_TRANSPORT == 0x11000000
    assert turn.TCP_TRANSPORT == 0x06000000
