"""Records, beside OpenSSL's own: it is the other end here, handshake and all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from atmosphere.dtls import context, protection, records
from atmosphere.dtls.protection import MAX_PACKET, ROW, Opening, Sealing
from atmosphere.dtls.records import EPOCH, HEADER
from atmosphere.dtls.replay import WINDOW
from atmosphere.dtls.secrets import SUITES, Half, Secrets
from atmosphere.dtls.session import DtlsSession
from atmosphere.identity import Identity

ALICE, BOB = Identity.generate(), Identity.generate()


def ends(name: str = "ECDHE-ECDSA-AES128-GCM-SHA256", used: list[bytes] | None = None) -> tuple[Sealing, Opening]:
    """Two ends of one direction."""
    half, _ = Secrets(SUITES[name], bytes(48), bytes(32), bytes(32)).halves()
    return Sealing(half, used or []), Opening(half)


class Openssl:
    """A peer that is OpenSSL's through and through, and takes one suite only."""

    def __init__(self, *, client: bool, suite: str) -> None:
        settings = context._context(BOB, srtp=False)
        settings.set_cipher_list(suite.encode())
        self.ssl = SSL.Connection(settings, None)
        self.ssl.set_ciphertext_mtu(1200)
        (self.ssl.set_connect_state if client else self.ssl.set_accept_state)()

    def says(self) -> bytes:
        try:
            return self.ssl.bio_read(65536)
        except SSL.WantReadError:
            return b""

    def hears(self, datagram: bytes) -> None:
        self.ssl.bio_write(datagram)


@pytest.fixture(params=[(suite, client) for suite in SUITES for client in (False, True)], ids=str)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[DtlsSession, Openssl]]:
    """A session of ours that has shaken hands with OpenSSL."""
    suite, client = request.param
    ours, theirs = DtlsSession(ALICE, client=client, now=0.0), Openssl(client=not client, suite=suite)
    for _ in range(6):
        try:
            theirs.ssl.do_handshake()
        except SSL.WantReadError:
            pass
        if said := theirs.says():
            ours.open(said, len(said), 0.0)
        for datagram in ours.datagrams():
            theirs.hears(datagram)
    assert ours.state == "connected" and theirs.ssl.get_cipher_name() == suite
    assert ours.exporter(b"EXPERIMENTAL x", 100) == theirs.ssl.export_keying_material(b"EXPERIMENTAL x", 100)
    yield ours, theirs


