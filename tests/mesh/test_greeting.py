"""The first words on a link, each side against a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from atmosphere.errors import CodeError, DecodeError, LinkError, Refused
from atmosphere.mesh import greeting, wire
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from tests.mesh.fakes import FakeLink, founder, granted, hello, member
from tests.mesh.people import CAROL

BOOT = b"bootboot"


class Setting:
    """A founder, a member, and links that each has to the other."""

    def __init__(self, folder: Path) -> None:
        self.home, self.alpha = founder(folder)
        self.beta_home, self.beta = member(folder, "beta", self.alpha)
        self.other = founder(folder / "elsewhere", "gamma")[1]

    def to_beta(self, *words: wire.Message) -> FakeLink:
        return FakeLink(self.beta_home.identity, *words)

    def to_alpha(self, *words: wire.Message) -> FakeLink:
        return FakeLink(self.home.identity, *words)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def changed(roster: Roster, **fields: Any) -> wire.Hello:
    return replace(hello(roster), **fields)


async def accept(setting: Setting, link: FakeLink, redeem: greeting.RedeemHandler | None = None) -> None:
    await greeting.greet_accepted(link.real, setting.alpha, hello(setting.alpha), redeem)


async def test_two_members_know_each_other(setting: Setting) -> None:
    link = setting.to_alpha(hello(setting.alpha, BOOT))
    await greeting.greet_dialed(link.real, setting.beta, hello(setting.beta), setting.alpha.own_id)
    assert link.said == [hello(setting.beta)]
    assert (link.boot, link.version) == (BOOT, "0.1")
    assert link.connected_at is not None
    back = setting.to_beta(hello(setting.beta, BOOT))
    await accept(setting, back)
    assert back.said == [hello(setting.alpha)]


def test_a_hello_carries_the_chain(setting: Setting) -> None:
    assert greeting.hello(setting.beta, BOOT, "0.1") == hello(setting.beta, BOOT)


async def test_a_version_cannot_steer_a_terminal(setting: Setting) -> None:
    link = setting.to_beta(changed(setting.beta, version="\x1b[2J1.0"))
    await accept(setting, link)
    assert link.version == "[2J1.0"


async def test_somebody_else_answers(setting: Setting) -> None:
    link = setting.to_alpha(hello(setting.alpha))
    with pytest.raises(Refused, match="somebody else"):
        await greeting.greet_dialed(link.real, setting.beta, hello(setting.beta), CAROL.node_id)
    assert link.said == []


async def test_a_member_that_we_had_not_heard_of(setting: Setting) -> None:
    setting.alpha.issue(CAROL.public_key, "carol")
    link = FakeLink(CAROL, changed(setting.beta, chain=setting.alpha.chain_of(CAROL.node_id)))
    await greeting.greet_accepted(link.real, setting.beta, hello(setting.beta), None)
    assert setting.beta.member(CAROL.node_id) is not None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"protocol": 2}, "newer version"),
        ({"protocol": 0}, "older version"),
        ({"mesh_id": "00" * 20}, "another mesh"),
    ],
)
async def test_who_does_not_fit_is_told_why(setting: Setting, fields: dict[str, Any], why: str) -> None:
    link = setting.to_beta(changed(setting.beta, **fields))
    with pytest.raises(Refused, match=why):
        await accept(setting, link)
    [denied] = link.said
    assert isinstance(denied, wire.Denied)
    assert why in denied.text


async def test_the_member_is_whose_key_shook_hands(setting: Setting) -> None:
    # Carol shows Beta's papers.
    link = FakeLink(CAROL, hello(setting.beta))
    with pytest.raises(Refused, match="not a member"):
        await accept(setting, link)
    # Somebody has a certificate whose key is not the one of the membership.
    forged = setting.to_beta(hello(setting.beta))
    forged.peer_public_key = CAROL.public_key
    with pytest.raises(Refused, match="not a member"):
        await accept(setting, forged)


async def test_a_removed_member_is_told(setting: Setting) -> None:
    setting.alpha.revoke(setting.beta.own_id)
    link = setting.to_beta(hello(setting.beta))
    with pytest.raises(Refused, match="or no longer"):
        await accept(setting, link)
    assert isinstance(link.said[0], wire.Denied)


async def test_no_introduction(setting: Setting) -> None:
    with pytest.raises(Refused, match="did not introduce itself"):
        await accept(setting, setting.to_beta(wire.Ping(1)))
    with pytest.raises(LinkError):
        await accept(setting, setting.to_beta())


async def test_a_refusal_is_passed_on_in_printable_words(setting: Setting) -> None:
    link = setting.to_alpha(wire.Denied("member", "not\x1b a member"))
    with pytest.raises(Refused, match=r"refused by the other side: not\? a member"):
        await greeting.greet_dialed(link.real, setting.beta, hello(setting.beta), setting.alpha.own_id)


# --- redeeming ------------------------------------------------------------------------------------------------------


REQUEST = wire.Redeem(wire.PROTOCOL, "00" * 8, bytes(32), "carol")


async def test_a_joiner_is_granted_and_then_greets_as_a_member(setting: Setting) -> None:
    def redeem(link: PeerLink, request: wire.Redeem) -> wire.Granted:
        assert request == REQUEST
        setting.alpha.issue(CAROL.public_key, "carol")
        return granted(setting.alpha, CAROL)

    link = FakeLink(CAROL, REQUEST, hello(setting.alpha))
    await accept(setting, link, redeem)
    assert link.said == [granted(setting.alpha, CAROL), hello(setting.alpha)]


async def test_a_code_is_of_no_use_where_members_are_expected(setting: Setting) -> None:
    link = FakeLink(CAROL, REQUEST)
    with pytest.raises(CodeError):
        await accept(setting, link)
    assert link.said == [wire.Denied("unknown", "this address is for members")]


async def test_a_joiner_of_another_protocol(setting: Setting) -> None:
    link = FakeLink(CAROL, wire.Redeem(2, "00" * 8, bytes(32), "carol"))
    with pytest.raises(Refused, match="newer"):
        await accept(setting, link, lambda link, request: pytest.fail("it was judged"))
    assert isinstance(link.said[0], wire.Denied)


async def test_the_reason_of_a_refused_code_reaches_the_joiner(setting: Setting) -> None:
    def redeem(link: PeerLink, request: wire.Redeem) -> wire.Granted:
        raise CodeError("the join code is used up", reason="used")

    link = FakeLink(CAROL, REQUEST)
    with pytest.raises(CodeError):
        await accept(setting, link, redeem)
    [denied] = link.said
    with pytest.raises(CodeError, match="used up") as caught:
        await greeting.redeem_invite(setting.to_alpha(denied).real, REQUEST)
    assert caught.value.reason == "used"


async def test_a_grant(setting: Setting) -> None:
    link = setting.to_alpha(granted(setting.alpha, CAROL))
    assert await greeting.redeem_invite(link.real, REQUEST) == granted(setting.alpha, CAROL)
    assert link.said == [REQUEST]


async def test_neither_yes_nor_no(setting: Setting) -> None:
    with pytest.raises(LinkError, match="something else"):
        await greeting.redeem_invite(setting.to_alpha(wire.Ping(1)).real, REQUEST)


async def test_what_cannot_be_read_is_refused(setting: Setting) -> None:
    class Garbled(FakeLink):
        async def receive(self) -> wire.Message:
            raise DecodeError("noise")

    link = Garbled(CAROL)
    with pytest.raises(DecodeError):
        await accept(setting, link)
    assert link.said == [wire.Denied("member", "noise")]
