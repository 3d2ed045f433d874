from __future__ import annotations

from signaling.topics import Topics


def test_receivers_are_the_subscribers_without_the_sender() -> None:
    topics = Topics(8, 8)
    for node in ("ann", "bob", "cid"):
        assert topics.subscribe(node, "t")
    assert topics.receivers("t", "bob") == ["ann", "cid"]
    assert topics.receivers("t", "eve") == ["ann", "bob", "cid"]
    assert topics.receivers("other", "bob") == []


def test_subscribing_twice_is_once() -> None:
    topics = Topics(1, 1)
    assert topics.subscribe("ann", "t")
    assert topics.subscribe("ann", "t")
    assert topics.receivers("t", "") == ["ann"]


def test_topics_of_a_node_and_subscribers_of_a_topic_are_bounded() -> None:
    topics = Topics(2, 1)
    assert [topics.subscribe("ann", topic) for topic in "xyz"] == [True, True, False]
    assert not topics.subscribe("bob", "x")
    assert len(topics) == 2


def test_nothing_is_left_of_what_ended() -> None:
    topics = Topics(8, 8)
    topics.subscribe("ann", "x")
    topics.subscribe("ann", "y")
    topics.subscribe("bob", "y")
    topics.unsubscribe("ann", "x")
    topics.unsubscribe("ann", "x")
    topics.unsubscribe("eve", "x")
    assert len(topics) == 1
    topics.remove("ann")
    topics.remove("ann")
    assert topics.receivers("y", "") == ["bob"]
    topics.remove("bob")
    assert (len(topics), topics._topics) == (0, {})
