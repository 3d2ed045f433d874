from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import InvalidURL
from signaling.mqtt.url import Broker, is_mqtt, parse_broker, redact
from signaling.url import normalize


@pytest.mark.parametrize(
    ("text", "url", "port"),
    [
        ("mqtt://h", "mqtt://h", 1883),
        ("MQTTS://Broker.Example:8883/", "mqtts://broker.example", 8883),
        (" mqtts://[2001:DB8::1]:884 ", "mqtts://[2001:db8::1]:884", 884),
        ("wss+mqtt://h", "wss+mqtt://h/mqtt", 443),
        ("wss+mqtt://h:443/", "wss+mqtt://h/mqtt", 443),
        ("ws+mqtt://h:8080/a/b", "ws+mqtt://h:8080/a/b", 8080),
        ("mqtt://h?prefix=/home/lab/", "mqtt://h?prefix=home/lab", 1883),
        ("mqtt://h?prefix=atmosphere", "mqtt://h", 1883),
        ("mqtts://anna:sesame@h", "mqtts://h", 8883),
    ],
)
def test_a_broker_has_one_url(text: str, url: str, port: int) -> None:
    broker = parse_broker(text)
    assert (broker.url, broker.port) == (url, port)
    assert normalize(text) == normalize(url) == url
    assert broker.tls == url.startswith(("mqtts", "wss"))


def test_user_and_password_are_ours_alone() -> None:
    broker = parse_broker("mqtts://anna%40home:se%2Fsame@h")
    assert (broker.username, broker.password) == ("anna@home", "se/same")
    assert "same" not in repr(broker) + broker.url
    assert parse_broker("mqtt://anna@h").password is None


@pytest.mark.parametrize(
    "text",
    [
        "mqtt://",
        "mqtt://:1883",
        "mqtt://h:0",
        "mqtt://h:99999",
        "mqtt://[::1",
        "mqtt://h/path",
        "mqtt://h#x",
        "mqtt://h ost",
        "mqtt://h\x00",
        "mqtt://é",
        "mqtt://" + "h" * 600,
        "mqtt://h?prefix=%23",
        "mqtt://h?prefix=a/%2B",
        "mqtt://h?prefix=",
        "mqtt://h?keepalive=1",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        normalize(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mqtts://anna:sesame@h/x", "mqtts://anna:ses/ame@h", "mqtt://anna:sesame@[", "ws://anna:sesame@h"]
)
def test_an_error_holds_no_password(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        normalize(text)
    assert "ses" not in str(caught.value)
    assert "anna:***" in str(caught.value)


def test_what_is_shown_of_a_url() -> None:
    assert redact("mqtts://anna:sesame@h:1/x?prefix=y") == "mqtts://anna:***@h:1/x?prefix=y"
    assert redact("mqtts://anna:a@b@h") == "mqtts://anna:***@h"
    assert redact("mqtts://h:1/x") == "mqtts://h:1/x"
    assert redact("nonsense") == "nonsense"


def test_which_urls_are_brokers() -> None:
    assert [url for url in ("mqtt://a", " WSS+MQTT://b", "wss://c", "mqtt:d", "") if is_mqtt(url)] == [
        "mqtt://a",
        " WSS+MQTT://b",
    ]


schemes = st.sampled_from(["mqtt://", "mqtts://", "ws+mqtt://", "wss+mqtt://"])


@given(st.builds(str.__add__, schemes, st.text(max_size=60)))
def test_arbitrary_text_gives_a_stable_url_or_an_error(text: str) -> None:
    try:
        url = normalize(text)
    except InvalidURL:
        return
    assert normalize(url) == url


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_password_survives(user: str, password: str) -> None:
    from urllib.parse import quote

    secret = "hush" + password
    broker = parse_broker(f"mqtts://{quote(user, safe='')}:{quote(secret, safe='')}@h")
    assert (broker.username, broker.password) == (user, secret)
    assert broker.url == Broker("mqtts", "h", 8883).url
