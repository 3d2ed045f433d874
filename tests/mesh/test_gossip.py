"""What links say to each other, between a node with a real roster and neighbours that only listen."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from atmosphere.errors import LinkError, Unreachable
from atmosphere.mesh import contacts, wire
from atmosphere.mesh.gossip import CONTACTS_A_MESSAGE, FACTS_A_MESSAGE, FORWARD_BURST, MAX_PINGS, Gossip
from atmosphere.mesh.peerlink import PeerLink
from tests.mesh.fakes import FakeLink, founder, member
from tests.mesh.people import CAROL, DAVE, EVE


class Setting:
    """A founder with three neighbours."""

    def __init__(self, folder: Path) -> None:
        self.home, self.roster = founder(folder)
        self.beta_home, self.beta_roster = member(folder, "beta", self.roster)
        self.beta, self.carol, self.dave = FakeLink(self.beta_home.identity), FakeLink(CAROL), FakeLink(DAVE)
        self.links = [self.beta, self.carol, self.dave]
        self.gossip = Gossip(self.roster.own_id, self.roster, lambda: [link.real for link in self.links])

    def hear(self, link: FakeLink, message: wire.Message) -> None:
        self.gossip.handle(link.real, message)

    def contact(self, stamp: float = 0.0) -> bytes:
        """Beta's contact."""
        identity = self.beta_home.identity
        return contacts.sign(contacts.Contact(identity.node_id, time.time() + stamp, [], []), identity.sign)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_a_new_neighbour_hears_what_we_hold(setting: Setting) -> None:
    setting.gossip.welcome(setting.beta.real)
    assert setting.beta.said == [wire.Digest(setting.roster.digest())]
    setting.roster.add_contacts([setting.contact()])
    setting.gossip.welcome(setting.carol.real)
    assert setting.carol.said[1] == wire.Contacts(setting.roster.contacts.encoded())


def test_whoever_holds_something_else_hears_what_exactly_we_hold(setting: Setting) -> None:
    setting.hear(setting.beta, wire.Digest(setting.roster.digest()))
    assert setting.beta.said == []
    setting.hear(setting.beta, wire.Digest(bytes(32)))
    assert setting.beta.said == [wire.Have(setting.roster.fact_ids())]


def test_a_ping_is_answered(setting: Setting) -> None:
    setting.hear(setting.beta, wire.Ping(7))
    assert setting.beta.said == [wire.Pong(7)]


def test_who_lacks_facts_gets_them_in_batches(setting: Setting) -> None:
    for number in range(FACTS_A_MESSAGE):
        setting.roster.issue(CAROL.public_key, f"carol {number}")
    setting.hear(setting.beta, wire.Have(setting.roster.fact_ids()[:1]))
    said = [message for message in setting.beta.said if isinstance(message, wire.Facts)]
    assert [len(message.facts) for message in said] == [FACTS_A_MESSAGE, 1]
    setting.hear(setting.carol, wire.Have(setting.roster.fact_ids()))
    assert setting.carol.said == []


def test_facts_are_taken_in_and_passed_on(setting: Setting) -> None:
    new: list[bytes] = []
    setting.beta_roster.on_facts = new.extend
    facts = setting.roster.issue(CAROL.public_key, "carol")
    Gossip("beta", setting.beta_roster, list).handle(setting.beta.real, wire.Facts([*facts, b"noise"]))
    assert new == facts
    setting.gossip.share_facts(facts)
    assert [link.said for link in setting.links] == [[wire.Facts(facts)]] * 3
    setting.gossip.share_facts([])
    assert len(setting.beta.said) == 1


def test_news_of_a_contact_go_to_all_others_once(setting: Setting) -> None:
    contact = setting.contact()
    setting.hear(setting.beta, wire.Contacts([contact, b"noise"]))
    setting.hear(setting.carol, wire.Contacts([contact]))
    assert [link.said for link in setting.links] == [[], [wire.Contacts([contact])], [wire.Contacts([contact])]]


def test_our_own_contact_goes_to_all(setting: Setting) -> None:
    setting.gossip.share_contact(b"contact")
    assert [link.said for link in setting.links] == [[wire.Contacts([b"contact"])]] * 3
    setting.gossip._post_contacts([setting.beta.real], [b"x"] * (CONTACTS_A_MESSAGE + 1))
    assert setting.beta.said[-1] == wire.Contacts([b"x"])


def test_a_signal_for_us_is_ours(setting: Setting) -> None:
    got: list[tuple[str, bytes]] = []
    setting.gossip.on_signal = lambda source, payload: got.append((source, payload))
    setting.hear(setting.beta, wire.Signal(setting.roster.own_id, EVE.node_id, b"sealed"))
    assert got == [(EVE.node_id, b"sealed")]


