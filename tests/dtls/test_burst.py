from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.dtls import burst, protection
from atmosphere.dtls.protection import MAX_PACKET, ROW
from atmosphere.dtls.records import ALERT, APPLICATION_DATA, HEADER
from atmosphere.dtls.session import DtlsSession
from atmosphere.identity import Identity

ALICE, BOB = Identity.generate(), Identity.generate()


def shake(one: DtlsSession, other: DtlsSession) -> None:
    for _ in range(10):
        for datagram in one.datagrams():
            other.open(datagram, len(datagram), 0.0)
        for datagram in other.datagrams():
            one.open(datagram, len(datagram), 0.0)


def connected() -> tuple[DtlsSession, DtlsSession]:
    one, other = DtlsSession(ALICE, client=True, now=0.0), DtlsSession(BOB, client=False, now=0.0)
    shake(one, other)
    assert one.state == other.state == "connected"
    return one, other


def cut(data: bytes, segment: int) -> list[bytes]:
    return [data[start : start + segment] for start in range(0, len(data), segment)]


@pytest.mark.parametrize("segment", [1, 30, 1188, 8000])
@pytest.mark.parametrize("count", [1, 2, ROW, 50])
@pytest.mark.parametrize("last", [0, 7])
def test_bursts_come_back_as_they_went_in(segment: int, count: int, last: int) -> None:
    one, other = connected()
    data = random.Random(segment).randbytes(segment * count - min(last, segment - 1))
    ((sealed, size),) = one.seal(data, segment)
    assert burst.is_uniform(sealed, size)
    assert len(cut(sealed, size)) == len(cut(data, segment))
    opened = other.open(sealed, size, 0.0)
    assert [packet for packets, length in opened for packet in cut(packets, length)] == cut(data, segment)
    assert other.open(sealed, size, 0.0) == []  # all are replays now


@pytest.mark.parametrize("place", range(0, 50, 7))
@pytest.mark.parametrize("how", ["tag", "length", "type", "version", "garbage", "lost", "twice", "swapped"])
def test_one_bad_record_costs_no_other(place: int, how: str) -> None:
    one, other = connected()
    ((sealed, size),) = one.seal(b"".join(b"%04d" % n * 290 for n in range(50)), 1160)
    records = cut(sealed, size)
    wanted = set(range(50)) - ({place} if how in ("tag", "length", "type", "version", "garbage", "lost") else set())
    bad = bytearray(records[place])
    if how == "tag":
        bad[-1] ^= 1
    elif how == "length":
        bad[12] ^= 1
    elif how == "type":
        bad[0] = 99
    elif how == "version":
        bad[1] = 1
    elif how == "garbage":
        bad[:] = random.Random(place).randbytes(len(bad))
    records[place] = bytes(bad)
    if how == "lost":
        del records[place]
    elif how == "twice":
        records.insert(place, records[place])
    elif how == "swapped":
        records[place], records[49 - place] = records[49 - place], records[place]
    opened = other.open(b"".join(records), size, 0.0)
    got = [int(packet[:4]) for packets, length in opened for packet in cut(packets, length)]
    assert set(got) == wanted and len(got) == len(wanted)
    assert other.state == "connected"
    ((sealed, size),) = one.seal(b"still fine", 10)
    assert other.open(sealed, size, 0.0) == [(b"still fine", 10)]


def test_an_end_inside_a_burst_is_the_end() -> None:
    one, other = connected()
    ((sealed, size),) = one.seal(bytes(40), 20)
    one.close()
    (notify,) = one.datagrams()
    assert notify[0] == ALERT
    assert not burst.is_uniform(sealed + notify, size)
    assert [packet for packet, _ in other.open(sealed + notify, size, 0.0)] == [bytes(20)] * 2
    assert other.state == "closed"
    assert other.open(sealed, size, 0.0) == [] and other.seal(b"x", 1) == []


def test_before_the_handshake_nothing_is_sealed_and_what_comes_is_part_of_it() -> None:
    one, other = DtlsSession(ALICE, client=True, now=0.0), DtlsSession(BOB, client=False, now=0.0)
    assert one.seal(b"x", 1) == []
    for _ in range(10):
        for datagram in one.datagrams():
            assert other.open(datagram, len(datagram), 0.0) == []
        for datagram in other.datagrams():
            assert one.open(datagram, len(datagram), 0.0) == []
    assert one.state == other.state == "connected" and one.is_own and other.is_own
    assert one.seal(b"", 1) == []


def test_a_packet_too_large_for_a_record_ends_the_session() -> None:
    one, _ = connected()
    assert one.seal(bytes(MAX_PACKET), MAX_PACKET)
    assert one.seal(bytes(MAX_PACKET + 1), MAX_PACKET + 1) == []
    assert (one.state, one.reason) == ("failed", "a packet is larger than a record may be")


def test_keys_that_are_used_up_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "MAX_SEALED", 10)
    one, other = connected()
    assert one.seal(bytes(10), 1)
    assert one.seal(bytes(1), 1) == []
    assert (one.state, one.reason) == ("failed", "the keys of the link are used up")
    monkeypatch.setattr(protection, "MAX_FORGED", 1)
    bad = bytes(3) + (2**48 + 1).to_bytes(8) + bytes(40)
    for state in ("connected", "failed"):
        other.open(b"\x17\xfe\xfd" + bad[3:11] + (38).to_bytes(2) + bytes(38), 51, 0.0)
        assert other.state == state
    assert other.reason == "too many records were forged"


def test_only_our_own_nodes_are_told_apart() -> None:
    for srtp in ((True, False), (False, True), (True, True)):
        one = DtlsSession(ALICE, client=True, now=0.0, srtp=srtp[0])
        other = DtlsSession(BOB, client=False, now=0.0, srtp=srtp[1])
        shake(one, other)
        assert one.state == other.state == "connected"
        assert not one.is_own and not other.is_own


@given(st.binary(max_size=300), st.integers(1, 120))
def test_any_bytes_are_uniform_or_not(data: bytes, segment: int) -> None:
    whole = all(
        len(one) > HEADER
        and one[:3] == bytes((APPLICATION_DATA, 0xFE, 0xFD))
        and int.from_bytes(one[11:13]) == len(one) - HEADER
        for one in cut(data, segment)
    )
    assert burst.is_uniform(data, segment) == (whole and segment > HEADER)


_ONE, _OTHER = connected()


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5), st.integers(1, 200))
def test_any_bytes_do_no_harm(pieces: list[bytes], segment: int) -> None:
    ((sealed, size),) = _ONE.seal(bytes(200), 100)
    data = b"".join(pieces)
    for mixed in (data + sealed, sealed + data, sealed[:size] + data + sealed[size:]):
        _OTHER.open(mixed, segment, 0.0)
        _OTHER.open(mixed, size, 0.0)
    assert _OTHER.state == "connected"
    ((sealed, size),) = _ONE.seal(b"fine", 4)
    assert _OTHER.open(sealed, size, 0.0) == [(b"fine", 4)]
