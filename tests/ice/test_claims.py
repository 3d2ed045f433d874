"""atmosphere.ice.claims, in a mux with real sessions, and alone with such as do as they are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from atmosphere.ice import checklist
from atmosphere.ice.checklist import MAX_PEER_REFLEXIVE
from atmosphere.ice.claims import CLEARLY_OLDER, SUPERSEDED, Claims
from atmosphere.ice.events import IceFailed
from atmosphere.ice.session import IceSession
from tests.ice.wire import SOURCE, answer, check, make, nominating, repeat


async def test_a_remote_that_checks_from_ever_new_ports_fills_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checklist, "DISCOVERED_FOR", 0.0)
    mux, base, met = make()
    got: list[bytes] = []
    for number in range(10 * MAX_PEER_REFLEXIVE):
        mux.receive(base, check("dialer01"), (SOURCE[0], 5000 + number))
        met[0].on_datagram = got.append
    [session] = mux.sessions
    assert session.claims.keys() == mux._routes.keys()
    assert len(mux._routes) <= MAX_PEER_REFLEXIVE
    mux.receive(base, b"\x16the newest", (SOURCE[0], 5000 + number))
    mux.receive(base, b"\x16the oldest", SOURCE)
    assert got == [b"\x16the newest"]
    # Where it shows itself again, it is heard again.
    mux.receive(base, check("dialer01"), SOURCE)
    mux.receive(base, b"\x16back", SOURCE)
    assert got == [b"\x16the newest", b"\x16back"]
    mux.close()
    assert not mux._routes


async def test_what_one_session_forgets_stays_another_ones() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    mux.receive(base, check("dialer02"), SOURCE)
    owner = mux._routes[base.id, SOURCE]
    for session in met:
        if session is not owner:
            mux.forget(session, base.id, SOURCE)
            mux.forget(session, base.id, SOURCE)
    assert mux._routes == {(base.id, SOURCE): owner}
    mux.close()


@pytest.mark.parametrize("order", [("dialerA", "dialerB"), ("dialerB", "dialerA")])
async def test_of_two_that_live_the_smaller_dialer_stays(order: tuple[str, str]) -> None:
    mux, base, met = make()
    for remote in order:
        mux.receive(base, check(remote), SOURCE)
    by_name = {session.remote_ufrag: session for session in met}
    events: list[Any] = []
    by_name["dialerB"].on_event = events.append
    answer(mux, base, order[0])
    assert len(mux.sessions) == 2
    answer(mux, base, order[1])
    assert mux.sessions == [by_name["dialerA"]]
    assert events[-1] == IceFailed(SUPERSEDED)
    got: list[bytes] = []
    by_name["dialerA"].on_datagram = got.append
    mux.receive(base, b"\x16to the one", SOURCE)
    assert got == [b"\x16to the one"]
    mux.close()


@pytest.mark.parametrize("order", [("dialerA", "dialerB"), ("dialerB", "dialerA")])
async def test_no_later_dial_cuts_a_link(order: tuple[str, str]) -> None:
    mux, base, met = make()
    for remote in order:
        mux.receive(base, check(remote), SOURCE)
    met[0].created_at -= CLEARLY_OLDER
    answer(mux, base, order[0])
    answer(mux, base, order[1])
    assert mux.sessions == [met[0]]
    mux.close()


class Family:
    """What sessions of one link have in common."""

    def __init__(self, *sessions: IceSession) -> None:
        self.sessions = list(sessions)
        self.got: list[bytes] = []
        for session in sessions:
            session.kin = self
            session.on_datagram = self.got.append


async def test_sessions_of_one_link_share_an_address_and_inherit_it() -> None:
    mux, base, met = make()
    for remote in ("dialer01", "dialer02"):
        mux.receive(base, check(remote), SOURCE)
    family = Family(*met)
    for remote in ("dialer01", "dialer02"):
        answer(mux, base, remote)
    assert not any(session.is_over for session in met)
    mux.receive(base, b"\x16one", SOURCE)
    owner = mux._routes[base.id, SOURCE]
    owner.close()
    mux.receive(base, b"\x16two", SOURCE)
    assert family.got == [b"\x16one", b"\x16two"]
    mux.close()
    assert not mux._routes


async def test_a_restarted_remote_takes_its_address_back_and_the_dead_session_stays_harmless() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialerA"), SOURCE)
    answer(mux, base, "dialerA")
    mux.receive(base, nominating("dialerA"), SOURCE)
    assert met[0].state == "connected"
    mux.receive(base, check("dialerB"), SOURCE)
    answer(mux, base, "dialerB")
    got: list[bytes] = []
    met[1].on_datagram = got.append
    mux.receive(base, b"\x16to the newer", SOURCE)
    assert got == [b"\x16to the newer"]
    assert len(mux.sessions) == 2
    # It lives after all, and so both do.
    repeat(met[0], 3.0)
    answer(mux, base, "dialerA")
    assert mux.sessions == [met[0]]
    mux.close()


async def test_a_forged_source_takes_no_address_from_a_session_with_a_path() -> None:
    mux, base, met = make()
    mux.receive(base, check("victim"), SOURCE)
    answer(mux, base, "victim")
    mux.receive(base, nominating("victim"), SOURCE)
    assert met[0].state == "connected"
    mux.receive(base, check("AAAA"), SOURCE)  # from an invited attacker, who writes the victim's address
    mux.receive(base, check("AAAA"), ("192.0.2.66", 6666))
    answer(mux, base, "AAAA", ("192.0.2.66", 6666))
    repeat(met[1], 0.5)
    answer(mux, base, "AAAA", ("192.0.2.66", 6666))
    got: list[bytes] = []
    met[0].on_datagram = got.append
    mux.receive(base, b"\x16data", SOURCE)
    assert got == [b"\x16data"]
    assert met[0] in mux.sessions
    mux.close()


def stub(name: str, *, state: str = "checking", created_at: float = 0.0) -> Any:
    """As much of a session as is looked at."""
    failed: list[str] = []
    return SimpleNamespace(
        dialer_ufrag=name,
        state=state,
        created_at=created_at,
        is_over=False,
        kin=None,
        claims={},
        failed=failed,
        fail=failed.append,
    )


KEY = (1, SOURCE)


def test_a_place_is_told_once_and_never_of_a_session_that_is_over() -> None:
    told: list[tuple[int, tuple[str, int]]] = []
    claims, session = Claims(lambda base, source: told.append((base, source))), stub("a")
    for now in (1.0, 2.0):
        claims.claim(session, *KEY, proven=False, now=now)
    assert (told, claims.routes) == ([KEY], {KEY: session})
    assert session.claims[KEY].seen_at == 1.0
    over = stub("b")
    over.is_over = True
    claims.claim(over, 1, (SOURCE[0], 1), proven=True, now=3.0)
    assert (told, over.claims) == ([KEY], {})


@pytest.mark.parametrize("state", ["checking", "connected"])
@pytest.mark.parametrize("proven", [True, False])
def test_a_check_alone_takes_an_address_only_where_there_is_no_path(state: str, proven: bool) -> None:
    claims, owner, other = Claims(lambda base, source: None), stub("a", state=state), stub("b")
    claims.claim(owner, *KEY, proven=True, now=1.0)
    claims.claim(other, *KEY, proven=proven, now=2.0)
    assert claims.routes[KEY] is (other if proven or state == "checking" else owner)
    assert owner.failed == other.failed == []


@pytest.mark.parametrize(
    ("names", "ages", "stays"),
    [(("a", "b"), (0.0, 0.0), 0), (("b", "a"), (0.0, CLEARLY_OLDER - 1), 1), (("b", "a"), (0.0, CLEARLY_OLDER), 0)],
)
def test_of_two_that_answer_one_goes(names: tuple[str, str], ages: tuple[float, float], stays: int) -> None:
    claims = Claims(lambda base, source: None)
    both = [stub(name, created_at=age) for name, age in zip(names, ages, strict=True)]
    for now in (1.0, 2.0):
        for number, session in enumerate(both):
            claims.claim(session, *KEY, proven=True, now=now + number / 10)
            if number == 0:
                assert not any(session.failed for session in both), "the other may have been dead since"
    assert claims.routes[KEY] is both[stays]
    assert [session.failed for session in both] == [[], [SUPERSEDED]][:: 1 if stays == 0 else -1]


def test_who_is_forgotten_leaves_its_address_to_its_kin() -> None:
    claims, one, heir, elsewhere = Claims(lambda base, source: None), stub("a"), stub("b"), stub("c")
    for session in (one, heir, elsewhere):
        session.kin = SimpleNamespace(sessions=[one, heir, elsewhere])
    for session in (heir, one):
        claims.claim(session, *KEY, proven=False, now=1.0)
    claims.claim(elsewhere, 1, (SOURCE[0], 1), proven=False, now=1.0)
    claims.release(one)
    assert claims.routes[KEY] is heir
    claims.release(heir)
    assert claims.routes == {(1, (SOURCE[0], 1)): elsewhere}
    claims.forget(heir, *KEY)
    claims.remove_base(2)
    assert claims.routes
    claims.remove_base(1)
    assert claims.routes == {}
