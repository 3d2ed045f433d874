from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from signaling.mqtt.topics import EPOCH, Lane, epoch_of, lane, lanes, until_next

NODE, NOW = "a" * 52, 1_800_000_000.0


def test_a_topic_tells_nothing_of_its_name() -> None:
    topic = lane("node", NODE, NOW).topic
    assert re.fullmatch("[a-z2-7]{32}", topic)
    assert NODE not in topic


def test_known_values() -> None:
    """Another implementation comes to the same."""
    one = Lane("node", NODE, 500_000)
    assert one.context == b"node\0" + NODE.encode() + b"\0" + bytes.fromhex("000000000007a120")
    assert one.topic == "ezg5glmdew4ecl7emkzbqiw235ktskl7"
    assert one.key.hex() == "ff5533cdba2d9aba01481388e06c71062059b9d9a8fae6e9d7b1205530b87635"


def test_topics_and_keys_change_with_everything() -> None:
    others = [Lane("node", NODE, 1), Lane("node", NODE, 2), Lane("topic", NODE, 1), Lane("node", "b" * 52, 1)]
    assert len({one.topic for one in others}) == len({one.key for one in others}) == 4


def test_epochs_are_hours() -> None:
    assert epoch_of(0) == epoch_of(EPOCH - 0.1) == 0
    assert epoch_of(EPOCH) == 1
    assert epoch_of(-5.0) == 0
    assert until_next(EPOCH + 10) == EPOCH - 10


@given(st.floats(0, 4e9), st.floats(-EPOCH, EPOCH))
def test_clocks_that_differ_by_up_to_an_hour_meet(now: float, skew: float) -> None:
    sent = lane("node", NODE, max(0.0, now + skew))
    assert sent in lanes("node", NODE, now)
    assert len(lanes("node", NODE, now)) <= 3
