"""atmosphere.ice.gather, in a network of dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field

from atmosphere.ice.gather import GIVE_UP, KEEPALIVE, MAX_PROBES, RECHECK, RETRY_FIRST, Gatherer, Mapped, Silent
from atmosphere.ice.nat import Seen
from atmosphere.stun.message import Message, binding_response, decode, encode, error_response

A, B = ("192.0.2.1", 3478), ("192.0.2.2", 3478)
LOCAL = "10.0.0.1"


@dataclass
class Network:
    """Answers what the gatherer asks: `sees` is what each server sees each base as, `delay` seconds later."""

    gatherer: Gatherer = field(default_factory=Gatherer)
    sees: dict[tuple[int, tuple[str, int]], tuple[str, int]] = field(default_factory=dict)
    delay: dict[tuple[str, int], float] = field(default_factory=dict)
    asked: list[tuple[float, int, tuple[str, int]]] = field(default_factory=list)
    now: float = 0.0

    def run(self, end: float) -> list[Mapped | Silent]:
        events: list[Mapped | Silent] = []
        answers: list[tuple[float, bytes, int, tuple[str, int]]] = []
        while True:
            due = [time for time in (self.gatherer.deadline(), *(one[0] for one in answers)) if time is not None]
            if not due or min(due) > end:
                self.now = end
                return events + self.gatherer.events()
            self.now = max(self.now, min(due))
            for answer in [one for one in answers if one[0] <= self.now]:
                answers.remove(answer)
                self.gatherer.receive(decode(answer[1]), answer[2], answer[3], self.now)
            self.gatherer.handle_timer(self.now)
            for sent in self.gatherer.transmits():
                self.asked.append((self.now, sent.base, sent.destination))
                seen = self.sees.get((sent.base, sent.destination))
                if seen is not None:
                    answer_bytes = encode(binding_response(decode(sent.data), seen))
                    at = self.now + self.delay.get(sent.destination, 0.01)
                    answers.append((at, answer_bytes, sent.base, sent.destination))
            events += self.gatherer.events()


def test_all_servers_are_asked_at_once_and_a_dead_one_delays_nobody() -> None:
    network = Network(sees={(1, B): ("203.0.113.1", 7)})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    (mapped,) = network.run(1.0)
    assert mapped == Mapped(1, "stun:b", B, ("203.0.113.1", 7), 0.01, new=True)
    assert network.run(GIVE_UP + 0.1) == [Silent("stun:a", "no answer")]
    assert 3 <= len([one for one in network.asked if one[2] == A]) <= 7


def test_one_server_keeps_the_mapping_alive_and_others_are_left_in_peace() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, B): ("203.0.113.1", 7)}, delay={B: 0.1})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    events = network.run(RECHECK * 0.85)
    assert [event.new for event in events if isinstance(event, Mapped)].count(True) == 1
    kept = [one for one in network.asked if one[2] == A]
    assert len(kept) >= RECHECK * 0.85 / (KEEPALIVE * 1.1) - 1
    assert len([one for one in network.asked if one[2] == B]) == 1


def test_a_changed_mapping_is_news() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7)})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.run(KEEPALIVE * 1.2)
    network.sees[1, A] = ("203.0.113.1", 8)
    events = network.run(KEEPALIVE * 3)
    assert [event.address[1] for event in events if isinstance(event, Mapped) and event.new] == [8]


def test_a_mapping_that_was_kept_alive_in_vain_is_told() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, B): ("203.0.113.1", 17)}, delay={B: 0.1})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(1.0)

    def forgotten(seconds: float) -> list[tuple[tuple[str, int], bool]]:
        events = network.run(network.now + seconds)
        return [(event.server, event.forgotten) for event in events if isinstance(event, Mapped) and event.former]

    network.sees[1, A] = ("203.0.113.1", 8)
    assert forgotten(KEEPALIVE * 1.2) == [(A, True)]
    network.sees[1, A] = ("203.0.113.9", 8)
    assert forgotten(KEEPALIVE * 1.2) == [(A, False)], "another router, or another line"
    del network.sees[1, A]
    network.run(network.now + KEEPALIVE * 1.2)
    network.sees[1, A] = ("203.0.113.9", 9)
    network.gatherer.ask_again(network.now + KEEPALIVE)
    assert (A, True) not in forgotten(RETRY_FIRST * 3), "nobody kept it alive during the outage"
    network.sees[1, B] = ("203.0.113.9", 18)
    assert (B, True) not in forgotten(RECHECK * 1.2), "a symmetric NAT's other mappings are not kept at all"


def test_how_often_a_mapping_is_kept_alive_can_be_told() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7)})
    network.gatherer.keepalive = 6.0
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.run(66.0)
    assert 10 <= len(network.asked) <= 13


def test_a_server_that_contradicts_itself_makes_the_others_be_asked_at_once() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, B): ("203.0.113.1", 7)}, delay={B: 0.1})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(1.0)
    network.sees = {(1, A): ("203.0.113.9", 8), (1, B): ("203.0.113.9", 8)}
    events = [event for event in network.run(KEEPALIVE * 1.2) if isinstance(event, Mapped)]
    assert [(event.server, event.new, event.former) for event in events] == [
        (A, True, ("203.0.113.1", 7)),
        (B, False, None),
    ]


def test_a_symmetric_nats_other_mappings_are_left_in_peace() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, B): ("203.0.113.1", 8)}, delay={B: 0.1})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(1.0)
    network.sees[1, A] = ("203.0.113.1", 9)
    events = [event for event in network.run(KEEPALIVE * 1.2) if isinstance(event, Mapped)]
    assert [(event.server, event.former) for event in events] == [(A, ("203.0.113.1", 7))]


def test_whom_it_asks() -> None:
    gatherer = Gatherer()
    gatherer.set_server("stun:a", [A], 0.0)
    assert gatherer.asks(A)
    assert not gatherer.asks(B)
    gatherer.set_server("stun:a", [], 0.0)
    assert not gatherer.asks(A)


def test_when_the_keeper_dies_another_takes_over() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, B): ("203.0.113.1", 7)}, delay={B: 0.1})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(1.0)
    del network.sees[1, A]
    assert Silent("stun:a", "no answer") in network.run(KEEPALIVE * 1.2 + GIVE_UP)
    before = len([one for one in network.asked if one[2] == B])
    network.run(KEEPALIVE * 6)
    assert len([one for one in network.asked if one[2] == B]) - before >= 3


def test_a_silent_server_is_asked_ever_more_rarely_and_recovers() -> None:
    network = Network()
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.run(1000.0)
    rounds = len(network.asked)
    assert rounds < 60
    network.gatherer.ask_again(1000.0)
    network.sees[1, A] = ("203.0.113.1", 7)
    assert any(isinstance(event, Mapped) for event in network.run(1001.0))


def test_sockets_ask_only_what_they_can_reach() -> None:
    network = Network()
    gatherer = network.gatherer
    for base, address in enumerate((LOCAL, "fd00::1", "127.0.0.1", "::1"), 1):
        gatherer.add_base(base, address, 0.0)
    gatherer.set_server("stun:a", [A, ("2001:db8::1", 3478)], 0.0)
    gatherer.set_server("stun:here", [("127.0.0.1", 1)], 0.0)
    network.run(0.0)
    assert {one[1:] for one in network.asked} == {(1, A), (2, ("2001:db8::1", 3478)), (3, ("127.0.0.1", 1))}


def test_a_server_of_a_family_that_we_lack_is_said_to_be_so() -> None:
    network = Network()
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:six", [("2001:db8::1", 3478)], 0.0)
    assert network.run(0.0) == [Silent("stun:six", "no local address of its family")]


def test_answers_that_were_not_asked_for_count_nothing() -> None:
    gatherer = Gatherer()
    gatherer.add_base(1, LOCAL, 0.0)
    gatherer.set_server("stun:a", [A], 0.0)
    gatherer.handle_timer(0.0)
    (sent,) = gatherer.transmits()
    answer = binding_response(decode(sent.data), ("203.0.113.1", 7))
    assert not gatherer.receive(answer, 2, A, 0.1)
    assert not gatherer.receive(answer, 1, B, 0.1)
    assert gatherer.receive(answer, 1, A, 0.1)
    assert not gatherer.receive(answer, 1, A, 0.1)


def test_a_server_that_refuses_says_why() -> None:
    gatherer = Gatherer()
    gatherer.add_base(1, LOCAL, 0.0)
    gatherer.set_server("stun:a", [A], 0.0)
    gatherer.handle_timer(0.0)
    (sent,) = gatherer.transmits()
    assert gatherer.receive(decode(encode(error_response(decode(sent.data), 420, "No"))), 1, A, 0.1)
    (event,) = gatherer.events()
    assert isinstance(event, Silent)
    assert "420" in event.error
    deadline = gatherer.deadline()
    assert deadline is not None
    assert deadline <= 0.1 + RETRY_FIRST * 1.2


def test_what_is_gone_is_asked_no_more() -> None:
    network = Network()
    gatherer = network.gatherer
    gatherer.add_base(1, LOCAL, 0.0)
    gatherer.add_base(2, "10.0.0.2", 0.0)
    gatherer.set_server("stun:a", [A], 0.0)
    gatherer.set_server("stun:b", [B], 0.0)
    network.run(0.0)
    gatherer.remove_base(1)
    gatherer.set_server("stun:a", [], 1.0)
    gatherer.set_server("stun:never", [], 1.0)
    network.asked.clear()
    network.run(100.0)
    assert {one[1:] for one in network.asked} == {(2, B)}
    gatherer.remove_base(2)
    assert gatherer.deadline() is None


def test_the_number_of_questions_is_bounded() -> None:
    network = Network()
    for base in range(20):
        network.gatherer.add_base(base, LOCAL, 0.0)
    network.gatherer.set_server("stun:many", [("192.0.2.9", port) for port in range(1, 20)], 0.0)
    network.run(0.0)
    assert len(network.asked) == MAX_PROBES


def other_address(network: Network, other: tuple[str, int]) -> None:
    """Every answer names the server's second address."""
    receive = network.gatherer.receive

    def receive_other(message: Message, base: int, source: tuple[str, int], now: float) -> bool:
        message.attributes["OTHER-ADDRESS"] = other
        return receive(message, base, source, now)

    network.gatherer.receive = receive_other  # type: ignore[method-assign]


