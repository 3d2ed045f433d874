from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh.root import RootKey, mesh_id_of, verify

KEY = RootKey.generate()


def test_pem_and_back() -> None:
    again = RootKey.from_pem(KEY.to_pem())
    assert again.public_key == KEY.public_key
    assert again.mesh_id == KEY.mesh_id == mesh_id_of(KEY.public_key)
    assert len(KEY.mesh_id) == 20


def test_signatures() -> None:
    signature = KEY.sign(b"data")
    assert verify(KEY.public_key, signature, b"data")
    assert not verify(KEY.public_key, signature, b"other")
    assert not verify(RootKey.generate().public_key, signature, b"data")
    assert not verify(b"no key", signature, b"data")


def test_repr_shows_nothing_secret() -> None:
    assert repr(KEY) == f"RootKey(mesh {KEY.mesh_id.hex()})"


def test_another_key_is_refused() -> None:
    with pytest.raises(DecodeError):
        RootKey.from_pem(Identity.generate().to_pem())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        RootKey.from_pem(data)
