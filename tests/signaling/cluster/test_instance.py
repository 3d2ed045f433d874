from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from signaling import ClusterError, ClusterSettings, KeySigner, Message, Settings, SignalingClient, SignalingServer
from signaling.cluster.instance import FRAME_BYTES, _parts
from signaling.cluster.wire import MAX_EVENTS, AnyEvent, Beat, Frame, Published, encode_frame
from tests.certificates import self_signed
from tests.signaling.nats import NatsServer, nats_server
from tests.signaling.tools import PATIENCE, get, node, until, url_of

pytestmark = pytest.mark.needs("nats-server")


@contextlib.asynccontextmanager
async def cluster(
    nats: NatsServer, instances: int, settings: Settings | None = None, name: str = "test"
) -> AsyncIterator[list[SignalingServer]]:
    """Instances that have found each other."""
    made = [
        SignalingServer(settings, cluster=ClusterSettings((nats.url,), name, dead_after=1.5)) for _ in range(instances)
    ]
    for server in made:
        await server.start("127.0.0.1", 0)
    try:
        await until(lambda: all(is_joined(server, instances) for server in made))
        yield made
    finally:
        for server in made:
            await server.stop()


def is_joined(server: SignalingServer, instances: int) -> bool:
    stats = server.stats()
    return (stats["cluster_joined"], stats["cluster_instances"]) == (1, instances)


