from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from atmosphere.dtls.handshake import HANDSHAKE_TIMEOUT, RESEND_FIRST, RESEND_MOST
from atmosphere.dtls.session import ANSWER_INTERVAL, MAX_EARLY, DtlsSession
from atmosphere.identity import Identity

ALICE, BOB = Identity.generate(), Identity.generate()


def hear(session: DtlsSession, datagram: bytes, now: float = 0.0) -> list[bytes]:
    """The packets that a datagram brought."""
    return [packet for packet, _ in session.open(datagram, len(datagram), now)]


def say(session: DtlsSession, packet: bytes) -> bytes:
    """The datagram for a packet."""
    ((record, size),) = session.seal(packet, len(packet))
    assert size == len(record)
    return record


def pair() -> tuple[DtlsSession, DtlsSession]:
    return DtlsSession(ALICE, client=True, now=0.0), DtlsSession(BOB, client=False, now=0.0)


def exchange(
    client: DtlsSession, server: DtlsSession, now: float = 0.0, lose: Callable[[], bool] = lambda: False
) -> None:
    """Carry datagrams until nobody has any."""
    while True:
        to_server, to_client = client.datagrams(), server.datagrams()
        if not to_server and not to_client:
            return
        for receiver, datagrams in ((server, to_server), (client, to_client)):
            for datagram in datagrams:
                assert len(datagram) <= 1200
                if not lose():
                    receiver.open(datagram, len(datagram), now)


def connected() -> tuple[DtlsSession, DtlsSession]:
    client, server = pair()
    exchange(client, server)
    assert (client.state, server.state) == ("connected", "connected")
    return client, server


def test_each_side_learns_the_other() -> None:
    client, server = connected()
    assert (client.peer_node_id, server.peer_node_id) == (BOB.node_id, ALICE.node_id)
    assert (client.peer_public_key, server.peer_public_key) == (BOB.public_key, ALICE.public_key)
    assert x509.load_der_x509_certificate(client.peer_certificate or b"") == BOB.certificate
    assert client.deadline() is None


def test_the_exporter_is_shared_and_new_each_time() -> None:
    client, server = connected()
    other, _ = connected()
    assert client.exporter(b"EXPERIMENTAL x", 32) == server.exporter(b"EXPERIMENTAL x", 32)
    assert client.exporter(b"EXPERIMENTAL x", 32) != other.exporter(b"EXPERIMENTAL x", 32)
    assert client.exporter(b"EXPERIMENTAL x", 32) != client.exporter(b"EXPERIMENTAL y", 32)


def test_nothing_is_known_before_the_handshake() -> None:
    client, _ = pair()
    assert (client.peer_certificate, client.peer_public_key, client.peer_node_id) == (None, None, None)
    with pytest.raises(ValueError, match="handshake"):
        client.exporter(b"x", 32)
    assert client.seal(b"too early", 9) == []


def test_data_both_ways() -> None:
    client, server = connected()
    assert hear(server, say(client, b"one") + say(client, b"x" * 1188)) == [b"one", b"x" * 1188]
    assert hear(client, say(server, b"two") + say(server, b"three")) == [b"two", b"three"]


def test_close_is_told() -> None:
    client, server = connected()
    client.close()
    exchange(client, server)
    assert (client.state, client.reason) == ("closed", "closed here")
    assert (server.state, server.reason) == ("closed", "closed by the peer")
    client.close()
    assert hear(server, b"\x17\xfe\xfd" + bytes(10), 2.0) == []
    server.handle_timer(2.0)
    assert client.seal(b"x", 1) == []
    assert client.datagrams() == server.datagrams() == []


def test_close_before_the_handshake_is_silent() -> None:
    client, _ = pair()
    client.datagrams()
    client.close()
    assert (client.state, client.datagrams(), client.deadline()) == ("closed", [], None)


