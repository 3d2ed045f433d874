from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import igd, xml
from atmosphere.ice.portmapping.http import HttpRequest, HttpResponse, Url
from atmosphere.ice.portmapping.igd import FIREWALL, MAPPERS, Script, Service
from atmosphere.ice.portmapping.model import Grant, NoMapping, Wish
from atmosphere.ice.portmapping.soap import SoapFault
from tests.ice.portmapping.test_soap import fault, result

T = TypeVar("T")

LOCATION = Url("192.168.1.1", 5000, "/igd/desc.xml")
CONTROL = Url("192.168.1.1", 5000, "/ctl")
IGD1, IGD2 = Service(MAPPERS[1], CONTROL), Service(MAPPERS[0], CONTROL)
HOLES = Service(FIREWALL, CONTROL)
WISH = Wish("udp", "192.168.1.10", 7777)
WISH6 = Wish("tcp", "2001:db8:1::10", 7777)
GRANT = Grant("203.0.113.9", 4444, 7200.0)


def description(*services: tuple[str, str], base: str = "") -> bytes:
    inside = "".join(
        f"<service><serviceType>{kind}</serviceType><controlURL>{control}</controlURL></service>"
        for kind, control in services
    )
    start = f"<URLBase>{base}</URLBase>" if base else ""
    device = f"<device><serviceList>{inside}</serviceList></device>"
    return f"<root>{start}<device><deviceList>{device}</deviceList></device></root>".encode()


class Router:
    """Runs a script and answers each call by a table: action → what comes back, one after the other."""

    def __init__(self, **answers: list[HttpResponse]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, str]]] = []

    def run(self, script: Script[T]) -> T:
        try:
            request = next(script)
            while True:
                request = script.send(self.answer(request))
        except StopIteration as end:
            found: T = end.value
            return found

    def answer(self, request: HttpRequest) -> HttpResponse:
        assert request.body is not None
        (body,) = xml.parse(request.body).every("Body")
        action = body.children[0]
        self.calls.append((action.name, {child.name: child.text for child in action.children}))
        if action.name == "GetSpecificPortMappingEntry" and action.name not in self.answers:
            return fault(714)
        return self.answers[action.name].pop(0)

    def values(self, name: str) -> list[str]:
        """What an argument was in each call that had it."""
        return [values[name] for _, values in self.calls if name in values]


def described(data: bytes, status: int = 200) -> list[Service]:
    script = igd.describe(LOCATION)
    assert next(script) == HttpRequest(LOCATION)
    with pytest.raises(StopIteration) as end:
        script.send(HttpResponse(status, data))
    found: list[Service] = end.value.value
    return found


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_arbitrary_descriptions(data: bytes, control: str, base: str) -> None:
    for body in (data, description((MAPPERS[0], control), base=base)):
        script = igd.describe(LOCATION)
        next(script)
        try:
            script.send(HttpResponse(200, body))
        except StopIteration as end:
            assert {service.control.host for service in end.value} == {"192.168.1.1"}
        except (DecodeError, NoMapping):
            continue


def test_a_description() -> None:
    found = described(
        description(
            (FIREWALL, "/v6"), ("urn:x:Other:1", "/o"), (MAPPERS[2], "ppp"), (MAPPERS[1], "http://192.168.1.1:80/ip")
        )
    )
    assert found == [
        Service(MAPPERS[1], Url("192.168.1.1", 80, "/ip")),
        Service(MAPPERS[2], Url("192.168.1.1", 5000, "/igd/ppp")),
        Service(FIREWALL, Url("192.168.1.1", 5000, "/v6")),
    ]


def test_a_description_with_a_base() -> None:
    (service,) = described(description((MAPPERS[1], "c"), base="http://192.168.1.1:99/d/"))
    assert service.control == Url("192.168.1.1", 99, "/d/c")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (description((MAPPERS[1], "http://192.168.1.2/c")), DecodeError),
        (description((MAPPERS[1], "http://router/c")), DecodeError),
        (description((MAPPERS[1], "/c"), base="http://203.0.113.9/"), DecodeError),
        (description((MAPPERS[1], "/c d")), DecodeError),
        (description(("urn:x:Other:1", "/c")), NoMapping),
        (description((MAPPERS[1], "")), NoMapping),
    ],
)
def test_descriptions_that_are_refused(data: bytes, error: type[Exception]) -> None:
    script = igd.describe(LOCATION)
    next(script)
    with pytest.raises(error):
        script.send(HttpResponse(200, data))


def test_a_description_that_is_not_there() -> None:
    script = igd.describe(LOCATION)
    next(script)
    with pytest.raises(NoMapping, match="HTTP 302"):
        script.send(HttpResponse(302, b""))


