"""Two machines in memory with NATs between them: the clock and every packet are the test's."""

from __future__ import annotations

import pytest

from atmosphere.network.datagrams import NO_SESSION, Datagram, Kind, decode, encode
from atmosphere.network.punch import KEEPALIVE, MAX_ADDRESSES, MAX_OUTSTANDING, PATIENCE, Address, Punch, Transmit

KEY = b"0123456789abcdef"
A_PUBLIC, B_PUBLIC = ("198.51.100.1", 1000), ("203.0.113.9", 2000)


class Nat:
    """A port-restricted NAT in front of one host; `symmetric` gives each destination another port."""

    def __init__(self, public: Address, *, symmetric: bool = False) -> None:
        self.public = public
        self.symmetric = symmetric
        self.ports: dict[Address, int] = {}

    def out(self, destination: Address) -> Address:
        port = self.public[1] + 100 + len(self.ports) if self.symmetric else self.public[1]
        return (self.public[0], self.ports.setdefault(destination, port))

    def lets_in(self, source: Address, to: Address) -> bool:
        return self.ports.get(source) == to[1]


class World:
    """Two punches, each behind its NAT, packets taking 20 ms; `lose` drops those it returns True for."""

    def __init__(self, nat_a: Nat, nat_b: Nat, key: bytes | None = KEY) -> None:
        self.now = 0.0
        self.nats = {"a": nat_a, "b": nat_b}
        self.ends = {"a": Punch(nat_b.public, key), "b": Punch(nat_a.public, key)}
        self.flying: list[tuple[float, str, Address, Address, bytes]] = []
        self.received: dict[str, list[bytes]] = {"a": [], "b": []}
        self.down = False
        self.sent = 0

    def start(self, timeout: float = 5.0) -> None:
        for end in self.ends.values():
            end.start(self.now, timeout)

    def send(self, name: str, transmits: list[Transmit]) -> None:
        other = "b" if name == "a" else "a"
        for transmit in transmits:
            self.sent += 1
            source = self.nats[name].out(transmit.destination)
            if not self.down:
                self.flying.append((self.now + 0.02, other, source, transmit.destination, transmit.data))

    def step(self, until: float) -> bool:
        """Go to the next event; False when there is none before `until`."""
        times = [item[0] for item in self.flying] + [
            at for end in self.ends.values() if (at := end.next_at) is not None
        ]
        if not times or min(times) > until:
            return False
        self.now = max(self.now, min(times))
        for item in [item for item in self.flying if item[0] <= self.now]:
            self.flying.remove(item)
            _, name, source, to, data = item
            if self.nats[name].lets_in(source, to):
                self.deliver(name, source, data)
        for name, end in self.ends.items():
            self.send(name, end.poll(self.now))
        return True

    def deliver(self, name: str, source: Address, data: bytes) -> None:
        transmits, payload = self.ends[name].receive(decode(data, self.ends[name].key), source, self.now)
        self.send(name, transmits)
        if payload is not None:
            self.received[name].append(payload)

    def run(self, until: float) -> None:
        while self.step(until):
            continue
        if any(end.is_alive for end in self.ends.values()):
            self.now = until

    @property
    def states(self) -> tuple[str, str]:
        return (self.ends["a"].state, self.ends["b"].state)


def test_two_port_restricted_nats() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC))
    world.start()
    world.run(0.2)
    assert world.states == ("connected", "connected")
    assert world.ends["a"].remote == B_PUBLIC
    assert world.ends["a"].rtt == pytest.approx(0.04)


def test_without_a_key() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC), key=None)
    world.start()
    world.run(0.2)
    assert world.states == ("connected", "connected")


class FullCone(Nat):
    def lets_in(self, source: Address, to: Address) -> bool:
        return to[1] in self.ports.values()


def test_a_symmetric_nats_port_is_learned() -> None:
    world = World(Nat(A_PUBLIC, symmetric=True), FullCone(B_PUBLIC))
    world.start()
    world.run(0.5)
    assert world.states == ("connected", "connected")
    assert world.ends["b"].remote == (A_PUBLIC[0], 1100)


def test_symmetric_and_port_restricted_is_impossible_this_way() -> None:
    world = World(Nat(A_PUBLIC, symmetric=True), Nat(B_PUBLIC))
    world.start(3.0)
    world.run(10)
    assert world.states == ("failed", "failed")
    assert world.now == pytest.approx(3.0, abs=0.1)
    assert world.ends["a"].next_at is None
    assert world.sent < 80


def test_data_passes_both_ways_and_once() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC))
    world.start()
    world.run(0.2)
    hello, back = world.ends["a"].data(b"hello"), world.ends["b"].data(b"back")
    assert hello is not None
    assert back is not None
    world.send("a", [hello, hello])
    world.send("b", [back])
    world.run(0.4)
    assert world.received == {"a": [b"back"], "b": [b"hello"]}