def test_a_signal_for_a_neighbour_is_handed_on_one_hop(setting: Setting) -> None:
    signal = wire.Signal(CAROL.node_id, setting.beta.peer_id, b"sealed")
    setting.hear(setting.beta, signal)
    assert setting.carol.offered == [signal]
    assert setting.dave.offered == []
    setting.hear(setting.beta, wire.Signal(CAROL.node_id, DAVE.node_id, b"not its own"))
    setting.hear(setting.beta, wire.Signal(EVE.node_id, setting.beta.peer_id, b"no neighbour"))
    assert setting.carol.offered == [signal]


def test_signals_are_handed_on_at_a_bounded_rate(setting: Setting) -> None:
    signal = wire.Signal(CAROL.node_id, setting.beta.peer_id, b"sealed")
    for _ in range(10 * int(FORWARD_BURST)):
        setting.hear(setting.beta, signal)
    assert FORWARD_BURST <= len(setting.carol.offered) < 2 * FORWARD_BURST
    setting.hear(setting.dave, wire.Signal(CAROL.node_id, DAVE.node_id, b"another's share"))
    assert setting.carol.offered[-1] == wire.Signal(CAROL.node_id, DAVE.node_id, b"another's share")


def test_a_goodbye_is_told_in_printable_words(setting: Setting) -> None:
    told: list[tuple[PeerLink, str]] = []
    setting.gossip.on_bye = lambda link, reason: told.append((link, reason))
    setting.hear(setting.beta, wire.Bye("\x1b[2Jstopped"))
    assert told == [(setting.beta.real, "[2Jstopped")]


def test_a_late_greeting_means_nothing(setting: Setting) -> None:
    setting.hear(setting.beta, wire.Denied("member", "no"))
    setting.hear(setting.beta, wire.Hello(1, "", bytes(8), "", []))
    assert setting.beta.said == []


def test_nobody_assigned_is_no_failure(setting: Setting) -> None:
    setting.hear(setting.beta, wire.Bye("stopped"))
    setting.hear(setting.beta, wire.Signal(setting.roster.own_id, EVE.node_id, b""))


async def test_the_round_trip_of_a_ping(setting: Setting) -> None:
    pinging = asyncio.ensure_future(setting.gossip.ping(setting.beta.real, 5))
    await asyncio.sleep(0)
    [ping] = setting.beta.said
    assert isinstance(ping, wire.Ping)
    # Not the answer: another number, or another peer.
    setting.hear(setting.beta, wire.Pong(ping.number + 1))
    setting.hear(setting.carol, wire.Pong(ping.number))
    await asyncio.sleep(0)
    assert not pinging.done()
    setting.hear(setting.beta, wire.Pong(ping.number))
    setting.hear(setting.beta, wire.Pong(ping.number))
    assert 0 <= await pinging < 5
    setting.hear(setting.beta, wire.Pong(ping.number))


async def test_a_ping_without_answer_is_unreachable(setting: Setting) -> None:
    with pytest.raises(Unreachable, match=r"no answer within 0\.01 s"):
        await setting.gossip.ping(setting.beta.real, 0.01)


async def test_a_ping_ends_with_its_link(setting: Setting) -> None:
    pings = [asyncio.ensure_future(setting.gossip.ping(link.real, 5)) for link in (setting.beta, setting.carol)]
    await asyncio.sleep(0)
    setting.gossip.link_ended(setting.beta.real)
    setting.gossip.link_ended(setting.beta.real)
    with pytest.raises(LinkError, match="the link ended"):
        await pings[0]
    assert not pings[1].done()
    setting.gossip.link_ended(setting.carol.real)
    await asyncio.gather(pings[1], return_exceptions=True)


async def test_pings_under_way_are_few(setting: Setting) -> None:
    pings = [asyncio.ensure_future(setting.gossip.ping(setting.beta.real, 5)) for _ in range(MAX_PINGS)]
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="too many"):
        await setting.gossip.ping(setting.beta.real, 5)
    for ping in pings:
        ping.cancel()
    await asyncio.gather(*pings, return_exceptions=True)


def test_what_a_neighbour_says_of_itself(setting: Setting) -> None:
    heard: list[tuple[PeerLink, wire.About]] = []
    setting.hear(setting.beta, wire.About("relay"))
    setting.gossip.on_about = lambda link, about: heard.append((link, about))
    setting.hear(setting.beta, wire.About("relay"))
    assert heard == [(setting.beta.real, wire.About("relay"))]
