"""Real nodes, real sockets, one loopback: what a user does with a mesh."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream
from atmosphere.errors import AtmosphereError, CodeError, LinkError, Refused, StateError, UnknownPeer, Unreachable
from atmosphere.joincode import JoinCode
from atmosphere.mesh import events
from atmosphere.mesh.contacts import Contact, sign
from atmosphere.mesh.node import Node
from tests.mesh.nodes import WAIT, Mesh, connected, founder, make, until


async def echo(stream: Stream) -> None:
    while data := await stream.read(65536):
        stream.write(data)
        await stream.drain()
    await stream.write_eof()


async def said(node: Node, to: str, text: bytes) -> bytes:
    stream = await node.peer(to).open_stream("echo")
    stream.write(text)
    await stream.write_eof()
    return await asyncio.wait_for(stream.read(), WAIT)


# --- joining ----------------------------------------------------------------------------------------------------------


async def test_a_code_makes_two_nodes_one_mesh(mesh: Mesh) -> None:
    alpha = await mesh.found()
    alpha.on_stream("echo", echo)
    beta = await mesh.fresh("beta")
    steps: list[str] = []
    peer = await beta.join(str(await alpha.invite()), progress=steps.append)
    assert (peer.name, peer.state) == ("alpha", "connected")
    assert (beta.mesh_id, beta.mesh_name) == (alpha.mesh_id, "home")
    assert any(step.startswith("direct 127.0.0.1") for step in steps)
    assert await said(beta, "alpha", b"hello" * 1000) == b"hello" * 1000
    assert await peer.ping() > 0
    await connected(alpha, "beta")


async def test_a_third_member_meets_the_others_by_itself(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    gamma = await mesh.join(alpha, "gamma")
    await connected(gamma, "alpha", "beta")
    await connected(beta, "gamma")
    beta.on_stream("echo", echo)
    assert await said(gamma, "beta", b"hi") == b"hi"


async def test_a_code_serves_one_machine_once(mesh: Mesh) -> None:
    alpha = await mesh.found()
    code = await alpha.invite()
    await (await mesh.fresh("beta")).join(code)
    with pytest.raises(CodeError) as caught:
        await (await mesh.fresh("gamma")).join(code)
    assert caught.value.reason == "used"
    assert alpha.invites() == []


@pytest.mark.parametrize("expires", [0, -1, 1e12, float("nan"), float("inf")])
async def test_a_code_lasts_for_some_time_but_not_for_ever(mesh: Mesh, expires: float) -> None:
    with pytest.raises(Refused):
        await (await mesh.found()).invite(expires=expires)


async def test_a_name_that_is_none_is_made_one(mesh: Mesh) -> None:
    alpha = await mesh.found()
    await (await mesh.fresh("beta")).join(await alpha.invite(), name="a/b\x1b[31m")
    (peer,) = alpha.peers()
    assert "/" not in peer.name
    assert "\x1b" not in peer.name


async def test_a_used_code_stays_used_after_a_restart(mesh: Mesh) -> None:
    alpha = await mesh.found()
    code = await alpha.invite()
    await (await mesh.fresh("beta")).join(code)
    port = alpha.port
    alpha = await mesh.restart(alpha, port=port)
    with pytest.raises(CodeError) as caught:
        await (await mesh.fresh("gamma")).join(code)
    assert caught.value.reason == "used"


async def test_a_revoked_code_says_so(mesh: Mesh) -> None:
    alpha = await mesh.found()
    code = await alpha.invite()
    alpha.revoke_invite(code.invite_id)
    with pytest.raises(CodeError) as caught:
        await (await mesh.fresh("beta")).join(code)
    assert caught.value.reason == "revoked"


async def test_a_code_the_host_does_not_know_is_not_answered(mesh: Mesh) -> None:
    alpha = await mesh.found()
    code = await alpha.invite()
    forged = JoinCode(code.mesh_id, code.host_id, b"x" * 16, code.mesh_name, code.expires_at, code.candidates)
    with pytest.raises(Unreachable, match="could not be reached"):
        await (await mesh.fresh("beta")).join(forged, timeout=2.0)


async def test_an_impostor_at_the_hosts_address_is_noticed(mesh: Mesh) -> None:
    alpha, eve = await mesh.found(), await mesh.found("eve")
    code = await eve.invite()
    lured = JoinCode(bytes.fromhex(alpha.mesh_id), alpha.id, code.secret, "home", code.expires_at, code.candidates)
    with pytest.raises(Refused, match="somebody else"):
        await (await mesh.fresh("beta")).join(lured, timeout=5.0)


async def test_a_code_of_another_mesh_is_refused(mesh: Mesh) -> None:
    alpha, other = await mesh.found(), await mesh.found("other")
    with pytest.raises(CodeError) as caught:
        await alpha.join(await other.invite())
    assert caught.value.reason == "foreign"


async def test_ones_own_code_is_refused(mesh: Mesh) -> None:
    alpha = await mesh.found()
    with pytest.raises(CodeError, match="own join code"):
        await alpha.join(await alpha.invite())


async def test_a_member_may_use_a_code_again_and_nothing_happens(mesh: Mesh) -> None:
    alpha = await mesh.found()
    code = await alpha.invite()
    beta = await mesh.fresh("beta")
    await beta.join(code)
    assert (await beta.join(code)).name == "alpha"


async def test_only_founder_and_admins_invite(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    with pytest.raises(Refused, match="founder and admins"):
        await beta.invite()
    await alpha.promote("beta")
    await until(beta, lambda: beta.status().role == "admin")
    gamma = await mesh.join(beta, "gamma")
    await connected(gamma, "alpha", "beta")


async def test_joining_by_hand_needs_no_server(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.fresh("beta")
    manual = await beta.join_manual(str(await alpha.invite()))
    assert manual.reply.startswith("atr1")
    peer = await asyncio.wait_for(manual.wait(), WAIT)
    assert peer.name == "alpha"


async def test_a_reply_to_another_code_is_refused(mesh: Mesh) -> None:
    alpha, other = await mesh.found(), await mesh.found("other")
    beta = await mesh.fresh("beta")
    manual = await beta.join_manual(str(await alpha.invite()))
    with pytest.raises(CodeError) as caught:
        await other.accept(manual.reply)
    assert caught.value.reason == "unknown"


# --- staying connected ------------------------------------------------------------------------------------------------


async def test_a_restarted_member_is_back_by_itself(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    beta = await mesh.restart(beta)
    await connected(beta, "alpha")
    await connected(alpha, "beta")


async def test_a_member_that_vanished_is_noticed_and_met_again(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    port = beta.port
    link = beta.peer("alpha").link
    assert link is not None
    # As after kill -9: nothing is said, the port is simply gone.
    link.session.close()
    await until(alpha, lambda: alpha.peer("beta").state != "connected")
    beta = await mesh.restart(beta, port=port)
    await connected(alpha, "beta")


async def test_a_member_that_says_goodbye_is_offline_at_once(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    seen = alpha.events()
    waiting = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0)
    await beta.stop()
    event = await asyncio.wait_for(waiting, WAIT)
    assert isinstance(event, events.PeerDisconnected)
    assert "stopped" in event.reason


async def test_a_restarted_member_waits_where_most_others_do(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    gamma = await mesh.join(alpha, "gamma")
    shared, own = "ws://127.0.0.1:9/shared", [f"ws://127.0.0.1:9/{number}" for number in range(8)]
    for node, urls in ((gamma, [*own[:7], shared]), (beta, [shared])):
        contact = Contact(node.id, time.time() + 1, [], urls)
        alpha._parts.roster.add_contacts([sign(contact, node._parts.home.identity.sign)])
    await beta.stop()
    await gamma.stop()
    alpha = await mesh.restart(alpha)
    assert alpha._parts.meeting.learned == [shared, *own[:7]]


# --- removing ---------------------------------------------------------------------------------------------------------


async def test_a_removed_member_is_cut_off_everywhere(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    gamma = await mesh.join(alpha, "gamma")
    await connected(beta, "alpha", "gamma")
    await alpha.remove("gamma")
    await until(alpha, lambda: [peer.name for peer in alpha.peers()] == ["beta"])
    await until(beta, lambda: [peer.name for peer in beta.peers()] == ["alpha"])
    await until(gamma, lambda: not gamma.status().ready)
    await until(gamma, lambda: gamma.peers() == [])


async def test_a_removed_member_can_be_invited_again(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    await alpha.remove("beta")
    await until(beta, lambda: not beta.status().ready)
    await beta.join(await alpha.invite())
    await connected(alpha, "beta")
    await connected(beta, "alpha")


async def test_a_member_cannot_remove(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    with pytest.raises(Refused):
        await beta.remove("alpha")


async def test_who_leaves_is_forgotten_by_all_and_forgets(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    await beta.leave()
    await until(alpha, lambda: alpha.peers() == [])
    assert not (beta.home / "mesh.json").exists()
    assert not (beta.home / "identity.pem").exists()


# --- talking ----------------------------------------------------------------------------------------------------------


async def test_channels_and_datagrams(mesh: Mesh) -> None:
    alpha = await mesh.found()
    arrived: asyncio.Queue[bytes | str] = asyncio.Queue()

    async def collect(channel: Channel) -> None:
        async for message in channel:
            arrived.put_nowait(message)

    alpha.on_channel("chat", collect)
    beta = await mesh.join(alpha, "beta")
    channel = await beta.peer("alpha").open_channel("chat", ordered=False)
    await channel.send("hello")
    assert await asyncio.wait_for(arrived.get(), WAIT) == "hello"
    await connected(alpha, "beta")
    beta.peer("alpha").send_datagram(b"quick")
    assert await asyncio.wait_for(alpha.peer("beta").receive_datagram(), WAIT) == b"quick"


async def test_a_stream_that_nobody_handles_is_reset(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    stream = await beta.peer("alpha").open_stream("nothing")
    with pytest.raises(LinkError):
        await asyncio.wait_for(stream.read(), WAIT)
    assert alpha.peer("beta").state == "connected"


async def test_a_handler_that_fails_ends_its_stream_alone(mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(stream: Stream) -> None:
        raise RuntimeError("a bug of the application")

    alpha = await mesh.found()
    alpha.on_stream("broken", broken)
    alpha.on_stream("echo", echo)
    beta = await mesh.join(alpha, "beta")
    stream = await beta.peer("alpha").open_stream("broken")
    with pytest.raises(LinkError):
        await asyncio.wait_for(stream.read(), WAIT)
    assert await said(beta, "alpha", b"still here") == b"still here"
    assert "a bug of the application" in caplog.text


# --- names and errors -------------------------------------------------------------------------------------------------


async def test_peers_are_found_by_name_or_by_the_beginning_of_their_id(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    assert alpha.peer("beta").id == beta.id
    assert alpha.peer(beta.id[:10]).id == beta.id
    with pytest.raises(UnknownPeer, match=r"beta \("):
        alpha.peer("nobody")


async def test_two_members_of_one_name_are_told_apart(mesh: Mesh) -> None:
    alpha = await mesh.found()
    first = await mesh.join(alpha, "twin")
    second = await mesh.fresh("other")
    await second.join(await alpha.invite(), name="twin")
    names = {peer.name for peer in alpha.peers()}
    assert len(names) == 2
    assert all(name.startswith("twin (") for name in names)
    with pytest.raises(UnknownPeer, match="several"):
        alpha.peer("twin")
    assert alpha.peer(first.id[:12]).id == first.id


async def test_one_node_a_home(tmp_path: Path, mesh: Mesh) -> None:
    alpha = await mesh.found()
    with pytest.raises(StateError):
        await make(alpha.home).start()


async def test_a_taken_port_is_a_clear_error(tmp_path: Path, mesh: Mesh) -> None:
    alpha = await mesh.found()
    second = founder(tmp_path / "second", port=alpha.port)
    with pytest.raises(AtmosphereError, match=str(alpha.port)):
        await second.start()
    await (await mesh.start(make(second.home))).stop()


async def test_a_setting_that_makes_no_sense_is_a_clear_error(mesh: Mesh) -> None:
    alpha = await mesh.found()
    port = alpha.port
    await alpha.stop()
    with pytest.raises(AtmosphereError, match="'nonsense' names no signaling server"):
        await make(alpha.home, port=port, signaling=["nonsense"]).start()
    await mesh.start(make(alpha.home, port=port))


async def test_what_nobody_answers_is_an_error_and_not_a_wait(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    await beta.stop()
    await until(alpha, lambda: alpha.peer("beta").state != "connected")
    with pytest.raises(Unreachable, match="not connected"):
        await alpha.peer("beta").ping()


async def test_status_says_what_there_is(mesh: Mesh) -> None:
    alpha = await mesh.found()
    await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    status = alpha.status()
    assert status.ready
    assert status.role == "founder"
    assert status.peers == {"connected": 1}
    assert status.addresses == [f"127.0.0.1:{alpha.port}"]
    (info,) = [peer.info() for peer in alpha.peers()]
    assert info.path is not None
    assert (info.path.kind, info.path.protocol, info.path.family) == ("direct", "udp", 4)
    assert info.rtt_ms is not None
    assert info.bytes_sent


async def test_a_ping_follows_the_link_that_takes_over(mesh: Mesh) -> None:
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    peer = beta.peer("alpha")
    former = peer.link
    assert former is not None
    former.post = lambda message: former.link.abort("gone before the answer")  # type: ignore[method-assign]
    assert await peer.ping(WAIT) > 0
    assert peer.link is not former


async def test_a_change_of_the_network_is_news_to_servers_and_contacts(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried: list[bool] = []
    monkeypatch.setattr("signaling.pool.SignalingPool.hurry", lambda pool: hurried.append(True))
    alpha = await mesh.found("alpha")
    beta = await mesh.join(alpha, "beta")
    (peer,) = await connected(alpha, "beta")
    candidates: list[bool] = []
    monkeypatch.setattr(alpha._parts.dialer, "tell_candidates", lambda: candidates.append(True))
    assert alpha._parts.listeners.endpoint.refresh_addresses(sure=True)
    assert hurried == candidates == [True]
    assert await peer.ping() > 0
    assert beta.peer("alpha").state == "connected"
