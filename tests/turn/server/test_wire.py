from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.message import Class, Message, Method, decode
from atmosphere.turn.server.wire import data_indication, peer_addresses, signed
from tests.turn.server.script import several_peers

ADDRESS = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


@given(ADDRESS, st.binary(max_size=1500))
def test_a_data_indication_says_who_and_what(source: tuple[str, int], payload: bytes) -> None:
    message = decode(data_indication(source, memoryview(payload)))
    assert (message.message_method, message.message_class) == (Method.DATA, Class.INDICATION)
    assert (message.attributes["XOR-PEER-ADDRESS"], message.attributes["DATA"]) == (source, payload)


def test_each_has_a_transaction_id_of_its_own() -> None:
    source = ("203.0.113.1", 1)
    assert data_indication(source, b"")[8:20] != data_indication(source, b"")[8:20]


@given(st.lists(ADDRESS, max_size=8))
def test_every_peer_of_a_request_is_found(peers: list[tuple[str, int]]) -> None:
    request = Message(Method.CREATE_PERMISSION, Class.REQUEST, attributes=several_peers(peers))
    request.attributes["USERNAME"] = "anna"
    request.add_message_integrity(b"key")
    assert peer_addresses(bytes(request)) == peers


def test_what_follows_the_integrity_does_not_count() -> None:
    for sign in (Message.add_message_integrity, Message.add_message_integrity_sha256):
        request = Message(Method.CREATE_PERMISSION, Class.REQUEST)
        sign(request, b"key")
        request.attributes["XOR-PEER-ADDRESS"] = ("203.0.113.1", 1)
        assert peer_addresses(bytes(request)) == []


@given(ADDRESS, st.binary(max_size=40), st.booleans())
def test_signing_at_once_is_signing(source: tuple[str, int], key: bytes, sha256: bool) -> None:
    def message() -> Message:
        attributes = {"XOR-MAPPED-ADDRESS": source, "LIFETIME": 600, "SOFTWARE": "atmosphere"}
        return Message(Method.ALLOCATE, Class.RESPONSE, b"transaction.", attributes)

    expected = message()
    (expected.add_message_integrity_sha256 if sha256 else expected.add_message_integrity)(key)
    assert signed(message(), key, sha256) == bytes(expected)
