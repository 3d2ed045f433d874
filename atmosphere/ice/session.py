"""One session of ICE with one remote agent: what it is told, what is known of it, and how its datagrams go in and out.

A session closes itself when its agent fails; `on_event` has said why by then. Nothing here raises into a caller or the
loop: what an assigned callback raises is logged and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from atmosphere.errors import Unreachable
from atmosphere.ice.agent import Agent
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.checks import is_authentic_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.datagrams import EXPECT_AGAIN, Datagrams
from atmosphere.ice.driver import Driver
from atmosphere.ice.events import (
    AgentState,
    ConsentExpired,
    IceEvent,
    IceFailed,
    PairReport,
    PathSelected,
    Transmit,
)
from atmosphere.ice.pair import CandidatePair
from atmosphere.ice.route import Path, PathEnd, path_of
from atmosphere.ice.router import Claim, Kin, Router, SessionKey
from atmosphere.ice.settings import PathPolicy
from atmosphere.stun.message import Message

if TYPE_CHECKING:
    from atmosphere.ice.tcp_paths import TcpPaths

__all__ = ["IceSession", "Path", "PathEnd"]

logger = logging.getLogger(__name__)

Address = tuple[str, int]
OnEvent = Callable[[IceEvent], None]


class IceSession(Datagrams):
    """A session; made by `IceEndpoint.dial` or a `Listener`.

    Assign `on_datagram(datagram)` and `on_event(event)`; give remote candidates by `add_remote`; `send` datagrams.
    Datagrams that come before `on_datagram` is assigned are kept, 64 at most; sent before there is a path, 8 at most.
    """

    def __init__(
        self,
        router: Router,
        local: IceCredentials,
        remote: IceCredentials,
        *,
        controlling: bool,
        policy: PathPolicy = "any",
        origin: str | None = None,
    ) -> None:
        now = asyncio.get_running_loop().time()
        agent = Agent(controlling=controlling, local=local, remote=remote, now=now, policy=policy)
        super().__init__(agent, router)
        self.created_at = now
        self._node_policy = policy
        self.local_ufrag, self.remote_ufrag = local.ufrag, remote.ufrag
        self.dialer_ufrag = local.ufrag if controlling else remote.ufrag
        self.origin = origin
        self.kin: Kin | None = None
        """The same for all sessions of one link: they share addresses, and none supersedes another."""
        self.claims: dict[tuple[int, Address], Claim] = {}
        self.tcp: TcpPaths | None = None
        self.on_event: OnEvent | None = None
        self._driver = Driver(self, self._agent, router, self._tell)
        self._ended: Literal["failed", "closed"] | None = None
        self._reason = ""
        self._settled: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"IceSession({self.local_ufrag}:{self.remote_ufrag}, {self.state})"

    # what it is

    @property
    def key(self) -> SessionKey:
        """The local and the remote username fragment."""
        return (self.local_ufrag, self.remote_ufrag)

    @property
    def state(self) -> AgentState:
        """checking, connected, disconnected (silent for seconds), failed or closed."""
        return self._ended or self._agent.state

    @property
    def is_over(self) -> bool:
        """Whether it failed or was closed."""
        return self._ended is not None

    @property
    def policy(self) -> PathPolicy:
        """Which paths may be used."""
        return self._agent.policy

    @property
    def rest(self) -> float:
        """Seconds between the checks of an idle path, at most (see `set_rest`)."""
        return self._agent.rest

    @property
    def quiet(self) -> float:
        """Seconds since the remote answered a check of ours; since there is the session, where it never has."""
        answered_at = self._agent.answered_at
        return self._loop.time() - (self.created_at if answered_at is None else answered_at)

    @property
    def path(self) -> Path | None:
        """The way data goes now, or None while there is none."""
        pair = self._agent.selected if self._ended is None else None
        return None if pair is None else path_of(pair)

    @property
    def selected(self) -> CandidatePair | None:
        """The pair that data goes over, or went over last."""
        return self._agent.selected

    @property
    def path_class(self) -> int | None:
        """The class of the pair in use (see `CandidatePair.path_class`), or None."""
        pair = self._agent.selected if self._ended is None else None
        return None if pair is None else pair.path_class

    @property
    def rtt_ms(self) -> float | None:
        """Round trip of the path in milliseconds, smoothed."""
        return _ms(self._agent.rtt)

    @property
    def jitter_ms(self) -> float | None:
        """How much the round trip varies, in milliseconds."""
        return _ms(self._agent.jitter)

    @property
    def loss(self) -> float | None:
        """The part of recent checks that got no answer, 0 to 1."""
        return self._agent.loss

    def report(self) -> list[PairReport]:
        """Every pair tried and how it ended; also of a session that is over."""
        return [*self._agent.report(), *(self.tcp.report() if self.tcp is not None else ())]

    def check_from(self, base: Candidate) -> Message | None:
        """A check that leaves from a socket which is no base of the session yet; None when it is over."""
        return self._agent.check_from(base)

    def is_remotes(self, message: Message) -> bool:
        """Whether the remote signed it: a check that is meant for us, or an answer."""
        return self._agent.is_remotes(message)

    async def connected(self, timeout: float = 30.0) -> None:
        """Wait until there is a path; raises Unreachable with one line when it fails, ends, or `timeout` passes."""
        await self._until(lambda: self.state == "connected", timeout)

    async def approached(self, timeout: float = 30.0) -> None:
        """Wait until there is a path or what the remote sent ahead of one; raises as `connected` does."""
        await self._until(lambda: self.state == "connected" or self.has_early, timeout)

    async def _until(self, happened: Callable[[], bool], timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not happened() and self._ended is None:
                    if self._settled is None or self._settled.done():
                        self._settled = self._loop.create_future()
                    await asyncio.shield(self._settled)
        except TimeoutError:
            raise Unreachable(f"no path within {timeout:g} s: {self._agent.why_not()}") from None
        if self._ended is not None:
            raise Unreachable(self._reason or "the session was closed")

    # candidates

    def add_remote(self, candidate: Candidate) -> None:
        """Try this address of the remote too; one known already changes nothing."""
        if self._ended is None and candidate.transport == "tcp":
            self._router.tcp.add_remote(self, candidate)
        elif self._ended is None:
            self._agent.add_remote(candidate, self._loop.time())
            self._driver.flush()

    def end_of_remote(self) -> None:
        """The remote has no further candidates, so running out of pairs may count as failure."""
        if self._ended is None:
            self._agent.end_of_remote_candidates(self._loop.time())
            self._driver.flush()

    def add_local(self, candidate: Candidate, base: int) -> None:
        """The endpoint found a candidate."""
        if self._ended is None:
            self._agent.add_local(candidate, base, self._loop.time())
            self._driver.flush()

    def add_connection(self, local: Candidate, base: int, remote: Candidate) -> None:
        """A TCP connection to the remote stands."""
        if self._ended is None:
            self._agent.add_connection(local, base, remote, self._loop.time())
            self._driver.flush()

    def remove_base(self, base: int) -> None:
        """The endpoint lost a base."""
        if self._ended is None:
            self._agent.remove_base(base, self._loop.time())
            self._driver.flush()

    def network_changed(self) -> None:
        """The endpoint is on another network."""
        if self._ended is None:
            self._agent.network_changed(self._loop.time())
            self._driver.flush()

    # liveness

    def expect_traffic(self) -> None:
        """Watch the path for some seconds: whoever waits for data calls it; `send`, and data that comes, do the same.

        On a path that was idle a check goes at once. One that died is noticed within 3 s.
        """
        if self._ended is None:
            now = self._loop.time()
            self._expect_again_at = now + EXPECT_AGAIN
            self._agent.expect(now)
            self._driver.flush()

    def distrust(self, reason: str) -> None:
        """Data does not get through this path although ICE's checks do; `reason` is one line for the report.

        The next best pair takes over at once and this one has to wait, longer each time; `on_event` hears PathSelected,
        or PathLost where there is no other. Without effect while there is no path.
        """
        if self._ended is None:
            logger.info("%r: the path is left: %s", self, reason)
            self._agent.distrust(reason, self._loop.time())
            self._driver.flush()

    def set_policy(self, policy: PathPolicy) -> None:
        """Use other paths from now on, on a live session too; the path moves before it is given up where it can.

        The node's own policy, where it is not "any", stands above it.
        """
        if self._ended is None:
            self._agent.set_policy(policy if self._node_policy == "any" else self._node_policy, self._loop.time())
            if self.tcp is not None:
                self.tcp.policy_changed()
            self._driver.flush()

    def set_rest(self, seconds: float) -> None:
        """Check an idle path at least this often (5 to 18 s): less than what a NAT's mapping lives."""
        self._agent.set_rest(seconds)
        self._driver.arm()

    def receive_stun(self, message: Message, raw: bytes, base: int, source: Address, *, returned: bool = False) -> None:
        """A STUN message that is meant for this session; the agent authenticates it.

        `returned` says that it comes from where the question went, with the id of that question.
        """
        if self._ended is not None:
            return
        asked = returned and self._agent.owns_transaction(message.transaction_id)
        self._agent.receive(message, raw, base, source, self._loop.time())
        if self._agent.is_valid_source(base, source):
            # An answer that the agent took, and only such a one, ends its transaction.
            proven = asked and not self._agent.owns_transaction(message.transaction_id)
            self._router.claim(self, base, source, proven=proven)
            if self._agent.selected is None:
                self.came_early(base, source, len(raw))
        self._driver.flush()

    def is_authentic(self, check: Message) -> bool:
        """Whether a check is meant for this session, by who knows its password."""
        return self._ended is None and is_authentic_check(check, self._agent.local, self._agent.remote)

    def unsent(self, transmit: Transmit, why: str) -> None:
        """This machine could not send a datagram of the agent's; told from within `transmit`."""
        self._agent.unsent(transmit.base, transmit.destination, why, self._loop.time())

    def awaits(self, transaction_id: bytes) -> bool:
        """Whether an answer with that id would still be taken."""
        return self._ended is None and self._agent.owns_transaction(transaction_id)

    def note_data(self, now: float) -> None:
        """Data came, after a while in which none did: the agent has something to tell."""
        self._driver.flush()

    # what the agent tells

    def _tell(self, event: IceEvent) -> None:
        logger.debug("%r: %s", self, event)
        if isinstance(event, PathSelected):
            self._router.connected(self)
            self._settle()
            self.forget_early()
            for datagram in self._early_out.take():
                self.send(datagram)
        if self.tcp is not None:
            self.tcp.heard(event)
        if self.on_event is not None and self._ended != "closed":
            try:
                self.on_event(event)
            except Exception:
                # The listener's fault is the listener's; the session goes on.
                logger.exception("%r: an event's receiver failed", self)
        if isinstance(event, IceFailed):
            self._end("failed", event.reason)
        elif isinstance(event, ConsentExpired):
            self._end("failed", "the peer has not answered for 30 s")

    def suspect(self) -> None:
        """The path may be dead: check every other pair now, so that there is one to move to when that is certain."""
        if self._ended is None:
            self._agent.suspect(self._loop.time())
            self._driver.flush()

    # its end

    def fail(self, reason: str) -> None:
        """The endpoint gives the session up: `on_event` hears IceFailed."""
        if self._ended is None:
            self._tell(IceFailed(reason))

    def close(self) -> None:
        """Leave the endpoint; no callback is called any more. Twice is fine."""
        if self._ended is None:
            self._end("closed", "the session was closed")

    def _end(self, how: Literal["failed", "closed"], reason: str) -> None:
        if self._ended is not None:
            return
        self._ended, self._reason = how, reason
        self._driver.close()
        self._early_out.take()
        self.forget_early()
        if self.tcp is not None:
            self.tcp.close()
        self._router.release(self)
        self._settle()

    def approach(self) -> None:
        """Data came, and nobody reads it yet: somebody may wait for that."""
        self._settle()

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
