"""A meeting place, whatever it is made of: a signaling server, or an MQTT broker.

What a pool needs of a place, and the one point where a URL's scheme decides which kind it is.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

from signaling.auth import Signer
from signaling.client import SignalingClient
from signaling.model import Health, Message, Receipt, State
from signaling.mqtt.client import MqttClient
from signaling.mqtt.gate import Seen
from signaling.mqtt.url import is_mqtt
from signaling.turn_credentials import TurnServer


class Place(Protocol):
    """A node's connection to one place: `start` it, `close` it; what goes wrong is a SignalingError."""

    url: str
    state: State
    error: str | None
    turn: list[TurnServer]
    on_message: Callable[[Message], None]
    on_state: Callable[[State], None]
    on_turn: Callable[[list[TurnServer]], None]

    @property
    def health(self) -> Health:
        """How the place is doing now."""

    def start(self) -> None:
        """Begin to connect, and go on for ever; needs a running loop."""

    async def close(self) -> None:
        """End the connection and fail what is unanswered."""

    def hurry(self) -> None:
        """The network changed: try again now what waits, and doubt what seems to be well."""

    async def wait_connected(self, timeout: float) -> None:
        """Return once it can be used; raises NotConnected after `timeout` seconds."""

    async def send(
        self, to: str, payload: bytes, *, ttl: float = 30.0, message_id: str | None = None, timeout: float = 10.0
    ) -> Receipt:
        """Send to one node."""

    async def publish(self, topic: str, payload: bytes, *, message_id: str | None = None, timeout: float = 10.0) -> int:
        """Send to all who are subscribed to `topic` now."""

    async def subscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get what is published to `topic`, now and after every reconnection."""

    async def unsubscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get no more of `topic`."""


class Places:
    """Makes places for one node."""

    def __init__(self, signer: Signer, ssl_context: ssl.SSLContext | None = None) -> None:
        self._signer = signer
        self._ssl_context = ssl_context
        self._seen = Seen()

    def make(self, url: str) -> Place:
        """The place that a URL names, not yet started; raises InvalidURL."""
        if is_mqtt(url):
            return MqttClient(url, self._signer, seen=self._seen, ssl_context=self._ssl_context)
        return SignalingClient(url, self._signer, ssl_context=self._ssl_context)
