from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.longterm import Feature, features_of
from atmosphere.turn.server.nonce import Nonces

CLIENT = ("203.0.113.1", 5000)


def test_a_nonce_is_fresh_then_stale_for_its_client() -> None:
    nonces = Nonces(b"key", 600)
    nonce = nonces.make(CLIENT, 100.9)
    assert nonces.judge(nonce, CLIENT, 100.9) == nonces.judge(nonce, CLIENT, 700) == "fresh"
    assert nonces.judge(nonce, CLIENT, 702) == "stale"


def test_it_is_nobody_elses() -> None:
    nonces = Nonces(b"key", 600)
    nonce = nonces.make(CLIENT, 0)
    for other in (("203.0.113.1", 5001), ("203.0.113.2", 5000), ("2001:db8::1", 5000)):
        assert nonces.judge(nonce, other, 0) == "foreign"
    assert Nonces(b"another process", 600).judge(nonce, CLIENT, 0) == "foreign"
    assert Nonces(b"key", 600, Feature.NONE).judge(nonce, CLIENT, 0) == "foreign"


def test_it_says_which_features_there_are_and_is_short() -> None:
    nonce = Nonces(b"key", 600).make(CLIENT, 0)
    assert features_of(nonce) == Feature.PASSWORD_ALGORITHMS
    assert len(nonce) == 29


def test_time_wraps_after_2_to_the_32_seconds() -> None:
    nonces = Nonces(b"key", 600)
    assert nonces.judge(nonces.make(CLIENT, 2**32 - 1), CLIENT, 2**32 + 1) == "fresh"


@given(st.binary(max_size=64), st.integers(0, 28), st.integers(1, 255))
def test_whatever_is_not_ours_is_foreign(data: bytes, place: int, change: int) -> None:
    nonces = Nonces(b"key", 600)
    nonce = nonces.make(CLIENT, 7)
    assert nonces.judge(data, CLIENT, 7) == "foreign"
    assert nonces.judge(nonce[:13] + data, CLIENT, 7) == "foreign"
    changed = bytearray(nonce)
    changed[place] ^= change
    assert nonces.judge(bytes(changed), CLIENT, 7) == "foreign"
