from __future__ import annotations

import hashlib
import hmac
from typing import Literal

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.dtls.secrets import SUITES, Secrets, Suite


def test_the_pseudorandom_function_gives_what_others_give() -> None:
    """The vector for SHA-256 that was passed round when TLS 1.2 was new (IETF list of the TLS group)."""
    secrets = Secrets(
        SUITES["ECDHE-ECDSA-AES128-GCM-SHA256"],
        bytes.fromhex("9bbe436ba940f017b17652849a71db35"),
        bytes.fromhex("a0ba9f936cda3118"),
        bytes.fromhex("27a6f796ffd5198c"),
    )
    assert secrets.export(b"test label", 100).hex() == (
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
        "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        "87347b66"
    )


@pytest.mark.parametrize("name", SUITES)
def test_the_directions_share_nothing(name: str) -> None:
    halves = Secrets(SUITES[name], bytes(48), bytes(32), bytes(31) + b"1").halves()
    sealed = {half.aead.encrypt(bytes(12), b"plain", b"") for half in halves}
    assert len(sealed) == len({half.iv for half in halves}) == 2
    assert all(len(half.iv) == SUITES[name].iv for half in halves)


@given(st.binary(max_size=60), st.integers(0, 300), st.sampled_from(("sha256", "sha384")))
def test_more_begins_with_less(label: bytes, length: int, name: Literal["sha256", "sha384"]) -> None:
    secrets = Secrets(Suite(AESGCM, 16, 4, name), b"m" * 48, b"c" * 32, b"s" * 32)
    long = secrets.export(label, 300)
    assert secrets.export(label, length) == long[:length] and len(long) == 300
    first = hmac.digest(b"m" * 48, label + b"c" * 32 + b"s" * 32, name)
    assert long[: hashlib.new(name).digest_size] == hmac.digest(b"m" * 48, first + label + b"c" * 32 + b"s" * 32, name)
