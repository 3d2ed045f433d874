from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.cluster.wire import AnyEvent, Gone, Have, Here, Keep, Left, Used
from signaling.messages import (
    Delivered,
    Done,
    Error,
    Got,
    Incoming,
    Presence,
    Publish,
    Queued,
    Send,
    ServerMessage,
    Subscribe,
    Unsubscribe,
    Watch,
)
from signaling.settings import Settings
from tests.signaling.memory_cluster import ANN, BOB, CID, DAN, MemoryCluster


def send(name: str, ref: int = 1, to: str = BOB, ttl: float = 30.0) -> Send:
    return Send(to, "cGF5", name, ref, ttl)


def incoming(name: str, seq: int | None = 1) -> Incoming:
    return Incoming(ANN, "cGF5", name, None, seq)


def answers(messages: list[ServerMessage]) -> list[ServerMessage]:
    return [message for message in messages if not isinstance(message, Incoming | Presence)]


def holders(cluster: MemoryCluster) -> list[int]:
    return [len(instance.hub.copies) for instance in cluster.instances]


def test_a_message_goes_from_one_instance_to_another() -> None:
    cluster = MemoryCluster(3)
    ann, bob = cluster.connect(ANN, 0), cluster.connect(BOB, 1)
    cluster.settle()
    cluster.say(ANN, send("m"))
    assert ann.told == []  # nobody else holds it yet
    cluster.settle()
    assert (ann.take(), bob.take()) == ([Delivered(1)], [incoming("m")])
    assert holders(cluster) == [0, 0, 0]  # bob has it


def test_a_repetition_by_way_of_another_instance_is_not_delivered() -> None:
    cluster = MemoryCluster(3)
    ann, bob = cluster.connect(ANN, 0), cluster.connect(BOB, 1)
    cluster.settle()
    cluster.say(ANN, send("m"))
    cluster.settle()
    cluster.connect(ANN, 2)
    cluster.settle()
    cluster.say(ANN, send("m", 2))
    cluster.settle()
    assert (ann.take()[-1], bob.take()) == (Delivered(2), [incoming("m")])


def test_one_receiver_on_the_same_instance_answers_by_its_got() -> None:
    cluster = MemoryCluster(2)
    ann, bob = cluster.connect(ANN, 0), cluster.connect(BOB, 0)
    cluster.settle()
    cluster.say(ANN, send("m"))
    assert (ann.take(), bob.take()) == ([Delivered(1)], [incoming("m")])
    assert cluster.instances[1].metrics["copies_taken_total"] == 0


def test_a_receiver_who_says_nothing_gets_a_second_copy_elsewhere() -> None:
    cluster = MemoryCluster(2)
    ann = cluster.connect(ANN, 0)
    cluster.connect(BOB, 0, silent=True)
    cluster.settle()
    cluster.say(ANN, send("m"))
    assert ann.told == []
    cluster.run(0.5)
    assert (ann.take(), holders(cluster)) == ([Delivered(1)], [1, 1])
    cluster.kill(0)
    bob = cluster.connect(BOB, 1)
    assert bob.ids == ["m"]
    cluster.run(3)
    assert holders(cluster)[1] == 0


def test_one_who_is_away_has_a_mailbox_at_two_instances_and_gets_it_anywhere() -> None:
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("m"))
    assert ann.told == []
    cluster.settle()
    assert ann.take() == [Queued(1)]
    assert sorted(holders(cluster)) == [0, 1, 1]
    bob = cluster.connect(BOB, holders(cluster).index(0))
    cluster.settle()
    assert (bob.take(), holders(cluster)) == ([incoming("m")], [0, 0, 0])


@pytest.mark.parametrize("dies", [0, 1, 2])
def test_what_is_queued_survives_any_instance(dies: int) -> None:
    cluster = MemoryCluster(3)
    cluster.connect(ANN, 0)
    cluster.say(ANN, send("m"))
    cluster.run(1)
    cluster.kill(dies)
    cluster.run(3)
    bob = cluster.connect(BOB, (dies + 1) % 3)
    cluster.run(1)
    assert bob.ids == ["m"]
    assert sum(holders(cluster)[at] for at in range(3) if at != dies) == 0