def test_openssl_reads_what_we_write(both: tuple[DtlsSession, Openssl]) -> None:
    ours, theirs = both
    data = random.Random(1).randbytes(20 * 700 - 300)
    for size in (1, 3000, 700 * ROW, len(data)):
        ((sealed, segment),) = ours.seal(data[:size], 700)
        got = []
        for start in range(0, len(sealed), segment):
            theirs.hears(sealed[start : start + segment])
            got.append(theirs.ssl.recv(20_000))
        assert b"".join(got) == data[:size]
        assert all(len(packet) == 700 for packet in got[:-1])
    ours.close()
    for datagram in ours.datagrams():
        theirs.hears(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        theirs.ssl.recv(1)


def test_we_read_what_openssl_writes(both: tuple[DtlsSession, Openssl]) -> None:
    ours, theirs = both
    for count in (1, ROW - 1, ROW, 20):
        packets = [random.Random(n).randbytes(700) for n in range(count - 1)] + [b"the last is shorter"]
        datagrams = []
        for packet in packets:
            theirs.ssl.send(packet)
            datagrams.append(theirs.says())
        sealed, segment = b"".join(datagrams), len(datagrams[0])
        assert ours.open(sealed, segment, 0.0) == [(b"".join(packets), len(packets[0]))]
        assert ours.open(sealed, segment, 0.0) == []
    theirs.ssl.shutdown()
    said = theirs.says()
    assert ours.open(said, len(said), 0.0) == []
    assert (ours.state, ours.reason) == ("closed", "closed by the peer")


def test_a_repeated_handshake_and_a_wish_for_another_one_are_passed_over(both: tuple[DtlsSession, Openssl]) -> None:
    ours, theirs = both
    hello_request = b"\x16\xfe\xfd" + bytes(8) + (12).to_bytes(2) + bytes(12)
    assert ours.open(hello_request, len(hello_request), 0.0) == []
    assert ours.state == "connected"
    theirs.ssl.send(b"still there")
    said = theirs.says()
    assert ours.open(said, len(said), 0.0) == [(b"still there", 11)]


@pytest.mark.parametrize("suite", SUITES)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 60)), min_size=1, max_size=6))
def test_no_nonce_comes_twice(suite: str, bursts: list[tuple[int, int]]) -> None:
    nonces: list[bytes] = []

    def watched(nonce: bytes, data: bytes, additional: bytes) -> bytes:
        assert len(additional) == HEADER and int.from_bytes(additional[11:]) == len(data)
        nonces.append(nonce)
        return data + bytes(16)

    sealing, _ = ends(suite)
    cast("Any", sealing)._encrypt = watched
    for size, segment in bursts:
        sealing.seal(bytes(size), segment)
    assert len(set(nonces)) == len(nonces) == sum(-(-size // segment) for size, segment in bursts)


def test_a_failure_while_sealing_brings_no_nonce_back() -> None:
    sealing, opening = ends()
    good, nonces = sealing._encrypt, []

    def fail(nonce: bytes, data: bytes, additional: bytes) -> bytes:
        nonces.append(nonce)
        raise MemoryError

    for size in (1, 100):
        cast("Any", sealing)._encrypt = fail
        with pytest.raises(MemoryError):
            sealing.seal(bytes(size), 1)
    sealing._encrypt = good
    sealed, size = sealing.seal(b"on", 2)
    assert sealed[HEADER : HEADER + 8] not in [nonce[4:] for nonce in nonces]
    assert opening.open(sealed, size) == (b"on", 2)


def record(number: int, nonce: int) -> bytes:
    return b"\x16\xfe\xfd" + number.to_bytes(8) + (40).to_bytes(2) + nonce.to_bytes(8) + bytes(32)


@pytest.mark.parametrize(
    ("used", "first"),
    [
        ([], EPOCH),
        ([record(EPOCH, 77)], EPOCH + 1),
        ([record(EPOCH + 2, 2**64 - 1), record(EPOCH + 1, 5)], EPOCH + 3),
        ([record(EPOCH, EPOCH + 1000)], EPOCH + 1001),
        ([record(EPOCH, EPOCH + 2**40)], EPOCH + 1),
    ],
)
def test_numbers_begin_behind_the_nonces_of_the_handshake(used: list[bytes], first: int) -> None:
    sealing, _ = ends(used=used)
    sealed, _ = sealing.seal(b"x", 1)
    assert records.number(sealed) == first
    assert int.from_bytes(sealed[HEADER : HEADER + 8]) == first


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("place", [3, 7, 10, 13, 22, -1])
def test_what_was_touched_is_not_authentic(suite: str, place: int) -> None:
    sealing, opening = ends(suite)
    for count in (1, ROW, 20):
        sealed, size = sealing.seal(bytes(range(100)) * count, 100)
        for victim in {0, count // 2, count - 1}:
            bad = bytearray(sealed)
            bad[victim * size + place % size] ^= 1
            opened = ends(suite)[1].open(bytes(bad), size)
            assert (opened[0] if opened else b"") == bytes(range(100)) * (count - 1)
        assert opening.open(sealed, size) == (bytes(range(100)) * count, 100)


def test_a_slow_path_may_be_far_behind_a_fast_one() -> None:
    sealing, opening = ends()
    slow = [sealing.seal(b"%04d" % n, 4) for n in range(WINDOW)]
    fast, size = sealing.seal(b"newer", 5)
    assert opening.open(fast, size) == (b"newer", 5)
    came = [opening.open(sealed, size) for sealed, size in slow]
    assert came == [None] + [(b"%04d" % n, 4) for n in range(1, WINDOW)], "only the oldest is too old"


def test_an_empty_record_is_no_packet() -> None:
    half, _ = Secrets(SUITES["ECDHE-ECDSA-AES128-GCM-SHA256"], bytes(48), bytes(32), bytes(32)).halves()
    opening = Opening(half)
    numbers = EPOCH.to_bytes(8)
    sealed = half.aead.encrypt(half.iv + numbers, b"", numbers + b"\x17\xfe\xfd\0\0")
    empty = b"\x17\xfe\xfd" + numbers + (24).to_bytes(2) + numbers + sealed
    assert opening.open(empty, len(empty)) is None
    assert opening._forged == 0 and not opening._window.is_new(EPOCH)


@given(st.binary(min_size=1, max_size=400), st.integers(1, 150))
def test_any_bytes_do_no_harm(data: bytes, segment: int) -> None:
    for suite in SUITES:
        sealing, opening = ends(suite)
        assert opening.open(data, segment) is None
        sealed, size = sealing.seal(bytes(MAX_PACKET), MAX_PACKET)
        assert opening.open(sealed, size) == (bytes(MAX_PACKET), MAX_PACKET)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("first", [0, EPOCH - 1, 2 * EPOCH - 3, 2**64 - 3, 2**64 - 1])
def test_numbers_at_the_ends_of_what_there_is_are_numbers(suite: str, first: int) -> None:
    _, opening = ends(suite)
    forged = [
        b"\x17\xfe\xfd" + ((first + n) % 2**64).to_bytes(8) + (60).to_bytes(2) + bytes(60) for n in range(2 * ROW)
    ]
    for count in (1, len(forged)):
        assert opening.open(b"".join(forged[:count]), HEADER + 60) is None
    sealing, _ = ends(suite)
    assert opening.open(*sealing.seal(b"fine", 4)) == (b"fine", 4)


def test_a_key_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "MAX_SEALED", 7)
    sealing, _ = ends()
    sealing.seal(bytes(6), 1)
    with pytest.raises(protection.KeysSpentError):
        sealing.seal(bytes(2), 1)
    sealing.seal(bytes(1), 1)
    with pytest.raises(protection.KeysSpentError):
        sealing.seal(bytes(1), 1)


def test_a_half_without_a_mask_of_its_own_is_still_not_explicit() -> None:
    """A derived nonce that ends in zeros is rare, and must not be taken for a short one."""
    half = Half(SUITES["ECDHE-ECDSA-CHACHA20-POLY1305"].aead(bytes(32)), b"four" + bytes(8))
    sealing, opening = Sealing(half, []), Opening(half)
    for count in (1, ROW):
        sealed, size = sealing.seal(bytes(10 * count), 10)
        assert size == 10 + HEADER + 16
        assert opening.open(sealed, size) == (bytes(10 * count), 10)