def test_the_last_flight_is_sent_again_with_back_off() -> None:
    client, _ = pair()
    hello = client.datagrams()
    times = []
    now = 0.0
    while client.state == "handshaking":
        deadline = client.deadline()
        assert deadline is not None
        client.handle_timer(deadline - 0.001)
        assert client.datagrams() == []
        client.handle_timer(deadline)
        if client.state == "handshaking":
            assert client.datagrams() == hello
        times.append(deadline - now)
        now = deadline
    assert now == HANDSHAKE_TIMEOUT
    assert times[0] == RESEND_FIRST
    assert max(times) == pytest.approx(RESEND_MOST)
    assert (client.state, client.reason) == ("failed", "the DTLS handshake took too long")


@pytest.mark.parametrize("seed", range(20))
def test_a_third_lost_costs_little_time(seed: int) -> None:
    rng = random.Random(seed)
    client, server = pair()
    now = 0.0
    while (client.state, server.state) != ("connected", "connected"):
        exchange(client, server, now, lambda: rng.random() < 0.3)
        deadlines = [deadline for side in (client, server) if (deadline := side.deadline()) is not None]
        if not deadlines:
            break
        now = min(deadlines)
        client.handle_timer(now)
        server.handle_timer(now)
    assert (client.state, server.state) == ("connected", "connected")
    assert now < 8


def test_repeated_datagrams_change_nothing() -> None:
    client, server = pair()
    for _ in range(8):
        for sender, receiver in ((client, server), (server, client)):
            for datagram in sender.datagrams():
                hear(receiver, datagram)
                hear(receiver, datagram)
    assert (client.state, server.state) == ("connected", "connected")


def test_garbage_changes_nothing() -> None:
    rng = random.Random(1)
    client, server = pair()
    for side in (client, server):
        for _ in range(300):
            hear(side, rng.randbytes(rng.randrange(1, 120)))
            hear(side, bytes([rng.choice((19, 24, 40, 63))]) + rng.randbytes(40))
    exchange(client, server)
    assert (client.state, server.state) == ("connected", "connected")
    good = say(client, b"authentic")
    for _ in range(300):
        for side in (client, server):
            body = rng.randbytes(rng.randrange(60))
            head = bytes([rng.randrange(20, 24), 0xFE, 0xFD, 0, rng.randrange(3)]) + rng.randbytes(6)
            assert hear(side, head + len(body).to_bytes(2, "big") + body) == []
        mutated = bytearray(good)
        mutated[rng.randrange(13, len(mutated))] ^= 1 + rng.randrange(255)
        assert hear(server, bytes(mutated)) == []
    assert hear(server, good) == [b"authentic"]
    assert (client.state, server.state) == ("connected", "connected")


def test_a_server_survives_garbage_in_the_form_of_a_handshake() -> None:
    client, server = pair()
    for kind in (1, 2, 11, 16, 20):
        body = bytes([kind]) + (8).to_bytes(3, "big") + bytes(5) + (8).to_bytes(3, "big") + b"\xff" * 8
        hear(server, b"\x16\xfe\xfd" + bytes(8) + len(body).to_bytes(2, "big") + body)
        hear(server, b"\x15\xfe\xfd" + bytes(8) + b"\0\x02\x02\x28")
    exchange(client, server)
    assert (client.state, server.state) == ("connected", "connected")


class OtherCurve:
    """A self-signed certificate on another curve than ours."""

    def __init__(self) -> None:
        self.private_key = ec.generate_private_key(ec.SECP384R1())
        name = ALICE.certificate.subject
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private_key.public_key())
            .serial_number(1)
            .not_valid_before(ALICE.certificate.not_valid_before_utc)
            .not_valid_after(ALICE.certificate.not_valid_after_utc)
            .sign(self.private_key, hashes.SHA256())
        )


def test_another_curve_is_refused() -> None:
    client, server = DtlsSession(OtherCurve(), client=True, now=0.0), DtlsSession(BOB, client=False, now=0.0)
    exchange(client, server)
    assert server.state == "failed"
    assert server.peer_certificate is None


