from __future__ import annotations

import os

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from signaling import KeySigner, id_of
from signaling.errors import AuthError, DecodeError
from signaling.model import MAX_PAYLOAD_BYTES
from signaling.mqtt import envelope as mqtt_envelope
from signaling.mqtt.envelope import MAX_ENVELOPE, check, seal, unseal
from signaling.mqtt.topics import Lane

ANN = KeySigner()
NOW = 1_800_000_000.0
LANE = Lane("node", "b" * 52, 500_000)


def sealed(plain: bytes, lane: Lane = LANE) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(lane.key).encrypt(nonce, plain, b"atmosphere mqtt v1")


@given(st.binary(max_size=300), st.text(min_size=1, max_size=64), st.floats(0, 120), st.floats(0, 2e9))
def test_what_is_sealed_is_opened(payload: bytes, name: str, ttl: float, now: float) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    envelope = unseal(LANE, seal(LANE, ANN, name, payload, ttl, now))
    check(LANE, envelope)
    assert (envelope.id, envelope.payload, envelope.ttl, envelope.sent_at) == (name, payload, ttl, now)
    assert envelope.sender == id_of(ANN.public_key)


def test_the_largest_payload_fits() -> None:
    data = seal(LANE, ANN, "m" * 64, bytes(MAX_PAYLOAD_BYTES), 30, NOW)
    assert len(data) <= MAX_ENVELOPE
    check(LANE, unseal(LANE, data))


def test_the_same_message_never_looks_the_same() -> None:
    one, two = (seal(LANE, ANN, "m", b"payload", 30, NOW) for _ in range(2))
    assert one[:12] != two[:12]
    for data in (one, two):
        assert not any(word in data for word in (b"payload", ANN.public_key[-32:], id_of(ANN.public_key).encode()))


def test_who_does_not_know_the_receiver_sees_nothing() -> None:
    data = seal(LANE, ANN, "m", b"payload", 30, NOW)
    for other in (Lane("node", "c" * 52, LANE.epoch), Lane("topic", LANE.name, LANE.epoch), Lane("node", LANE.name, 1)):
        with pytest.raises(DecodeError):
            unseal(other, data)


@pytest.mark.parametrize(
    "changes", [{"id": "n"}, {"payload": b"other"}, {"sent_at": NOW + 1}, {"ttl": 31.0}, {"signature": b"none"}]
)
def test_what_was_altered_is_noticed(changes: dict[str, object]) -> None:
    envelope = unseal(LANE, seal(LANE, ANN, "m", b"payload", 30, NOW))
    with pytest.raises(AuthError):
        check(LANE, msgspec.structs.replace(envelope, **changes))


def test_nobody_speaks_for_another() -> None:
    envelope = unseal(LANE, seal(LANE, ANN, "m", b"payload", 30, NOW))
    for key in (KeySigner().public_key, b"no key", b""):
        with pytest.raises(AuthError):
            check(LANE, msgspec.structs.replace(envelope, public_key=key))


def test_an_envelope_is_for_one_receiver_and_one_epoch() -> None:
    envelope = unseal(LANE, seal(LANE, ANN, "m", b"payload", 30, NOW))
    for other in (Lane("node", "c" * 52, LANE.epoch), Lane("topic", LANE.name, LANE.epoch), Lane("node", LANE.name, 1)):
        with pytest.raises(AuthError):
            check(other, envelope)


@given(st.binary(max_size=MAX_ENVELOPE + 10))
def test_arbitrary_bytes_are_no_envelope(data: bytes) -> None:
    with pytest.raises(DecodeError):
        unseal(LANE, data)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers(-(2**63), 2**64 - 1) | st.binary(), st.lists).map(msgspec.msgpack.encode)
)
def test_arbitrary_bytes_under_the_seal_give_an_envelope_or_an_error(plain: bytes) -> None:
    try:
        envelope = unseal(LANE, sealed(plain))
    except DecodeError as error:
        assert str(error).isprintable()
        return
    with pytest.raises(AuthError):
        check(LANE, envelope)


@pytest.mark.parametrize(
    "fields",
    [
        ["", b"k", 1.0, 1.0, b"", b""],
        ["m" * 65, b"k", 1.0, 1.0, b"", b""],
        ["m", b"k" * 129, 1.0, 1.0, b"", b""],
        ["m", b"k", -1.0, 1.0, b"", b""],
        ["m", b"k", 1.0, 121.0, b"", b""],
        ["m", b"k", 1.0, 1.0, bytes(MAX_PAYLOAD_BYTES + 1), b""],
        ["m", b"k", 1.0, 1.0, b"", b"s" * 81],
    ],
)
def test_every_field_has_its_bounds(fields: list[object]) -> None:
    with pytest.raises(DecodeError):
        unseal(LANE, sealed(msgspec.msgpack.encode(fields)))


def test_what_nests_without_end_is_refused() -> None:
    with pytest.raises(DecodeError):
        unseal(LANE, sealed(b"\x91" * 5000))


def test_what_is_said_about_it_is_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quoting:
        def decode(self, data: bytes) -> None:
            raise msgspec.DecodeError(f"what is {data.decode()}?")

    monkeypatch.setattr(mqtt_envelope, "_decoder", Quoting())
    with pytest.raises(DecodeError) as caught:
        unseal(LANE, sealed(b"a\x1b[2J\nb"))
    assert str(caught.value) == "not an envelope: what is a?[2J?b?"
