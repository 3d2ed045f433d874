"""Links by dialing and by being dialed: the meeting of ICE sessions, signals and greetings.

For every member there is a listener under the credentials that the pair shares, so a reachable node needs no
signaling at all; each attempt and each accepted session has an Exchange that carries candidates meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from atmosphere.credentials import DialSecret
from atmosphere.errors import AtmosphereError
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.listener import Listener
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity
from atmosphere.mesh import signals
from atmosphere.mesh.exchange import Exchange, Send
from atmosphere.mesh.linktable import UFRAG_PREFIX, Rank
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.restart import is_restart
from atmosphere.tasks import Tasks
from signaling.limits import KeyedBuckets

logger = logging.getLogger(__name__)

ATTEMPT_TIMEOUT = 25.0
"""Seconds for one attempt: checks, DTLS, SCTP and the greeting."""


def new_ufrag(rank: Rank) -> str:
    """A fresh ufrag for a dial whose link will have that rank (linktable.py)."""
    return UFRAG_PREFIX[rank] + IceCredentials.random().ufrag


DISOWNED = 10.0
"""Seconds that the path stands of a restart that is for no link of ours: its dialer needs less to find that out, and
without a path it would try for as long as it keeps the link."""

MAX_ACCEPTED = 256
"""Sessions that may be in the making at once from outside."""

MAX_ACCEPTED_OF_ONE = 64
"""Of these, at most so many under one secret: whoever knows one may connect and then say nothing, and each costs a
link. More are not answered; their checks come again."""

MAX_RESTARTING = 4096
RESTARTS_RATE, RESTARTS_BURST = 1 / 3, 64.0
"""Restarts of one member, a second and at once. Each takes the place of the one before it, so that those in the making
are few however many come; an honest one takes seconds to begin another."""

Greet = Callable[[PeerLink], Awaitable[None]]


class Dialer:
    """Makes PeerLinks, dialed or accepted, and keeps the signaling of those in the making."""

    def __init__(self, endpoint: IceEndpoint, identity: Identity) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._tasks = Tasks("dialer")
        self._dialing: dict[str, Exchange] = {}
        self._accepting: dict[tuple[str, str], Exchange] = {}
        self._listeners: dict[str, Listener] = {}
        self._making: Counter[str] = Counter()
        self._restarts = KeyedBuckets(RESTARTS_RATE, RESTARTS_BURST, MAX_RESTARTING)

    # --- dialing --------------------------------------------------------------------------------------------------

    def begin(self, secret: DialSecret, known: Iterable[Candidate], send: Send, *, ufrag: str) -> Exchange:
        """Start checks at the host of `secret` under `ufrag`; `known` are its candidates as far as we have them."""
        local = IceCredentials(ufrag, secret.dialer_password(ufrag))
        session = self._endpoint.dial(local, IceCredentials(secret.ufrag, secret.password))
        for candidate in known:
            session.add_remote(candidate)
        exchange = Exchange(session, local.ufrag, self.candidates, send, dialing=True)
        self._dialing[local.ufrag] = exchange
        return exchange

    async def finish(
        self, exchange: Exchange, greet: Greet, timeout: float = ATTEMPT_TIMEOUT, *, invited: bool = False
    ) -> PeerLink:
        """Bring the attempt to a greeted link; raises AtmosphereError or TimeoutError, and then nothing is left of
        it."""
        self._tasks.spawn(exchange.run(), "exchange")
        link = PeerLink(exchange.session, self._identity, dialed=True, invited=invited)
        try:
            async with asyncio.timeout(timeout):
                await link.open(timeout)
                await greet(link)
        except BaseException:
            await asyncio.shield(link.close("attempt failed", say=False))
            raise
        finally:
            self._dialing.pop(exchange.name, None)
        return link

    async def follow(self, exchange: Exchange, timeout: float) -> None:
        """Wait for the path of a session that an existing link began; Unreachable when there is none, and then the
        session is closed."""
        self._tasks.spawn(exchange.run(), "exchange")
        try:
            await exchange.session.connected(timeout)
        finally:
            self._dialing.pop(exchange.name, None)
            if exchange.session.state == "checking":
                exchange.session.close()

    def disown(self, session: IceSession) -> None:
        """Nobody here has the link that `session` is for: let its dialer connect, ask, and hear nothing."""
        self._count(session, self._tasks.spawn(self._disown(session), "disown"))

    async def _disown(self, session: IceSession) -> None:
        try:
            await asyncio.sleep(DISOWNED)
        finally:
            session.close()

    def answered(self, message: signals.Candidates) -> None:
        """The host of one of our attempts told us more candidates."""
        exchange = self._dialing.get(message.session)
        if exchange is not None:
            exchange.hear(message.candidates)

    # --- listening ------------------------------------------------------------------------------------------------

    def listen(self, key: str, secret: DialSecret, accepted: Callable[[IceSession], None]) -> None:
        """Accept sessions under `secret` until `unlisten(key)`."""
        if key in self._listeners:
            return

        def password_for(ufrag: str) -> str | None:
            crowded = self._making[secret.ufrag] >= MAX_ACCEPTED_OF_ONE or self._making.total() >= MAX_ACCEPTED
            if crowded or (is_restart(ufrag) and not self._restarts.take(secret.ufrag, _now())):
                return None
            return secret.dialer_password(ufrag)

        self._listeners[key] = self._endpoint.listen(secret.ufrag, secret.password, password_for, accepted)

    def unlisten(self, key: str) -> None:
        """Accept no more sessions under `key`."""
        listener = self._listeners.pop(key, None)
        if listener is not None:
            listener.close()

    def listening(self) -> set[str]:
        """The keys that are listened on."""
        return set(self._listeners)

    def dialed(self, key: str, message: signals.Dial, send: Send) -> None:
        """Somebody tells us that it dials `key`: begin checks from our side and answer with our candidates."""
        listener = self._listeners.get(key)
        if listener is None:
            return
        exchange = self._accepting.get((key, message.session))
        if exchange is None:
            of_one = sum(one == key for one, _ in self._accepting)
            if len(self._accepting) >= MAX_ACCEPTED or of_one >= MAX_ACCEPTED_OF_ONE:
                logger.warning("too many sessions in the making; one more was ignored")
                return
            session = listener.session(message.session)
            if session is None:
                return
            exchange = Exchange(session, message.session, self.candidates, send, dialing=False)
            self._accepting[key, message.session] = exchange
            self._tasks.spawn(self._run_accepting(key, exchange), "exchange")
        else:
            # It repeats itself, so our answer may have been lost.
            exchange.news(again=True)
        exchange.hear(message.candidates)

    async def _run_accepting(self, key: str, exchange: Exchange) -> None:
        try:
            await exchange.run()
        finally:
            self._accepting.pop((key, exchange.name), None)

    def accept(
        self, session: IceSession, greet: Greet, greeted: Callable[[PeerLink], object], *, invited: bool = False
    ) -> None:
        """Bring an accepted session to a greeted link, in a task of its own; failures are only logged."""
        link = PeerLink(session, self._identity, dialed=False, invited=invited)
        self._count(session, self._tasks.spawn(self._accept(link, greet, greeted), "accept"))

    def _count(self, session: IceSession, task: asyncio.Task[None] | None) -> None:
        """As long as `task` runs, the session has one of the places."""
        if task is not None:
            self._making[session.local_ufrag] += 1
            task.add_done_callback(lambda _: self._made(session.local_ufrag))

    async def _accept(self, link: PeerLink, greet: Greet, greeted: Callable[[PeerLink], object]) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT + 10):
                await link.open(ATTEMPT_TIMEOUT)
                await greet(link)
        except (AtmosphereError, TimeoutError) as error:
            logger.info("an incoming session came to nothing: %s", error or "it took too long")
            await link.close("refused", say=False)
        except BaseException:
            link.abort("stopped")
            await asyncio.shield(link.ended())
            raise
        else:
            greeted(link)

    def _made(self, ufrag: str) -> None:
        """A session under that ufrag is greeted, or came to nothing, or was let go."""
        self._making[ufrag] -= 1
        if not self._making[ufrag]:
            del self._making[ufrag]

    # --- candidates -----------------------------------------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        """What we can be reached at, as gathered so far."""
        return list(self._endpoint.candidates)

    def tell_candidates(self, *, again: bool = False) -> None:
        """More was gathered, or (`again`) there is a new way to tell: everybody in the making hears of it."""
        for exchange in (*self._dialing.values(), *self._accepting.values()):
            exchange.news(again=again)

    async def close(self) -> None:
        """Stop listening and give up every attempt."""
        for key in list(self._listeners):
            self.unlisten(key)
        await self._tasks.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
