from __future__ import annotations

import inspect

import pytest

from signaling import InvalidURL, KeySigner, SignalingClient
from signaling.mqtt.client import MqttClient
from signaling.place import Place, Places


def test_the_scheme_decides() -> None:
    places = Places(KeySigner())
    made = [places.make(url) for url in ("ws://h", "https://h", "mqtt://h", "WSS+MQTT://h")]
    assert [type(place) for place in made] == [SignalingClient, SignalingClient, MqttClient, MqttClient]
    assert [place.url for place in made] == ["ws://h/", "wss://h/", "mqtt://h", "wss+mqtt://h/mqtt"]


@pytest.mark.parametrize("url", ["nonsense", "mqtt://", "ws://u:p@h"])
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(InvalidURL):
        Places(KeySigner()).make(url)


def test_what_was_seen_at_one_broker_was_seen_at_all() -> None:
    places = Places(KeySigner())
    one, other = places.make("mqtt://one"), places.make("mqtt://other")
    assert isinstance(one, MqttClient)
    assert isinstance(other, MqttClient)
    assert one.gate._seen is other.gate._seen


@pytest.mark.parametrize("kind", [SignalingClient, MqttClient])
def test_both_kinds_have_the_same_face(kind: type) -> None:
    for name in ("send", "publish", "subscribe", "unsubscribe", "wait_connected", "start", "close"):
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Place, name)), name
