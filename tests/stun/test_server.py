from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.message import Class, Message, Method, binding_request, decode, encode, mapped_address
from atmosphere.stun.server import BURST, TOTAL, BindingServer

SOURCE = ("203.0.113.9", 40000)


def ask(message: Message, server: BindingServer | None = None, source: tuple[str, int] = SOURCE) -> Message | None:
    data = (server or BindingServer()).receive(encode(message), source, 0.0)
    if data is None:
        return None
    assert len(data) <= 80
    return decode(data)


@pytest.mark.parametrize("source", [SOURCE, ("2001:db8::7", 1)])
def test_an_answer(source: tuple[str, int]) -> None:
    request = binding_request()
    answer = ask(request, source=source)
    assert answer is not None
    assert answer.message_class is Class.RESPONSE
    assert answer.transaction_id == request.transaction_id
    assert mapped_address(answer) == source
    assert list(answer.attributes) == ["XOR-MAPPED-ADDRESS", "SOFTWARE", "FINGERPRINT"]


def test_what_is_not_a_question() -> None:
    server = BindingServer()
    for message in (
        Message(Method.BINDING, Class.INDICATION),
        Message(Method.BINDING, Class.RESPONSE),
        Message(Method.BINDING, Class.ERROR),
        Message(Method.ALLOCATE, Class.REQUEST),
        binding_request({"USERNAME": "host:dialer"}),
    ):
        assert ask(message, server) is None
    assert server.answered == 0


@pytest.mark.parametrize(
    ("attributes", "kinds"),
    [
        ({"CHANGE-REQUEST": 0x6}, (0x0003,)),
        ({"CHANGE-REQUEST": 0x2}, (0x0003,)),
        ({"RESPONSE-PORT": 1234}, (0x0027,)),
        ({"PADDING": bytes(1000)}, (0x0026,)),
    ],
)
def test_what_needs_a_second_address_is_refused(attributes: dict[str, Any], kinds: tuple[int, ...]) -> None:
    answer = ask(binding_request(attributes))
    assert answer is not None
    assert answer.error_code == 420
    assert answer.attributes["UNKNOWN-ATTRIBUTES"] == kinds


def test_a_change_request_that_asks_for_nothing() -> None:
    answer = ask(binding_request({"CHANGE-REQUEST": 0}))
    assert answer is not None
    assert answer.error_code is None


def test_unknown_attributes_are_refused_and_counted_out() -> None:
    body = b"".join((0x7000 + n).to_bytes(2) + b"\0\0" for n in range(30))
    head = bytearray(encode(binding_request()))
    head[2:4] = len(body).to_bytes(2)
    data = BindingServer().receive(bytes(head) + body, SOURCE, 0.0)
    assert data is not None
    assert len(data) <= 80
    assert decode(data).attributes["UNKNOWN-ATTRIBUTES"] == tuple(range(0x7000, 0x7008))


def test_one_source_is_limited() -> None:
    server = BindingServer()
    answers = [ask(binding_request(), server) for _ in range(int(BURST) + 5)]
    assert sum(answer is not None for answer in answers) == BURST
    assert (server.answered, server.refused) == (BURST, 5)
    assert ask(binding_request(), server, ("203.0.113.10", 1)) is not None


@given(st.binary(max_size=200), st.tuples(st.ip_addresses().map(str), st.integers(0, 65535)))
def test_arbitrary_bytes(data: bytes, source: tuple[str, int]) -> None:
    answer = BindingServer().receive(data, source, 0.0)
    assert answer is None or len(answer) <= 80


def test_all_sources_together_have_a_share_too() -> None:
    server = BindingServer(total=100)
    hosts = [f"203.0.113.{number}" for number in range(250)]
    answered = [server.receive(encode(binding_request()), (host, 1), 0.0) is not None for host in hosts]
    assert answered == [True] * 100 + [False] * 150
    assert (server.answered, server.refused) == (100, 150)
    assert server.receive(encode(binding_request()), ("203.0.113.251", 1), 0.01) is not None
    assert server.receive(encode(binding_request()), ("203.0.113.252", 1), 0.01) is None
    assert TOTAL * 80 <= 2_000_000
