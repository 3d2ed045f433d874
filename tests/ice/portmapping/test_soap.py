from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import xml
from atmosphere.ice.portmapping.http import HttpResponse, Url
from atmosphere.ice.portmapping.model import NoMapping
from atmosphere.ice.portmapping.soap import ERRORS, PINHOLE_ERRORS, SoapFault, answer, call

CONTROL = Url("192.168.1.1", 5000, "/ctl")
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def envelope(inside: str) -> bytes:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body>{inside}</s:Body></s:Envelope>"
    ).encode()


def result(action: str, **values: str) -> HttpResponse:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return HttpResponse(200, envelope(f'<u:{action}Response xmlns:u="{SERVICE}">{inside}</u:{action}Response>'))


def fault(code: object, description: str = "") -> HttpResponse:
    detail = f"<UPnPError><errorCode>{code}</errorCode><errorDescription>{description}</errorDescription></UPnPError>"
    return HttpResponse(500, envelope(f"<s:Fault><detail>{detail}</detail></s:Fault>"))


@given(st.sampled_from([200, 500]), st.binary(max_size=200))
def test_arbitrary_bodies(status: int, data: bytes) -> None:
    for body in (data, envelope(data.decode("latin-1"))):
        try:
            answer(HttpResponse(status, body), "AddPortMapping")
        except (DecodeError, NoMapping):
            continue


def test_a_call() -> None:
    request = call(CONTROL, SERVICE, "AddPortMapping", {"NewRemoteHost": "", "NewDescription": "<a&b>"})
    assert request.headers["SOAPAction"] == f'"{SERVICE}#AddPortMapping"'
    assert request.body is not None
    document = xml.parse(request.body)
    (action,) = document.every("AddPortMapping")
    assert [(child.name, child.text) for child in action.children] == [
        ("NewRemoteHost", ""),
        ("NewDescription", "<a&b>"),
    ]


def test_a_result() -> None:
    assert answer(result("GetX", A=" 1 ", B=""), "GetX") == {"A": "1", "B": ""}


@pytest.mark.parametrize("code", [402, 501, 606, 714, 718, 724, 725, 728])
def test_faults_in_words(code: int) -> None:
    with pytest.raises(SoapFault) as caught:
        answer(fault(code), "AddPortMapping")
    assert caught.value.code == code
    assert str(caught.value) == f"{ERRORS[code]} (error {code})"


def test_a_fault_that_nobody_knows() -> None:
    with pytest.raises(SoapFault, match=r"^Busy\.\. \(error 999\)$"):
        answer(fault(999, "Busy\x85.\u202e."), "AddPortMapping")
    with pytest.raises(SoapFault, match="the router refuses"):
        answer(fault(999), "AddPortMapping")


def test_the_firewall_has_its_own_numbers() -> None:
    with pytest.raises(SoapFault, match="firewall is off"):
        answer(fault(702), "AddPinhole", pinhole=True)
    with pytest.raises(SoapFault, match="does not allow it"):
        answer(fault(606), "AddPinhole", pinhole=True)
    assert PINHOLE_ERRORS[701] != ERRORS.get(701)


@pytest.mark.parametrize(
    "response",
    [result("Other"), fault("x"), fault("²"), fault("1234567"), HttpResponse(500, b"<a/>"), HttpResponse(200, b"")],
    ids=["another", "no number", "a strange number", "a long number", "no fault", "nothing"],
)
def test_what_is_no_answer(response: HttpResponse) -> None:
    with pytest.raises(DecodeError):
        answer(response, "GetX")


def test_a_result_with_an_error_status_is_none() -> None:
    with pytest.raises(DecodeError):
        answer(HttpResponse(500, result("GetX").body), "GetX")


def test_another_status() -> None:
    with pytest.raises(NoMapping, match="HTTP 404"):
        answer(HttpResponse(404, b""), "GetX")