def test_where_there_is_one_address_its_second_is_asked_too() -> None:
    other = ("192.0.2.9", 3479)
    network = Network(sees={(1, A): ("203.0.113.1", 7), (1, other): ("203.0.113.1", 8)})
    other_address(network, other)
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.run(1.0)
    assert network.gatherer.seen(1) == [Seen(A, ("203.0.113.1", 7)), Seen(other, ("203.0.113.1", 8))]
    assert {server for _, _, server in network.asked} == {A, other}


def test_who_knows_rfc_5780() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (2, A): ("203.0.113.1", 8)})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.run(1.0)
    assert network.gatherer.discoverers(1) == []
    other_address(network, ("192.0.2.9", 3479))
    network.gatherer.ask_again(network.now)
    network.run(2.0)
    assert (network.gatherer.discoverers(1), network.gatherer.discoverers(2)) == ([A], [])
    del network.sees[1, A]
    network.gatherer.ask_again(network.now)
    network.run(2.0 + GIVE_UP + 0.1)
    assert network.gatherer.discoverers(1) == []


def test_a_second_address_is_not_asked_where_two_are_known_or_it_is_of_another_kind() -> None:
    for other in (("192.168.0.9", 3479), ("2001:db8::9", 3479), (A[0], 3479)):
        network = Network(sees={(1, A): ("203.0.113.1", 7)})
        other_address(network, other)
        network.gatherer.add_base(1, LOCAL, 0.0)
        network.gatherer.set_server("stun:a", [A], 0.0)
        network.run(1.0)
        assert {server for _, _, server in network.asked} == {A}
    network = Network(sees={(1, A): ("203.0.113.1", 7)})
    other_address(network, ("192.0.2.9", 3479))
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(1.0)
    assert {server for _, _, server in network.asked} == {A, B}


def test_what_servers_see_and_who_is_silent_can_be_asked() -> None:
    network = Network(sees={(1, A): ("203.0.113.1", 7), (2, A): ("203.0.113.2", 7)})
    network.gatherer.add_base(1, LOCAL, 0.0)
    network.gatherer.set_server("stun:a", [A], 0.0)
    network.gatherer.set_server("stun:b", [B], 0.0)
    network.run(GIVE_UP + 0.1)
    assert network.gatherer.seen(1) == [Seen(A, ("203.0.113.1", 7))]
    assert (network.gatherer.unanswered(1), network.gatherer.unanswered(2)) == (1, 0)
    del network.sees[1, A]
    network.gatherer.ask_again(network.now)
    network.run(2 * GIVE_UP + 1)
    assert network.gatherer.seen(1) == []
    assert network.gatherer.unanswered(1) == 2
