from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from signaling.cluster import nats_link
from signaling.cluster.nats_link import ClusterError, NatsLink, require_nats, servers_of
from tests.signaling.nats import NatsServer, nats_server
from tests.signaling.tools import until


def test_urls_are_a_list() -> None:
    assert servers_of("nats://a, tls://u:p@b:4443 ,") == ("nats://a", "tls://u:p@b:4443")


@pytest.mark.parametrize("text", ["", " , ", "a:4222", "http://a", "nats://", "nats://a:x", "nats://u:north@a:99999"])
def test_what_is_no_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ClusterError) as caught:
        servers_of(text)
    assert "\n" not in str(caught.value)
    assert "north" not in str(caught.value)


async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    link = NatsLink(["nats://x"], [], _ignore, tmp_path / "none.creds")
    with pytest.raises(ClusterError, match="No such file"):
        link.start()
    (tmp_path / "some.creds").write_text("north")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ClusterError, match="pip install nkeys"):
        NatsLink(["nats://x"], [], _ignore, tmp_path / "some.creds").start()
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    with pytest.raises(ClusterError, match=r"pip install 'atmosphere-mesh\[cluster\]'"):
        require_nats()


@pytest.mark.needs("nats-server")
async def test_what_is_said_comes_back() -> None:
    heard: list[bytes] = []
    async with nats_server() as nats:
        link = NatsLink([nats.url], ["a", "b"], heard.append)
        link.publish("a", b"0")
        assert link.dropped == 1
        link.start()
        await until(lambda: link.is_connected)
        await until(lambda: link._client is not None and len(link._client._subs) == 2)
        for number in range(3):
            link.publish("a", b"%d" % number)
        await until(lambda: heard == [b"0", b"1", b"2"])
        link.publish("b", b"3")
        await link.stop()
        assert not link.is_connected


@pytest.mark.needs("nats-server")
async def test_it_reconnects_and_a_receiver_s_mistake_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []

    def take(data: bytes) -> None:
        if data == b"bad":
            raise ValueError("a mistake")
        heard.append(data)

    async with nats_server() as nats:
        link = NatsLink([nats.url], ["a"], take)
        link.start()
        await until(lambda: link._client is not None and len(link._client._subs) == 1)
        link.publish("a", b"bad")
        link.publish("a", b"good")
        await until(lambda: heard == [b"good"])
        assert "a message of the cluster failed" in caplog.text
        await nats.stop()
        await until(lambda: not link.is_connected)
        link.publish("a", b"lost")
        assert link.dropped == 1
        await nats.start()
        await until(lambda: link.is_connected)
        link.publish("a", b"again")
        await until(lambda: heard == [b"good", b"again"])
        await link.stop()


@pytest.mark.needs("nats-server")
async def test_a_password_that_is_refused_for_a_while_is_no_end() -> None:
    heard: list[bytes] = []
    async with nats_server("--user", "u", "--pass", "north", login="u:north@") as nats:
        link = NatsLink([nats.url], ["a"], heard.append)
        link.start()
        await until(lambda: link.is_connected)
        await nats.stop()
        stranger = NatsServer("--user", "u", "--pass", "south")
        stranger.port = nats.port
        await stranger.start()
        await until(lambda: link._told)
        await stranger.stop()
        await nats.start()
        await until(lambda: link.is_connected)
        await until(lambda: link._client is not None and len(link._client._subs) == 1)
        link.publish("a", b"again")
        await until(lambda: heard == [b"again"])
        await link.stop()


@pytest.mark.needs("nats-server")
async def test_what_waits_for_nats_is_bounded_and_may_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_link, "MAX_WAITING", 10)
    async with nats_server() as nats:
        link = NatsLink([nats.url], ["a"], _ignore)
        link.start()
        await until(lambda: link._client is not None and len(link._client._subs) == 1)
        link.publish("a", bytes(11))
        assert link.dropped == 1
        assert link._client

        async def broken(*_: object) -> None:
            raise RuntimeError("a mistake")

        monkeypatch.setattr(link._client, "publish", broken)
        link.publish("a", b"x")
        await until(lambda: link.dropped == 2)
        monkeypatch.setattr(type(link._client), "is_connected", property(lambda _: True))
        link.publish("a", b"x")
        monkeypatch.setattr(type(link._client), "is_connected", property(lambda _: False))
        await until(lambda: link.dropped == 3)
        await link.stop()


async def test_a_library_that_swallows_a_cancellation_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_link, "RETRY", 0.05)
    swallowed: list[str] = []

    class Stubborn:
        is_connected = False

        async def connect(self, **_: object) -> None:
            for name in ("connect", "connect again"):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    swallowed.append(name)
            await asyncio.sleep(60)

        async def close(self) -> None:
            await asyncio.sleep(60)

    monkeypatch.setattr(nats_link, "require_nats", lambda: Stubborn)
    link = NatsLink(["nats://x"], [], _ignore)
    link.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await link.stop()
    assert swallowed == ["connect", "connect again"]
    assert all(task.done() for task in link._tasks)


async def test_a_link_that_never_started_can_be_stopped() -> None:
    async with asyncio.timeout(5):
        await NatsLink(["nats://x"], [], _ignore).stop()


def _ignore(data: bytes) -> None:
    """Take a message and do nothing."""
