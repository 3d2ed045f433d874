from __future__ import annotations

from atmosphere.stun.integrity import PasswordAlgorithm
from atmosphere.turn.server.allocation import Allocation, Relayed
from atmosphere.turn.server.auth import Login
from atmosphere.turn.server.flow import Flow
from atmosphere.turn.server.quota import Account
from atmosphere.turn.server.table import Table


def made(expires: float, port: int = 1) -> Allocation:
    flow = Flow("udp", ("203.0.113.1", port), ("198.51.100.1", 3478), lambda messages: None)
    login = Login("anna", "anna", PasswordAlgorithm.MD5, b"")
    relayed = Relayed(("198.51.100.1", port), "198.51.100.1")
    allocation = Allocation(flow, login, Account("anna", 0, 0), [relayed], (1, 1))
    allocation.expires = expires
    return allocation


def test_what_runs_out_is_told_once() -> None:
    table = Table()
    one, two = made(10, 1), made(20, 2)
    table.add(one)
    table.add(two)
    assert (table.deadline(), table.expired(9.9)) == (10, [])
    assert table.expired(10) == [one]
    table.remove(one)
    assert (table.expired(15), table.deadline(), len(table)) == ([], 20, 1)
    assert one.flow.allocation is None
    assert set(table.by_address) == {("198.51.100.1", 2)}


def test_what_was_refreshed_is_looked_at_again() -> None:
    table = Table()
    allocation = made(10)
    table.add(allocation)
    allocation.expires = 100
    assert table.expired(10) == []
    assert table.deadline() == 100
    allocation.expires = 50
    table.shortened(allocation)
    assert table.expired(50) == [allocation]
    table.remove(allocation)
    assert table.expired(100) == []


def test_the_dead_do_not_pile_up() -> None:
    table = Table()
    for port in range(1, 1000):
        allocation = made(1000, port)
        table.add(allocation)
        table.remove(allocation)
    assert len(table._ends) <= 65
    assert (len(table), list(table)) == (0, [])


def test_neither_do_the_times_of_one_that_is_shortened_over_and_over() -> None:
    table = Table()
    allocation = made(3600)
    table.add(allocation)
    for step in range(1000):
        allocation.expires = step + 3600
        allocation.expires = step + 600
        table.shortened(allocation)
        assert len(table._ends) <= 66
    assert table.expired(1598) == []
    assert len(table._ends) == 1
    assert table.expired(1599) == [allocation]
