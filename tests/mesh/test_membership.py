from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh.membership import (
    MAX_FACT_SIZE,
    Authority,
    Fact,
    check,
    decode_fact,
    encode_fact,
    fact_id,
    is_signed_by,
)
from tests.mesh.people import ALICE, BOB, MESH, NOW, ROOT_AUTHORITY, ROOT_KEY, join, revoke

MEMBERSHIP = join(ALICE, role="admin", expires=NOW + 100, name="Alice's laptop")
REVOCATION = revoke(MEMBERSHIP, by=BOB)


@pytest.mark.parametrize("fact", [MEMBERSHIP, REVOCATION])
def test_what_is_encoded_is_decoded(fact: Fact) -> None:
    assert decode_fact(encode_fact(fact)) == fact
    assert len(encode_fact(fact)) < MAX_FACT_SIZE / 2


def test_who_signed() -> None:
    assert is_signed_by(MEMBERSHIP, ROOT_KEY.public_key)
    assert not is_signed_by(MEMBERSHIP, ALICE.public_key)
    assert is_signed_by(REVOCATION, BOB.public_key)
    assert not is_signed_by(REVOCATION, ROOT_KEY.public_key)


def test_the_signature_covers_every_field() -> None:
    changes: list[dict[str, object]] = [
        {"mesh_id": bytes(20)},
        {"node_id": BOB.node_id},
        {"public_key": BOB.public_key},
        {"name": "other"},
        {"role": "member"},
        {"issued": NOW + 1},
        {"expires": NOW + 101},
        {"serial": "0" * 32},
    ]
    for change in changes:
        changed = msgspec.structs.replace(MEMBERSHIP, **change)
        assert not is_signed_by(changed, ROOT_KEY.public_key)
        assert fact_id(changed) != fact_id(MEMBERSHIP)


def test_the_id_leaves_the_signature_out() -> None:
    again = revoke(MEMBERSHIP, by=BOB)
    assert again.signature != REVOCATION.signature
    assert fact_id(again) == fact_id(REVOCATION)
    assert len(fact_id(again)) == 20


def test_roles() -> None:
    assert MEMBERSHIP.is_admin
    assert not join(ALICE).is_admin
    assert join(ALICE, role="founder").is_admin


def test_fields_of_the_wrong_form() -> None:
    changes: list[dict[str, object]] = [
        {"mesh_id": bytes(19)},
        {"serial": "0" * 31},
        {"serial": "X" * 32},
        {"issuer": "x" * 65},
        {"issuer": "\udc80" * 65},
        {"signature": bytes(129)},
        {"public_key": BOB.public_key},
        {"public_key": b"none"},
        {"name": ""},
        {"name": "two\nlines"},
        {"role": "founder", "issuer": BOB.node_id},
    ]
    for change in changes:
        with pytest.raises(DecodeError):
            check(msgspec.structs.replace(MEMBERSHIP, **change))


def test_authorities_refuse_to_sign_nonsense() -> None:
    with pytest.raises(DecodeError):
        ROOT_AUTHORITY.membership(MESH, ALICE.public_key, "\x1b", issued=NOW)
    with pytest.raises(DecodeError):
        Authority.node(BOB).membership(MESH, b"no key", "name", issued=NOW)
    with pytest.raises(DecodeError):
        Authority.node(BOB).revocation(MESH, "no serial", issued=NOW)


def test_a_serial_can_be_chosen() -> None:
    assert join(ALICE, serial="ab" * 16).serial == "ab" * 16
    assert join(ALICE).serial != join(ALICE).serial


def test_what_is_no_fact() -> None:
    whole = msgspec.msgpack.decode(encode_fact(MEMBERSHIP))
    for data in (
        b"",
        bytes(MAX_FACT_SIZE + 1),
        b"\x91" * MAX_FACT_SIZE,
        msgspec.msgpack.encode({**whole, "type": "blessing"}),
        msgspec.msgpack.encode({**whole, "issued": -1}),
        msgspec.msgpack.encode({**whole, "role": "king"}),
        msgspec.msgpack.encode({**whole, "nested": [[]]}) + b"\xc1",
        encode_fact(MEMBERSHIP).replace(b"Alice", b"\xff\xff\xff\xff\xff"),
    ):
        with pytest.raises(DecodeError):
            decode_fact(data)


def test_keys_of_newer_versions_are_skipped() -> None:
    whole = msgspec.msgpack.decode(encode_fact(MEMBERSHIP))
    assert decode_fact(msgspec.msgpack.encode({**whole, "colour": "blue"})) == MEMBERSHIP


@given(st.binary(max_size=300) | st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)).map(lambda t: t))
def test_any_bytes_are_a_fact_or_a_decode_error(data: bytes | tuple[int, bytes]) -> None:
    if isinstance(data, tuple):
        place, change = data
        whole = encode_fact(MEMBERSHIP)
        data = whole[:place] + change + whole[place + len(change) :]
    try:
        fact = decode_fact(data)
    except DecodeError:
        return
    assert decode_fact(encode_fact(fact)) == fact


def test_another_identity_of_the_same_name_is_another_node() -> None:
    assert join(Identity.generate(), name="x").node_id != join(Identity.generate(), name="x").node_id
