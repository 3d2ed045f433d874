from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh.sealing import (
    MAX_AGE,
    MAX_ENVELOPE,
    Direction,
    Opened,
    ReplayWindow,
    open_from_member,
    open_with_secret,
    seal_for_member,
    seal_with_secret,
)
from tests.mesh.people import ALICE, BOB, CAROL, MESH

NOW = 1_800_000_000.0
SECRET = DialSecret(b"sixteen secrets!")
KEYS = {node.node_id: node.public_key for node in (ALICE, BOB)}


def from_alice(payload: bytes = b"payload", now: float = NOW) -> bytes:
    return seal_for_member(ALICE, BOB.public_key, MESH, payload, now)


def opened(
    envelope: bytes,
    *,
    by: Identity = BOB,
    mesh: bytes = MESH,
    keys: Callable[[str], bytes | None] = KEYS.get,
    now: float = NOW,
    window: ReplayWindow | None = None,
) -> Opened:
    return open_from_member(by, mesh, envelope, keys, now, window or ReplayWindow())


def sealed_by_hand(inner: object) -> bytes:
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = b"atmosphere envelope v1" + MESH + BOB.node_id.encode()
    return suite.encrypt(msgspec.msgpack.encode(inner), BOB.private_key.public_key(), info)


@given(st.binary(max_size=2000))
def test_a_member_s_envelope(payload: bytes) -> None:
    assert opened(from_alice(payload)) == (ALICE.node_id, payload)


def test_the_layout_is_this() -> None:
    unique = bytes(range(16))
    signed = b"atmosphere envelope v1" + MESH + ALICE.node_id.encode() + BOB.node_id.encode()
    signed += msgspec.msgpack.encode(NOW)[1:] + unique + b"payload"
    inner = [ALICE.node_id, NOW, unique, b"payload", ALICE.sign(signed)]
    assert opened(sealed_by_hand(inner)) == (ALICE.node_id, b"payload")


def test_what_is_wrong_with_an_envelope() -> None:
    envelope = from_alice()
    bent = bytearray(envelope)
    bent[-1] ^= 1
    attempts: list[Callable[[], Opened]] = [
        lambda: opened(bytes(bent)),
        lambda: opened(envelope, by=CAROL),
        lambda: opened(envelope, mesh=bytes(20)),
        lambda: opened(envelope, keys=lambda node_id: None),
        lambda: opened(envelope, keys=lambda node_id: CAROL.public_key),
        lambda: opened(envelope, now=NOW + MAX_AGE + 1),
        lambda: opened(envelope, now=NOW - MAX_AGE - 1),
        lambda: opened(from_alice(now=float("nan"))),
        lambda: opened(bytes(MAX_ENVELOPE + 1)),
        lambda: opened(sealed_by_hand([])),
        lambda: opened(sealed_by_hand([ALICE.node_id, NOW, bytes(16), b"payload", b"no signature"])),
        lambda: opened(sealed_by_hand([ALICE.node_id, NOW, bytes(15), b"payload", b""])),
    ]
    for attempt in attempts:
        with pytest.raises(DecodeError):
            attempt()
    with pytest.raises(DecodeError):
        seal_for_member(ALICE, b"no key", MESH, b"", NOW)


def test_an_envelope_is_taken_once() -> None:
    window = ReplayWindow()
    envelope = from_alice()
    assert opened(envelope, window=window)
    with pytest.raises(DecodeError, match="before"):
        opened(envelope, window=window, now=NOW + 60)
    assert opened(from_alice(), window=window)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        opened(data)
    with pytest.raises(DecodeError):
        joined(data)


def joined(
    envelope: bytes, direction: Direction = "joiner", secret: DialSecret = SECRET, window: ReplayWindow | None = None
) -> bytes:
    return open_with_secret(secret, direction, envelope, NOW, window)


@given(st.binary(max_size=2000))
def test_a_joiner_s_envelope(payload: bytes) -> None:
    assert joined(seal_with_secret(SECRET, "joiner", payload)) == payload
    assert joined(seal_with_secret(SECRET, "host", payload), "host") == payload


def test_what_is_wrong_with_a_joiner_s_envelope() -> None:
    envelope = seal_with_secret(SECRET, "joiner", b"payload")
    attempts: list[Callable[[], bytes]] = [
        lambda: joined(envelope, "host"),
        lambda: joined(envelope, secret=DialSecret(bytes(16))),
        lambda: joined(bytes(MAX_ENVELOPE + 1)),
    ]
    for attempt in attempts:
        with pytest.raises(DecodeError):
            attempt()
    window = ReplayWindow()
    assert joined(envelope, window=window) == b"payload"
    with pytest.raises(DecodeError, match="before"):
        joined(envelope, window=window)


def test_a_window_outlives_a_clock_that_was_wrong() -> None:
    """What it noted in another year is forgotten too, or its places would be taken for ever."""
    window, ahead = ReplayWindow(per_sender=1), NOW + 3e7
    assert window.admit("a", b"1", ahead)
    assert window.admit("a", b"2", NOW)
    assert not window.admit("a", b"2", NOW)


def test_the_window_is_bounded() -> None:
    window = ReplayWindow(per_sender=2, senders=2)
    assert window.admit("a", b"1", NOW)
    assert window.admit("a", b"2", NOW + 1)
    assert not window.admit("a", b"3", NOW + 2)
    assert window.admit("b", b"1", NOW + 2)
    assert not window.admit("c", b"1", NOW + 2)
    later = NOW + 2 * MAX_AGE + 0.5
    assert window.admit("a", b"3", later)
    assert not window.admit("a", b"2", later)
    assert window.admit("c", b"1", later + 2 * MAX_AGE)
