from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.discovery import Corner, DiscoveryServer, changed
from atmosphere.stun.message import MAX_SIZE, Class, Message, Method, binding_request, decode, encode, mapped_address
from atmosphere.stun.server import BURST, BindingServer

SOURCE = ("203.0.113.9", 40000)
ADDRESSES, PORTS = ("192.0.2.1", "192.0.2.2"), (3478, 3479)
IPV6 = ("2001:db8::1", "2001:db8::2")
CORNERS: list[Corner] = [(0, 0), (0, 1), (1, 0), (1, 1)]
MAX_ANSWER = 100


def make(addresses: tuple[str, str] = ADDRESSES, binding: BindingServer | None = None) -> DiscoveryServer:
    return DiscoveryServer(addresses, PORTS, binding)


def ask(
    attributes: dict[str, Any] | None = None,
    at: Corner = (0, 0),
    server: DiscoveryServer | None = None,
    source: tuple[str, int] = SOURCE,
) -> tuple[Message, Corner]:
    answer = (server or make()).receive(encode(binding_request(attributes)), source, at, 0.0)
    assert answer is not None
    assert answer.destination == source
    return decode(answer.datagram), answer.corner


@pytest.mark.parametrize("at", CORNERS)
def test_an_answer_tells_where_it_comes_from_and_of_the_opposite(at: Corner) -> None:
    answer, origin = ask(at=at)
    assert origin == at
    assert mapped_address(answer) == SOURCE
    assert answer.attributes["RESPONSE-ORIGIN"] == (ADDRESSES[at[0]], PORTS[at[1]])
    assert answer.attributes["OTHER-ADDRESS"] == (ADDRESSES[1 - at[0]], PORTS[1 - at[1]])
    assert list(answer.attributes)[-1] == "FINGERPRINT"


@pytest.mark.parametrize("at", CORNERS)
@pytest.mark.parametrize(
    ("change", "moved"), [(0, (0, 0)), (2, (0, 1)), (4, (1, 0)), (6, (1, 1)), (0xFFFFFFF9, (0, 0))]
)
def test_a_change_request_is_answered_from_elsewhere(at: Corner, change: int, moved: Corner) -> None:
    """RFC 5780 §6.1, table 1; bits that are no flags change nothing."""
    answer, origin = ask({"CHANGE-REQUEST": change}, at)
    assert origin == (at[0] ^ moved[0], at[1] ^ moved[1]) == changed(at, change)
    assert answer.attributes["RESPONSE-ORIGIN"] == make().address(origin)
    assert answer.attributes["OTHER-ADDRESS"] == make().address((1 - at[0], 1 - at[1]))


def test_ipv6() -> None:
    answer, _ = ask(server=make(IPV6), source=("2001:db8::9", 1))
    assert answer.attributes["OTHER-ADDRESS"] == ("2001:db8::2", 3479)
    assert len(encode(answer)) == MAX_ANSWER


def test_an_answer_to_another_port_of_who_asked() -> None:
    """RFC 5780 §7.5, in both of the sizes that are seen; the address stays, and so does what is told."""
    request = encode(binding_request({"RESPONSE-PORT": 1234, "CHANGE-REQUEST": 2}))
    short = request[:2] + (8).to_bytes(2) + request[4:20] + bytes.fromhex("002700020539abcd")
    for data, port, corner in ((request, 1234, (1, 1)), (short, 1337, (1, 0))):
        answer = make().receive(data, SOURCE, (1, 0), 0.0)
        assert answer is not None
        assert (answer.corner, answer.destination) == (corner, (SOURCE[0], port))
        assert mapped_address(decode(answer.datagram)) == SOURCE


@pytest.mark.parametrize("attributes", [{"RESPONSE-PORT": 1, "PADDING": b"x"}, {"RESPONSE-PORT": 0}])
def test_what_cannot_be_meant(attributes: dict[str, Any]) -> None:
    answer, origin = ask(attributes | {"CHANGE-REQUEST": 6}, (1, 0))
    assert (answer.error_code, origin) == (400, (1, 0))