def test_a_peer_without_a_certificate_is_refused() -> None:
    server = DtlsSession(BOB, client=False, now=0.0)
    context = SSL.Context(SSL.DTLS_METHOD)
    anonymous = SSL.Connection(context, None)
    anonymous.set_connect_state()
    for _ in range(6):
        with pytest.raises(SSL.Error):
            anonymous.do_handshake()
            anonymous.recv(1)
        try:
            hear(server, anonymous.bio_read(65536))
        except SSL.WantReadError:
            break
        for datagram in server.datagrams():
            anonymous.bio_write(datagram)
    assert server.state == "failed"
    assert "certificate" in server.reason


def half_way() -> tuple[DtlsSession, DtlsSession, list[bytes], list[bytes]]:
    """A client that lacks the last flight, a server that has sent it, and the last flights of both."""
    client, server = pair()
    while True:
        flight = client.datagrams()
        for datagram in flight:
            hear(server, datagram)
        answer = server.datagrams()
        if server.state == "connected":
            return client, server, flight, answer
        for datagram in answer:
            hear(client, datagram)


def test_data_that_overtakes_the_end_of_the_handshake_waits_for_it() -> None:
    client, server, _, last = half_way()
    early = [say(server, b"%d" % n) for n in range(MAX_EARLY + 10)]
    for datagram in early:
        assert hear(client, datagram) == []
    assert client.datagrams() == []
    came = [packet for datagram in last for packet in hear(client, datagram)]
    assert came == [b"%d" % n for n in range(MAX_EARLY)]
    assert hear(client, early[0]) == [], "it was here already"
    assert hear(client, early[-1]) == [b"%d" % (MAX_EARLY + 9)]


def test_data_in_the_datagram_that_ends_the_handshake_is_read() -> None:
    client, server, _, last = half_way()
    assert hear(client, b"".join(last) + say(server, b"at once")) == [b"at once"]


def test_a_client_that_missed_the_last_flight_is_sent_it_again_but_not_too_often() -> None:
    client, server, flight, last = half_way()
    for n in range(3):
        for datagram in flight:
            hear(server, datagram, 1.0 + n * ANSWER_INTERVAL / 2)
    assert server.datagrams() == last * 2
    for datagram in last * 2:
        hear(client, datagram)
    assert client.state == "connected"
    assert client.datagrams() == [], "a client has nothing to say to a repeated flight"


def test_what_another_session_of_the_same_addresses_says_changes_nothing() -> None:
    """A former session's end and a new one's beginning meet at both sides."""
    old_client, old_server = connected()
    client, server = pair()
    for datagram in client.datagrams():
        assert hear(old_server, datagram) == []
        assert hear(old_client, datagram) == []
        hear(server, datagram)
    assert old_server.datagrams() == old_client.datagrams() == []
    old_server.close()
    old_client.close()
    for old, new in ((old_server, client), (old_client, server)):
        for datagram in old.datagrams():
            assert hear(new, datagram) == []
    exchange(client, server)
    assert (client.state, server.state) == ("connected", "connected")
    assert hear(server, say(client, b"as if nothing had been")) == [b"as if nothing had been"]


@pytest.mark.parametrize("seed", range(20))
def test_two_who_dial_each_other_at_once_both_come_through(seed: int) -> None:
    """Whatever one of them says comes to both sessions of the other, in any order: addresses do not tell them apart."""
    rng = random.Random(seed)
    here = DtlsSession(ALICE, client=True, now=0.0), DtlsSession(ALICE, client=False, now=0.0)
    there = DtlsSession(BOB, client=False, now=0.0), DtlsSession(BOB, client=True, now=0.0)
    now = 0.0
    while now < 10 and any(session.state == "handshaking" for session in (*here, *there)):
        said = [
            (datagram, hearers)
            for speakers, hearers in ((here, there), (there, here))
            for session in speakers
            for datagram in session.datagrams()
        ]
        rng.shuffle(said)
        for datagram, hearers in said:
            for session in rng.sample(hearers, 2):
                hear(session, datagram, now)
        now += 0.0 if said else 0.1
        for session in (*here, *there):
            session.handle_timer(now)
    assert [session.state for session in (*here, *there)] == ["connected"] * 4
    for one, other in zip(here, there, strict=True):
        assert one.exporter(b"EXPERIMENTAL x", 16) == other.exporter(b"EXPERIMENTAL x", 16)
        assert hear(other, say(one, b"there")) == [b"there"]
        assert hear(one, say(other, b"back")) == [b"back"]


