from __future__ import annotations

from atmosphere.turn.server.flow import Flow


def test_flows_are_the_same_only_when_they_are_one() -> None:
    one, two = (Flow("tcp", ("203.0.113.1", 1), ("192.0.2.1", 3478), lambda messages: None) for _ in range(2))
    assert one != two
    assert len({one, two}) == 2
    assert repr(one) == "Flow(tcp, '203.0.113.1', 1)"
    assert one.write_burst is None