def test_copies_are_made_good_so_that_a_second_death_loses_nothing_either() -> None:
    cluster = MemoryCluster(4)
    cluster.connect(ANN, 0)
    cluster.say(ANN, send("m", ttl=100))
    cluster.settle()
    for at in range(3):
        cluster.kill(at)
        cluster.run(3)
    assert cluster.connect(BOB, 3).ids == ["m"]


@pytest.mark.parametrize("dies", [0, 1])
def test_what_is_delivered_but_not_got_survives_its_instance(dies: int) -> None:
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    cluster.connect(BOB, 1, silent=True)
    cluster.settle()
    cluster.say(ANN, send("m", ttl=0))
    cluster.settle()
    assert ann.take() == [Delivered(1)]
    cluster.kill(dies)
    bob = cluster.connect(BOB, 2)
    cluster.run(3)
    assert bob.ids == ["m"]


def test_a_receiver_that_moves_takes_what_was_on_its_way_along() -> None:
    cluster = MemoryCluster(3)
    cluster.connect(ANN, 0)
    bob = cluster.connect(BOB, 1, silent=True)
    cluster.settle()
    for number in range(5):
        cluster.say(ANN, send(str(number), number))
    cluster.connect(BOB, 2)
    cluster.settle()
    assert bob.ids == ["0", "1", "2", "3", "4"]
    assert holders(cluster) == [0, 0, 0]


def test_a_client_that_does_not_say_got_has_what_was_written() -> None:
    cluster = MemoryCluster(2)
    ann, bob = cluster.connect(ANN, 0), cluster.connect(BOB, 1, got=False)
    cluster.settle()
    cluster.say(ANN, send("m"))
    cluster.say(ANN, send("n", 2))
    cluster.settle()
    assert bob.take() == [incoming("m", None), incoming("n", None)]
    assert (ann.take(), holders(cluster)) == ([Delivered(1), Delivered(2)], [0, 0])


def test_now_or_never_is_refused_when_the_receiver_is_nowhere() -> None:
    cluster = MemoryCluster(2)
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("m", ttl=0))
    assert ann.take() == [Error("offline", "the receiver is away", 1)]


def test_the_limits_of_a_mailbox_hold_in_the_whole_cluster() -> None:
    cluster = MemoryCluster(4, Settings(mailbox_messages=2))
    for node, at in ((ANN, 0), (CID, 1), (DAN, 2)):
        cluster.connect(node, at)
        cluster.say(node, send("m", at))
        cluster.settle()
    told = [cluster.clients[node].take()[-1] for node in (ANN, CID, DAN)]
    assert told[:2] == [Queued(0), Queued(1)]
    assert told[2] == Error("full", "the receiver's mailbox is full", 2)


def test_what_cannot_be_kept_twice_for_want_of_room_is_tried_again() -> None:
    cluster = MemoryCluster(1)
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("m"))
    assert ann.take() == [Queued(1)]  # alone
    cluster.settings = Settings(mailbox_messages=0)
    cluster.start()
    cluster.run(2)
    assert holders(cluster) == [1, 0]
    assert cluster.instances[0].hub.copies.unsettled == 1
    assert cluster.connect(BOB, 0).ids == ["m"]


def test_messages_for_one_who_does_not_say_got_are_bounded() -> None:
    cluster = MemoryCluster(2, Settings(in_flight_messages=2, mailbox_messages=1))
    ann = cluster.connect(ANN, 0)
    cluster.connect(BOB, 1, silent=True)
    cluster.settle()
    for number in range(3):
        cluster.say(ANN, send(str(number), number))
    cluster.settle()
    told = {getattr(message, "ref", None): type(message) for message in ann.take()}
    assert told == {0: Delivered, 1: Delivered, 2: Error}


