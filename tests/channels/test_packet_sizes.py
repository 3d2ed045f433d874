"""How large a link's datagrams are (they fit any path, or the one that they take), and its messages (RFC 8841)."""

from __future__ import annotations

import asyncio

import pytest

from atmosphere.channels.link import MAX_DATAGRAM, Link
from atmosphere.errors import ChannelClosed
from atmosphere.sctp.interface import BROWSER_MESSAGE, MAX_MESSAGE
from tests.channels.pipe import ALICE, BOB, Weather, accept, path


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
async def test_every_datagram_fits_the_least_path_of_ipv6_even_through_a_relay(plain: bool) -> None:
    """Handshake, data, acknowledgements and the end: nobody has to tell us of a small MTU."""
    one, other = path(Weather(loss=0.05))
    one.recording = other.recording = True
    one.width = other.width = 1228  # the probes for more are not even sent
    client, server = Link(one, ALICE, client=True, plain=plain), Link(other, BOB, client=False, plain=plain)
    await asyncio.gather(client.start(), server.start())
    arrived = await accept(server)
    channel = await client.open_channel("l" * 1024)
    await channel.send(bytes(BROWSER_MESSAGE))
    client.send_datagram(bytes(MAX_DATAGRAM))
    assert len(await (await asyncio.wait_for(arrived.get(), 10)).receive()) == BROWSER_MESSAGE
    client.abort("x" * 5000)
    server.abort("over")
    sizes = [len(datagram) for datagram in (*one.sent, *other.sent)]
    assert 1200 < max(sizes) <= 1280 - 40 - 8 - 4  # IPv6 and UDP headers, ChannelData


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
async def test_a_wide_path_gets_large_packets_where_both_ends_are_ours(plain: bool) -> None:
    one, other = path()
    one.width = 9000
    one.recording = True
    client, server = Link(one, ALICE, client=True, plain=plain), Link(other, BOB, client=False, plain=plain)
    await asyncio.gather(client.start(), server.start())
    arrived = await accept(server)
    channel = await client.open_channel("bulk")
    await channel.send(b"begin")
    reader = await asyncio.wait_for(arrived.get(), 10)
    assert await reader.receive() == b"begin"
    for number in range(8):
        await channel.send(bytes([number]) * BROWSER_MESSAGE)
        assert await reader.receive() == bytes([number]) * BROWSER_MESSAGE
    assert 8900 < max(map(len, one.sent)) <= 9000 if not plain else max(map(len, one.sent)) <= 1228
    client.abort("over")
    server.abort("over")


@pytest.mark.parametrize(
    ("plain", "announced", "most"),
    [
        (False, None, MAX_MESSAGE),
        (True, None, BROWSER_MESSAGE),
        (True, 65_536, 65_536),
        (True, 0, MAX_MESSAGE),
        (True, 2**40, MAX_MESSAGE),
    ],
)
async def test_no_message_is_larger_than_what_the_peer_takes(plain: bool, announced: int | None, most: int) -> None:
    one, other = path()
    client = Link(one, ALICE, client=True, plain=plain, max_message=announced)
    server = Link(other, BOB, client=False, plain=plain)
    await asyncio.gather(client.start(), server.start())
    arrived = await accept(server)
    channel = await client.open_channel("big")
    assert channel.max_message == client.max_message == most
    with pytest.raises(ChannelClosed, match="too large") as refused:
        await channel.send(bytes(most + 1))
    assert str(most) in str(refused.value.hint)
    await channel.send(bytes(most))
    assert len(await (await asyncio.wait_for(arrived.get(), 5)).receive()) == most
    for link in (client, server):
        await link.close("over")
