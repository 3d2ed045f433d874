"""Why a path changed, in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.ice.events import IceEvent, PathLost, PathRestored, PathSelected
from atmosphere.mesh.history import History, reason_for
from atmosphere.mesh.info import ChangeInfo, PathEndInfo, PathInfo
from tests.mesh.situations import DIRECT, END, RELAYED

OTHER = PathInfo("direct", "udp", 4, END, PathEndInfo("srflx", "203.0.113.99", 7777))
OTHER_PORT = PathInfo("direct", "udp", 4, PathEndInfo("host", "192.0.2.1", 9), END)
OTHER_RELAY = PathInfo("relay", "tcp", 4, PathEndInfo("relay", "198.51.100.8", 50000), END)


def selected(state: str | None) -> PathSelected:
    """The event for a path after one whose pair is in `state`, or whose base is gone."""
    pair: Any = SimpleNamespace(state=state)
    return PathSelected(pair, None if state is None else pair)


WELL, SILENT, GONE = selected("succeeded"), selected("failed"), selected(None)


@pytest.mark.parametrize(
    ("previous", "path", "event", "reason"),
    [
        (RELAYED, DIRECT, WELL, "direct works"),
        (RELAYED, DIRECT, None, "direct works"),
        (DIRECT, RELAYED, SILENT, "direct path lost"),
        (DIRECT, RELAYED, GONE, "network changed"),
        (RELAYED, OTHER_RELAY, SILENT, "relay lost"),
        (RELAYED, OTHER_RELAY, GONE, "relay lost"),
        (RELAYED, OTHER_RELAY, WELL, "another relay is better"),
        (RELAYED, OTHER_RELAY, None, "a new link took over"),
        (DIRECT, OTHER, GONE, "network changed"),
        (DIRECT, OTHER, SILENT, "the former path fell silent"),
        (DIRECT, OTHER, WELL, "peer's network changed"),
        (DIRECT, OTHER_PORT, WELL, "a better path works"),
        (DIRECT, None, PathLost(3.2), "no answer for 3 s"),
        (DIRECT, None, PathLost(0.0), "network changed"),
        (DIRECT, None, PathRestored(), "asked whether it is the same"),
        (DIRECT, None, None, "no path"),
        (None, DIRECT, WELL, "answers again"),
    ],
)
def test_reasons(previous: PathInfo | None, path: PathInfo | None, event: IceEvent | None, reason: str) -> None:
    assert reason_for(previous, path, event) == reason


def test_what_happened_to_a_path() -> None:
    history = History()
    assert (history.path, history.since, history.last_change, history.left) == (None, None, None, None)
    history.connected(RELAYED, 10.0)
    assert (history.since, history.last_change) == (10.0, ChangeInfo(10.0, "connected"))
    assert history.moved(DIRECT, WELL, 12.0) == (RELAYED, "direct works")
    # Told twice, it happened once.
    assert history.moved(DIRECT, cast("Any", PathRestored()), 13.0) == (DIRECT, "direct works")
    assert (history.since, history.last_change) == (12.0, ChangeInfo(12.0, "direct works"))
    assert history.moved(None, PathLost(3.0), 20.0) == (DIRECT, "no answer for 3 s")
    assert history.moved(None, PathRestored(), 21.0) == (None, "asked whether it is the same")
    assert (history.path, history.since) == (None, None)
    history.ended("the path is dead", 50.0)
    assert (history.left, history.last_change) == ("the path is dead", ChangeInfo(50.0, "the path is dead"))
    history.connected(DIRECT, 60.0)
    assert (history.left, history.path) == (None, DIRECT)
