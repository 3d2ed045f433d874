from __future__ import annotations

import pytest

from atmosphere.stun.client import BindingTransaction, Transaction
from atmosphere.stun.message import Class, Message, Method, binding_request, binding_response, decode, error_response
from atmosphere.stun.server import BindingServer

SERVER = ("198.51.100.1", 3478)
OTHER = ("198.51.100.2", 3479)
OURS = ("203.0.113.9", 40000)


def sends(transaction: Transaction, until: float = 100.0) -> list[float]:
    """When it sends, if nobody answers; its own deadlines drive the clock."""
    times = []
    while (now := transaction.next_at) is not None and now < until:
        if transaction.poll(now) is not None:
            times.append(now)
    return times


def test_the_rfcs_schedule() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    assert sends(transaction, 39.4) == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5]
    assert transaction.poll(39.5) is None
    assert transaction.done
    assert (transaction.error, transaction.mapped, transaction.next_at) == ("no answer", None, None)


def test_a_short_deadline() -> None:
    transaction = BindingTransaction(SERVER, 10.0, timeout=1.0, rto=0.3)
    assert sends(transaction) == pytest.approx([10.0, 10.3, 10.9])
    assert transaction.error == "no answer"


def test_over_tcp_it_is_sent_once() -> None:
    transaction = BindingTransaction(SERVER, 0.0, timeout=5.0, reliable=True)
    assert sends(transaction) == [0.0]
    assert transaction.error == "no answer"


def test_early_polls_send_nothing() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    first = transaction.poll(0.0)
    assert first is not None
    assert transaction.poll(0.2) is None
    assert transaction.poll(0.5) == first


def test_an_answer() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    transaction.poll(0.0)
    datagram = transaction.poll(0.5)
    assert datagram is not None
    answer = BindingServer().receive(datagram, OURS, 0.0)
    assert answer is not None
    assert transaction.receive(decode(answer), SERVER, 0.54)
    assert transaction.done
    assert transaction.mapped == OURS
    assert transaction.rtt == pytest.approx(0.04)
    assert transaction.responder == SERVER
    assert (transaction.other, transaction.error) == (None, None)
    assert transaction.poll(1.0) is None
    assert not transaction.receive(decode(answer), SERVER, 0.6)


def test_what_is_not_the_answer() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    request = transaction.request
    assert not transaction.receive(binding_response(request, OURS), OTHER, 0.0)
    assert not transaction.receive(binding_response(binding_request(), OURS), SERVER, 0.0)
    assert not transaction.receive(request, SERVER, 0.0)
    assert not transaction.receive(
        Message(Method.ALLOCATE, Class.RESPONSE, transaction_id=request.transaction_id), SERVER, 0.0
    )
    assert not transaction.receive(
        Message(Method.BINDING, Class.RESPONSE, transaction_id=request.transaction_id), SERVER, 0.0
    )
    assert not transaction.done


def test_an_answer_from_the_other_address() -> None:
    transaction = BindingTransaction(SERVER, 0.0, attributes={"CHANGE-REQUEST": 0x6}, any_source=True)
    assert transaction.request.attributes["CHANGE-REQUEST"] == 0x6
    response = binding_response(transaction.request, OURS)
    response.attributes["OTHER-ADDRESS"] = OTHER
    assert transaction.receive(response, OTHER, 0.1)
    assert (transaction.responder, transaction.other) == (OTHER, OTHER)


def test_an_error() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    assert transaction.receive(error_response(transaction.request, 420, "Unknown Attribute"), SERVER, 0.1)
    assert transaction.error == "error 420 Unknown Attribute"
    assert transaction.error_code == 420
    assert transaction.mapped is None


def test_an_error_without_a_code() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    bare = Message(Method.BINDING, Class.ERROR, transaction_id=transaction.transaction_id)
    assert transaction.receive(bare, SERVER, 0.1)
    assert transaction.error == "an error without a code"


def test_an_answer_that_is_not_understood() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    response = binding_response(transaction.request, OURS)
    response.unknown = (0x7001,)
    assert transaction.receive(response, SERVER, 0.1)
    assert transaction.error is not None
    assert transaction.mapped is None


def test_a_keyed_transaction_takes_signed_answers_only() -> None:
    request = binding_request()
    request.add_message_integrity(b"key")
    transaction = Transaction(request, SERVER, 0.0, key=b"key")
    response = binding_response(request, OURS)
    assert not transaction.receive(response, SERVER, 0.1)
    response.add_message_integrity(b"other")
    assert not transaction.receive(response, SERVER, 0.1)
    response.add_message_integrity(b"key")
    assert transaction.receive(response, SERVER, 0.1)
    assert transaction.response is response


def test_failing_early() -> None:
    transaction = BindingTransaction(SERVER, 0.0)
    transaction.fail("the host name does not resolve")
    transaction.fail("twice")
    assert transaction.error == "the host name does not resolve"
