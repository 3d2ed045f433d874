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
