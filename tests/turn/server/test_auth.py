from __future__ import annotations

import pytest

from atmosphere.stun.integrity import PasswordAlgorithm
from atmosphere.stun.longterm import OFFERED, Challenge
from atmosphere.stun.message import Class, Message, Method
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import RestUsers
from signaling.turn_credentials import password_of
from tests.turn.server.script import SETTINGS, UDP, UNIX, Client, World, code


@pytest.fixture
def world() -> World:
    return World()


def challenge(client: Client) -> Challenge:
    client.signed(Method.ALLOCATE)
    assert client.challenge is not None
    return client.challenge


def sha1(client: Client, request: Message) -> Message:
    """Signed as by a client of RFC 5389."""
    found = challenge(client)
    Challenge(found.realm, found.nonce).sign(request, client.user, client.password)
    return request


def allocate() -> Message:
    return Message(Method.ALLOCATE, Class.REQUEST, attributes={"REQUESTED-TRANSPORT": UDP})


def test_the_challenge_offers_both_algorithms(world: World) -> None:
    assert challenge(world.client()).algorithms == OFFERED


def test_sha256_is_answered_with_sha256_and_sha1_with_sha1(world: World) -> None:
    new, old = world.client(port=1), world.client(port=2)
    answer = new.allocate()
    assert (answer.signed_sha256, answer.signed) == (True, False)
    answered = old.raw(sha1(old, allocate()))
    assert answered is not None
    assert answered.message_class is Class.RESPONSE
    assert (answered.signed_sha256, answered.signed) == (False, True)
    assert old.flow.allocation is not None
    assert old.flow.allocation.login.algorithm is PasswordAlgorithm.MD5


def test_an_allocation_is_refreshed_by_either(world: World) -> None:
    client = world.client()
    client.raw(sha1(client, allocate()))
    assert client.ask(Method.REFRESH).message_class is Class.RESPONSE


@pytest.mark.parametrize("missing", ["USERNAME", "REALM", "NONCE", "PASSWORD-ALGORITHM"])
def test_an_incomplete_set_of_credentials_is_400(world: World, missing: str) -> None:
    client = world.client()
    request = client.signed(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})
    del request.attributes[missing]
    request.add_message_integrity_sha256(b"key")
    assert code(client.raw(request)) == 400


def test_wrong_names_passwords_and_realms_look_alike(world: World) -> None:
    answers = []
    for user, password in (("anna", "wrong"), ("nobody", "secret"), ("x" * 509, "secret")):
        client = world.client()
        client.user, client.password = user, password
        answers.append(client.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP}))
    client = world.client()
    Challenge("elsewhere", challenge(client).nonce, OFFERED).sign(request := allocate(), "anna", "secret")
    found = client.raw(request)
    assert found is not None
    for answer in (*answers, found):
        assert (code(answer), answer.attributes.keys()) == (401, found.attributes.keys())
    assert world.count("unauthorized") == 4


def test_an_old_nonce_is_438_with_a_new_one(world: World) -> None:
    client = world.client()
    client.allocated()
    request = client.signed(Method.REFRESH)
    world.passes(601 - 600)
    client.raw(client.signed(Method.REFRESH, {"LIFETIME": 3600}))
    world.passes(601)
    answer = client.raw(request)
    assert code(answer) == 438
    assert answer is not None
    client.challenge = Challenge.of(answer)
    assert client.ask(Method.REFRESH).message_class is Class.RESPONSE


def test_a_nonce_of_another_address_is_refused(world: World) -> None:
    anna = world.client(port=1)
    request = anna.signed(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})
    for host, port in (("203.0.113.1", 2), ("203.0.113.2", 1)):
        assert code(world.client(host, port).raw(request)) == 438
    assert world.host.relays == []
    assert code(anna.raw(request)) is None


def test_an_allocation_outlives_its_time_limited_credentials() -> None:
    world = World(users=RestUsers("shared"))
    client = world.client()
    client.user = f"{int(UNIX + world.now + 60)}:anna"
    client.password = password_of("shared", client.user)
    client.allocated()
    world.passes(61)
    assert client.ask(Method.REFRESH).message_class is Class.RESPONSE
    other = world.client(port=2)
    other.user, other.password = client.user, client.password
    assert code(other.allocate()) == 401


def test_wrong_credentials_are_answered_so_often_and_right_ones_always() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, failures=3, failures_per_second=1))
    client = world.client()
    client.password = "wrong"
    answered = [client.raw(client.signed(Method.ALLOCATE)) is not None for _ in range(10)]
    assert answered == [True] * 3 + [False] * 7
    assert world.count("unauthorized") == 10
    client.password = "secret"
    assert client.allocate().message_class is Class.RESPONSE


def test_wrong_credentials_cost_one_entry_of_a_bounded_table() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, sources=8))
    for number in range(50):
        client = world.client(f"203.0.113.{number}")
        client.password = "wrong"
        assert code(client.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP})) == 401
    assert len(world.core._auth._failures) == 8
    assert len(world.core.guard) <= 8
    assert world.core.gauges()["turn_allocations"] == 0
