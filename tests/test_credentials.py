from __future__ import annotations

import re

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.identity import Identity

ICE_CHARS = re.compile(r"[A-Za-z0-9+/]+")
MESH = bytes(range(20))
A, B, C = (Identity.generate() for _ in range(3))


def test_the_values_are_these() -> None:
    """Another implementation must come to the same; docs/PROTOCOL.md quotes them."""
    dial = DialSecret(bytes(range(16)))
    assert (dial.ufrag, dial.password) == ("wHAXwin5B1bM", "so0N2L22vVlc688qm21OF7AE")
    assert dial.dialer_password("abcdefgh") == "gHZGJFTSBtLJzf6NBNVlA9Gl"
    assert dial.seal_key.hex() == "212862a582c9d6686f4e1c344597bde2800e51f53587b53a7f2963e5a69db8cc"
    assert dial.proof_key.hex() == "9a5c6b597d99883945de3870acf93a34ce38e40b8927866a17e33714a57f883e"
    assert dial.turn_password == "V0VkITPe1z0snvT3DfH3qCb2"
    assert dial.id == "5d55214775a604da"


def test_lengths_and_alphabet() -> None:
    dial = DialSecret(b"s" * 32)
    passwords = (dial.password, dial.dialer_password("x"), dial.turn_password)
    for text, least in ((dial.ufrag, 8), *((password, 22) for password in passwords)):
        assert ICE_CHARS.fullmatch(text)
        assert least <= len(text) <= 256
    assert len(dial.seal_key) == len(dial.proof_key) == 32
    assert re.fullmatch(r"[0-9a-f]{16}", dial.id)


def test_nothing_derived_repeats() -> None:
    dial = DialSecret(b"s" * 16)
    passwords = {dial.password, dial.dialer_password("a"), dial.dialer_password("b"), dial.turn_password}
    assert len(passwords | {dial.seal_key, dial.proof_key}) == 6


def test_both_members_come_to_the_same_secret() -> None:
    ours, theirs = DialSecret.for_pair(A, B.public_key, MESH), DialSecret.for_pair(B, A.public_key, MESH)
    assert ours == theirs
    assert ours != DialSecret.for_pair(A, B.public_key, bytes(20))
    assert ours != DialSecret.for_pair(A, C.public_key, MESH)
    with pytest.raises(DecodeError):
        DialSecret.for_pair(A, b"no key", MESH)


def test_each_direction_has_its_own_secret() -> None:
    pair = DialSecret.for_pair(A, B.public_key, MESH)
    assert pair.hosted_by(A.node_id) == pair.hosted_by(A.node_id)
    assert len({pair.ufrag, pair.hosted_by(A.node_id).ufrag, pair.hosted_by(B.node_id).ufrag}) == 3


def test_a_member_logs_in_to_a_relay_without_anything_exchanged() -> None:
    host, client = DialSecret.for_pair(A, B.public_key, MESH), DialSecret.for_pair(B, A.public_key, MESH)
    assert host.hosted_by(A.node_id).turn_password == client.hosted_by(A.node_id).turn_password
    # Each relay of a member knows another password of it, and none knows what others have.
    elsewhere = DialSecret.for_pair(B, C.public_key, MESH).hosted_by(C.node_id)
    assert (
        len({host.hosted_by(A.node_id).turn_password, host.hosted_by(B.node_id).turn_password, elsewhere.turn_password})
        == 3
    )


@pytest.mark.parametrize("size", [0, 15, 33])
def test_a_secret_too_short_or_too_long(size: int) -> None:
    with pytest.raises(ValueError, match="16 to 32 bytes"):
        DialSecret(bytes(size))


def test_repr_hides_the_secret() -> None:
    dial = DialSecret(b"sixteen secrets!")
    assert repr(dial) == f"DialSecret(id={dial.id})"