def test_a_message_that_nobody_takes_is_forgotten_everywhere() -> None:
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("m", ttl=2))
    cluster.run(3)
    assert (ann.take(), holders(cluster)) == ([Queued(1)], [0, 0, 0])
    cluster.say(ANN, send("m", 2, ttl=2))  # and may come again
    cluster.run(1)
    assert ann.take() == [Queued(2)]


def test_a_sender_whose_message_expires_before_it_is_safe_is_told() -> None:
    cluster = MemoryCluster(2)
    cluster.lose = lambda event: isinstance(event, Keep)
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("m", ttl=1))
    cluster.run(2)
    assert ann.take() == [Error("offline", "nobody took it in time", 1)]


@pytest.mark.parametrize("kind", [Keep, Have, Gone, Here, Left])
def test_what_is_lost_on_the_way_is_said_again(kind: type) -> None:
    cluster = MemoryCluster(3)
    lost: list[AnyEvent] = []

    def lose(event: AnyEvent) -> bool:
        if isinstance(event, kind) and len(lost) < 2:
            lost.append(event)
            return True
        return False

    cluster.lose = lose
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, send("1"))
    bob = cluster.connect(BOB, 1)
    cluster.run(2)
    cluster.say(ANN, send("2", 2))
    cluster.disconnect(BOB)
    cluster.run(2)
    cluster.say(ANN, send("3", 3))
    cluster.run(2)
    bob = cluster.connect(BOB, 2)
    cluster.run(2)
    assert lost
    assert sorted(bob.ids) == ["1", "2", "3"]
    assert {type(one) for one in answers(ann.take())} <= {Delivered, Queued}
    cluster.run(2)
    assert [len(instance.hub.directory) for instance in cluster.instances] == [2, 2, 2]


def test_presence_is_told_across_instances() -> None:
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    cluster.connect(CID, 2)
    cluster.settle()
    cluster.say(ANN, Watch([BOB, CID], 1))
    assert ann.take() == [Presence(BOB, False), Presence(CID, True), Done(1)]
    cluster.connect(BOB, 1)
    cluster.settle()
    assert ann.take() == [Presence(BOB, True)]
    cluster.connect(BOB, 2)
    cluster.settle()
    assert ann.take() == []  # it moved: no news
    cluster.disconnect(BOB)
    cluster.settle()
    assert ann.take() == [Presence(BOB, False)]
    cluster.kill(2)
    cluster.run(3)
    assert ann.take() == [Presence(CID, False)]
    assert cluster.instances[0].metrics["instances_lost_total"] == 1


def test_too_many_watched_ids_are_refused() -> None:
    cluster = MemoryCluster(1, Settings(watched_per_connection=1))
    ann = cluster.connect(ANN, 0)
    cluster.say(ANN, Watch([BOB, CID], 1))
    assert ann.take() == [Error("limit", "too many watched ids", 1)]


def test_one_id_has_one_connection_in_the_whole_cluster() -> None:
    cluster = MemoryCluster(2)
    bob = cluster.connect(BOB, 0)
    cluster.settle()
    cluster.connect(BOB, 1)
    cluster.settle()
    assert bob.closed == [4001]
    assert [len(instance.hub.online) for instance in cluster.instances] == [0, 1]


def test_of_two_connections_made_at_once_one_stays() -> None:
    cluster = MemoryCluster(2)
    cluster.connect(BOB, 0)
    cluster.connect(BOB, 1)
    cluster.settle()
    assert sum(len(instance.hub.online) for instance in cluster.instances) == 1
    places = {instance.hub.directory.place(BOB) for instance in cluster.instances}
    assert len(places) == 1


