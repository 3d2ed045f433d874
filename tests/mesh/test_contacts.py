from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity, verify
from atmosphere.mesh.contacts import MAX_AHEAD, NEWS_BURST, NEWS_RATE, Contact, ContactBook, decode, sign

ALICE, BOB, STRANGER = (Identity.generate() for _ in range(3))
MEMBERS = {identity.node_id: identity.public_key for identity in (ALICE, BOB)}
NOW = 1_000_000.0


def is_signed_by_member(node_id: str, signature: bytes, data: bytes) -> bool:
    return node_id in MEMBERS and verify(MEMBERS[node_id], signature, data)


def book() -> ContactBook:
    return ContactBook(is_signed_by_member)


def contact(of: Identity = ALICE, stamp: float = NOW, by: Identity | None = None) -> bytes:
    return sign(Contact(of.node_id, stamp, ["candidate line"], ["wss://example.org"]), (by or of).sign)


def test_a_contact_is_news_once() -> None:
    contacts = book()
    added = contacts.add(contact(), NOW)
    assert added is not None
    assert added == contacts.get(ALICE.node_id)
    assert contacts.add(contact(), NOW) is None


def test_the_newest_contact_stays_in_any_order() -> None:
    contacts = book()
    contacts.add(contact(stamp=NOW + 2), NOW)
    assert contacts.add(contact(stamp=NOW + 1), NOW) is None
    known = contacts.get(ALICE.node_id)
    assert known is not None
    assert known.stamp == NOW + 2


def test_nobody_speaks_for_another_member() -> None:
    contacts = book()
    assert contacts.add(contact(of=ALICE, by=BOB), NOW) is None
    assert contacts.get(ALICE.node_id) is None


def test_a_stranger_is_not_kept() -> None:
    assert book().add(contact(of=STRANGER), NOW) is None


@pytest.mark.parametrize("stamp", [NOW + MAX_AHEAD + 1, float("inf"), float("nan")])
def test_a_stamp_of_the_far_future_is_refused(stamp: float) -> None:
    assert book().add(contact(stamp=stamp), NOW) is None


def test_what_was_taken_by_a_clock_that_was_wrong_gives_way() -> None:
    """Ours ran a year ahead, as the member's did: it could say nothing new for a year after both were right again."""
    contacts, ahead = book(), NOW + 3e7
    assert contacts.add(contact(stamp=ahead), ahead) is not None
    found = contacts.add(contact(stamp=NOW), NOW)
    assert found is not None
    assert contacts.get(ALICE.node_id) == found
    assert contacts.add(contact(stamp=NOW - 1), NOW) is None


def test_what_was_kept_counts_though_the_clock_is_behind_now() -> None:
    contacts = book()
    assert contacts.add(contact(), NOW - 3e7, kept=True) is not None
    assert contacts.add(contact(stamp=float("nan")), NOW, kept=True) is None
    assert contacts.add(contact(stamp=NOW + 1), NOW) is not None


def test_former_members_are_forgotten() -> None:
    contacts = book()
    contacts.add(contact(of=ALICE), NOW)
    contacts.add(contact(of=BOB), NOW)
    contacts.keep_only([BOB.node_id])
    assert contacts.encoded() == [contacts.encoded()[0]]
    assert contacts.get(ALICE.node_id) is None


def test_relays_came_later_and_old_and_new_understand_each_other() -> None:
    old = msgspec.msgpack.encode([1, ALICE.node_id, NOW, ["candidate line"], ["wss://example.org"]])
    read, _ = decode(msgspec.msgpack.encode([1, old, b"signature"]))
    assert read.relays == []
    offering = Contact(ALICE.node_id, NOW, [], [], ["turn:192.0.2.1:7777"])
    assert decode(sign(offering, ALICE.sign))[0] == offering
    longer = msgspec.msgpack.encode([1, ALICE.node_id, NOW, [], [], ["turn:192.0.2.1:7777"], "what comes next"])
    assert decode(msgspec.msgpack.encode([1, longer, b"signature"]))[0] == offering


def test_nobody_offers_more_than_four_relays() -> None:
    with pytest.raises(DecodeError, match="length <= 4"):
        decode(sign(Contact(ALICE.node_id, NOW, [], [], ["turn:192.0.2.1"] * 5), ALICE.sign))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_contact_or_a_decode_error(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        pass


def test_a_contact_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="too long"):
        decode(bytes(5000))


def test_a_member_that_is_ever_elsewhere_is_believed_now_and_then() -> None:
    contacts, other = book(), contact(of=BOB)
    taken = [contacts.add(contact(stamp=NOW + number), NOW) for number in range(100)]
    assert len([one for one in taken if one is not None]) == NEWS_BURST
    # Others have a share of their own, and so has it again later; what is forged costs it nothing.
    assert contacts.add(other, NOW) is not None
    assert contacts.add(contact(stamp=NOW + 200, by=BOB), NOW + 1 / NEWS_RATE) is None
    assert contacts.add(contact(stamp=NOW + 200), NOW + 1 / NEWS_RATE) is not None
    assert contacts.add(contact(stamp=NOW + 201), NOW + 1 / NEWS_RATE) is None
