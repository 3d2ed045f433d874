from __future__ import annotations

import pytest

from signaling.cluster import directory
from signaling.cluster.directory import Directory

US, THEM, OTHERS = "us", "them", "others"


def made(*peers: str) -> Directory:
    found = Directory(US, 2.5)
    for peer in peers:
        assert found.hear(peer, 1)
    return found


def test_a_node_is_where_it_connected_last() -> None:
    found = made(THEM, OTHERS)
    assert found.place("n") is None
    assert found.move("n", 5, THEM)
    assert found.place("n") == THEM
    assert found.move("n", 6, OTHERS)
    assert not found.move("n", 5, THEM)  # old news
    assert found.place("n") == OTHERS
    assert found.enter("n", 3) == 7  # a clock that is behind makes no difference
    assert found.place("n") == US
    assert found.stamps() == [("n", 7)]
    assert not found.depart("n", 6, OTHERS)
    assert found.leave("n") == 7
    assert found.leave("n") is None
    assert (found.place("n"), len(found)) == (None, 0)


def test_of_two_at_the_same_time_the_name_decides_for_all() -> None:
    found = made(THEM)
    found.enter("n", 5)
    assert not found.move("n", 5, THEM)  # "us" is higher
    assert found.place("n") == US
    assert found.move("n", 6, THEM)
    assert not found.move("n", 7, THEM)  # it connected there again: nowhere else
    assert found.leave("n") is None


def test_who_leaves_is_nowhere() -> None:
    found = made(THEM)
    found.move("n", 5, THEM)
    assert not found.depart("n", 4, THEM)
    assert found.depart("n", 5, THEM)
    assert not found.depart("n", 5, THEM)
    assert not found.move("m", 5, "stranger")


def test_an_instance_takes_its_nodes_along() -> None:
    found = made(THEM)
    found.move("n", 5, THEM)
    found.move("m", 5, THEM)
    found.enter("m", 6)
    assert found.remove(THEM) == ["n"]
    assert found.remove(THEM) == []
    assert found.place("m") == US


def test_gaps_are_noticed_and_mended_by_a_roster() -> None:
    found = made(THEM)
    assert not found.hear(THEM, 2)
    assert not found.hear(THEM, 0)  # for us alone: not numbered
    assert found.out_of_step() == []
    assert not found.hear(THEM, 4)
    assert found.out_of_step() == [THEM]
    found.move("old", 1, THEM)
    found.move("kept", 1, THEM)
    found.interest(THEM, "t", 2)
    found.roster_begins(THEM)
    found.move("kept", 1, THEM)
    found.move("new", 2, THEM)
    assert found.roster_ends(THEM) == ["old"]
    assert found.out_of_step() == []
    assert found.subscribers("t") == 0
    assert [found.place(node) for node in ("kept", "new", "old")] == [THEM, THEM, None]


def test_who_is_met_in_the_middle_is_asked() -> None:
    found = Directory(US, 2.5)
    assert found.hear(THEM, 17)
    assert found.out_of_step() == [THEM]


def listen(found: Directory, begin: float, seconds: float) -> list[str]:
    """Who is dead after so many seconds of a look at the clock every tenth of one."""
    dead: list[str] = []
    for tenth in range(round(seconds * 10) + 1):
        dead = found.silent(begin + tenth / 10)
    return dead


def test_the_silent_are_dead() -> None:
    found = made(THEM, OTHERS)
    assert listen(found, 100.0, 2.0) == []
    found.hear(THEM, 2)
    assert listen(found, 102.0, 0.1) == []
    assert listen(found, 102.2, 0.3) == [OTHERS]


def test_who_was_busy_itself_gives_the_others_time() -> None:
    found = made(THEM)
    listen(found, 0.0, 0.1)
    assert found.silent(60.0) == []
    assert [found.silent(61.0 + second) for second in range(7)] == [[]] * 7
    assert listen(found, 69.0, 0.3) == [THEM]


def test_keepers_are_the_same_for_all_and_spread() -> None:
    names = [f"instance{number}" for number in range(4)]
    chosen = set()
    for node in map(str, range(50)):
        votes = set()
        for own in names:
            found = Directory(own, 1)
            for other in names:
                if other != own:
                    found.hear(other, 1)
            votes.add(found.keeper(node))
        assert 1 <= len(votes) <= 2  # all but the chosen one itself agree
        chosen |= votes
    assert chosen == set(names)
    assert Directory(US, 1).keeper("n") is None


def test_subscribers_elsewhere_are_counted() -> None:
    found = made(THEM, OTHERS)
    found.interest(THEM, "t", 2)
    found.interest(OTHERS, "t", 3)
    found.interest("stranger", "t", 9)
    assert found.subscribers("t") == 5
    found.interest(THEM, "t", 0)
    assert found.subscribers("t") == 3


def test_what_one_instance_may_claim_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_NODES", 1)
    monkeypatch.setattr(directory, "MAX_TOPICS", 1)
    found = made(THEM)
    assert found.move("n", 1, THEM)
    assert not found.move("m", 1, THEM)
    found.interest(THEM, "t", 1)
    found.interest(THEM, "u", 1)
    found.interest(THEM, "t", 2)
    assert (found.subscribers("t"), found.subscribers("u")) == (2, 0)


def test_a_stamp_is_higher_than_all_that_were_seen() -> None:
    found = made(THEM)
    found.move("n", 1000, THEM)  # their clock is ahead of ours
    found.remove(THEM)  # frozen: taken for dead
    assert found.enter("n", 5) == 1001
    assert found.enter("m", 5) == 1002
    found.hear(THEM, 9)
    assert not found.move("n", 1000, THEM)  # thawed, with its half-open connection
    assert found.place("n") == US


def test_a_roster_of_one_that_has_gone_means_nothing() -> None:
    found = made(THEM)
    found.remove(THEM)
    found.roster_begins(THEM)
    assert found.roster_ends(THEM) == []
