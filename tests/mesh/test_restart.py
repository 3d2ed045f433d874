"""Restarts of one link: recognised by the ufrag alone, by nobody else, and once. With real nodes: streams go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import Refused
from atmosphere.ice.credentials import IceCredentials
from atmosphere.mesh.linktable import UFRAG_PREFIX, Rank
from atmosphere.mesh.restart import MAX_AHEAD, Restarts, is_restart

SECRET = bytes(range(32))


def ends() -> tuple[Restarts, Restarts]:
    return Restarts(SECRET, client=True), Restarts(SECRET, client=False)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_other_end_recognises_a_restart_and_gives_it_the_same_place(rank: Rank) -> None:
    client, server = ends()
    for one, other in ((client, server), (server, client)):
        ufrag, order = one.begin(rank)
        assert is_restart(ufrag)
        assert len(ufrag) == 26
        assert other.recognise(ufrag) == order


def test_each_comes_after_all_before_it_and_two_at_once_differ() -> None:
    client, server = ends()
    (first, one), (second, other) = client.begin(1), server.begin(2)
    assert one > other > (0, 0)
    assert (client.recognise(second), server.recognise(first)) == (other, one)
    assert min(client.begin(1)[1], server.begin(2)[1]) > one


def test_what_was_seen_before_begins_nothing() -> None:
    client, server = ends()
    first, second = client.begin(1)[0], client.begin(1)[0]
    assert server.recognise(second)
    assert server.recognise(second) is None
    assert server.recognise(first) is None


def test_nobody_recognises_its_own_restart_or_another_links() -> None:
    client, _ = ends()
    ufrag, _ = client.begin(1)
    assert client.recognise(ufrag) is None
    assert Restarts(bytes(32), client=False).recognise(ufrag) is None


def test_a_changed_rank_or_generation_is_noticed() -> None:
    client, server = ends()
    ufrag, _ = client.begin(1)
    for position, letter in ((1, "B"), (9, "C"), (25, "x")):
        forged = ufrag[:position] + letter + ufrag[position + 1 :]
        assert forged != ufrag
        assert server.recognise(forged) is None
    assert server.recognise(ufrag)


def test_a_peer_cannot_use_the_generations_up() -> None:
    client, server = ends()
    client._heard = MAX_AHEAD
    far, _ = client.begin(1)
    assert server.recognise(far) is None
    client._begun = client._heard = (1 << 48) - 1
    with pytest.raises(Refused):
        client.begin(1)


def test_ordinary_dials_are_no_restarts_and_sort_before_them() -> None:
    restart, _ = Restarts(SECRET, client=True).begin(0)
    for prefix in UFRAG_PREFIX:
        ordinary = prefix + IceCredentials.random().ufrag
        assert not is_restart(ordinary)
        assert ordinary < restart


@given(st.text(max_size=40))
def test_any_text_is_judged(text: str) -> None:
    assert Restarts(SECRET, client=True).recognise(text) is None
    assert Restarts(SECRET, client=True).recognise("RA" + text) is None
