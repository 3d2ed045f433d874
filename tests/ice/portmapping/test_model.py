from __future__ import annotations

from atmosphere.errors import AtmosphereError
from atmosphere.ice.portmapping.model import IP_PROTOCOL, MappedPort, NoMapping


def test_nothing_stands_until_something_does() -> None:
    port = MappedPort("udp", ("192.168.1.10", 7777), "192.168.1.1")
    assert (port.protocol, port.external, port.lifetime, port.verified, port.error) == (None,) * 5


def test_a_refusal_is_ours_and_says_whether_the_router_spoke() -> None:
    error = NoMapping("no answer", spoke=False)
    assert isinstance(error, AtmosphereError)
    assert (str(error), error.spoke, error.hold) == ("no answer", False, 0.0)


def test_protocol_numbers() -> None:
    assert IP_PROTOCOL == {"udp": 17, "tcp": 6}
