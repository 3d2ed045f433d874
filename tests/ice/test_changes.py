"""atmosphere.ice.changes. What an endpoint makes of a change is in test_endpoint."""

from __future__ import annotations

import pytest

from atmosphere.ice import changes as module
from atmosphere.ice.changes import Changes

WAYS = ("192.0.2.7", None, "192.0.2.1")


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, ...]]:
    """The last one is the way out now."""
    ways: list[tuple[str | None, ...]] = [WAYS]
    monkeypatch.setattr(module, "ways_out", lambda: ways[-1])
    return ways


async def test_what_a_change_is(ways: list[tuple[str | None, ...]]) -> None:
    changes = Changes()
    changes.start()
    assert not changes.look(moved=False, sure=False)
    assert changes.look(moved=True, sure=False)
    assert changes.look(moved=False, sure=True)
    ways.append(("192.0.2.7", None, "192.0.2.254"))
    assert changes.look(moved=False, sure=False)
    assert not changes.look(moved=False, sure=False)


async def test_another_public_address_is_a_change_unless_one_was_noticed_just_now(
    ways: list[tuple[str | None, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, now = Changes(), 1000.0
    changes.start()
    monkeypatch.setattr(changes._loop, "time", lambda: now)
    changes.look(moved=True, sure=False)
    now += module.CHANGE_TAKES - 1
    assert not changes.public_address()
    changes.look(moved=False, sure=False)
    now += 1
    assert changes.public_address()
    assert not changes.public_address(), "each server tells of it"


def test_everybody_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    def once() -> None:
        told.append("once")
        changes.receivers.remove(once)

    told: list[str] = []
    changes = Changes()
    changes.receivers += [lambda: 1 // 0, once, lambda: told.append("each time")]  # type: ignore[list-item]
    changes.tell()
    changes.tell()
    assert told == ["once", "each time", "each time"]
    assert caplog.text.count("a receiver of changes failed") == 2
