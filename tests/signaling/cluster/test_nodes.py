from __future__ import annotations

from signaling.cluster.nodes import ClusterNodes
from signaling.cluster.wire import AnyEvent, Gone, Here, Interest, Left
from signaling.hub import Delivery
from signaling.messages import Delivered, Done, Got, Incoming, Send, Subscribe, Watch
from signaling.metrics import Metrics
from signaling.settings import Settings

ANN, BOB = ("a" * 52, "b" * 52)


def made() -> tuple[ClusterNodes, list[AnyEvent]]:
    said: list[AnyEvent] = []
    nodes = ClusterNodes(
        Settings(), Metrics(), own="us", speak=lambda _, event: said.append(event), dead_after=2.5, unix_offset=1000.0
    )
    return nodes, said


def test_who_comes_and_goes_is_announced_with_a_stamp() -> None:
    nodes, said = made()
    nodes.connect(ANN, 1.0)
    nodes.connect(ANN, 1.0)
    assert said == [Here(ANN, 1_001_000), Here(ANN, 1_001_001)]
    nodes.disconnect(ANN)
    assert said[2:] == [Left(ANN, 1_001_001)]
    assert nodes.disconnect(ANN) == []


def test_interest_in_topics_is_announced() -> None:
    nodes, said = made()
    nodes.connect(ANN, 1.0)
    assert nodes.receive(ANN, Subscribe("t", 1), 1.0) == [Delivery((ANN,), Done(1))]
    assert said[1:] == [Interest("t", 1)]
    nodes.disconnect(ANN)
    assert said[2] == Interest("t", 0)


def test_a_got_that_says_something_is_free_and_announced() -> None:
    nodes, said = made()
    nodes.connect(ANN, 1.0, got=True)
    nodes.connect(BOB, 1.0, got=True)
    sent = nodes.receive(ANN, Send(BOB, "", "m", 1), 1.0)
    # Alone, there is nobody to wait for.
    assert sent == [Delivery((BOB,), Incoming(ANN, "", "m", None, 1)), Delivery((ANN,), Delivered(1))]
    assert nodes.is_free(BOB, Got(1))
    assert nodes.receive(BOB, Got(1), 1.0) == []
    assert said[-1] == Gone(BOB, ANN, "m")
    assert not nodes.is_free(BOB, Got(1))
    assert not nodes.is_free(BOB, Watch([], 1))
    assert nodes.receive(BOB, Got(1), 1.0) == []


def test_what_was_not_got_comes_again_in_the_next_connection() -> None:
    nodes, _ = made()
    nodes.connect(ANN, 1.0, got=True)
    nodes.connect(BOB, 1.0, got=True)
    nodes.receive(ANN, Send(BOB, "", "m", 1), 1.0)
    assert nodes.connect(BOB, 2.0, got=True) == [Delivery((BOB,), Incoming(ANN, "", "m", None, 1))]
    assert nodes.receive(ANN, Send(BOB, "", "m", 2), 2.0) == [Delivery((ANN,), Delivered(2))]
