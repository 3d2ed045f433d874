from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmap import (
    UPNP_TARGETS,
    NatPmpAnswer,
    PcpAnswer,
    decode_nat_pmp,
    decode_pcp,
    decode_ssdp,
    m_search,
    pcp_announce,
)

SSDP_ANSWER = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
    b"USN: uuid:1::urn:x\r\nEXT:\r\nSERVER: Linux UPnP/1.1\r\nLOCATION: http://192.0.2.1:5000/rootDesc.xml\r\n\r\n"
)


@pytest.mark.parametrize("decoder", [decode_nat_pmp, decode_pcp, decode_ssdp])
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(decoder: Callable[[bytes], object], data: bytes) -> None:
    try:
        decoder(data)
    except DecodeError:
        return


@given(st.binary(max_size=300))
def test_arbitrary_headers(data: bytes) -> None:
    try:
        answer = decode_ssdp(b"HTTP/1.1 200 OK\r\n" + data)
    except DecodeError:
        return
    assert answer.target


def test_nat_pmp() -> None:
    head = b"\x00\x80\x00\x00\x00\x00\x12\x34"
    assert decode_nat_pmp(head + bytes([203, 0, 113, 9])) == NatPmpAnswer(0, "203.0.113.9")
    assert decode_nat_pmp(b"\x00\x80\x00\x03\x00\x00\x12\x34") == NatPmpAnswer(3, None)
    for wrong in (b"", head, b"\x00\x00" + head, b"\x02\x80" + bytes(20)):
        with pytest.raises(DecodeError):
            decode_nat_pmp(wrong)


def test_pcp() -> None:
    request = pcp_announce("192.0.2.7")
    assert len(request) == 24
    assert request[8:] == bytes(10) + b"\xff\xff\xc0\x00\x02\x07"
    assert pcp_announce("2001:db8::7")[8:12] == b"\x20\x01\x0d\xb8"
    assert decode_pcp(b"\x02\x80\x00\x00" + bytes(20)) == PcpAnswer(2, 0)
    assert decode_pcp(b"\x02\x80\x00\x02" + bytes(20)) == PcpAnswer(2, 2)
    assert decode_pcp(b"\x00\x80\x00\x01\x00\x00\x12\x34") == PcpAnswer(0, 1)
    for wrong in (b"", b"\x02\x80\x00\x00", request, b"\x02\x80" + bytes(2000)):
        with pytest.raises(DecodeError):
            decode_pcp(wrong)


def test_ssdp() -> None:
    answer = decode_ssdp(SSDP_ANSWER)
    assert answer.is_gateway
    assert answer.location == "http://192.0.2.1:5000/rootDesc.xml"
    assert not decode_ssdp(SSDP_ANSWER.replace(b"InternetGatewayDevice", b"MediaServer")).is_gateway


@pytest.mark.parametrize(
    "data",
    [
        m_search(UPNP_TARGETS[0]),
        SSDP_ANSWER.replace(b"200 OK", b"404 Not Found"),
        SSDP_ANSWER.replace(b"http://", b"file://"),
        SSDP_ANSWER.replace(b"ST:", b"NT:"),
        SSDP_ANSWER + bytes(5000),
        b"\r\n",
    ],
)
def test_what_is_not_an_answer(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_ssdp(data)


def test_the_search() -> None:
    lines = m_search(UPNP_TARGETS[1]).decode().split("\r\n")
    assert lines[0] == "M-SEARCH * HTTP/1.1"
    assert lines[-2:] == ["", ""]
    assert f"ST: {UPNP_TARGETS[1]}" in lines