def test_an_unknown_attribute_is_refused_at_the_socket_that_was_asked() -> None:
    request = encode(binding_request({"CHANGE-REQUEST": 6, "RESPONSE-PORT": 9}))
    data = request[:2] + (len(request) - 16).to_bytes(2) + request[4:] + bytes.fromhex("70010000")
    answer = make().receive(data, SOURCE, (0, 1), 0.0)
    assert answer is not None
    assert (answer.corner, answer.destination) == ((0, 1), SOURCE)
    assert decode(answer.datagram).attributes["UNKNOWN-ATTRIBUTES"] == (0x7001,)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 50, 63, 64, 65, 100, 1003, 1500, MAX_SIZE - 28])
@pytest.mark.parametrize("addresses", [ADDRESSES, IPV6])
def test_padding_is_answered_with_no_more_than_was_sent(size: int, addresses: tuple[str, str]) -> None:
    request = encode(binding_request({"PADDING": b"x" * size}))
    source = (SOURCE[0] if addresses is ADDRESSES else "2001:db8::9", 1)
    answer = make(addresses).receive(request, source, (0, 0), 0.0)
    assert answer is not None
    assert "PADDING" in decode(answer.datagram).attributes
    assert len(answer.datagram) <= max(MAX_ANSWER + 4, len(request))
    if size >= 100:
        assert len(request) - 4 <= len(answer.datagram) <= len(request)


def test_what_is_not_a_question() -> None:
    server = make()
    for message in (
        Message(Method.BINDING, Class.INDICATION, attributes={"CHANGE-REQUEST": 6}),
        Message(Method.BINDING, Class.RESPONSE),
        Message(Method.ALLOCATE, Class.REQUEST),
        binding_request({"USERNAME": "host:dialer", "CHANGE-REQUEST": 6}),
    ):
        assert server.receive(encode(message), SOURCE, (0, 0), 0.0) is None
    assert server.receive(b"\0\1nonsense", SOURCE, (0, 0), 0.0) is None


def test_the_four_sockets_share_a_sources_limit_with_everything_else() -> None:
    binding = BindingServer()
    server = make(binding=binding)
    for n in range(int(BURST)):
        assert server.answer(binding_request(), SOURCE, CORNERS[n % 4], 0.0)
    assert server.answer(binding_request(), SOURCE, (0, 0), 0.0) is None
    assert binding.answer(binding_request(), SOURCE, 0.0) is None
    assert (binding.answered, binding.refused) == (BURST, 2)


@pytest.mark.parametrize(
    ("addresses", "ports"),
    [
        (("192.0.2.1", "192.0.2.1"), PORTS),
        (("192.0.2.1", "2001:db8::1"), PORTS),
        (ADDRESSES, (3478, 3478)),
    ],
)
def test_what_is_not_four_sockets(addresses: tuple[str, str], ports: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="discovery needs"):
        DiscoveryServer(addresses, ports)


@given(
    st.binary(max_size=200),
    st.tuples(st.ip_addresses().map(str), st.integers(0, 65535)),
    st.sampled_from(CORNERS),
)
def test_arbitrary_bytes(data: bytes, source: tuple[str, int], at: Corner) -> None:
    answer = make().receive(data, source, at, 0.0)
    assert answer is None or len(answer.datagram) <= max(MAX_ANSWER + 4, len(data))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "CHANGE-REQUEST": st.integers(0, 2**32 - 1),
            "PADDING": st.binary(max_size=1900),
            "RESPONSE-PORT": st.integers(0, 65535),
        },
    ),
    st.sampled_from(CORNERS),
)
def test_an_answer_is_short_or_no_longer_than_the_question(attributes: dict[str, Any], at: Corner) -> None:
    request = encode(binding_request(attributes))
    answer = make().receive(request, SOURCE, at, 0.0)
    assert answer is not None
    assert answer.destination[0] == SOURCE[0]
    assert len(answer.datagram) <= max(MAX_ANSWER + 4, len(request))
