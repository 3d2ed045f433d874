"""A WebSocket signaling server and its client; knows nothing of atmosphere.

messages.py lists every message of the protocol, auth.py what a client signs, http.py what plain HTTP gets.
"""

from __future__ import annotations

from signaling.auth import KeySigner, Signer, id_of
from signaling.client import SignalingClient
from signaling.cluster.instance import ClusterSettings
from signaling.cluster.nats_link import ClusterError
from signaling.errors import AuthError, DecodeError, InvalidURL, NotConnected, Rejected, SignalingError
from signaling.model import MAX_PAYLOAD_BYTES, Health, Message, State, new_message_id
from signaling.pool import SignalingPool
from signaling.server import SignalingServer
from signaling.settings import Settings
from signaling.turn_credentials import TurnCredentialSource, TurnServer
from signaling.url import normalize

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "AuthError",
    "ClusterError",
    "ClusterSettings",
    "DecodeError",
    "Health",
    "InvalidURL",
    "KeySigner",
    "Message",
    "NotConnected",
    "Rejected",
    "Settings",
    "SignalingClient",
    "SignalingError",
    "SignalingPool",
    "SignalingServer",
    "Signer",
    "State",
    "TurnCredentialSource",
    "TurnServer",
    "id_of",
    "new_message_id",
    "normalize",
]
