"""A situation as it is shown: both ends in plain words, pairs that ended alike as one, the attempt."""

from __future__ import annotations

import pytest

from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.explain import EXAMPLE_WORDS, explain, fill, nat_words, side_info
from atmosphere.mesh.info import AttemptInfo, PairInfo, PathEndInfo
from atmosphere.mesh.situation import Attempt, Cause, Search
from tests.mesh.situations import (
    CONE,
    FULL_CONE,
    HOST,
    OPEN,
    PEER_HOST,
    SYMMETRIC,
    away,
    candidate,
    nat,
    pair,
    relayed,
    side,
)

RELAY = candidate("relay", "198.51.100.7", 50000)
PUBLIC = candidate("srflx", "203.0.113.7", 7777, "192.168.7.20")


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (OPEN, "no NAT but a firewall"),
        (nat("none", "none"), "no NAT: a public address"),
        (FULL_CONE, "full-cone NAT: whoever"),
        (nat("endpoint-independent", "address-dependent"), "restricted-cone NAT"),
        (CONE, "port-restricted NAT"),
        (SYMMETRIC, "symmetric NAT: the router uses another port for each peer"),
        (NatBehaviour(), "not known"),
        (NatBehaviour(type="udp-blocked"), "UDP is blocked"),
    ],
)
def test_nats_in_plain_words(behaviour: NatBehaviour, words: str) -> None:
    assert nat_words(behaviour).startswith(words)


def test_both_ends() -> None:
    found = explain(relayed(SYMMETRIC, CONE), ["relay turn:a: ok", "relay turn:b: failed: [Errno 104] Reset by peer"])
    assert (found.here.type, found.here.mapping, found.here.policy) == (
        "symmetric",
        "address-and-port-dependent",
        "any",
    )
    assert found.there.words.startswith("port-restricted NAT")
    assert found.relays == ["relay turn:a: ok", "relay turn:b: failed: Reset by peer"]
    assert side_info(side(SYMMETRIC, udp=False)).words == "UDP is blocked"


def test_pairs_that_ended_alike_are_told_as_one() -> None:
    ends = (PathEndInfo("host", *HOST.endpoint), PathEndInfo("host", *PEER_HOST.endpoint))
    found = explain(
        relayed(
            pairs=(
                pair(RELAY, PUBLIC, "succeeded", "", selected=True, rtt=0.04123),
                pair(RELAY, PUBLIC, "succeeded", ""),
                pair(),
                pair(remote=candidate("host", "10.0.0.9")),
                pair(remote=PUBLIC),
                pair(why="the local address went away"),
                pair(state="in progress", why=""),
                pair(state="in progress"),
                pair(state="waiting", why=""),
                pair(why=""),
            )
        ),
        [],
    )
    relay = PathEndInfo("relay", "198.51.100.7", 50000)
    public = PathEndInfo("srflx", "203.0.113.7", 7777)
    assert found.pairs == [
        PairInfo("in use", 1, True, relay, public, 41.2),
        PairInfo("no answer", 2, False, *ends),
        PairInfo("no answer", 1, False, ends[0], public),
        PairInfo("the local address went away", 1, False, *ends),
        PairInfo("being checked", 1, False, *ends),
        PairInfo("no answer, asked again", 1, False, *ends),
        PairInfo("not checked yet", 1, False, *ends),
        PairInfo("failed", 1, False, *ends),
        PairInfo("works", 1, True, relay, public),
    ]


def test_the_attempt_and_the_next_one() -> None:
    found = explain(away(attempt=Attempt("dtls", True, 4.04, "the other\nside closed."), next_try=3.0), [])
    assert found.attempt == AttemptInfo("dtls", True, 4.0, "the other side closed")
    assert found.next_try_in == 3.0
    assert explain(relayed(), []).attempt is None


def test_a_cause_without_advice() -> None:
    assert fill(Cause("x", lambda s: True, "{peer} is there."), EXAMPLE_WORDS) == ("PEER is there.", None)


def test_what_became_of_guessing_ports() -> None:
    assert explain(relayed(search=Search(False, "given up after 20 s")), []).guessing == "given up after 20 s"
    assert explain(relayed(search=Search(True)), []).guessing is None
    assert explain(relayed(), []).guessing is None
