from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh import sealing
from atmosphere.mesh.sealing import (
    MAX_AGE,
    ReplayWindow,
    open_from_member,
    open_with_secret,
    seal_for_member,
    seal_with_secret,
)

ALICE, BOB, EVE = (Identity.generate() for _ in range(3))
KEYS = {identity.node_id: identity.public_key for identity in (ALICE, BOB)}
MESH = b"m" * 20
SECRET = DialSecret(b"s" * 16)
NOW = 1_700_000_000.0


def opened_by(
    identity: Identity, envelope: bytes, now: float = NOW, window: ReplayWindow | None = None, mesh: bytes = MESH
) -> sealing.Opened:
    return open_from_member(identity, mesh, envelope, KEYS.get, now, window or ReplayWindow())


def test_a_member_opens_what_was_sealed_for_it() -> None:
    envelope = seal_for_member(ALICE, BOB.public_key, MESH, b"hello", NOW)
    assert opened_by(BOB, envelope) == sealing.Opened(ALICE.node_id, b"hello")
    assert b"hello" not in envelope


def test_nobody_else_opens_it() -> None:
    envelope = seal_for_member(ALICE, BOB.public_key, MESH, b"hello", NOW)
    for other in (ALICE, EVE):
        with pytest.raises(DecodeError, match="not for us"):
            opened_by(other, envelope)


def test_an_envelope_of_another_mesh_does_not_open() -> None:
    envelope = seal_for_member(ALICE, BOB.public_key, MESH, b"hello", NOW)
    with pytest.raises(DecodeError):
        opened_by(BOB, envelope, mesh=b"n" * 20)


def test_a_stranger_is_not_believed() -> None:
    with pytest.raises(DecodeError, match="no member"):
        opened_by(BOB, seal_for_member(EVE, BOB.public_key, MESH, b"hello", NOW))


def test_nobody_signs_as_somebody_else() -> None:
    letter = sealing._Letter(ALICE.node_id, int(NOW * 1000), b"n" * 16, b"hello", EVE.sign(b"anything"))
    envelope = sealing._SUITE.encrypt(sealing._encode(letter), BOB.private_key.public_key(), sealing._INFO + MESH)
    with pytest.raises(DecodeError, match="no member"):
        opened_by(BOB, envelope)


def test_a_replayed_envelope_is_refused() -> None:
    window = ReplayWindow()
    envelope = seal_for_member(ALICE, BOB.public_key, MESH, b"hello", NOW)
    opened_by(BOB, envelope, window=window)
    with pytest.raises(DecodeError, match="before"):
        opened_by(BOB, envelope, window=window)


@pytest.mark.parametrize("late", [MAX_AGE + 1, -MAX_AGE - 1])
def test_an_envelope_of_another_time_is_refused(late: float) -> None:
    with pytest.raises(DecodeError, match="old"):
        opened_by(BOB, seal_for_member(ALICE, BOB.public_key, MESH, b"hello", NOW), now=NOW + late)


def test_what_can_no_longer_be_replayed_is_forgotten() -> None:
    window = ReplayWindow(size=1)
    window.admit(b"a", NOW, NOW)
    with pytest.raises(DecodeError):
        window.admit(b"b", NOW, NOW)
    window.admit(b"b", NOW + 3 * MAX_AGE, NOW + 3 * MAX_AGE)


def test_a_joiner_and_its_host_understand_each_other() -> None:
    envelope = seal_with_secret(SECRET, "joiner", b"dial", NOW)
    assert open_with_secret(SECRET, "joiner", envelope, NOW, ReplayWindow()) == b"dial"


def test_an_envelope_cannot_be_turned_round() -> None:
    with pytest.raises(DecodeError):
        open_with_secret(SECRET, "host", seal_with_secret(SECRET, "joiner", b"dial", NOW), NOW, ReplayWindow())


def test_another_secret_does_not_open_it() -> None:
    with pytest.raises(DecodeError):
        open_with_secret(
            DialSecret(b"t" * 16), "host", seal_with_secret(SECRET, "host", b"x", NOW), NOW, ReplayWindow()
        )


def test_a_replay_under_a_secret_is_refused() -> None:
    window, envelope = ReplayWindow(), seal_with_secret(SECRET, "host", b"x", NOW)
    open_with_secret(SECRET, "host", envelope, NOW, window)
    with pytest.raises(DecodeError):
        open_with_secret(SECRET, "host", envelope, NOW, window)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        opened_by(BOB, data)
    with pytest.raises(DecodeError):
        open_with_secret(SECRET, "host", data, NOW, ReplayWindow())


ENVELOPE = seal_for_member(ALICE, BOB.public_key, MESH, b"h" * 200, NOW)


@given(st.data())
def test_a_changed_envelope_is_refused(data: st.DataObject) -> None:
    envelope = bytearray(ENVELOPE[:400])
    envelope[data.draw(st.integers(0, len(envelope) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DecodeError):
        opened_by(BOB, bytes(envelope))


@given(st.binary(max_size=200))
def test_whatever_a_member_sealed_is_read_with_care(plain: bytes) -> None:
    envelope = sealing._SUITE.encrypt(plain, BOB.private_key.public_key(), sealing._INFO + MESH)
    with pytest.raises(DecodeError):
        opened_by(BOB, envelope)
