from __future__ import annotations

from signaling.hub import Delivery, Hub
from signaling.messages import (
    Delivered,
    Done,
    Error,
    Got,
    Hello,
    Incoming,
    Presence,
    Publish,
    Queued,
    Send,
    Subscribe,
    Unsubscribe,
    Watch,
)
from signaling.metrics import Metrics
from signaling.settings import Settings

ANN, BOB, CID = ("a" * 52, "b" * 52, "c" * 52)


def hub(*online: str, settings: Settings | None = None) -> Hub:
    made = Hub(settings or Settings(), Metrics())
    for node in online:
        made.connect(node, 0)
    return made


def to(node: str, *messages: object) -> list[Delivery]:
    return [Delivery((node,), message) for message in messages]  # type: ignore[arg-type]


def test_a_message_to_somebody_here_is_delivered_and_then_acknowledged() -> None:
    assert hub(ANN, BOB).receive(ANN, Send(BOB, "cGF5", "1", 7), 0) == [
        *to(BOB, Incoming(ANN, "cGF5", "1")),
        *to(ANN, Delivered(7)),
    ]


def test_a_message_to_oneself_comes_back() -> None:
    assert hub(ANN).receive(ANN, Send(ANN, "", "1", 7), 0) == to(ANN, Incoming(ANN, "", "1"), Delivered(7))


def test_a_repeated_message_is_acknowledged_but_not_delivered() -> None:
    made = hub(ANN, BOB)
    made.receive(ANN, Send(BOB, "", "1", 7), 0)
    assert made.receive(ANN, Send(BOB, "", "1", 8), 1) == to(ANN, Delivered(8))
    made.expire(1000)
    assert len(made.receive(ANN, Send(BOB, "", "1", 9), 1000)) == 2


def test_a_message_for_somebody_away_waits_for_the_connection() -> None:
    made = hub(ANN)
    assert made.receive(ANN, Send(BOB, "cGF5", "1", 7), 0) == to(ANN, Queued(7))
    assert made.receive(ANN, Send(BOB, "cGF5", "1", 8), 0) == to(ANN, Queued(8))
    assert made.connect(BOB, 5) == to(BOB, Incoming(ANN, "cGF5", "1"))
    assert made.connect(BOB, 5) == []
    assert made.receive(ANN, Send(BOB, "cGF5", "1", 9), 6) == to(ANN, Delivered(9))


def test_a_message_that_may_not_wait_is_refused() -> None:
    assert hub(ANN).receive(ANN, Send(BOB, "", "1", 7, ttl=0), 0) == to(
        ANN, Error("offline", "the receiver is away", 7)
    )


def test_a_full_mailbox_refuses() -> None:
    made = hub(ANN, settings=Settings(mailbox_messages=1))
    made.receive(ANN, Send(BOB, "", "1", 7), 0)
    assert made.receive(ANN, Send(BOB, "", "2", 8), 0) == to(ANN, Error("full", "the receiver's mailbox is full", 8))


def test_what_is_published_goes_to_the_subscribers() -> None:
    made = hub(ANN, BOB, CID)
    assert made.receive(BOB, Subscribe("t", 1), 0) == to(BOB, Done(1))
    made.receive(CID, Subscribe("t", 1), 0)
    expected = Incoming(ANN, "cGF5", "1", "t")
    assert made.receive(ANN, Publish("t", "cGF5", "1", 2), 0) == [
        Delivery((BOB, CID), expected),
        *to(ANN, Delivered(2, 2)),
    ]
    assert made.receive(ANN, Publish("t", "cGF5", "1", 3), 0) == to(ANN, Delivered(3, 2))
    assert made.receive(CID, Unsubscribe("t", 2), 0) == to(CID, Done(2))
    made.disconnect(BOB)
    assert made.receive(ANN, Publish("t", "cGF5", "2", 4), 0) == to(ANN, Delivered(4, 0))


def test_presence_is_told_at_once_and_at_each_change() -> None:
    made = hub(ANN, BOB)
    assert made.receive(ANN, Watch([BOB, CID, BOB], 1), 0) == to(
        ANN, Presence(BOB, True), Presence(CID, False), Done(1)
    )
    assert made.connect(CID, 0) == to(ANN, Presence(CID, True))
    assert made.connect(CID, 0) == []  # a second connection of the same node is no news
    assert made.disconnect(CID) == to(ANN, Presence(CID, False))
    made.receive(ANN, Watch([], 2), 0)
    assert made.connect(CID, 0) == []


def test_a_new_connection_begins_without_topics_and_watches() -> None:
    made = hub(ANN, BOB)
    made.receive(ANN, Subscribe("t", 1), 0)
    made.receive(ANN, Watch([BOB], 2), 0)
    made.connect(ANN, 1)
    assert len(made.topics) == len(made.watchers) == 0


def test_limits_are_refused_with_their_ref() -> None:
    made = hub(ANN, settings=Settings(topics_per_connection=0, watched_per_connection=0))
    for message in (Subscribe("t", 5), Watch([BOB], 5)):
        [refusal] = made.receive(ANN, message, 0)
        assert isinstance(refusal.message, Error)
        assert (refusal.message.code, refusal.message.ref) == ("limit", 5)


def test_a_second_hello_is_refused() -> None:
    [refusal] = hub(ANN).receive(ANN, Hello("", ""), 0)
    assert isinstance(refusal.message, Error)
    assert refusal.message.code == "malformed"


def test_a_got_for_what_was_not_numbered_means_nothing_and_is_not_free() -> None:
    made = hub(ANN)
    assert made.receive(ANN, Got(1), 0) == []
    assert not made.is_free(ANN, Got(1))


def test_a_server_for_members_takes_from_strangers_only_messages_to_members() -> None:
    made = Hub(Settings(), Metrics(), lambda node: node == ANN)
    for node in (ANN, BOB, CID):
        made.connect(node, 0)
    assert made.receive(BOB, Send(ANN, "", "1", 7), 0)[-1].message == Delivered(7)
    assert made.receive(ANN, Send(BOB, "", "1", 7), 0)[-1].message == Delivered(7)
    assert made.receive(ANN, Subscribe("t", 7), 0)[-1].message == Done(7)
    for message in (Send(CID, "", "1", 7), Publish("t", "", "1", 7), Subscribe("t", 7), Watch([ANN], 7)):
        [refusal] = made.receive(BOB, message, 0)
        assert isinstance(refusal.message, Error)
        assert (refusal.message.code, refusal.message.ref) == ("forbidden", 7)