@pytest.mark.parametrize(
    ("response", "address"),
    [
        (result("GetExternalIPAddress", NewExternalIPAddress="203.0.113.9"), "203.0.113.9"),
        (result("GetExternalIPAddress", NewExternalIPAddress=""), None),
        (result("GetExternalIPAddress", NewExternalIPAddress="nowhere"), None),
        (result("GetExternalIPAddress"), None),
        (fault(501), None),
    ],
    ids=["known", "empty", "a word", "nothing", "a fault"],
)
def test_the_outer_address(response: HttpResponse, address: str | None) -> None:
    assert Router(GetExternalIPAddress=[response]).run(igd.external_address(IGD1)) == address


ADDED = result("AddPortMapping")


def test_a_port() -> None:
    router = Router(AddPortMapping=[ADDED])
    assert router.run(igd.add(IGD1, WISH, 7777, 7200)) == Grant(None, 7777, 7200)
    assert router.calls == [
        (
            "AddPortMapping",
            {
                "NewRemoteHost": "",
                "NewExternalPort": "7777",
                "NewProtocol": "UDP",
                "NewInternalPort": "7777",
                "NewInternalClient": "192.168.1.10",
                "NewEnabled": "1",
                "NewPortMappingDescription": "Atmosphere",
                "NewLeaseDuration": "7200",
            },
        )
    ]


@pytest.mark.parametrize("code", [725, 402, 501])
def test_a_router_that_maps_for_ever_only(code: int) -> None:
    router = Router(AddPortMapping=[fault(code), ADDED])
    assert router.run(igd.add(IGD1, WISH, 7777, 7200)) == Grant(None, 7777, None)
    assert router.values("NewLeaseDuration") == ["7200", "0"]


def test_a_port_that_another_machine_has() -> None:
    router = Router(AddPortMapping=[fault(718), fault(718), ADDED])
    grant = router.run(igd.add(IGD1, WISH, 7777, 7200))
    asked = [values["NewExternalPort"] for action, values in router.calls if action == "AddPortMapping"]
    assert asked[0] == "7777"
    assert grant.port == int(asked[2])
    assert len(set(asked)) == 3
    assert set(router.values("NewInternalPort")) == {"7777"}


def test_a_router_that_calls_a_renewal_a_conflict() -> None:
    ours = result("GetSpecificPortMappingEntry", NewInternalClient="192.168.1.10", NewInternalPort="7777")
    router = Router(
        AddPortMapping=[fault(718), ADDED],
        GetSpecificPortMappingEntry=[ours],
        DeletePortMapping=[result("DeletePortMapping")],
    )
    assert router.run(igd.add(IGD2, WISH, 7777, 7200)) == Grant(None, 7777, 7200)
    assert [action for action, _ in router.calls] == [
        "AddPortMapping",
        "GetSpecificPortMappingEntry",
        "DeletePortMapping",
        "AddPortMapping",
    ]


def test_nobody_elses_mapping_is_touched() -> None:
    """Of another machine, or of another of this machine's programs; and ours is freed once."""
    for client, port in (("192.168.1.11", "7777"), ("192.168.1.10", "22")):
        entry = result("GetSpecificPortMappingEntry", NewInternalClient=client, NewInternalPort=port)
        router = Router(AddPortMapping=[fault(718), ADDED], GetSpecificPortMappingEntry=[entry])
        assert router.run(igd.add(IGD1, WISH, 7777, 7200)).port != 7777
    ours = result("GetSpecificPortMappingEntry", NewInternalClient="192.168.1.10", NewInternalPort="7777")
    router = Router(
        AddPortMapping=[fault(718), fault(718), ADDED],
        GetSpecificPortMappingEntry=[ours],
        DeletePortMapping=[result("DeletePortMapping")],
    )
    assert router.run(igd.add(IGD1, WISH, 7777, 7200)).port != 7777


def test_our_own_number_is_tried_before_any_other() -> None:
    router = Router(AddPortMapping=[fault(718), ADDED])
    assert router.run(igd.add(IGD1, WISH, 4444, 7200)).port == 7777


def test_both_at_once() -> None:
    router = Router(AddPortMapping=[fault(718), fault(725), ADDED])
    grant = router.run(igd.add(IGD1, WISH, 7777, 7200))
    assert grant.lifetime is None
    assert grant.port != 7777


def test_version_2_chooses_itself() -> None:
    router = Router(
        AddPortMapping=[fault(718)], AddAnyPortMapping=[result("AddAnyPortMapping", NewReservedPort="4444")]
    )
    assert router.run(igd.add(IGD2, WISH, 7777, 7200)) == Grant(None, 4444, 7200)


