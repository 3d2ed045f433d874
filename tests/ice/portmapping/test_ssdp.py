from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.ssdp import (
    GROUP,
    TARGETS,
    SsdpAnswer,
    acceptable,
    decode,
    decode_notify,
    m_search,
)

SSDP_ANSWER = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
    b"USN: uuid:1::urn:x\r\nEXT:\r\nSERVER: Linux UPnP/1.1\r\nLOCATION: http://192.0.2.1:5000/rootDesc.xml\r\n\r\n"
)
NOTIFY = (
    b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n"
    b"NTS: ssdp:alive\r\nLOCATION: http://192.0.2.1:5000/rootDesc.xml\r\nBOOTID.UPNP.ORG: 17\r\n\r\n"
)
GATEWAY = TARGETS[0]
HOME = (ipaddress.ip_network("192.168.1.0/24"),)
HOME6 = (ipaddress.ip_network("2001:db8:1::/64"),)


@pytest.mark.parametrize(
    ("decoder", "start"), [(decode, b"HTTP/1.1 200 OK\r\n"), (decode_notify, NOTIFY[:100])], ids=["answer", "notify"]
)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(decoder: Callable[[bytes], object], start: bytes, data: bytes) -> None:
    for whole in (data, start + data):
        try:
            assert decoder(whole)
        except DecodeError:
            continue


def test_an_answer() -> None:
    answer = decode(SSDP_ANSWER)
    assert answer.is_gateway
    assert answer.location == answer.boot == "http://192.0.2.1:5000/rootDesc.xml"
    assert not decode(SSDP_ANSWER.replace(b"InternetGatewayDevice", b"MediaServer")).is_gateway


def test_each_start_of_a_router_has_a_name() -> None:
    assert decode(SSDP_ANSWER.replace(b"EXT:", b"01-NLS: 5")).boot == "5"
    assert decode(SSDP_ANSWER.replace(b"EXT:", b"01-NLS: 5\r\nBOOTID.UPNP.ORG: 7")).boot == "7"
    assert decode_notify(NOTIFY) == "17"
    assert decode_notify(NOTIFY.replace(b"BOOTID", b"X")) == "http://192.0.2.1:5000/rootDesc.xml"


@pytest.mark.parametrize(
    "data",
    [
        m_search(TARGETS[0]),
        SSDP_ANSWER.replace(b"200 OK", b"404 Not Found"),
        SSDP_ANSWER.replace(b"http://", b"file://"),
        SSDP_ANSWER.replace(b"ST:", b"NT:"),
        SSDP_ANSWER + bytes(5000),
        b"\r\n",
    ],
    ids=["a search", "an error", "a file", "no target", "too long", "nothing"],
)
def test_what_is_not_an_answer(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        SSDP_ANSWER,
        NOTIFY.replace(b"alive", b"byebye"),
        NOTIFY.replace(b"InternetGatewayDevice", b"MediaServer"),
        NOTIFY.replace(b"BOOTID", b"X").replace(b"LOCATION", b"Y"),
        NOTIFY + bytes(5000),
    ],
    ids=["an answer", "goodbye", "a television", "no name", "too long"],
)
def test_what_is_no_announcement_of_a_gateway(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_notify(data)


def test_the_search() -> None:
    lines = m_search(TARGETS[1]).decode().split("\r\n")
    assert lines[0] == "M-SEARCH * HTTP/1.1"
    assert lines[-2:] == ["", ""]
    assert f"ST: {TARGETS[1]}" in lines
    assert "HOST: 239.255.255.250:1900" in lines
    assert b"HOST: [ff02::c]:1900" in m_search(TARGETS[1], GROUP[6])


@pytest.mark.parametrize(
    ("location", "sender"),
    [
        ("http://192.168.1.1:5000/d.xml", "192.168.1.1"),
        ("http://192.168.1.2/d.xml", "192.168.1.2"),
        ("http://10.0.0.1/d.xml", "10.0.0.1"),  # the gateway of a point-to-point link, not on our network
        ("http://192.168.1.254/d.xml", "10.0.0.1"),
    ],
)
def test_an_answer_that_leads_back_to_its_sender(location: str, sender: str) -> None:
    url = acceptable(SsdpAnswer(GATEWAY, location), sender, "10.0.0.1", HOME)
    assert str(url).startswith("http://")


@pytest.mark.parametrize(
    ("location", "sender"),
    [
        ("http://192.168.1.9/admin", "192.168.1.2"),  # a neighbour aims at another
        ("http://192.168.1.1/reboot", "192.168.1.2"),  # or at the router
        ("http://203.0.113.9/", "192.168.1.1"),  # a spoofed router aims at the internet
        ("http://127.0.0.1/", "192.168.1.1"),
        ("http://203.0.113.9/", "203.0.113.9"),  # somebody in the internet
        ("http://192.168.7.7/", "192.168.7.7"),
        ("http://router.lan/d.xml", "192.168.1.1"),
        ("https://192.168.1.1/d.xml", "192.168.1.1"),
        ("http://192.168.1.1@203.0.113.9/", "192.168.1.1"),
    ],
)
def test_an_answer_that_leads_elsewhere(location: str, sender: str) -> None:
    with pytest.raises(DecodeError):
        acceptable(SsdpAnswer(GATEWAY, location), sender, "192.168.1.1", HOME)


def test_a_television_is_no_gateway() -> None:
    with pytest.raises(DecodeError):
        acceptable(SsdpAnswer("urn:x:MediaServer:1", "http://192.168.1.1/"), "192.168.1.1", "192.168.1.1", HOME)


def test_ipv6_routers_answer_from_their_link_local_address() -> None:
    answer = SsdpAnswer(GATEWAY, "http://[2001:db8:1::1]:5000/d.xml")
    assert acceptable(answer, "fe80::1%eth0", "fe80::1", HOME6).host == "2001:db8:1::1"
    for sender in ("fe80::2", "2001:db8:1::2"):  # somebody else on the link
        with pytest.raises(DecodeError):
            acceptable(answer, sender, "fe80::1", HOME6)
    with pytest.raises(DecodeError):
        acceptable(SsdpAnswer(GATEWAY, "http://[2001:db8:9::1]/"), "fe80::1", "fe80::1", HOME6)