def test_data_that_comes_before_our_ack() -> None:
    """The first side to connect may speak at once; its data says as much as an ACK."""
    a, b = Punch(B_PUBLIC, KEY), Punch(A_PUBLIC, KEY)
    a.start(0.0, 5)
    b.start(0.0, 5)
    [probe_b] = b.poll(0.0)
    a.receive(decode(probe_b.data, KEY), B_PUBLIC, 0.02)
    [probe_a] = a.poll(0.02)
    [ack_b, *_] = b.receive(decode(probe_a.data, KEY), A_PUBLIC, 0.04)[0]
    a.receive(decode(ack_b.data, KEY), B_PUBLIC, 0.06)
    assert (a.state, b.state) == ("connected", "probing")
    early = a.data(b"early")
    assert early is None or b.receive(decode(early.data, KEY), A_PUBLIC, 0.08)[1] == b"early"
    assert b.state == "connected"


def test_keepalive_and_loss() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC))
    world.start()
    world.run(0.2)
    before = world.sent
    world.run(3 * KEEPALIVE + 1)
    assert world.states == ("connected", "connected")
    assert world.sent - before <= 14
    world.down = True
    gone = world.now
    world.run(gone + PATIENCE + 1)
    assert world.states == ("lost", "lost")


def test_a_peer_that_restarts() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC))
    world.start()
    world.run(0.2)
    world.ends["b"] = Punch(A_PUBLIC, KEY)
    world.ends["b"].start(world.now, 5)
    world.run(0.5)
    assert world.states == ("connected", "connected")
    hello = world.ends["b"].data(b"again")
    assert hello is not None
    world.send("b", [hello])
    world.run(0.6)
    assert world.received["a"] == [b"again"]


def test_closing_tells_the_peer() -> None:
    world = World(Nat(A_PUBLIC), Nat(B_PUBLIC))
    world.start()
    world.run(0.2)
    goodbye = world.ends["a"].close()
    assert goodbye is not None
    world.send("a", [goodbye])
    world.run(0.5)
    assert world.states == ("closed", "lost")
    assert world.ends["a"].close() is None
    assert world.ends["a"].data(b"x") is None


def connected() -> Punch:
    punch = Punch(B_PUBLIC, KEY)
    punch.start(0.0, 5)
    [probe] = punch.poll(0.0)
    number = decode(probe.data, KEY).number
    punch.receive(Datagram(Kind.ACK, b"peer----", number, punch.session), B_PUBLIC, 0.1)
    assert punch.state == "connected"
    return punch


@pytest.mark.parametrize(
    ("name", "datagram", "source"),
    [
        ("our own packet", Datagram(Kind.PROBE, b"own-----", 1), B_PUBLIC),
        ("no session", Datagram(Kind.PROBE, NO_SESSION, 1), B_PUBLIC),
        ("an answer to somebody else", Datagram(Kind.ACK, b"peer----", 2, b"other---"), B_PUBLIC),
        ("an answer to no probe", Datagram(Kind.ACK, b"peer----", 99, b"own-----"), ("192.0.2.66", 1)),
        ("data of an unknown session", Datagram(Kind.DATA, b"other---", 1, b"own-----", b"x"), B_PUBLIC),
    ],
)
def test_what_changes_nothing(name: str, datagram: Datagram, source: Address) -> None:
    punch = connected()
    punch.session = b"own-----"
    assert punch.receive(datagram, source, 0.2) == ([], None)
    assert (punch.state, punch.remote, punch.peer_session) == ("connected", B_PUBLIC, b"peer----")


def test_a_replayed_probe_moves_nothing() -> None:
    """It is answered, and probed back, but only a fresh ACK makes a path."""
    punch = connected()
    stranger = ("192.0.2.66", 1)
    transmits, _ = punch.receive(Datagram(Kind.PROBE, b"peer----", 1), stranger, 0.2)
    assert [decode(item.data, KEY).kind for item in transmits] == [Kind.ACK, Kind.PROBE]
    assert punch.remote == B_PUBLIC


def test_addresses_are_bounded() -> None:
    punch = Punch(B_PUBLIC, KEY)
    punch.start(0.0, 5)
    for port in range(50):
        punch.receive(Datagram(Kind.PROBE, b"peer----", port), (B_PUBLIC[0], 3000 + port), 0.0)
    assert len(punch.poll(0.0)) == MAX_ADDRESSES


def test_probes_in_flight_are_bounded() -> None:
    punch = Punch(B_PUBLIC, KEY)
    punch.start(0.0, 1000)
    for _ in range(3 * MAX_OUTSTANDING):
        assert punch.next_at is not None
        punch.poll(punch.next_at)
    assert len(punch._sent) == MAX_OUTSTANDING


def test_a_closed_punch_ignores_everything() -> None:
    punch = Punch(B_PUBLIC, KEY)
    punch.start(0.0, 1)
    assert punch.close() is None
    assert punch.receive(Datagram(Kind.PROBE, b"peer----", 1), B_PUBLIC, 0.0) == ([], None)
    assert punch.poll(5.0) == []


def test_keys_stay_out_of_text() -> None:
    assert "0123456789" not in repr(Punch(B_PUBLIC, KEY))
    assert encode(Datagram(Kind.BYE, b"peer----", 1), KEY)
