from __future__ import annotations

from atmosphere.sctp.report import report
from tests.sctp.network import Network, connected


def test_the_state_can_be_looked_at() -> None:
    state = report(connected().one.association)
    assert state["outstanding"] == state["held"] == 0 and state["cwnd"] > 0 and state["channels"] == 0
    assert report(Network().one.association) == {"over": "", "queued": 0, "channels": 0}
