from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import CodeError, DecodeError, Refused
from atmosphere.identity import Identity
from atmosphere.mesh import invites as module
from atmosphere.mesh.invites import KEPT, MAX_WRONG, REPEAT, WRONG_PERIOD, Invite, Invites, Redemption, prove
from tests.mesh.people import ALICE, BOB, CAROL

NOW = 1_800_000_000.0
EXPORTER = bytes(range(32))


def redeem(table: Invites, invite: Invite, who: Identity, now: float = NOW, exporter: bytes = EXPORTER) -> Redemption:
    proof = prove(invite.dial_secret, exporter, who.public_key)
    return table.redeem(invite.id, proof, EXPORTER, who.public_key, now)


def refused(table: Invites, invite: Invite, who: Identity, now: float = NOW, exporter: bytes = EXPORTER) -> str:
    with pytest.raises(CodeError) as caught:
        redeem(table, invite, who, now, exporter)
    assert caught.value.hint
    return caught.value.reason


def test_an_invite_is_made() -> None:
    table = Invites()
    invite = table.create(2, NOW + 60, NOW)
    assert (invite.uses, invite.used, len(invite.secret)) == (2, 0, 16)
    assert table.all() == table.usable(NOW) == [invite]
    assert table.get(invite.id) is invite
    assert invite.id == invite.dial_secret.id
    assert table.create(1, 0, NOW, secret=b"sixteen secrets!").secret == b"sixteen secrets!"
    assert "secret" not in repr(table.all())


def test_the_proof_is_this() -> None:
    import hashlib
    import hmac

    secret = Invite(b"sixteen secrets!", 1, NOW, 0).dial_secret
    expected = hmac.new(secret.proof_key, b"atmosphere redeem v1" + EXPORTER + ALICE.public_key, hashlib.sha256)
    assert prove(secret, EXPORTER, ALICE.public_key) == expected.digest()


def test_each_use_counts_once() -> None:
    table = Invites()
    invite = table.create(2, NOW + 3600, NOW)
    assert redeem(table, invite, ALICE) == Redemption(invite, ALICE.node_id, repeated=False)
    assert redeem(table, invite, ALICE, NOW + 1).repeated
    assert redeem(table, invite, BOB, NOW + 2).node_id == BOB.node_id
    assert invite.used == 2
    assert refused(table, invite, CAROL) == "used"
    assert table.used_by(BOB.node_id) == [invite]
    assert table.used_by(CAROL.node_id) == []


def test_a_lost_answer_may_be_asked_for_again_for_a_while() -> None:
    table = Invites()
    invite = table.create(1, NOW + 10 * REPEAT, NOW)
    redeem(table, invite, ALICE)
    assert table.usable(NOW + 1) == [invite]
    assert redeem(table, invite, ALICE, NOW + REPEAT - 1).repeated
    assert refused(table, invite, ALICE, NOW + REPEAT) == "used"
    assert table.usable(NOW + REPEAT) == []
    more = table.create(2, 0, NOW)
    redeem(table, more, ALICE)
    assert refused(table, more, ALICE, NOW + REPEAT) == "used"


def test_a_use_that_is_not_on_disk_is_given_back() -> None:
    table = Invites()
    invite = table.create(1, 0, NOW)
    redeem(table, invite, ALICE).undo()
    redeem(table, invite, BOB)
    redeem(table, invite, BOB).undo()
    assert invite.used == 1, "a repeated use stays counted"


def test_why_not() -> None:
    table = Invites()
    invite = table.create(1, NOW + 60, NOW)
    assert refused(table, Invite(bytes(16), 1, NOW, 0), ALICE) == "unknown"
    assert refused(table, invite, ALICE, exporter=bytes(32)) == "unknown"
    assert refused(table, invite, ALICE, NOW + 60) == "expired"
    assert table.usable(NOW + 60) == []
    table.revoke(invite.id)
    assert refused(table, invite, ALICE) == "revoked"
    assert table.usable(NOW) == []
    assert refused(table, invite, ALICE, exporter=bytes(32)) == "unknown"
    with pytest.raises(CodeError):
        table.revoke("00" * 8)


def test_wrong_proofs_are_limited() -> None:
    table = Invites()
    invite = table.create(1, 0, NOW)
    for _ in range(MAX_WRONG):
        assert refused(table, invite, ALICE, exporter=bytes(32)) == "unknown"
    assert refused(table, invite, BOB, NOW + 1) == "unknown"
    assert redeem(table, invite, BOB, NOW + WRONG_PERIOD)


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INVITES", 2)
    table = Invites()
    table.create(1, NOW + 10, NOW)
    table.create(1, 0, NOW)
    with pytest.raises(Refused):
        table.create(1, 0, NOW)
    assert table.create(1, 0, NOW + 10 + KEPT + 1)
    with pytest.raises(ValueError, match="at least one"):
        table.create(0, 0, NOW)


def test_old_ones_are_forgotten() -> None:
    table = Invites()
    expired = table.create(1, NOW + 10, NOW)
    revoked = table.revoke(table.create(1, 0, NOW).id)
    used = table.create(1, 0, NOW)
    table.create(1, 0, NOW)
    redeem(table, used, ALICE)
    assert refused(table, expired, ALICE, exporter=bytes(32))
    assert not table.sweep(NOW + KEPT)
    assert revoked in table.all()
    assert table.sweep(NOW + KEPT + 11)
    assert len(table.all()) == 1


def test_bytes_and_back() -> None:
    table = Invites()
    invite = table.create(2, NOW + 60, NOW)
    redeem(table, invite, ALICE)
    table.revoke(table.create(1, 0, NOW).id)
    again = Invites.from_bytes(table.to_bytes())
    assert again.all() == table.all()
    assert refused(again, table.all()[1], BOB) == "revoked"


@given(st.binary(max_size=100) | st.just(b"[" * 5000) | st.just(b'[{"secret":"AA=="}]'))
def test_any_bytes_are_a_table_or_a_decode_error(data: bytes) -> None:
    try:
        table = Invites.from_bytes(data)
    except DecodeError:
        return
    assert table.all() == []
