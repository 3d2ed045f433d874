from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from signaling import Settings
from signaling.messages import MAX_MESSAGE, MAX_PAYLOAD, MAX_TTL, MAX_WATCHED


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().keepalive = 1  # type: ignore[misc]


def test_the_defaults_fit_together() -> None:
    settings = Settings()
    assert settings.max_message == MAX_MESSAGE > MAX_PAYLOAD + 512
    assert settings.max_ttl == MAX_TTL
    assert settings.watched_per_connection == MAX_WATCHED
    # A full mailbox, or the presence of all who are watched, must not cut its own reader.
    assert settings.mailbox_bytes + settings.mailbox_messages * 512 < settings.outgoing_bytes
    assert settings.watched_per_connection * 128 < settings.outgoing_bytes
    assert settings.mailbox_messages_per_sender < settings.mailbox_messages


def test_everything_in_flight_fits_a_new_connection_at_once() -> None:
    settings = Settings()
    assert settings.in_flight_bytes + settings.in_flight_messages * 192 < settings.outgoing_bytes
    assert settings.in_flight_messages > settings.messages_per_connection_burst
    assert settings.in_flight_messages > settings.mailbox_messages


def test_numbers_can_be_changed_by_name() -> None:
    changed = Settings().override(["max-connections=5", "keepalive=2.5", "max_ttl=7"])
    assert (changed.max_connections, changed.keepalive, changed.max_ttl) == (5, 2.5, 7)
    assert Settings().override([]) == Settings()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense=1", "there is no limit 'nonsense'; there are handshake_timeout"),
        ("hosts=1", "there is no limit 'hosts'"),
        ("max_connections", "whole number above 0"),
        ("max_connections=1.5", "whole number above 0"),
        ("max_connections=0", "whole number above 0"),
        ("keepalive=soon", "a number above 0"),
        ("keepalive=inf", "a number above 0"),
        ("keepalive=nan", "a number above 0"),
        ("keepalive=-1", "a number above 0"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Settings().override([text])


def test_every_number_is_a_gauge() -> None:
    limits = Settings().limits()
    assert limits["limit_max_connections"] == Settings().max_connections
    assert "limit_hosts" not in limits
