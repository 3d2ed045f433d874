"""Who gets which datagram: every session of a node shares its sockets and its relayed addresses.

    STUN request    by USERNAME "local:remote": the session, else the listener of that ufrag once the check is
                    authenticated; without USERNAME it is a question to the node's STUN server
    STUN response   by transaction id: the gatherer's, or the session's that asked
    TURN            requests and indications of other methods, and ChannelData (first byte 64 to 79, RFC 7983): to the
                    node's own TURN server, where it has one
    anything else   by the address it comes from, once a session's remote has proved that address to be its own; who of
                    two sessions has it, is for `Claims` to judge

All else is dropped without a word and counted. Nothing is remembered of a stranger before it is authenticated.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable

from atmosphere.errors import DecodeError
from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.claims import SUPERSEDED, Claims
from atmosphere.ice.consent import REST
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import Transmit
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.generations import Generations
from atmosphere.ice.listener import Listener
from atmosphere.ice.newcomers import Newcomers
from atmosphere.ice.recent import Recent
from atmosphere.ice.router import SessionKey
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import PathPolicy
from atmosphere.ice.tcp_host import TcpHost
from atmosphere.stun.message import Class, Message, Method, decode
from atmosphere.stun.server import BindingServer
from atmosphere.udp.socket import UdpSocket

__all__ = ["SUPERSEDED", "Mux", "OnReached", "OnTurn"]

logger = logging.getLogger(__name__)

Address = tuple[str, int]
OnTurn = Callable[[UdpSocket, bytes, int, Address], None]
"""Takes datagrams for the node's TURN server: the socket, the data, the length of each segment in it, the source."""
OnReached = Callable[[Base, Address], None]
"""A check came in at that base from where nothing had been sent lately: whoever knows us can reach us there."""

CHANNELS = range(64, 80)
DTLS = range(20, 64)
"""First bytes of ChannelData (RFC 8656 §12) and of DTLS (RFC 7983)."""


