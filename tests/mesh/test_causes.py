"""Every known cause and its sentences; the first that fits is told, and exactly one always does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.nat import Behaviour, NatBehaviour
from atmosphere.mesh.causes import AWAY, CAUSES, CONNECTED, cause_of
from atmosphere.mesh.explain import EXAMPLE_WORDS, explain, fill
from atmosphere.mesh.info import PathInfo, ServerInfo
from atmosphere.mesh.situation import Attempt, Cause, Mapping, Search, Situation
from tests.mesh.situations import (
    CONE,
    DIRECT,
    END,
    FULL_CONE,
    OPEN,
    SYMMETRIC,
    away,
    candidate,
    nat,
    pair,
    relayed,
    side,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "INTERNET_NETWORKING.md"
RELAY_ADDRESS = candidate("relay", "198.51.100.7", 50000)
UNKNOWN = NatBehaviour()
SILENT = Attempt("signaling", False, 25.0, "no path within 25 s")
ANSWERED = Attempt("ice", True, 25.0, "none of 4 pairs of addresses was answered")
DOWN = ServerInfo("turn:198.51.100.7:3478", False, None, "no answer")
UP = ServerInfo("turn:198.51.100.7:3478", True, 12.0)

KNOWN: dict[str, tuple[Situation, str, str | None]] = {
    # cause: (a situation, a part of why, a part of the advice)
    "direct": (relayed(path=DIRECT), "The path is direct; there is no better one.", None),
    "direct-tcp": (relayed(path=PathInfo("direct", "tcp", 4, END, END)), "direct, over TCP", "Let UDP out"),
    "policy-here": (
        relayed(here=side(policy="relay", udp=False)),
        "This node runs with --path-policy relay",
        "--path-policy any",
    ),
    "policy-there": (relayed(there=side(CONE, 7, policy="relay")), "bob runs with --path-policy relay", "start bob"),
    "udp-blocked-here": (relayed(here=side(udp=False)), "Your network blocks UDP", "your network"),
    "udp-blocked-there": (
        relayed(there=side(SYMMETRIC, 7, udp=False)),
        "The network of bob blocks UDP",
        "bob's network",
    ),
    "direct-works": (relayed(pairs=(pair(state="succeeded", why=""),)), "about to take over", None),
    "direct-lost": (relayed(pairs=(pair(why="fell silent"),)), "it fell silent", "atmosphere network"),
    "settling": (
        relayed(pairs=(pair(state="in progress", why=""),), age=2.0),
        "still being checked",
        "ping bob --until-direct",
    ),
    "guessing": (relayed(SYMMETRIC, search=Search(True), age=9.0), "is being guessed", "ping bob --until-direct"),
    "one-network": (
        relayed(there=side(CONE, 1, lan=("192.168.1.20", 7777))),
        "Both machines are in one network",
        "Allow UDP port 7777 in the firewall of both",
    ),
    "no-hairpin": (relayed(there=side(CONE, 1, lan=("10.0.0.5", 7777))), "share one public address", "hairpinning"),
    "no-common-family": (
        relayed(there=side(UNKNOWN, 7, families=frozenset({6}))),
        "This node has only IPv4 and bob only IPv6",
        "Turn on IPv6 in your router (or IPv4 in the one of bob).",
    ),
    "no-public-address": (
        relayed(here=side(UNKNOWN, public=frozenset())),
        "does not know its public address",
        "--stun",
    ),
    "no-public-address-there": (
        relayed(there=side(UNKNOWN, 7, public=frozenset())),
        "bob did not say under which public address",
        "answers to bob: --stun",
    ),
    "mapped-in-vain": (
        relayed(SYMMETRIC, SYMMETRIC, here=side(SYMMETRIC, mapping="beyond")),
        "another NAT",
        "provider",
    ),
    "firewall-here": (
        relayed(OPEN, SYMMETRIC),
        "its firewall drops",
        "Allow UDP port 7777 in the firewall of this machine (`ufw allow 7777/udp`",
    ),
    "firewall-there": (
        relayed(SYMMETRIC, OPEN),
        "No router stands before bob, but its firewall",
        "the firewall of bob",
    ),
    "symmetric-both": (
        relayed(SYMMETRIC, SYMMETRIC),
        "Both routers change ports for each peer",
        "Turn on UPnP, NAT-PMP or PCP in your router or in that of bob",
    ),
    "symmetric-there": (
        relayed(CONE, SYMMETRIC),
        "The router of bob changes ports for each peer",
        "Forward UDP port 7777 on your router to 192.168.1.10",
    ),
    "symmetric-here": (
        relayed(SYMMETRIC, CONE),
        "Your router changes ports for each peer",
        "Forward UDP port 7777 on the router of bob to 192.168.7.20",
    ),
    "dropped": (relayed(CONE, CONE), "a firewall drops them", "UDP port 7777 in that of bob"),
    "relayed": (relayed(CONE, UNKNOWN), "No direct check got through", "Forward UDP port 7777 on your router"),
    "refused": (
        away(attempt=Attempt("refused", True, 1.0, "the other side runs a newer version")),
        "said no: the other side runs a newer version.",
        "atmosphere peers",
    ),
    "stopped": (away(left="the other side: stopped"), "bob said goodbye (stopped)", "atmosphere serve"),
    "handshake": (
        away(attempt=Attempt("dtls", True, 25.0, "no answer in time")),
        "encrypted handshake over it did not finish: no answer in time.",
        "1280 bytes",
    ),
    "no-messenger": (away(attempt=SILENT, helpers=False), "Nobody could tell bob", "--signaling URL"),
    "offline": (away(attempt=SILENT), "Nothing answers: bob is switched off", "atmosphere status"),
    "trying": (away(), "Nothing answers yet", "Ask again"),
    "only-direct-here": (
        away(attempt=ANSWERED, here=side(policy="direct")),
        "this node runs with",
        "--path-policy any",
    ),
    "only-direct-there": (away(attempt=ANSWERED, there=side(CONE, 7, policy="direct")), "it runs with", "Start bob"),
    "relay-down": (
        away(attempt=ANSWERED, relays=(DOWN,)),
        "no relay answers: turn:198.51.100.7:3478: no answer.",
        "its port is open",
    ),
    "no-relay": (
        away(attempt=ANSWERED),
        "no direct path exists and no relay is configured",
        "Run `atmosphere relay` on a machine with a public address",
    ),
    "no-path": (away(attempt=ANSWERED, relays=(UP, DOWN)), "not even by relay", "the same relay"),
}


def test_no_cause_is_untested() -> None:
    assert list(KNOWN) == list(dict.fromkeys(KNOWN))
    assert set(KNOWN) == {cause.name for cause in CAUSES}
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)


@pytest.mark.parametrize("name", KNOWN)
def test_known_causes(name: str) -> None:
    situation, why, advice = KNOWN[name]
    found = explain(situation, [])
    assert found.cause == name
    assert why in found.why
    assert (advice is None) == (found.advice is None)
    assert (advice or "") in (found.advice or "")


MORE: list[tuple[str, Situation]] = [
    # what is known beats what is merely likely
    ("firewall-here", relayed(OPEN, UNKNOWN)),
    ("firewall-here", relayed(here=side(SYMMETRIC, mapping="open"), there=side(SYMMETRIC, 7))),
    ("firewall-there", relayed(here=side(SYMMETRIC), there=side(SYMMETRIC, 7, mapping="open"))),
    ("symmetric-here", relayed(SYMMETRIC, UNKNOWN)),
    ("symmetric-there", relayed(UNKNOWN, SYMMETRIC)),
    ("symmetric-here", relayed(nat("address-dependent"), CONE)),
    # whoever lets anybody in needs no guessing: something else drops the checks
    ("dropped", relayed(SYMMETRIC, FULL_CONE)),
    ("dropped", relayed(FULL_CONE, SYMMETRIC)),
    ("dropped", relayed(OPEN, OPEN)),
    ("settling", relayed(SYMMETRIC, SYMMETRIC, pairs=(pair(state="waiting", why=""),), age=1.0)),
    # a pair that was silent once is asked again for ever
    ("symmetric-both", relayed(SYMMETRIC, SYMMETRIC, pairs=(pair(state="in progress"),), age=1.0)),
    # after a while that is no excuse any more; and pairs over relays never are
    ("symmetric-both", relayed(SYMMETRIC, SYMMETRIC, pairs=(pair(state="waiting", why=""),), age=60.0)),
    (
        "symmetric-both",
        relayed(SYMMETRIC, SYMMETRIC, pairs=(pair(remote=RELAY_ADDRESS, state="waiting", why=""),), age=1.0),
    ),
    ("symmetric-both", relayed(SYMMETRIC, SYMMETRIC, pairs=(pair(remote=RELAY_ADDRESS, state="succeeded"),))),
    ("symmetric-both", relayed(SYMMETRIC, SYMMETRIC, search=Search(False, "given up"), age=9.0)),
    ("symmetric-both", relayed(SYMMETRIC, SYMMETRIC, search=Search(True), age=60.0)),
    ("dropped", relayed(CONE, CONE, search=Search(True), age=9.0)),
    ("mapped-in-vain", relayed(there=side(CONE, 7, mapping="beyond"))),
    ("handshake", away(attempt=Attempt("greeting", True, 10.0, "no answer in time"))),
    # an attempt that has been silent for long is told of before it ends
    ("offline", away(attempt=Attempt("signaling", False, 5.0))),
    ("trying", away(attempt=Attempt("signaling", False, 2.0))),
    ("trying", away(attempt=Attempt("ice", True, 20.0))),
    ("stopped", away(left="the other side: stopped", attempt=SILENT)),
    ("offline", away(left="the path is dead", attempt=SILENT)),
    # it was stopped, but it is back and answers
    ("no-relay", away(left="the other side: stopped", attempt=ANSWERED)),
    ("no-path", away(attempt=ANSWERED, pairs=(pair(remote=RELAY_ADDRESS),))),
    ("offline", away(state="connecting", path=DIRECT, attempt=SILENT)),
]


@pytest.mark.parametrize(("name", "situation"), MORE, ids=[f"{number} {name}" for number, (name, _) in enumerate(MORE)])
def test_the_more_telling_cause_comes_first(name: str, situation: Situation) -> None:
    assert cause_of(situation).name == name


behaviours = st.sampled_from(get_args(Behaviour))
sides = st.builds(
    lambda number, mapping, filtering, /, **changes: side(nat(mapping, filtering), number, **changes),
    st.sampled_from([1, 7]),
    behaviours,
    behaviours,
    policy=st.sampled_from(["any", "direct", "relay", ""]),
    udp=st.sampled_from([True, False, None]),
    mapping=st.sampled_from(get_args(Mapping)),
    lan=st.sampled_from([None, ("192.168.1.10", 7777), ("2001:db8::1", 7777)]),
    public=st.frozensets(st.sampled_from(["203.0.113.1", "203.0.113.7"])),
    families=st.frozensets(st.sampled_from([4, 6])),
)
attempts = st.builds(
    Attempt,
    st.sampled_from(["signaling", "ice", "dtls", "greeting", "refused"]),
    st.booleans(),
    st.floats(0, 60),
    st.none() | st.sampled_from(["no answer.", "two\nlines"]),
)
pairs = st.builds(
    pair,
    state=st.sampled_from(["waiting", "in progress", "succeeded", "failed"]),
    why=st.sampled_from(["", "no answer", "fell silent"]),
)
situations: st.SearchStrategy[Situation] = st.builds(
    Situation,
    name=st.text(min_size=1, max_size=10),
    state=st.sampled_from(["connected", "connecting", "offline"]),
    here=sides,
    there=sides,
    path=st.none() | st.sampled_from([DIRECT, relayed().path]),
    pairs=st.lists(pairs, max_size=3).map(tuple),
    relays=st.lists(st.sampled_from([UP, DOWN]), max_size=2).map(tuple),
    helpers=st.booleans(),
    search=st.none() | st.builds(Search, st.booleans(), st.sampled_from(["", "found after 3.0 s"])),
    attempt=st.none() | attempts,
    left=st.none() | st.sampled_from(["the other side: stopped", "the path is dead"]),
    age=st.floats(0, 1e6),
)


@given(situations)
def test_exactly_one_cause_is_told_whatever_is_known(situation: Situation) -> None:
    found = explain(situation, [])
    assert found.cause in {cause.name for cause in (CONNECTED if situation.connected else AWAY)}
    told = (found.why + (found.advice or "")).replace(situation.name, "")
    assert "None" not in told
    assert not re.search(r"\{[a-z_]+\}", told)


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.name for cause in CAUSES])
def test_sentences_are_sentences(cause: Cause) -> None:
    for text in filter(None, fill(cause, EXAMPLE_WORDS)):
        assert text.endswith("."), text
        assert text[0].isupper()
        assert "\n" not in text
        assert "  " not in text
        assert len(text) < 200, text


def test_the_documentation_shows_this_very_table() -> None:
    rows = [" | ".join(row) for row in re.findall(r"^\| (.+?) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)]
    wanted = [f"{why} | {advice or 'Nothing.'}" for why, advice in (fill(cause, EXAMPLE_WORDS) for cause in CAUSES)]
    missing = [row for row in wanted if row not in rows]
    assert missing == []
    assert [row for row in rows if row in wanted] == wanted, "the table of causes has an order"


def test_what_was_tried_besides() -> None:
    gave_up = explain(relayed(SYMMETRIC, CONE, search=Search(False, "given up after 20.0 s and 2000 checks")), [])
    assert gave_up.why.endswith(" Port guessing was given up after 20.0 s and 2000 checks.")
    unknown = explain(relayed(SYMMETRIC, SYMMETRIC, search=Search(True), age=99.0), [])
    assert unknown.why.endswith("where to knock.")
    unasked = explain(relayed(CONE, SYMMETRIC, here=side(mapping="off")), [])
    assert unasked.advice is not None
    assert unasked.advice.endswith("PCP in it (and start this node without --no-port-mapping).")


def test_places_that_are_not_known_are_called_by_name() -> None:
    found = explain(relayed(SYMMETRIC, CONE, there=replace(side(CONE, 7), lan=None)), [])
    assert "Forward UDP port 7777 on the router of bob to bob" in (found.advice or "")
