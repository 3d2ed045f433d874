"""What neighbours tell each other of themselves."""

from __future__ import annotations

from atmosphere.mesh import wire
from atmosphere.mesh.about import Abouts
from tests.mesh.fakes import ALICE, BOB, FakeLink

FREE, BLOCKED = wire.About("any", True, "none"), wire.About("any", False, "none")


def test_news_are_told_and_nothing_twice() -> None:
    own, links = [FREE], [FakeLink(ALICE), FakeLink(BOB)]
    abouts = Abouts(lambda: own[0], lambda: [link.real for link in links])
    abouts.welcome(links[0].real)
    assert links[0].said == [FREE]
    for _ in range(2):
        abouts.update()
    own[0] = BLOCKED
    abouts.update()
    assert [link.offered for link in links] == [[FREE, BLOCKED]] * 2


def test_what_a_neighbour_told_is_kept_until_it_is_no_member() -> None:
    abouts, link = Abouts(lambda: FREE, list), FakeLink(BOB)
    assert abouts.of(BOB.node_id) == wire.About()
    abouts.heard(link.real, BLOCKED)
    abouts.keep_only([BOB.node_id])
    assert abouts.of(BOB.node_id) == BLOCKED
    abouts.keep_only([ALICE.node_id])
    assert abouts.of(BOB.node_id) == wire.About()
