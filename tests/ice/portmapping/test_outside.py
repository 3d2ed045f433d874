from __future__ import annotations

import pytest

from atmosphere.ice.candidate import Candidate, candidate_priority
from atmosphere.ice.portmapping.model import Grant
from atmosphere.ice.portmapping.outside import external_of, is_public, mapped_candidate, trouble, verified

HOST = Candidate("f", 1, "udp", candidate_priority("host", 12345), "192.168.1.10", 7777, "host")
HOST6 = Candidate("f", 1, "udp", candidate_priority("host", 54321), "2001:db8:1::10", 7777, "host")
NOBODY: frozenset[str] = frozenset()
SRFLX = candidate_priority("srflx", 12345)


def grant(external: str | None, port: int = 4444) -> Grant:
    return Grant(external, port, 7200.0)


def test_a_good_one_is_better_than_what_servers_see() -> None:
    candidate = mapped_candidate(HOST, grant("203.0.113.9"), frozenset({"203.0.113.9"}))
    assert candidate is not None
    assert (candidate.endpoint, candidate.type) == (("203.0.113.9", 4444), "srflx")
    assert (candidate.related_address, candidate.related_port) == HOST.endpoint
    assert SRFLX < candidate.priority < HOST.priority
    assert candidate.is_usable
    assert Candidate.from_sdp(candidate.to_sdp()) == candidate
    assert candidate.foundation != HOST.foundation
    assert trouble(grant("203.0.113.9"), NOBODY) is None


@pytest.mark.parametrize("seen", [NOBODY, frozenset({"203.0.113.9"})])
def test_behind_two_nats_it_is_kept_but_last(seen: frozenset[str]) -> None:
    for external in ("192.168.178.20", "100.64.3.4"):
        candidate = mapped_candidate(HOST, grant(external), seen)
        assert candidate is not None
        assert candidate.priority < SRFLX
        assert "another NAT" in str(trouble(grant(external), seen))


def test_an_address_that_no_server_sees_is_doubted() -> None:
    seen = frozenset({"198.51.100.7"})
    assert verified(("203.0.113.9", 1), seen) is False
    candidate = mapped_candidate(HOST, grant("203.0.113.9"), seen)
    assert candidate is not None
    assert candidate.priority < SRFLX
    assert "servers see 198.51.100.7" in str(trouble(grant("203.0.113.9"), seen))


def test_whether_servers_agree() -> None:
    assert verified(("203.0.113.9", 1), frozenset({"203.0.113.9", "203.0.113.8"})) is True
    assert verified(("203.0.113.9", 1), NOBODY) is None
    assert verified(None, frozenset({"203.0.113.9"})) is None


@pytest.mark.parametrize("unknown", [None, "0.0.0.0"])
def test_a_router_that_does_not_know_its_address(unknown: str | None) -> None:
    assert external_of(grant(unknown), NOBODY) is None
    assert mapped_candidate(HOST, grant(unknown), NOBODY) is None
    assert "does not know" in str(trouble(grant(unknown), NOBODY))
    assert external_of(grant(unknown), frozenset({"203.0.113.9"})) == ("203.0.113.9", 4444)


@pytest.mark.parametrize("liar", ["127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1"])
def test_an_address_that_cannot_be(liar: str) -> None:
    assert external_of(grant(liar), NOBODY) is None
    assert mapped_candidate(HOST, grant(liar), NOBODY) is None


def test_ipv6_has_nothing_to_tell_unless_the_router_translates() -> None:
    assert mapped_candidate(HOST6, grant("2001:db8:1::10", 7777), NOBODY) is None
    translated = mapped_candidate(HOST6, grant("2001:db8:2::10", 7777), NOBODY)
    assert translated is not None
    assert translated.address == "2001:db8:2::10"
    assert mapped_candidate(HOST6, grant("203.0.113.9"), NOBODY) is None


def test_public() -> None:
    assert is_public("8.8.8.8")
    assert is_public("203.0.113.9")
    assert not is_public("100.64.0.1")
