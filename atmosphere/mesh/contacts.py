"""The address book: where each member was last seen, signed by that member, the newest kept.

A contact only says where to try: ICE credentials and DTLS decide who answers, so a stale or malicious one costs a
few packets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from atmosphere.errors import DecodeError
from signaling.limits import KeyedBuckets

DOMAIN = b"atmosphere-contact-1\0"
MAX_CONTACT = 4096
MAX_AHEAD = 24 * 3600.0
"""A contact may be this many seconds ahead of our clock: clocks of home machines are wrong, but a stamp must not be
for ever."""

NEWS_RATE, NEWS_BURST = 0.5, 16.0
"""How often a member's contact may change, a second and at once. Each change is told to everybody by everybody, so a
member that makes them up would keep the whole mesh busy."""
MAX_MEMBERS = 4096

Line = Annotated[str, Meta(max_length=256)]


class Contact(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """Where `node_id` can be tried: candidates (SDP values), the signaling servers it listens on, and when it said
    so (unix s); `relays` are TURN URIs of the relay that it offers to the other members, none where it offers none."""

    node_id: Annotated[str, Meta(min_length=52, max_length=52)]
    stamp: float
    candidates: Annotated[list[Line], Meta(max_length=16)]
    signaling: Annotated[list[Line], Meta(max_length=8)]
    relays: Annotated[list[Line], Meta(max_length=4)] = []


class SignedContact(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """A contact's bytes and its member's signature over them."""

    body: Annotated[bytes, Meta(max_length=MAX_CONTACT)]
    signature: Annotated[bytes, Meta(max_length=128)]


_encode = msgspec.msgpack.Encoder().encode
_decode_contact = msgspec.msgpack.Decoder(Contact).decode
_decode_signed = msgspec.msgpack.Decoder(SignedContact).decode


def sign(contact: Contact, signer: Callable[[bytes], bytes]) -> bytes:
    """The signed bytes of `contact`, ready to be passed round."""
    body = _encode(contact)
    return _encode(SignedContact(body, signer(DOMAIN + body)))


def decode(data: bytes) -> tuple[Contact, SignedContact]:
    """The contact in `data`, its signature not yet checked; raises DecodeError."""
    if len(data) > MAX_CONTACT:
        raise DecodeError("a contact is too long")
    try:
        signed = _decode_signed(data)
        return _decode_contact(signed.body), signed
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a contact: {error}") from error


Verify = Callable[[str, bytes, bytes], bool]
"""(node id, signature, data) → whether that member signed it; False for who is not a member."""


class ContactBook:
    """The newest contact of each member; `verify` decides whose signature counts."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._newest: dict[str, tuple[Contact, bytes]] = {}
        self._news = KeyedBuckets(NEWS_RATE, NEWS_BURST, MAX_MEMBERS)

    def add(self, data: bytes, now_unix: float, *, kept: bool = False) -> Contact | None:
        """Take in one signed contact; the contact when it is news, else None, also when there was too much news of
        that member lately. Raises DecodeError for what is not one.

        `kept`: it was taken before and comes from our own disk, so that a clock which is behind now (a machine without
        a battery for it starts in the past) says nothing against it.
        """
        contact, signed = decode(data)
        known = self._newest.get(contact.node_id)
        if not contact.stamp <= (math.inf if kept else now_unix + MAX_AHEAD):
            return None
        # A stamp beyond that was taken while our own clock was wrong, and must not silence the member until then.
        if known and contact.stamp <= known[0].stamp <= now_unix + MAX_AHEAD:
            return None
        if not self._verify(contact.node_id, signed.signature, DOMAIN + signed.body):
            return None
        if not self._news.take(contact.node_id, now_unix):
            return None
        self._newest[contact.node_id] = (contact, data)
        return contact

    def get(self, node_id: str) -> Contact | None:
        """The newest contact of `node_id`."""
        entry = self._newest.get(node_id)
        return entry[0] if entry else None

    def keep_only(self, node_ids: Iterable[str]) -> None:
        """Forget everybody who is not in `node_ids`."""
        kept = set(node_ids)
        self._newest = {node_id: entry for node_id, entry in self._newest.items() if node_id in kept}

    def encoded(self) -> list[bytes]:
        """Every contact as signed bytes, to store or to pass on."""
        return [data for _, data in self._newest.values()]