@pytest.mark.parametrize("port", ["", "0", "65536", "x", "-1", "²"])
def test_version_2_has_to_say_what_it_chose(port: str) -> None:
    router = Router(AddPortMapping=[fault(718)], AddAnyPortMapping=[result("AddAnyPortMapping", NewReservedPort=port)])
    with pytest.raises(DecodeError):
        router.run(igd.add(IGD2, WISH, 7777, 7200))


def test_the_same_number_on_both_sides() -> None:
    router = Router(AddPortMapping=[fault(724), ADDED])
    assert router.run(igd.add(IGD1, WISH, 4444, 7200)).port == 7777


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([fault(606)], 606),
        ([fault(728)], 728),
        ([fault(724)], 724),
        ([fault(725), fault(725)], 725),
        ([fault(718)] * igd.MAX_TRIES, 718),
    ],
    ids=["not allowed", "full", "same already", "for ever neither", "all taken"],
)
def test_refusals(answers: list[HttpResponse], code: int) -> None:
    router = Router(AddPortMapping=list(answers))
    with pytest.raises(SoapFault) as caught:
        router.run(igd.add(IGD1, WISH, 7777, 7200))
    assert caught.value.code == code
    assert len(router.values("NewInternalPort")) == len(answers)


def test_deleting() -> None:
    router = Router(DeletePortMapping=[result("DeletePortMapping")])
    router.run(igd.delete(IGD1, WISH, GRANT))
    assert router.calls == [
        ("DeletePortMapping", {"NewRemoteHost": "", "NewExternalPort": "4444", "NewProtocol": "UDP"})
    ]


@pytest.mark.parametrize(
    ("response", "holds"),
    [
        (result("GetSpecificPortMappingEntry", NewInternalClient="192.168.1.10"), True),
        (result("GetSpecificPortMappingEntry"), True),
        (result("GetSpecificPortMappingEntry", NewInternalClient="192.168.1.11"), False),
        (fault(714), False),
        (fault(606), True),
    ],
    ids=["ours", "not told", "another's", "gone", "may not ask"],
)
def test_whether_it_stands(response: HttpResponse, holds: bool) -> None:
    assert Router(GetSpecificPortMappingEntry=[response]).run(igd.holds(IGD1, WISH, GRANT)) is holds


def test_a_pinhole() -> None:
    router = Router(
        AddPinhole=[result("AddPinhole", UniqueID="42")],
        UpdatePinhole=[result("UpdatePinhole")],
        DeletePinhole=[result("DeletePinhole")],
    )
    assert router.run(igd.add_pinhole(HOLES, WISH6, 100_000)) == "42"
    router.run(igd.keep_pinhole(HOLES, "42", 7200))
    router.run(igd.delete_pinhole(HOLES, "42"))
    assert router.calls == [
        (
            "AddPinhole",
            {
                "RemoteHost": "",
                "RemotePort": "0",
                "InternalClient": "2001:db8:1::10",
                "InternalPort": "7777",
                "Protocol": "6",
                "LeaseTime": "86400",
            },
        ),
        ("UpdatePinhole", {"UniqueID": "42", "NewLeaseTime": "7200"}),
        ("DeletePinhole", {"UniqueID": "42"}),
    ]


@pytest.mark.parametrize("name", ["", "x" * 17, "<1>".replace("<", "&lt;")])
def test_a_pinhole_without_a_name(name: str) -> None:
    router = Router(AddPinhole=[result("AddPinhole", UniqueID=name)])
    with pytest.raises(DecodeError):
        router.run(igd.add_pinhole(HOLES, WISH6, 7200))


SCRIPTS: list[Callable[[], Script[object]]] = [
    lambda: igd.external_address(IGD1),
    lambda: igd.add(IGD2, WISH, 7777, 7200),
    lambda: igd.holds(IGD1, WISH, GRANT),
    lambda: igd.delete(IGD1, WISH, GRANT),
    lambda: igd.add_pinhole(HOLES, WISH6, 7200),
]


@given(st.integers(0, len(SCRIPTS) - 1), st.lists(st.tuples(st.sampled_from([200, 404, 500]), st.binary(max_size=60))))
def test_a_router_that_talks_nonsense(which: int, answers: list[tuple[int, bytes]]) -> None:
    script = SCRIPTS[which]()
    next(script)
    try:
        for status, body in answers:
            script.send(HttpResponse(status, body))
    except (StopIteration, DecodeError, NoMapping):
        return
    assert not answers
