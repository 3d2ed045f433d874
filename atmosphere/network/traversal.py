"""Direct UDP between two machines behind NATs, without a mesh: real simultaneous hole punching on one socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from atmosphere.errors import DecodeError, LinkError, UnknownPeer, Unreachable
from atmosphere.ice.resolve import resolve
from atmosphere.network.attempt import PunchAttempt
from atmosphere.network.datagrams import HEADER, MAGIC, MAX_PAYLOAD, Datagram, Kind, decode
from atmosphere.network.discover import PublicEndpoint, ask_over
from atmosphere.network.punch import Address, Punch, Transmit
from atmosphere.network.servers import family_of, parse_servers
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.stun.exchange import Exchange
from atmosphere.tasks import Tasks
from atmosphere.turn.uri import ServerUri
from atmosphere.udp.address_class import is_usable_remote
from atmosphere.udp.socket import UdpSocket

logger = logging.getLogger(__name__)

MAX_PEERS = 64
MIN_KEY = 16
STUN_TIMEOUT = 2.0
PUNCH_TIMEOUT = 10.0
REFRESH = 20.0
"""Seconds between questions to STUN: they keep the NAT's mapping open while nobody has been reached yet."""


class NATTraversal:
    """One UDP socket that reaches peers behind NATs directly: `start()`, then `punch_hole` on both sides; `stop()`.

    `public_endpoint` is what to tell the peer, by any means, before both punch at about the same time. With a `key` (16
    bytes or more, the same on both sides) datagrams are authenticated and replays are dropped, but not encrypted;
    without one anybody who sees the packets can take part: send nothing that matters. `on_data(peer_id, data)`
    gets what arrives; without it, `receive` does. `address` is the local one; "::" makes it IPv6.
    """

    def __init__(
        self,
        local_port: int = 0,
        *,
        stun: Iterable[str | ServerUri] = DEFAULT_STUN_SERVERS,
        key: bytes | None = None,
        address: str = "0.0.0.0",  # noqa: S104 - any network that a peer may be behind
        on_data: Callable[[str, bytes], None] | None = None,
        stun_timeout: float = STUN_TIMEOUT,
    ) -> None:
        self.local_port = local_port
        self.public_endpoint: PublicEndpoint | None = None
        self.on_data = on_data
        self._address = address
        self._key = _checked(key)
        self._stun = parse_servers(stun)
        self._stun_timeout = stun_timeout
        self._peers: dict[str, PunchAttempt] = {}
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks("nat traversal")

    async def start(self) -> None:
        """Open the socket and find the public endpoint, which stays None where no STUN server answers in time.

        Raises OSError when `local_port` is taken.
        """
        if self._exchange is not None:
            return
        self._exchange = Exchange(UdpSocket.bind(self._address, self.local_port))
        self._exchange.on_other = self._received
        self.local_port = self._exchange.socket.port
        if self._stun:
            self.public_endpoint = await ask_over(self._exchange, self._stun, timeout=self._stun_timeout)
            self._tasks.spawn(self._refresh(self._exchange), "refresh")
        logger.info("punching from port %d, public %s", self.local_port, self.public_endpoint)

    async def stop(self) -> None:
        """Tell the peers and close. Twice is fine."""
        await self._tasks.close()
        self._tasks = Tasks("nat traversal")
        for peer in self._peers.values():
            self._close(peer)
        self._peers.clear()
        if self._timer:
            self._timer.cancel()
        if self._exchange:
            self._exchange.close()
            self._exchange = None

    async def __aenter__(self) -> NATTraversal:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def punch_hole(
        self,
        peer_id: str,
        remote_host: str,
        remote_port: int,
        timeout: float = PUNCH_TIMEOUT,
        *,
        key: bytes | None = None,
    ) -> PunchAttempt:
        """Try to reach `peer_id` (your name for it) directly; the other side must do the same meanwhile.

        Returns when datagrams pass both ways, or after `timeout` seconds: look at `.is_direct`. `key` is for this peer
        alone and takes the place of the common one. Raises Unreachable where there is nothing to try, ValueError for a
        key that is too short.
        """
        exchange = self._running()
        own_key = _checked(key) or self._key
        target = await self._target(remote_host, remote_port, exchange.socket.family, timeout)
        if old := self._peers.pop(peer_id, None):
            self._close(old)
        if len(self._peers) >= MAX_PEERS:
            self._forget_one()
        punch = Punch(target, own_key)
        attempt = self._peers[peer_id] = PunchAttempt(peer_id, punch)
        punch.start(asyncio.get_running_loop().time(), timeout)
        self._tick()
        try:
            await attempt.settled.wait()
        except asyncio.CancelledError:
            self._close(attempt)
            raise
        logger.info("hole punch with %s at %s: %s", peer_id, target, attempt.state)
        return attempt

    async def send_to_peer(self, peer_id: str, data: bytes) -> None:
        """Send one datagram of at most 1200 bytes; like UDP it may be lost.

        Raises UnknownPeer, LinkError when there is no path (any more), ValueError when it is too large.
        """
        if len(data) > MAX_PAYLOAD:
            raise ValueError(f"{len(data)} bytes do not fit a datagram of {MAX_PAYLOAD}")
        attempt = self._peer(peer_id)
        transmit = attempt.punch.data(data)
        if transmit is None:
            raise LinkError(f"the path to {peer_id} is {attempt.state}")
        self._send([transmit])

    async def receive(self, peer_id: str) -> bytes:
        """The next datagram from the peer, in the order of arrival. Raises UnknownPeer; LinkError when it is over.

        At most 256 wait; what arrives beyond them is dropped and counted in the attempt's `dropped`.
        """
        return await self._peer(peer_id).take()

    # inside

    def _running(self) -> Exchange:
        if self._exchange is None:
            raise LinkError("not started", hint="await start() first")
        return self._exchange

    def _peer(self, peer_id: str) -> PunchAttempt:
        attempt = self._peers.get(peer_id)
        if attempt is None:
            raise UnknownPeer(f"no hole was punched for {peer_id!r}")
        return attempt

    def _forget_one(self) -> None:
        """Make room: a peer that is over, else no room is made."""
        over = next((name for name, peer in self._peers.items() if not peer.punch.is_alive), None)
        if over is None:
            raise Unreachable(f"{MAX_PEERS} peers are as many as one socket serves")
        del self._peers[over]

    @staticmethod
    async def _target(host: str, port: int, family: int, timeout: float) -> Address:
        addresses = [item for item in await resolve(host, port, timeout=timeout) if family_of(item) == family]
        if not addresses:
            raise Unreachable(f"{host} has no IPv{family} address")
        if not is_usable_remote(addresses[0][0]) or not 0 < port < 65536:
            raise Unreachable(f"{host} port {port} is not a place where one peer can be")
        return addresses[0]

    def _received(self, data: bytes, source: Address) -> None:
        if len(data) < HEADER.size or not data.startswith(MAGIC):
            return
        for attempt in self._candidates(data[HEADER.size - 8 : HEADER.size], source):
            try:
                datagram = decode(data, attempt.punch.key)
            except DecodeError:
                continue
            self._handle(attempt, datagram, source)
            return

    def _candidates(self, echo: bytes, source: Address) -> list[PunchAttempt]:
        """Whose datagram it may be: the session it names; else the address expected; else the host expected.

        A probe from an unexpected host is taken with a key only, and if just one peer is being probed.
        """
        alive = [peer for peer in self._peers.values() if peer.punch.is_alive]
        if named := [peer for peer in alive if peer.punch.session == echo]:
            return named
        exact = [peer for peer in alive if peer.punch.expects(source)]
        probing = [peer for peer in alive if peer.state == "probing" and peer not in exact]
        same_host = [peer for peer in probing if peer.punch.target[0] == source[0]]
        keyed = [peer for peer in probing if peer.punch.key and peer not in same_host]
        return exact + same_host + (keyed if len(keyed) == 1 else [])

    def _handle(self, attempt: PunchAttempt, datagram: Datagram, source: Address) -> None:
        before = attempt.state
        transmits, payload = attempt.punch.receive(datagram, source, asyncio.get_running_loop().time())
        self._send(transmits)
        if attempt.state != before or datagram.kind is not Kind.DATA:
            self._tick()
        if payload is None:
            return
        if self.on_data:
            self.on_data(attempt.peer_id, payload)
        else:
            attempt.deliver(payload)

    def _send(self, transmits: Iterable[Transmit]) -> None:
        if self._exchange:
            for transmit in transmits:
                self._exchange.socket.send(transmit.data, transmit.destination)

    def _tick(self) -> None:
        """Send what is due, tell of changes, and set the timer for what comes next."""
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        for attempt in self._peers.values():
            self._send(attempt.punch.poll(loop.time()))
            attempt.changed()
        due = [at for peer in self._peers.values() if (at := peer.punch.next_at) is not None]
        self._timer = loop.call_at(min(due), self._tick) if due else None

    def _close(self, attempt: PunchAttempt) -> None:
        if goodbye := attempt.punch.close():
            self._send([goodbye])
        attempt.changed()

    async def _refresh(self, exchange: Exchange) -> None:
        """Ask STUN again and again: it keeps the mapping open, and tells when the public endpoint has changed."""
        while True:
            await asyncio.sleep(REFRESH)
            if found := await ask_over(exchange, self._stun, timeout=self._stun_timeout):
                self.public_endpoint = found


def _checked(key: bytes | None) -> bytes | None:
    if key is not None and len(key) < MIN_KEY:
        raise ValueError(f"a key has {MIN_KEY} bytes at least")
    return key
