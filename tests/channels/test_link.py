from __future__ import annotations

import asyncio
from functools import partial

import pytest

from atmosphere.channels import dataflow, wire
from atmosphere.channels.channel import Channel
from atmosphere.channels.inbound import MAX_OPEN
from atmosphere.channels.link import Link
from atmosphere.channels.stream import Stream
from atmosphere.errors import ChannelClosed, LinkError, Unreachable
from atmosphere.sctp.driver import SctpAssociation
from atmosphere.sctp.interface import MAX_MESSAGE
from tests.channels.pipe import ALICE, BOB, End, Weather, accept, no_tasks, path, two_links, within


async def test_both_sides_know_each_other_and_share_a_secret() -> None:
    async with two_links() as (client, server):
        assert client.established and server.established
        assert (client.peer_id, server.peer_id) == (BOB.node_id, ALICE.node_id)
        assert client.peer_public_key == BOB.public_key
        assert client.peer_certificate
        assert client.exporter(b"EXPERIMENTAL", 32) == server.exporter(b"EXPERIMENTAL", 32)


async def test_nothing_is_known_before_the_handshake() -> None:
    link = Link(path()[0], ALICE, client=True)
    assert (link.peer_id, link.peer_public_key, link.peer_certificate) == ("", b"", b"")
    assert not link.established
    link.abort("enough")
    assert link.closed


async def test_channel_messages_and_their_end() -> None:
    async with two_links() as (client, server):
        arrived = await accept(server)
        channel = await client.open_channel("größe", protocol="p", ordered=False)
        await channel.send("")
        await channel.send(b"")
        await channel.send("ünï")
        peer = await asyncio.wait_for(arrived.get(), 5)
        assert (peer.label, peer.protocol, peer.ordered, peer.id) == ("größe", "p", False, channel.id)
        assert [await peer.receive() for _ in range(3)] == ["", b"", "ünï"]
        await channel.send(b"last")
        await channel.close()
        assert [message async for message in peer] == [b"last"]
        with pytest.raises(ChannelClosed):
            await peer.send(b"too late")
        with pytest.raises(ChannelClosed):
            await channel.receive()
        await within(lambda: channel.end_reason)