class Inbox:
    """A client and what it was sent."""

    def __init__(self, server: SignalingServer, signer: KeySigner | None = None) -> None:
        self.client = SignalingClient(url_of(server), signer or KeySigner())
        self.messages: list[Message] = []
        self.client.on_message = self.messages.append

    async def __aenter__(self) -> Inbox:
        self.client.start()
        await self.client.wait_connected(PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


async def test_any_instance_serves_any_node() -> None:
    async with nats_server() as nats, cluster(nats, 3) as servers:
        async with Inbox(servers[0]) as ann, Inbox(servers[1]) as bob, Inbox(servers[2]) as cid:
            await until(lambda: all(server.stats()["cluster_nodes"] == 3 for server in servers))
            assert await ann.client.send(bob.client.id, b"one") == "delivered"
            await cid.client.subscribe("t")
            await until(lambda: subscribers(servers[0]) == 1)
            assert await ann.client.publish("t", b"two") == 1
            await until(lambda: (bob.payloads, cid.payloads) == ([b"one"], [b"two"]))
        signer = KeySigner()
        async with Inbox(servers[0]) as ann:
            absent = SignalingClient(url_of(servers[2]), signer)
            assert await ann.client.send(absent.id, b"three") == "queued"
            async with Inbox(servers[2], signer) as dan:
                await until(lambda: dan.payloads == [b"three"])
        await until(lambda: all(server.stats()["cluster_copies"] == 0 for server in servers))


def subscribers(server: SignalingServer) -> int:
    assert server._cluster
    return server._cluster.hub.directory.subscribers("t")


async def test_presence_and_replacement_across_instances() -> None:
    signer = KeySigner()
    async with nats_server() as nats, cluster(nats, 2) as servers, node(servers[0]) as ann:
        async with node(servers[0], signer) as old:
            await ann.send(type="watch", ids=[old.id], ref=1)
            assert [(await ann.receive()).get("online") for _ in range(2)] == [True, None]
            async with node(servers[1], signer):
                assert (await old.receive())["code"] == "replaced"
                assert await old.closed() == 4001
        assert await ann.receive() == {"type": "presence", "id": old.id, "online": False}


async def test_alone_when_nats_is_gone_and_together_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with nats_server() as nats, cluster(nats, 2) as servers:
        async with Inbox(servers[0]) as ann, Inbox(servers[0]) as bob, Inbox(servers[1]) as cid:
            await nats.stop()
            await until(lambda: servers[0].stats()["cluster_joined"] == 0)
            assert (await get(servers[0], "/health"))[::2] == (200, "ok, alone\n")
            assert await ann.client.send(bob.client.id, b"one") == "delivered"
            assert await ann.client.send(cid.client.id, b"two") == "queued"
            await nats.start()
            await until(lambda: all(is_joined(server, 2) for server in servers))
            assert (await get(servers[0], "/health"))[::2] == (200, "ok\n")
            await until(lambda: (bob.payloads, cid.payloads) == ([b"one"], [b"two"]))
    assert "alone" in caplog.text
    assert "joined the cluster" in caplog.text


async def test_an_instance_that_stops_hands_its_mailboxes_over() -> None:
    signer = KeySigner()
    async with nats_server() as nats, cluster(nats, 1) as [last]:
        async with Inbox(last) as ann:
            assert await ann.client.send(SignalingClient("ws://x", signer).id, b"kept") == "queued"
        other = SignalingServer(cluster=ClusterSettings((nats.url,), "test", dead_after=1.5))
        await other.start("127.0.0.1", 0)
        await until(lambda: is_joined(other, 2) and is_joined(last, 2))
        await last.stop()
        await until(lambda: is_joined(other, 1))
        async with Inbox(other, signer) as bob:
            await until(lambda: bob.payloads == [b"kept"])
        await other.stop()


async def test_rates_of_an_address_are_shared() -> None:
    settings = Settings(messages_per_address=0.001, messages_per_address_burst=6)
    async with nats_server() as nats, cluster(nats, 2, settings) as servers:
        async with node(servers[0]) as ann, node(servers[1]) as bob:
            for ref in range(6):
                await ann.send(type="watch", ids=[], ref=ref)
                assert (await ann.receive())["type"] == "done"
            door = servers[1]._reception.door
            await until(lambda: door.tracked_addresses > 0 and len(door._address_messages) > 0)
            await bob.send(type="watch", ids=[], ref=7)
            assert (await bob.receive())["code"] == "busy"


async def test_clusters_of_other_names_share_a_nats_and_nothing_else() -> None:
    async with nats_server() as nats, cluster(nats, 2) as ours, cluster(nats, 1, name="other") as theirs:
        async with node(theirs[0]) as ann:
            assert [server.stats()["cluster_nodes"] for server in ours] == [0, 0]
            await ann.send(type="watch", ids=[], ref=1)
            assert (await ann.receive())["type"] == "done"


async def test_nats_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async with nats_server("--user", "u", "--pass", "north", login="u:north@") as nats:
        await nats.stop()
        server = SignalingServer(cluster=ClusterSettings((nats.url,)))
        await server.start("127.0.0.1", 0)
        await until(lambda: "NATS cannot be used" in caplog.text)
        await nats.start()
        await until(lambda: is_joined(server, 1))
        await server.stop()
    assert "north" not in caplog.text


async def test_a_wrong_password_is_said_without_it(caplog: pytest.LogCaptureFixture) -> None:
    async with nats_server("--user", "u", "--pass", "south") as nats:
        settings = ClusterSettings((f"nats://u:north@127.0.0.1:{nats.port}",))
        assert "north" not in repr(settings)
        server = SignalingServer(cluster=settings)
        await server.start("127.0.0.1", 0)
        await until(lambda: "NATS cannot be used" in caplog.text)
        await server.stop()
    assert "north" not in caplog.text


async def test_noise_in_the_cluster_is_counted_and_changes_nothing() -> None:
    async with nats_server() as nats, cluster(nats, 1) as [server]:
        client = Client()
        await client.connect(nats.url)
        await client.publish("test.all", b"\x94\x01noise")
        await until(lambda: server.stats()["cluster_frames_malformed_total"] == 1)
        await client.close()
        async with Inbox(server) as ann:
            assert await ann.client.send(ann.client.id, b"me") == "delivered"


def test_a_name_that_is_no_subject_is_refused() -> None:
    for name in ("", "a.b", "a b", "a>", "x" * 65):
        with pytest.raises(ClusterError, match="letters"):
            ClusterSettings(("nats://x",), name)


def test_frames_are_cut_before_they_are_too_long() -> None:
    large: AnyEvent = Published("t", "a" * 52, "1", "A" * 12_000)
    parts = list(_parts([large] * 100))
    assert [event for part in parts for event in part] == [large] * 100
    assert 1 < len(parts) < 10
    assert all(len(encode_frame(Frame(1, "i" * 16, 1, part))) < FRAME_BYTES for part in parts)
    assert [len(part) for part in _parts([Beat()] * (MAX_EVENTS + 1))] != [MAX_EVENTS + 1]


async def test_the_tick_survives_a_mistake(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async with nats_server() as nats, cluster(nats, 1) as [server]:
        assert server._cluster

        def broken(now: float) -> None:
            raise ValueError("a mistake")

        monkeypatch.setattr(server._cluster, "_tick", broken)
        await until(lambda: "the cluster's tick failed" in caplog.text)


async def test_without_nats_py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    server = SignalingServer(cluster=ClusterSettings(("nats://127.0.0.1:1",)))
    with pytest.raises(ClusterError, match="pip install"):
        await server.start("127.0.0.1", 0)


async def test_nats_over_tls_is_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    options = ("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    async with nats_server(*options, scheme="tls") as nats:
        stranger = SignalingServer(cluster=ClusterSettings((nats.url,)))
        await stranger.start("127.0.0.1", 0)
        await until(lambda: "SSLCertVerificationError" in caplog.text)
        assert stranger.stats()["cluster_joined"] == 0
        await stranger.stop()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with cluster(nats, 2) as servers:
            assert servers[0].stats()["cluster_joined"] == 1