@pytest.mark.parametrize("number", [0, 1, 80, 2**48 - 1])
@pytest.mark.parametrize("kind", [20, 23])
def test_a_forged_record_in_the_clear_stops_no_handshake(kind: int, number: int) -> None:
    client, server = pair()
    forged = bytes([kind, 0xFE, 0xFD]) + number.to_bytes(8) + (1).to_bytes(2) + b"\x01"
    for _ in range(4):
        for speaker, hearer in ((client, server), (server, client)):
            for datagram in speaker.datagrams():
                hear(hearer, forged)
                hear(hearer, datagram)
    assert (client.state, server.state) == ("connected", "connected")


def test_a_certificate_that_cannot_be_read_ends_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair()

    def refuse(*_: object, **__: object) -> None:
        raise x509.InvalidVersion("7 is not a valid X509 version", 7)

    monkeypatch.setattr(SSL.Connection, "get_peer_certificate", refuse)
    exchange(client, server)
    assert (server.state, server.peer_certificate) == ("failed", None)
    assert server.reason == "the peer's certificate cannot be read: 7 is not a valid X509 version"


def test_a_server_says_again_what_it_answered_long_before_there_was_a_path() -> None:
    client, server = pair()
    for datagram in client.datagrams():
        hear(server, datagram, 0.0)
    flight = server.datagrams()
    server.begin(0.01)
    assert server.datagrams() == [], "it is on its way"
    server.begin(2.0)
    assert (server.datagrams(), server.deadline()) == (flight, 2.0 + RESEND_FIRST)


def test_a_handshake_that_began_before_its_path_has_its_time_from_there() -> None:
    client, server = pair()
    hello = client.datagrams()
    client.begin(100.0)
    server.begin(100.0)
    assert (client.datagrams(), server.datagrams()) == (hello, [])
    assert client.deadline() == 100.0 + RESEND_FIRST
    for datagram in hello:
        hear(server, datagram, 100.0)
    for datagram in server.datagrams():
        hear(client, datagram, 100.0)
    flight = client.datagrams()
    assert flight
    client.begin(101.0)
    assert client.datagrams() == [], "it was answered, so what went out is on its way"
    for datagram in flight:
        hear(server, datagram, 101.0)
    for datagram in server.datagrams():
        hear(client, datagram, 101.0)
    client.begin(102.0)
    assert (client.state, client.datagrams(), client.deadline()) == ("connected", [], None)


def test_a_server_that_was_greeted_ahead_of_a_path_waits_for_it() -> None:
    client, server = pair()
    assert server.deadline() == 2 * HANDSHAKE_TIMEOUT
    server.begin(20.0)
    assert server.deadline() == 20.0 + HANDSHAKE_TIMEOUT
    for datagram in client.datagrams():
        hear(server, datagram, 20.0)
    server.handle_timer(20.0 + HANDSHAKE_TIMEOUT)
    assert (server.state, server.timed_out) == ("failed", True)


def test_an_end_while_shaking_hands_lets_go_of_everything() -> None:
    client, server, _, last = half_way()
    hear(client, say(server, b"early"))
    client.close()
    assert [packet for datagram in last for packet in hear(client, datagram)] == []
    assert (client.state, client.datagrams()) == ("closed", [])


def test_a_session_says_nothing_of_its_secrets() -> None:
    client, _ = connected()
    assert client._secrets is not None
    assert repr(client._secrets) == str(client._secrets) == "Secrets(…)"