async def test_the_largest_message_passes_and_a_larger_one_is_refused() -> None:
    async with two_links() as (client, server):
        arrived = await accept(server)
        channel = await client.open_channel("big")
        data = bytes(range(256)) * (MAX_MESSAGE // 256)
        with pytest.raises(ChannelClosed, match="too large"):
            await channel.send(data + b"x")
        peer = await asyncio.wait_for(arrived.get(), 5)
        for _ in range(3):
            _, got = await asyncio.gather(channel.send(data), asyncio.wait_for(peer.receive(), 5))
            assert got == data


async def test_channels_opened_before_a_handler_is_set_wait_for_it() -> None:
    async with two_links() as (client, server):
        for label in "abc":
            await (await client.open_channel(label)).send(label)
        stream = await client.open_stream("s")
        stream.write(b"x")
        last = await client.open_channel("d")
        await last.send("d")
        await within(lambda: len(server._channels) == 6)
        labels: list[str] = []
        streams: list[Stream] = []
        server.on_channel = lambda channel: labels.append(channel.label)
        server.on_stream = streams.append
        assert labels == ["a", "b", "c", "d"]
        assert await streams[0].read(1) == b"x"
        assert server.on_channel is not None
        assert server.on_stream is not None


async def test_the_mesh_channel_holds_what_comes_before_it_is_asked_for() -> None:
    async with two_links() as (client, server):
        one = await client.open_channel("mesh", negotiated_id=wire.MESH_ID)
        await one.send("early")
        await within(lambda: server.bytes_received > 0)
        other = await server.open_channel("mesh", negotiated_id=wire.MESH_ID)
        assert await asyncio.wait_for(other.receive(), 5) == "early"
        with pytest.raises(ValueError, match="taken"):
            await server.open_channel("mesh", negotiated_id=wire.MESH_ID)


async def test_a_negotiated_channel_gets_what_came_before_it() -> None:
    async with two_links() as (client, server):
        one = await client.open_channel("n", negotiated_id=40)
        await one.send("early")
        echo = await client.open_channel("marker")
        arrived = await accept(server)
        await echo.send("now")
        await asyncio.wait_for((await arrived.get()).receive(), 5)
        assert await (await server.open_channel("n", negotiated_id=40)).receive() == "early"


async def test_datagrams() -> None:
    async with two_links() as (client, server):
        got: list[bytes] = []
        server.on_datagram = got.append
        assert client.send_datagram(b"one")
        assert client.send_datagram(b"x" * 1150)
        await within(lambda: len(got) == 2)
        with pytest.raises(ValueError, match="too large"):
            client.send_datagram(b"x" * 1151)
        assert sum(client.send_datagram(b"x" * 1150) for _ in range(200)) < 200
        assert client.datagrams_dropped > 0


async def test_close_tells_the_peer_why_and_leaves_nothing() -> None:
    async with two_links() as (client, server):
        arrived = await accept(server)
        channel = await client.open_channel("c")
        await channel.send("before the end")
        await client.close("maintenance")
        assert await asyncio.wait_for(server.wait_closed(), 2) == "maintenance"
        assert await asyncio.wait_for(client.wait_closed(), 2) == "maintenance"
        peer = await arrived.get()
        assert await peer.receive() == "before the end"
        with pytest.raises(ChannelClosed, match="maintenance"):
            await peer.receive()
        with pytest.raises(LinkError):
            await client.open_channel("again")
        assert client._channels == {} and server._channels == {}
        await client.close()


async def test_close_sends_what_streams_still_hold() -> None:
    async with two_links() as (client, server):
        streams: asyncio.Queue[Stream] = asyncio.Queue()
        server.on_stream = streams.put_nowait
        stream = await client.open_stream("s")
        stream.write(b"x" * 200_000)
        await stream.write_eof()
        await client.close()
        assert len(await (await streams.get()).read()) == 200_000


async def test_waiters_end_with_the_link() -> None:
    async with two_links() as (client, server):
        channel = await client.open_channel("c")
        waiting = asyncio.create_task(channel.receive())
        await asyncio.sleep(0)
        server.abort("gone")
        with pytest.raises(ChannelClosed, match="gone"):
            await asyncio.wait_for(waiting, 2)
        assert not client.send_datagram(b"x")


async def test_close_notify_alone_ends_the_link() -> None:
    async with two_links() as (client, server):
        server._path.session.close()
        server._path._send_datagrams()
        assert await asyncio.wait_for(client.wait_closed(), 2) == "closed by the peer"


async def test_a_silent_peer_is_unreachable() -> None:
    link = Link(path()[0], ALICE, client=True)
    with pytest.raises(Unreachable, match="DTLS"):
        await link.start(timeout=0.05)
    assert await link.wait_closed() == "no answer in time"
    no_tasks()


async def test_a_link_ended_while_it_starts_says_so() -> None:
    link = Link(path()[0], ALICE, client=True)
    asyncio.get_running_loop().call_soon(link.abort, "not wanted")
    with pytest.raises(LinkError, match="not wanted"):
        await link.start()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_handshakes_pass_a_path_that_loses_a_third(seed: int) -> None:
    async with asyncio.timeout(10), two_links(Weather(loss=0.3, seed=seed)) as (client, server):
        arrived = await accept(server)
        channel = await client.open_channel("c")
        await channel.send("through")
        assert await (await arrived.get()).receive() == "through"


async def test_data_is_whole_over_a_bad_path() -> None:
    async with two_links(Weather(loss=0.02, repeat=0.1, reorder=0.1, seed=7)) as (client, server):
        arrived = await accept(server)
        channel = await client.open_channel("c")
        messages = [bytes([i % 256]) * (i * 37 % 5000) for i in range(200)]

        async def send() -> None:
            for message in messages:
                await channel.send(message)

        sending = asyncio.create_task(send())
        peer = await asyncio.wait_for(arrived.get(), 10)
        async with asyncio.timeout(30):
            assert [await peer.receive() for _ in messages] == messages
            await sending


async def test_the_peer_may_open_so_many_and_no_more() -> None:
    async with two_links() as (client, server):
        opened = [await client.open_channel(str(i)) for i in range(MAX_OPEN + 5)]
        await within(lambda: sum(channel.end_reason is not None for channel in opened) == 5, 10)
        assert len(server._channels) == MAX_OPEN + 1
        for channel in opened:
            await channel.close()
        await within(lambda: len(server._channels) == 1, 10)


async def test_a_peer_that_overruns_its_credit_is_cut_off() -> None:
    async with two_links() as (client, server):
        channel = await client.open_channel("c")
        for _ in range(2):
            client._association.send(channel.id, b"x" * MAX_MESSAGE)
        assert "credit" in await asyncio.wait_for(client.wait_closed(), 5)
        assert "credit" in await server.wait_closed()


@pytest.mark.parametrize("message", [b"", b"\x01\x00\x04", b"\x02\x00\x04x", b"\x03\x00\x04\xff", "text"])
async def test_a_broken_control_message_ends_the_link(message: bytes | str) -> None:
    async with two_links() as (client, server):
        client._association.send(wire.CONTROL_ID, message)
        if message == "text":
            channel = await client.open_channel("still there")
            await channel.send("x")
            await within(lambda: len(server._channels) == 2)
        else:
            assert "protocol" in await asyncio.wait_for(server.wait_closed(), 5)


async def test_control_messages_about_nothing_are_ignored() -> None:
    async with two_links() as (client, server):
        for message in (wire.Grant(99, 1), wire.Blocked(99), wire.Reset(99, ""), wire.Stop(99)):
            client.send_control(message)
        await client.close("fine")
        assert await asyncio.wait_for(server.wait_closed(), 2) == "fine"


async def test_hostile_datagrams_do_no_harm() -> None:
    import random

    one, other = path()
    client, server = Link(one, ALICE, client=True), Link(other, BOB, client=False)
    one.recording = True
    await asyncio.gather(client.start(), server.start())
    rng = random.Random(5)
    channel = await client.open_channel("c")
    await channel.send("x" * 5000)
    for datagram in one.sent * 20:
        mutated = bytearray(datagram)
        for _ in range(rng.randrange(1, 5)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        server._path._receive(bytes(mutated[: rng.randrange(len(mutated) + 1)]))
        server._path._receive(rng.randbytes(rng.randrange(100)))
        server._path._receive(datagram)
    arrived = await accept(server)
    peer = await asyncio.wait_for(arrived.get(), 5)
    await channel.send("still fine")
    assert [await peer.receive(), await peer.receive()] == ["x" * 5000, "still fine"]
    client.abort("done")
    server.abort("done")


async def test_a_path_that_changed_is_used_at_once() -> None:
    async with two_links() as (client, server):
        arrived = await accept(server)
        transport = client._path._transport
        assert isinstance(transport, End)
        transport.dead = True
        assert isinstance(client._association, SctpAssociation)
        assert client._association._core.sender is not None
        client._association._core.sender.recovery.timeouts = 8  # its own timer would take three seconds now
        channel = await client.open_channel("c")
        await channel.send("over the new path")
        await asyncio.sleep(0)
        transport.dead = False
        client.path_changed()
        async with asyncio.timeout(2.5):
            assert await (await arrived.get()).receive() == "over the new path"
    client.path_changed()


async def test_a_failing_handler_harms_nobody() -> None:
    async with two_links() as (client, server):

        def fail(_channel: Channel) -> None:
            raise RuntimeError("a faulty handler")

        server.on_channel = fail
        await client.open_channel("a")
        await within(lambda: len(server._channels) == 2)
        arrived = await accept(server)
        await (await client.open_channel("b")).send("fine")
        assert await asyncio.wait_for((await arrived.get()).receive(), 5) == "fine"


async def test_the_last_words_are_said_twice() -> None:
    async with two_links() as (client, server):
        transport = client._path._transport
        assert isinstance(transport, End)
        transport.recording = True
        client.abort("good night")
        assert len(transport.sent) == 4
        assert transport.sent[:2] == transport.sent[2:]
        assert await asyncio.wait_for(server.wait_closed(), 2) == "good night"


async def test_a_peer_that_closes_the_links_own_channel_is_cut_off() -> None:
    async with two_links() as (client, server):
        client._association.close(wire.CONTROL_ID)
        assert "belongs to the link" in await asyncio.wait_for(server.wait_closed(), 5)


async def test_a_dtls_handshake_that_takes_too_long_is_unreachable() -> None:
    link = Link(path()[0], ALICE, client=True)
    link._path.session.handle_timer(asyncio.get_running_loop().time() + 60)
    with pytest.raises(Unreachable, match="too long"):
        await link.start()


async def test_data_that_nobody_answers_is_told_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataflow, "SUSPECT_AFTER", 0.2)
    monkeypatch.setattr(dataflow, "SILENT_AFTER", 0.5)
    one, other = path()
    client, server = Link(one, ALICE, client=True), Link(other, BOB, client=False)
    await asyncio.gather(client.start(), server.start())
    told: list[Link] = []
    silent = asyncio.Event()

    def tell(link: Link) -> None:
        told.append(link)
        silent.set()

    suspected: list[Link] = []
    for link in (client, server):
        link.flow.on_silent = partial(tell, link)
        link.flow.on_suspect = partial(suspected.append, link)
    stream = await client.open_stream("one way")
    stream.write(b"heard")
    await within(lambda: not client._association.outstanding and not server._association.outstanding)
    one.dead = True
    stream.write(b"lost")
    await asyncio.wait_for(silent.wait(), 5)
    assert told == suspected == [client]
    one.dead = False
    client.path_changed()
    await within(lambda: not client._association.outstanding)
    await within(lambda: client.flow.idle)
    stream.write(b"unheard")
    client.abort("the end comes before the verdict")
    server.abort("over")
    assert told == [client]


async def test_another_session_over_the_same_addresses_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataflow, "SUSPECT_AFTER", 0.1)
    monkeypatch.setattr(dataflow, "SILENT_AFTER", 0.3)
    one, other = path()
    client, server = Link(one, ALICE, client=True), Link(other, BOB, client=False)
    await asyncio.gather(client.start(), server.start())
    await within(lambda: not client._association.outstanding)
    silent = asyncio.Event()
    client.flow.on_suspect = partial(client.path_changed, moved=False)
    client.flow.on_silent = silent.set
    one.dead = True
    (await client.open_stream("lost")).write(b"lost")
    await asyncio.wait_for(silent.wait(), 5)
    client.abort("over")
    server.abort("over")
