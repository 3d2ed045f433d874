"""A mux without a network: one base that keeps what is sent, and the messages of dialers."""

from __future__ import annotations

from typing import Any

from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.listener import Listener
from atmosphere.ice.mux import Mux
from atmosphere.ice.session import IceSession
from atmosphere.stun.message import Class, Message, Method, binding_response, decode, encode

LOCAL = IceCredentials("HostUfrag", "p" * 22)
HOST_CANDIDATE = Candidate.from_sdp("f 1 udp 1000 192.0.2.1 7777 typ host")
SOURCE = ("192.0.2.50", 5000)


class Wire(Base):
    """A base that keeps what is sent."""

    def __init__(self, number: int = 1) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        super().__init__(number, HOST_CANDIDATE, lambda data, destination: self.sent.append((data, destination)))


def check(remote: str, password: str = LOCAL.password, local: str = LOCAL.ufrag) -> bytes:
    attributes: dict[str, Any] = {"USERNAME": f"{local}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1}
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(password.encode())
    return encode(message)


def nominating(remote: str) -> bytes:
    """A dialer's check that nominates."""
    attributes = {"USERNAME": f"{LOCAL.ufrag}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1, "USE-CANDIDATE": None}
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(LOCAL.key)
    return encode(message)


def make() -> tuple[Mux, Wire, list[IceSession]]:
    """A mux with one base that listens, and the sessions it made."""
    mux, base, met = Mux("any", Gatherer()), Wire(), list[IceSession]()
    mux.add_base(base)
    mux.listen(Listener(mux, LOCAL, lambda ufrag: "q" * 22, met.append))
    return mux, base, met


def answer(mux: Mux, base: Wire, remote: str, source: tuple[str, int] = SOURCE) -> None:
    """The dialer `remote` answers the last check that went to it."""
    requests = [decode(data) for data, _ in base.sent if data[:2] == b"\x00\x01"]
    request = [one for one in requests if one.attributes["USERNAME"].startswith(f"{remote}:")][-1]
    response = binding_response(request, ("192.0.2.1", 7777))
    response.add_message_integrity(b"q" * 22)
    mux.receive(base, encode(response), source)


def repeat(session: IceSession, seconds: float) -> None:
    """Let the session's agent do what is due some time from now."""
    now = session._loop.time() + seconds
    session._agent.handle_timer(now)
    session._driver.flush()