def test_topics_reach_all_instances() -> None:
    cluster = MemoryCluster(3)
    for node, at in ((ANN, 0), (BOB, 1), (CID, 2), (DAN, 2)):
        cluster.connect(node, at)
        cluster.say(node, Subscribe("t", 1))
    cluster.run(1)
    for client in cluster.clients.values():
        client.take()
    cluster.say(ANN, Publish("t", "cGF5", "1", 2))
    assert cluster.clients[ANN].take() == [Delivered(2, 3)]
    cluster.settle()
    expected = Incoming(ANN, "cGF5", "1", "t")
    assert [cluster.clients[node].take() for node in (BOB, CID, DAN)] == [[expected]] * 3
    cluster.say(ANN, Publish("t", "cGF5", "1", 3))
    cluster.settle()
    assert [cluster.clients[node].take() for node in (BOB, CID, DAN)] == [[]] * 3
    cluster.say(CID, Unsubscribe("t", 4))
    cluster.disconnect(DAN)
    cluster.settle()
    cluster.connect(ANN, 1)
    cluster.settle()
    cluster.say(ANN, Publish("t", "cGF5", "1", 5))  # a repetition by another way
    cluster.say(ANN, Publish("t", "cGF5", "2", 6))
    cluster.settle()
    assert cluster.clients[ANN].take()[-2:] == [Delivered(5, 1), Delivered(6, 1)]
    assert [message.id for message in cluster.clients[BOB].take() if isinstance(message, Incoming)] == ["2"]


def test_a_publication_that_comes_by_two_instances_is_handed_out_once() -> None:
    cluster = MemoryCluster(3)
    cluster.connect(ANN, 0)
    bob = cluster.connect(BOB, 2)
    cluster.say(BOB, Subscribe("t", 1))
    cluster.settle()
    cluster.instances[1].cut_off = True
    cluster.say(ANN, Publish("t", "cGF5", "1", 2))
    cluster.settle()
    cluster.instances[1].cut_off = False
    cluster.connect(ANN, 1)
    cluster.say(ANN, Publish("t", "cGF5", "1", 3))
    cluster.settle()
    assert [message for message in bob.told if isinstance(message, Incoming)] == [Incoming(ANN, "cGF5", "1", "t")]
    assert cluster.instances[2].metrics["messages_duplicate_total"] == 1


def test_a_got_that_comes_late_says_nothing_new() -> None:
    cluster = MemoryCluster(2)
    cluster.connect(ANN, 0)
    bob = cluster.connect(BOB, 1, silent=True)
    cluster.settle()
    cluster.say(ANN, send("m"))
    cluster.settle()
    cluster.instances[0].hub.copies._speak(None, Gone(BOB, ANN, "m"))
    cluster.settle()
    assert holders(cluster)[1] == 0
    bob.silent = False
    cluster.say(BOB, Got(1))
    assert not cluster.network


def test_an_instance_that_comes_later_learns_everything() -> None:
    cluster = MemoryCluster(2)
    cluster.connect(ANN, 0)
    cluster.connect(BOB, 1)
    cluster.say(BOB, Subscribe("t", 1))
    cluster.run(1)
    late = cluster.start()
    cluster.run(1)
    assert [late.hub.directory.place(node) for node in (ANN, BOB)] == [one.name for one in cluster.instances[:2]]
    assert late.hub.directory.subscribers("t") == 1
    assert late.hub.directory.out_of_step() == []


def test_an_instance_that_leaves_is_forgotten_at_once() -> None:
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    cluster.connect(BOB, 1)
    cluster.settle()
    cluster.say(ANN, Watch([BOB], 1))
    leaving = cluster.instances[1]
    leaving.hub.leave()
    leaving.hub.say_bye()
    cluster.settle()
    leaving.alive = False
    assert ann.take()[-1] == Presence(BOB, False)
    late = Have(BOB, ANN, "m", False)
    leaving.hub.copies._speak(cluster.instances[0].name, late)
    cluster.settle()
    assert leaving.name not in cluster.instances[0].hub.directory.live


