"""The node's one port, for UDP and TCP."""

from __future__ import annotations

import socket

import pytest

from atmosphere.errors import AtmosphereError, DecodeError, StateError
from atmosphere.mesh import listeners as module
from atmosphere.mesh.listeners import Listeners, NodeSettings
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.tcp.port import TcpPort
from signaling import SignalingServer
from tests.signaling.tools import get

LOOPBACK = NodeSettings(port=0, host=("127.0.0.1",), stun=())


def nobody(node_id: str) -> bool:
    return False


def taken() -> socket.socket:
    """A TCP port of loopback that somebody else has."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.listen()
    return held


def is_free(port: int) -> bool:
    """For UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trying:
        try:
            trying.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_servers_are_those_given_or_well_known() -> None:
    assert len(NodeSettings().stun_uris) == len(DEFAULT_STUN_SERVERS)
    assert NodeSettings(stun=()).stun_uris == ()
    [turn] = NodeSettings(turn=("turn:user:password@192.0.2.1",)).turn_servers
    assert (turn.username, turn.password) == ("user", "password")
    assert "password" not in repr(NodeSettings(turn=("turn:user:password@192.0.2.1",)))
    with pytest.raises(DecodeError):
        NodeSettings(stun=("nonsense:",)).stun_uris  # noqa: B018 - the property raises


async def test_both_protocols_on_one_port() -> None:
    listeners = Listeners(LOOPBACK, nobody)
    await listeners.start()
    assert listeners.server is not None
    assert listeners.server.port == listeners.port == listeners.endpoint.port
    assert (await get(listeners.server, "/health"))[0] == 200
    over_tcp = [one.port for one in listeners.endpoint.candidates if one.transport == "tcp"]
    assert over_tcp == [listeners.port], "ICE comes to the same port"
    assert not is_free(listeners.port)
    await listeners.close()
    assert is_free(listeners.port)


async def test_the_router_is_asked_unless_it_shall_not_be() -> None:
    asking = Listeners(NodeSettings(port=0, stun=()), nobody, None, b"secret")
    assert asking.endpoint.settings.port_mapping
    assert asking.endpoint.settings.mapping_seed == b"secret"
    assert "secret" not in repr(asking.endpoint.settings)
    assert not Listeners(NodeSettings(port=0, port_mapping=False), nobody).endpoint.settings.port_mapping


async def test_a_taken_port_is_named() -> None:
    with taken() as held:
        port = held.getsockname()[1]
        listeners = Listeners(NodeSettings(port=port, host=("127.0.0.1",), stun=()), nobody)
        with pytest.raises(StateError, match=f"TCP port {port} is taken"):
            await listeners.start()
        assert is_free(port), "the UDP port was not let go again"


async def test_with_any_port_another_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    start, ports = TcpPort.start, list[int]()

    async def fails_twice(self: TcpPort, host: list[str], port: int) -> None:
        ports.append(port)
        if len(ports) <= 2:
            raise OSError(98, "Address already in use")
        await start(self, host, port)

    monkeypatch.setattr(TcpPort, "start", fails_twice)
    listeners = Listeners(LOOPBACK, nobody)
    await listeners.start()
    assert listeners.port == ports[-1]
    assert len(ports) >= 3
    await listeners.close()


async def test_when_none_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES", 3)

    async def fails(self: TcpPort, host: list[str], port: int) -> None:
        raise OSError("no")

    monkeypatch.setattr(TcpPort, "start", fails)
    with pytest.raises(StateError, match="is taken: no"):
        await Listeners(LOOPBACK, nobody).start()


@pytest.mark.parametrize("error", [OSError("gone"), AtmosphereError("gone")])
async def test_a_server_that_does_not_stop_well_stops_nobody_else(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    listeners = Listeners(LOOPBACK, nobody)
    await listeners.start()
    server, stop = listeners.server, SignalingServer.stop
    assert server is not None

    async def fails(self: SignalingServer, drain: float = 0.0) -> None:
        await stop(self, drain)
        raise error

    monkeypatch.setattr(SignalingServer, "stop", fails)
    await listeners.close()


async def test_what_was_never_started_is_closed_too() -> None:
    await Listeners(LOOPBACK, nobody).close()
