"""Server-reflexive gathering (RFC 8445 §5.1.1.2): every socket asks every STUN server of its family, at once.

An answer is news when the mapped address is new. One server per socket, the fastest, is then asked every `keepalive`
seconds, which keeps the NAT's mapping open and notices when it changes; the others every `RECHECK` seconds, and those
that are silent ever more rarely. Pure: messages and `now` in; datagrams, events and a deadline out.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from atmosphere.ice.events import Transmit
from atmosphere.ice.nat import Seen
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.message import Message
from atmosphere.udp.addresses import address_class

__all__ = ["Gatherer", "Mapped", "Silent"]

RTO, GIVE_UP = 0.3, 5.0
"""The first retransmission and the last moment, seconds; RFC 8489's 0.5 s is slow to notice one lost packet."""
KEEPALIVE = 17.0
MOST_LATE = 1.3
"""Of `KEEPALIVE`: a question that was answered later than that, spread and round trip included, was lost once."""
RECHECK = 300.0
RETRY_FIRST, RETRY_LAST = 15.0, 300.0
MAX_PROBES = 128

Address = tuple[str, int]


@dataclass(frozen=True)
class Mapped:
    """`server` (`uri` its name) sees `base` as `address`; `rtt` in seconds; `new` when `base` was not seen so yet.

    `former`: as which this very server saw it before, where that was something else; `forgotten` where its questions
    should have kept that mapping open, and the NAT has the same public address still.
    """

    base: int
    uri: str
    server: Address
    address: Address
    rtt: float
    new: bool
    former: Address | None = None
    forgotten: bool = False


@dataclass(frozen=True)
class Silent:
    """`uri` did not answer any base."""

    uri: str
    error: str


@dataclass(eq=False)
class _Probe:
    """One base asking one address of one server, again and again."""

    base: int
    uri: str
    server: Address
    due: float
    asking: BindingTransaction | None = None
    mapped: Address | None = None
    other: Address | None = None
    failed: bool = False
    backoff: float = RETRY_FIRST
    answered_at: float = float("-inf")


