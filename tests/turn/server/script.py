"""A TURN server's core with a host of paper, and clients that say what a script has them say."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from atmosphere.stun.library import ATTRIBUTES_BY_NAME
from atmosphere.stun.longterm import Challenge
from atmosphere.stun.message import Class, Message, Method, decode
from atmosphere.turn.server.core import TurnCore
from atmosphere.turn.server.flow import Address, Flow, Transport
from atmosphere.turn.server.host import Receive
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import StaticUsers, Users
from atmosphere.turn.server.wire import peer_addresses
from atmosphere.udp.window import Buffer, Parts, Window

PUBLIC, PUBLIC6 = "198.51.100.1", "2001:db8::1"
LOCAL, LOCAL6 = "192.0.2.1", "2001:db8:1::1"
PEER, PEER6 = ("203.0.113.9", 7777), ("2001:db8:9::9", 7777)
UDP = 17 << 24
IPV4, IPV6 = 1 << 24, 2 << 24
NUMBER = 0x4001
USERS = {"anna": "secret", "ben": "other"}
UNIX = 1_800_000_000.0


@dataclass(eq=False)
class PaperRelay:
    """A relayed socket: what was sent from it, and a way to receive."""

    local: str
    port: int
    receive: Receive
    sent: list[tuple[list[bytes], Address, bool]] = field(default_factory=list)
    closed: bool = False

    def send(self, parts: Parts, segment: int, peer: Address, whole: bool) -> None:
        assert all(len(part) == segment for part in parts[:-1])
        assert len(parts[-1]) <= segment
        self.sent.append(([bytes(part) for part in parts], peer, whole))

    def close(self) -> None:
        self.closed = True

    def arrives(self, source: Address, *datagrams: bytes, now: float = 0.0) -> None:
        """A burst from a peer."""
        data = b"".join(datagrams)
        self.receive(Window(data), len(data), len(datagrams[0]), source, now)


class PaperHost:
    """Opens sockets that are not there; `taken` are ports of other programs, `broken` what opening raises."""

    def __init__(self) -> None:
        self.dont_fragment = True
        self.relays: list[PaperRelay] = []
        self.taken: set[int] = set()
        self.broken: int | None = None
        self.over: list[Flow] = []

    def open(self, local: str, port: int, receive: Receive) -> PaperRelay:
        if self.broken is not None:
            raise OSError(self.broken, "broken")
        if port in self.taken or any((one.local, one.port) == (local, port) for one in self.living):
            raise OSError(errno.EADDRINUSE, "in use")
        self.relays.append(PaperRelay(local, port, receive))
        return self.relays[-1]

    @property
    def living(self) -> list[PaperRelay]:
        return [relay for relay in self.relays if not relay.closed]

    def ended(self, flow: Flow) -> None:
        self.over.append(flow)


SETTINGS = TurnSettings(addresses={LOCAL: PUBLIC, LOCAL6: PUBLIC6})


class World:
    """A core and its host; the clock stands still until somebody moves `now`."""

    def __init__(self, settings: TurnSettings = SETTINGS, users: Users | None = None) -> None:
        self.host = PaperHost()
        self.now = 1000.0
        self.core = TurnCore(settings, users or StaticUsers(USERS), self.host, lambda: UNIX + self.now, key=b"k" * 32)
        self.core.start()

    def client(self, host: str = "203.0.113.1", port: int = 5000, transport: Transport = "udp") -> Client:
        return Client(self, (host, port), transport)

    def passes(self, seconds: float) -> None:
        """Time goes by, and the timer fires as often as it wants to."""
        end = self.now + seconds
        while (deadline := self.core.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.core.tick(self.now)
        self.now = end

    def count(self, name: str) -> int:
        return self.core.metrics.values[f"turn_{name}_total"]


class Client:
    """One client: its flow, what it got, and the challenge it signs by."""

    def __init__(self, world: World, address: Address, transport: Transport = "udp") -> None:
        self.world = world
        self.got: list[bytes] = []
        self.bursts: list[int] = []
        burst = self._burst if transport == "udp" else None
        self.flow = Flow(transport, address, (LOCAL, 3478), self.got.extend, burst)
        self.user, self.password = "anna", "secret"
        self.challenge: Challenge | None = None

    def _burst(self, pieces: Sequence[Buffer], segment: int, count: int) -> None:
        data = b"".join(pieces)
        self.bursts.append(count)
        self.got += [data[start : start + segment] for start in range(0, len(data), segment)]

    def say(self, data: bytes, segment: int | None = None) -> None:
        """Datagrams end to end."""
        self.world.core.burst(self.flow, Window(data), len(data), segment or len(data), self.world.now)

    def heard(self) -> list[bytes]:
        """What came since the last time somebody asked."""
        got, self.got[:] = list(self.got), []
        return got

    def answers(self) -> list[Message]:
        return [decode(one, max_size=70000) for one in self.heard()]

    def raw(self, request: Message) -> Message | None:
        """Send a request as it is; its answer."""
        self.say(bytes(request))
        answers = self.answers()
        assert len(answers) <= 1
        if answers:
            assert answers[0].transaction_id == request.transaction_id
        return answers[0] if answers else None

    def ask(self, method: Method, attributes: dict[str, Any] | None = None, **more: Any) -> Message:
        """A signed request, and again under a new nonce when it is told to; the answer, which must be signed too."""
        answer = self.raw(self.signed(method, attributes, **more))
        if code(answer) == 438:
            assert answer is not None
            self.challenge = Challenge.of(answer)
            answer = self.raw(self.signed(method, attributes, **more))
        assert answer is not None
        assert self.challenge is not None
        if answer.error_code not in (401, 438):
            assert answer.verify(self.challenge.key(self.user, self.password))
        return answer

    def signed(
        self, method: Method, attributes: dict[str, Any] | None = None, transaction: bytes | None = None
    ) -> Message:
        if self.challenge is None:
            challenged = self.raw(Message(Method.ALLOCATE, Class.REQUEST, attributes={"REQUESTED-TRANSPORT": UDP}))
            assert challenged is not None
            self.challenge = Challenge.of(challenged)
        request = Message(method, Class.REQUEST, transaction, dict(attributes or {}))
        self.challenge.sign(request, self.user, self.password)
        return request

    def allocate(self, **attributes: Any) -> Message:
        named = {name.replace("_", "-").upper(): value for name, value in attributes.items()}
        return self.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP} | named)

    def allocated(self) -> PaperRelay:
        """Allocate, over IPv4; the relayed socket."""
        assert self.allocate().message_class is Class.RESPONSE
        return self.world.host.relays[-1]

    def permit(self, *peers: Address) -> Message:
        """CreatePermission for all of these."""
        request = self.signed(Method.CREATE_PERMISSION, several_peers(peers))
        assert len(peer_addresses(bytes(request))) == len(peers)
        answer = self.raw(request)
        assert answer is not None
        return answer

    def bind(self, number: int = NUMBER, peer: Address = PEER) -> Message:
        return self.ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": number, "XOR-PEER-ADDRESS": peer})

    def send(self, payload: bytes, peer: Address = PEER, **attributes: Any) -> None:
        """A Send indication."""
        named = {name.replace("_", "-").upper(): value for name, value in attributes.items()}
        message = Message(Method.SEND, Class.INDICATION, attributes={"XOR-PEER-ADDRESS": peer, "DATA": payload} | named)
        self.say(bytes(message))

    def relayed(self) -> Address:
        assert self.flow.allocation is not None
        return next(iter(self.flow.allocation.relayed.values())).address


def several_peers(peers: Sequence[Address]) -> dict[str, Any]:
    """Attributes with as many XOR-PEER-ADDRESS; the codec's table has one of a name, so the others get aliases."""
    kind, _, pack, unpack = ATTRIBUTES_BY_NAME["XOR-PEER-ADDRESS"]
    names = ["XOR-PEER-ADDRESS", *(f"XOR-PEER-ADDRESS ({number})" for number in range(2, len(peers) + 1))]
    for name in names:
        ATTRIBUTES_BY_NAME.setdefault(name, (kind, name, pack, unpack))
    return dict(zip(names, peers, strict=False))


def channel_data(number: int, payload: bytes, padding: int = 0) -> bytes:
    return number.to_bytes(2) + len(payload).to_bytes(2) + payload + bytes(padding)


def code(answer: Message | None) -> int | None:
    return None if answer is None else answer.error_code
