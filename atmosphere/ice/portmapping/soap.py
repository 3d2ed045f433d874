"""UPnP's remote calls (UPnP Device Architecture 1.1 §3): a SOAP envelope by HTTP, and the answer. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import xml
from atmosphere.ice.portmapping.http import HttpRequest, HttpResponse, Url
from atmosphere.ice.portmapping.model import NoMapping

__all__ = ["ERRORS", "PINHOLE_ERRORS", "SoapFault", "answer", "call"]

ERRORS: dict[int, str] = {
    401: "the router does not know this request",
    402: "the router does not take this request's values",
    403: "the router is out of sync",
    501: "the router tried and failed",
    600: "the router does not take this request's values",
    601: "the router does not take this request's values",
    602: "the router does not offer this",
    603: "the router has no room for more",
    604: "the router wants a person to act first",
    605: "the router does not take this request's values",
    606: "the router does not allow it",
    714: "the router has no such mapping",
    715: "the router wants to know who may come in",
    716: "the router wants to know the outer port",
    718: "another machine has that port",
    724: "the router maps a port to the same number only",
    725: "the router maps ports for ever only",
    726: "the router lets everybody in or nobody",
    727: "the router does not take this outer port",
    728: "the router has no room for more",
    729: "another of the router's functions has that port",
    732: "the router wants to know the inner port",
}
"""Error codes of the architecture (§3.2.2) and of WANIPConnection 1 and 2, for people."""

PINHOLE_ERRORS: dict[int, str] = {
    701: "the router has no room for more",
    702: "the router's IPv6 firewall is off: nothing has to be opened",
    703: "the router lets nobody open its IPv6 firewall",
    704: "the router has no such opening",
    705: "the router does not open its IPv6 firewall for this protocol",
    706: "the router wants to know the inner port",
    707: "the router wants to know the protocol",
    708: "the router does not take this request's values",
}
"""Those of WANIPv6FirewallControl 1, whose numbers mean something else."""


class SoapFault(NoMapping):
    """The router refuses a call; `code` is UPnP's."""

    def __init__(self, code: int, description: str, pinhole: bool) -> None:
        known = (PINHOLE_ERRORS if pinhole else {}).get(code) or ERRORS.get(code)
        said = "".join(letter for letter in description if letter.isprintable())[:64]
        super().__init__(f"{known or said or 'the router refuses'} (error {code})")
        self.code = code


def call(control: Url, service: str, action: str, arguments: dict[str, str | int]) -> HttpRequest:
    """The request that calls `action` of a service of type `service`."""
    inside = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in arguments.items())
    body = (
        '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{escape(service)}">{inside}</u:{action}></s:Body></s:Envelope>\r\n'
    )
    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{service}#{action}"'}
    return HttpRequest(control, body.encode(), headers)


def answer(response: HttpResponse, action: str, *, pinhole: bool = False) -> dict[str, str]:
    """What the call returned; raises SoapFault when the router refuses, DecodeError for what is no answer to it."""
    if response.status not in (200, 500):
        raise NoMapping(f"the router answers HTTP {response.status}")
    document = xml.parse(response.body)
    result = next(document.every(f"{action}Response"), None)
    if result is not None and response.status == 200:
        return {child.name: child.text.strip() for child in result.children}
    code = document.value("errorCode") or ""
    if not code.isascii() or not code.isdigit() or len(code) > 6:
        raise DecodeError("not an answer to a UPnP call")
    raise SoapFault(int(code), document.value("errorDescription") or "", pinhole)