class Mux:
    """The tables of one endpoint. Sockets call `receive`; sessions use it as their `Router`."""

    def __init__(self, policy: PathPolicy, gatherer: Gatherer, *, bind: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self._gatherer = gatherer
        self._bases: dict[int, Base] = {}
        self._sessions: dict[SessionKey, IceSession] = {}
        self._listeners: dict[str, Listener] = {}
        self._claims = Claims(self._showed_itself)
        self._routes = self._claims.routes
        self._newcomers = Newcomers()
        self._generations = Generations(self._loop.time())
        self._spoken = Recent(self._loop.time())
        self.stun_server = BindingServer()
        self._rest = REST
        self.tcp = TcpHost(self, self._bases, bind=bind, hidden=policy == "relay")
        self.on_turn: OnTurn | None = None
        self.on_reached: OnReached = lambda base, source: None
        self.on_release: Callable[[IceSession], None] = lambda session: None
        self.dropped: Counter[str] = Counter()

    # tables

    @property
    def sessions(self) -> list[IceSession]:
        """Those that are not over."""
        return list(self._sessions.values())

    @property
    def size(self) -> int:
        """Entries in all tables that strangers could hope to fill."""
        return len(self._sessions) + len(self._routes) + self._generations.asked + self._generations.ended

    def dial(self, local: IceCredentials, remote: IceCredentials, *, controlling: bool) -> IceSession:
        """A new session; raises ValueError when these two fragments have one."""
        if (local.ufrag, remote.ufrag) in self._sessions:
            raise ValueError("a session with these username fragments exists")
        return self._add(IceSession(self, local, remote, controlling=controlling, policy=self._policy))

    def _add(self, session: IceSession) -> IceSession:
        self._sessions[session.key] = session
        session.set_rest(self._rest)
        for base in [base for base in self._bases.values() if base.shared]:
            for candidate in self.useful(base.candidates):
                session.add_local(candidate, base.id)
        return session

    def useful(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that the policy lets anybody use or hear of."""
        return [one for one in candidates if self._policy != "relay" or one.type == "relay"]

    def add_base(self, base: Base) -> None:
        """Datagrams come and go there from now on; its candidates trickle into every session."""
        self._bases[base.id] = base
        for candidate in base.candidates:
            self.add_candidate(candidate, base)

    def add_base_of(self, session: IceSession, base: Base) -> None:
        """The same for a base of that session alone."""
        self._bases[base.id] = base
        session.add_local(base.candidate, base.id)

    def add_candidate(self, candidate: Candidate, base: Base) -> None:
        """A further candidate of a base trickles into every session."""
        for useful in self.useful([candidate]):
            for session in self.sessions:
                session.add_local(useful, base.id)

    def remove_base(self, number: int) -> None:
        """The base is gone."""
        self._bases.pop(number, None)
        self._claims.remove_base(number)
        for session in self.sessions:
            session.remove_base(number)

    def network_changed(self) -> None:
        """Another network, or another way into it: every session tries every pair again at once."""
        for session in self.sessions:
            session.network_changed()

    def set_rest(self, seconds: float) -> None:
        """Let every session, and those to come, check its idle paths at least this often."""
        self._rest = seconds
        for session in self.sessions:
            session.set_rest(seconds)

    def listen(self, listener: Listener) -> None:
        """Sessions may begin by a check; raises ValueError when that ufrag is listened on already."""
        if listener.ufrag in self._listeners:
            raise ValueError("this username fragment is listened on already")
        self._listeners[listener.ufrag] = listener

    def forget_listener(self, listener: Listener) -> None:
        """No new sessions for it."""
        if self._listeners.get(listener.ufrag) is listener:
            del self._listeners[listener.ufrag]

    def close(self) -> None:
        """End every session."""
        self._listeners.clear()
        for session in self.sessions:
            session.close()

    # what sessions ask for (Router)

    def transmit(self, session: IceSession, transmit: Transmit) -> None:
        """Send a datagram of the session's agent, and remember whose its answer is."""
        base = self.base(transmit.base)
        if base is None:
            return
        if transmit.is_check:
            question = (session, transmit.base, transmit.destination)
            self._generations.ask(transmit.data[8:20], question, self._loop.time())
            self.spoke_to(transmit)
        errors = 0 if base.socket is None else base.socket.errors
        base.send(transmit.data, transmit.destination)
        if base.socket is not None and base.socket.errors > errors:
            error = base.socket.last_error
            session.unsent(transmit, (isinstance(error, OSError) and error.strerror) or str(error))

    def spoke_to(self, transmit: Transmit) -> None:
        """This question goes out, so what comes from there may be let in by our router from now on."""
        self._spoken.add(transmit.base, transmit.destination, self._loop.time())

    def base(self, number: int) -> Base | None:
        """The base with that number, while it exists."""
        return self._bases.get(number) or self.tcp.bases.get(number)

    def claim(self, session: IceSession, base: int, source: Address, *, proven: bool) -> None:
        """The remote showed itself to `session` at `source`; settles who of two sessions has that address."""
        self._claims.claim(session, base, source, proven=proven, now=self._loop.time())

    def _showed_itself(self, number: int, source: Address) -> None:
        """Somebody who knows a secret of ours sent from a new place; told, where nothing of ours can have let it in."""
        base = self._bases.get(number)
        if base is None or base.is_relay or self._spoken.knows(number, source, self._loop.time()):
            return
        if all(source[0] != candidate.address for each in self._bases.values() for candidate in each.candidates):
            self.on_reached(base, source)

    def forget(self, session: IceSession, base: int, source: Address) -> None:
        """What comes from `source` is not the session's any more, until the remote shows itself there anew."""
        self._claims.forget(session, base, source)

    def connected(self, session: IceSession) -> None:
        """The session has a path."""
        self._newcomers.remove(session)

    def release(self, session: IceSession) -> None:
        """The session is over: forget all about it, but that its checks must not start it anew."""
        self._newcomers.remove(session)
        if self._sessions.get(session.key) is session:
            del self._sessions[session.key]
        self._claims.release(session)
        self._generations.end(session, self._loop.time())
        self.on_release(session)

    # sessions that others start

    def session_of(self, listener: Listener, remote_ufrag: str, origin: str | None) -> IceSession | None:
        """The session of that dialer, made when there is none; None when it may not be."""
        key = (listener.ufrag, remote_ufrag)
        session = self._sessions.get(key)
        if session is not None:
            return session
        ended = self._generations.is_ended(key, self._loop.time())
        if ended or self._listeners.get(listener.ufrag) is not listener:
            return None
        remote = listener.remote_credentials(remote_ufrag)
        if remote is None or self._newcomers.is_crowded(listener.ufrag):
            self.dropped["refused"] += 1
            return None
        session = IceSession(self, listener.local, remote, controlling=False, policy=self._policy, origin=origin)
        self._newcomers.add(session)
        self._add(session)
        listener.announce(session)
        return session if not session.is_over else None

    def session_for(self, username: str, message: Message, source: Address) -> IceSession | None:
        """Whose a check is that comes from `source`; made, where it is authentic and a listener takes it."""
        local, _, remote = username.partition(":")
        return self._sessions.get((local, remote)) or self._first_check(local, remote, message, source)

    # datagrams

    def receive(self, base: Base, data: bytes, source: Address) -> bool:
        """A datagram from the network, by a socket or a relayed address; True when it was an answer to the gatherer."""
        if not data:
            self.dropped["empty"] += 1
        elif self.on_turn is not None and base.socket is not None and _is_turn(data):
            self.on_turn(base.socket, data, len(data), source)
        elif data[0] < 4:
            return self._stun(base, data, source)
        elif (session := self._routes.get((base.id, source))) is not None:
            session.receive_datagram(data, base.id, source)
        else:
            self.dropped["stranger"] += 1
        return False

    def receive_burst(self, base: Base, data: bytes, segment: int, source: Address) -> bool:
        """Datagrams of one source, end to end, `segment` bytes each but the last; True as in `receive`.

        A burst of ChannelData stays one for the TURN server, one of DTLS for the session; all else comes one by one.
        """
        if self.on_turn is not None and base.socket is not None and data and data[0] in CHANNELS:
            self.on_turn(base.socket, data, segment, source)
            return False
        session = self._routes.get((base.id, source))
        if session is not None and data and all(map(DTLS.__contains__, set(data[::segment]))):
            session.receive_burst(data, segment, base.id, source)
            return False
        if len(data) <= segment:
            return self.receive(base, data, source)
        gathered = False
        for start in range(0, len(data), segment):
            gathered |= self.receive(base, data[start : start + segment], source)
        return gathered

    def _stun(self, base: Base, data: bytes, source: Address) -> bool:
        try:
            message = decode(data)
        except DecodeError:
            self.dropped["malformed"] += 1
            return False
        if message.message_class == Class.REQUEST and message.message_method == Method.BINDING:
            self._request(base, message, data, source)
        elif message.message_class in (Class.RESPONSE, Class.ERROR):
            return self._response(base, message, data, source)
        elif message.message_class != Class.INDICATION:
            self.dropped["method"] += 1
        return False

    def _request(self, base: Base, message: Message, data: bytes, source: Address) -> None:
        username = message.attributes.get("USERNAME")
        if username is None:
            self._question(base, message, source)
            return
        if self._policy == "relay" and not base.is_relay:
            self.dropped["policy"] += 1
            return
        session = self.session_for(username, message, source)
        if session is not None:
            session.receive_stun(message, data, base.id, source)

    def _question(self, base: Base, message: Message, source: Address) -> None:
        # Not through a relay: the answer would take a channel there, and what it tells is the asker's own relay.
        answer = None if base.is_relay else self.stun_server.answer(message, source, self._loop.time())
        if answer is not None:
            base.send(answer, source)

    def _first_check(self, local: str, remote: str, message: Message, source: Address) -> IceSession | None:
        listener = self._listeners.get(local)
        if listener is None:
            self.dropped["unknown"] += 1
        elif not message.check_message_integrity(listener.local.key):
            self.dropped["unauthenticated"] += 1
        elif self._newcomers.is_crowded(listener.ufrag):
            self.dropped["refused"] += 1
        elif not self._newcomers.admits(source[0]):
            self.dropped["rate"] += 1
        else:
            return self.session_of(listener, remote, source[0])
        return None

    def _response(self, base: Base, message: Message, data: bytes, source: Address) -> bool:
        question = self._generations.question(message.transaction_id)
        if question is not None:
            session, *asked = question
            session.receive_stun(message, data, base.id, source, returned=asked == [base.id, source])
            if not session.awaits(message.transaction_id):
                self._generations.answered(message.transaction_id)
            return False
        gathered = self._gatherer.receive(message, base.id, source, self._loop.time())
        self.dropped["unasked"] += not gathered
        return gathered


def _is_turn(data: bytes) -> bool:
    """ChannelData, or a STUN request or indication (RFC 8489 §5: class bit 0x0100 unset) other than Binding."""
    if data[0] in CHANNELS:
        return True
    return data[0] < 4 and not data[0] & 1 and data[:2] not in (b"\x00\x01", b"\x00\x11")