class Gatherer:
    """Asks, keeps alive, and tells what it learned by `events`."""

    def __init__(self) -> None:
        self._bases: dict[int, str] = {}
        self._servers: dict[str, list[Address]] = {}
        self._probes: dict[tuple[int, Address], _Probe] = {}
        self._waiting: dict[bytes, _Probe] = {}
        self._keepers: dict[int, _Probe] = {}
        self._events: deque[Mapped | Silent] = deque()
        self._transmits: deque[Transmit] = deque()
        self.keepalive = KEEPALIVE
        """Seconds between the questions that keep a base's mapping open, about."""

    def add_base(self, base: int, address: str, now: float) -> None:
        """Ask from this socket too."""
        self._bases[base] = address
        self._pair(now)

    def remove_base(self, base: int) -> None:
        """The socket is gone."""
        self._bases.pop(base, None)
        self._keepers.pop(base, None)
        self._drop(lambda probe: probe.base == base)

    def set_server(self, uri: str, addresses: list[Address], now: float) -> None:
        """Ask the server `uri` at these addresses; none: no more. One that nobody here can ask is `Silent` at once."""
        self._servers[uri] = addresses
        self._drop(lambda probe: probe.uri == uri and probe.server not in addresses)
        if not addresses:
            del self._servers[uri]
            return
        self._pair(now)
        if not any(probe.uri == uri for probe in self._probes.values()):
            self._events.append(Silent(uri, "no local address of its family"))

    def ask_again(self, now: float) -> None:
        """The network may have changed: every server is asked at once."""
        for probe in self._probes.values():
            self._restart(probe, now)

    def _pair(self, now: float) -> None:
        for base, address in self._bases.items():
            for uri, servers in self._servers.items():
                for server in servers:
                    wanted = _reaches(address, server[0]) and (base, server) not in self._probes
                    if wanted and len(self._probes) < MAX_PROBES:
                        self._probes[base, server] = _Probe(base, uri, server, due=now)

    def _drop(self, unwanted: Callable[[_Probe], bool]) -> None:
        for key, probe in list(self._probes.items()):
            if unwanted(probe):
                del self._probes[key]
                self._stop(probe)

    # in

    def receive(self, message: Message, base: int, source: Address, now: float) -> bool:
        """Take a response; False when it answers nothing that was asked here."""
        probe = self._waiting.get(message.transaction_id)
        if probe is None or probe.asking is None or probe.base != base:
            return False
        if not probe.asking.receive(message, source, now):
            return False
        mapped, rtt, other = probe.asking.mapped, probe.asking.rtt, probe.asking.other
        if mapped is None or rtt is None:
            self._fail(probe, now)
            return True
        self._stop(probe)
        new = all(other.mapped != mapped for other in self._probes.values() if other.base == base)
        former = probe.mapped if probe.mapped != mapped else None
        forgotten = former is not None and former[0] == mapped[0] and self._was_kept(probe, now)
        probe.mapped, probe.other, probe.failed, probe.backoff = mapped, other, False, RETRY_FIRST
        probe.answered_at = now
        if former is not None:
            self._contradicted(base, former, now)
        probe.due = now + self._interval(probe) * random.uniform(0.9, 1.1)  # noqa: S311 - only spreads load
        self._events.append(Mapped(base, probe.uri, source, mapped, rtt, new, former, forgotten))
        if other is not None:
            self._ask_other(probe, other, now)
        return True

    def _contradicted(self, base: int, former: Address, now: float) -> None:
        """The mapping is another now: whoever saw the former one is asked again at once, and not in five minutes."""
        for probe in self._probes.values():
            if probe.base == base and probe.mapped == former:
                probe.mapped, probe.due = None, now

    def _was_kept(self, probe: _Probe, now: float) -> bool:
        """Whether this probe keeps its base's mapping open, and asked as it should: there was no outage."""
        return self._keepers.get(probe.base) is probe and now < probe.answered_at + self.keepalive * MOST_LATE

    def asks(self, server: Address) -> bool:
        """Whether this address is one of a server that is asked."""
        return any(server in addresses for addresses in self._servers.values())

    def _ask_other(self, probe: _Probe, other: Address, now: float) -> None:
        """Two addresses tell what the NAT does: where all else is one, its second counts (RFC 5780 §7.4)."""
        asked = {one.server[0] for one in self._probes.values() if one.base == probe.base}
        alike = _reaches(other[0], probe.server[0]) and address_class(other[0]) == address_class(probe.server[0])
        if asked == {probe.server[0]} and other[0] not in asked and alike:
            self._servers[probe.uri] = [*self._servers[probe.uri], other]
            self._pair(now)

    def _interval(self, probe: _Probe) -> float:
        """The first server to answer a base keeps that base's mapping alive; the others are merely watched."""
        keeper = self._keepers.get(probe.base)
        if keeper is None or keeper.failed or self._probes.get((keeper.base, keeper.server)) is not keeper:
            keeper = self._keepers[probe.base] = probe
        return self.keepalive if keeper is probe else RECHECK

    def handle_timer(self, now: float) -> None:
        """Send what is due, give up what is overdue."""
        for probe in list(self._probes.values()):
            if probe.due > now:
                continue
            if probe.asking is None:
                probe.asking = BindingTransaction(probe.server, now, timeout=GIVE_UP, rto=RTO)
                self._waiting[probe.asking.transaction_id] = probe
            datagram = probe.asking.poll(now)
            if datagram is not None:
                self._transmits.append(Transmit(probe.base, datagram, probe.server))
            if probe.asking.done:
                self._fail(probe, now)
            else:
                probe.due = probe.asking.next_at or now

    def _fail(self, probe: _Probe, now: float) -> None:
        error = (probe.asking.error if probe.asking else None) or "no answer"
        self._stop(probe)
        probe.failed = True
        probe.due = now + probe.backoff * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads load
        probe.backoff = min(2 * probe.backoff, RETRY_LAST)
        if all(other.failed for other in self._probes.values() if other.uri == probe.uri):
            self._events.append(Silent(probe.uri, error))
        if self._keepers.get(probe.base) is probe:
            self._hurry(probe.base, now)

    def _hurry(self, base: int, now: float) -> None:
        """The server that kept this base's mapping alive is gone: another takes over now, not in five minutes."""
        for probe in self._probes.values():
            if probe.base == base and probe.asking is None and not probe.failed:
                probe.due = now

    def _stop(self, probe: _Probe) -> None:
        if probe.asking is not None:
            self._waiting.pop(probe.asking.transaction_id, None)
            probe.asking = None

    def _restart(self, probe: _Probe, now: float) -> None:
        self._stop(probe)
        probe.due, probe.backoff = now, RETRY_FIRST

    # out

    def seen(self, base: int) -> list[Seen]:
        """What the servers that answer see of `base`, in the order in which they were asked first."""
        probes = [probe for probe in self._probes.values() if probe.base == base and not probe.failed]
        return [Seen(probe.server, probe.mapped) for probe in probes if probe.mapped is not None]

    def discoverers(self, base: int) -> list[Address]:
        """Of the servers that answer `base`, those of more than one address: such know RFC 5780, mostly."""
        probes = [probe for probe in self._probes.values() if probe.base == base and not probe.failed]
        return [probe.server for probe in probes if probe.mapped is not None and probe.other is not None]

    def unanswered(self, base: int) -> int:
        """How many servers `base` asked in vain."""
        return sum(probe.base == base and probe.failed for probe in self._probes.values())

    def deadline(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        return min((probe.due for probe in self._probes.values()), default=None)

    def transmits(self) -> list[Transmit]:
        """The datagrams to send; each is given once."""
        found = list(self._transmits)
        self._transmits.clear()
        return found

    def events(self) -> list[Mapped | Silent]:
        """What was learned; each is given once."""
        found = list(self._events)
        self._events.clear()
        return found


def _reaches(local: str, server: str) -> bool:
    """Whether a socket on `local` can ask `server`: same family, and loopback only asks loopback."""
    if (":" in local) != (":" in server):
        return False
    return (address_class(local) == "loopback") == (address_class(server) == "loopback")