def test_alone_an_instance_serves_its_own_and_makes_good_when_it_is_back() -> None:
    cluster = MemoryCluster(2)
    ann, bob = cluster.connect(ANN, 0), cluster.connect(BOB, 1)
    cluster.settle()
    cluster.instances[0].cut_off = True
    cluster.say(ANN, send("m"))
    cluster.run(4)
    assert ann.take() == [Queued(1)]  # alone, it keeps it for bob by itself
    cid = cluster.connect(CID, 0)
    cluster.say(ANN, send("n", 2, to=CID))
    assert (ann.take(), cid.ids) == ([Delivered(2)], ["n"])
    cluster.instances[0].cut_off = False
    cluster.run(2)
    assert bob.ids == ["m"]
    assert holders(cluster) == [0, 0]


def test_two_halves_that_meet_again_agree_on_the_newest_connection() -> None:
    cluster = MemoryCluster(2)
    bob = cluster.connect(BOB, 0)
    cluster.settle()
    cluster.instances[1].cut_off = True
    cluster.run(4)
    cluster.connect(BOB, 1)
    cluster.run(1)
    cluster.instances[1].cut_off = False
    cluster.run(2)
    assert bob.closed == [4001]
    assert [BOB in instance.hub.online for instance in cluster.instances] == [False, True]


def test_what_addresses_used_elsewhere_is_handed_on() -> None:
    cluster = MemoryCluster(2)
    told: list[tuple[Used, float]] = []
    cluster.instances[1].hub._used = lambda used, now: told.append((used, now))
    used = Used("messages", {"192.0.2.1": 3.0})
    cluster.instances[0].hub.copies._speak(None, used)
    cluster.settle()
    assert told == [(used, cluster.now)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connect"), st.sampled_from([BOB, CID]), st.integers(0, 2)),
        st.tuples(st.just("disconnect"), st.sampled_from([BOB, CID])),
        st.tuples(st.just("send"), st.sampled_from([BOB, CID])),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.1, 0.6, 3.0])),
        st.tuples(st.just("settle")),
        st.tuples(st.just("kill"), st.integers(0, 2)),
        st.tuples(st.just("lose"), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS)
def test_nothing_acknowledged_is_lost_whatever_happens(steps: list[tuple[object, ...]]) -> None:
    """At most one instance dies; events get lost at random places; nodes come, go and move; everything arrives once."""
    cluster = MemoryCluster(3)
    ann = cluster.connect(ANN, 0)
    for node in (BOB, CID):
        cluster.connect(node, 1)
        cluster.disconnect(node)
    sent: dict[int, tuple[str, str]] = {}
    for step in steps:
        _step(cluster, step, sent)
    cluster.lose = lambda _: False
    alive = [at for at in range(3) if cluster.instances[at].alive]
    cluster.run(4)
    for node in (BOB, CID):
        cluster.connect(node, alive[-1])
    cluster.run(4)
    acknowledged = {message.ref for message in ann.told if isinstance(message, Delivered | Queued)}
    for ref in acknowledged:
        node, name = sent[ref]
        assert name in cluster.clients[node].ids
    for node in (BOB, CID):
        assert set(cluster.clients[node].ids) <= {name for _, name in sent.values()}
    assert all(not cluster.instances[at].hub.copies.unsettled for at in alive)


def _step(cluster: MemoryCluster, step: tuple[object, ...], sent: dict[int, tuple[str, str]]) -> None:
    match step:
        case ("connect", str(node), int(at)) if cluster.instances[at].alive:
            cluster.connect(node, at, silent=len(sent) % 3 == 0)
        case ("disconnect", str(node)):
            cluster.disconnect(node)
        case ("send", str(node)):
            ref = len(sent) + 1
            sent[ref] = (node, f"{ref}")
            cluster.say(ANN, Send(node, "cGF5", f"{ref}", ref, 120.0))
        case ("run", float(seconds)):
            cluster.run(seconds)
        case ("settle",):
            cluster.settle()
        case ("kill", int(at)) if all(instance.alive for instance in cluster.instances):
            nodes = cluster.kill(at)
            if ANN in nodes:
                cluster.connect(ANN, (at + 1) % 3)
        case ("lose", bool(losing)):
            counter = iter(range(10**9))
            cluster.lose = (lambda _: next(counter) % 3 == 0) if losing else (lambda _: False)
