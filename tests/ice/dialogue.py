"""An agent and the messages that its remote would send: what tests talk with where no network is needed."""

from __future__ import annotations

from collections.abc import Callable

from atmosphere.ice.agent import Agent
from atmosphere.ice.candidate import candidate_priority
from atmosphere.ice.checks import Role, build_answer, build_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.stun.message import Class, Message, decode, encode
from tests.ice.vnet import make_candidate

LOCAL = IceCredentials("ufragAAA", "a" * 24)
REMOTE = IceCredentials("ufragBBB", "b" * 24)
HOST = make_candidate("host", ("203.0.113.1", 7777))
THERE = make_candidate("host", ("203.0.113.2", 7777))
PRIORITY = candidate_priority("prflx")
NOW = 1000.0


def make_agent(*, controlling: bool = False, remote: IceCredentials | None = REMOTE, tie_breaker: int = 5) -> Agent:
    agent = Agent(controlling=controlling, local=LOCAL, remote=remote, now=NOW, tie_breaker=tie_breaker)
    agent.add_local(HOST, 1, NOW)
    return agent


def request(
    *,
    controlling: bool = True,
    tie_breaker: int = 9,
    nomination: int | None = None,
    change: Callable[[Message], None] = lambda message: None,
) -> Message:
    """A check that the remote would send; `change` is made before it is signed anew."""
    message = build_check(REMOTE, LOCAL, role=Role(controlling, tie_breaker), priority=PRIORITY, nomination=nomination)
    change(message)
    message.add_message_integrity(LOCAL.key)
    return decode(encode(message))


def use_candidate(message: Message) -> None:
    message.attributes["USE-CANDIDATE"] = None


def use_better_candidate(message: Message) -> None:
    message.attributes.update({"USE-CANDIDATE": None, "PRIORITY": PRIORITY + 1})


def give(
    agent: Agent, message: Message, source: tuple[str, int] = THERE.endpoint, *, base: int = 1, now: float = NOW
) -> list[Message]:
    """Hand a message to the agent; what it sends in return."""
    agent.receive(message, encode(message), base, source, now)
    return [decode(transmit.data) for transmit in agent.transmits()]


def answer(check: Message, *, key: IceCredentials = REMOTE, seen: tuple[str, int] = HOST.endpoint) -> Message:
    return decode(encode(build_answer(check, seen, key)))


def check_of(messages: list[Message]) -> Message:
    (check,) = [message for message in messages if message.message_class is Class.REQUEST]
    return check


def connect(agent: Agent) -> None:
    """Bring a controlled agent up with THERE."""
    give(agent, answer(check_of(give(agent, request(nomination=1)))))
    assert agent.state == "connected"
