"""A CONNECT proxy in a machine of the laboratory: the only way out for the routers of kind "only-proxy"."""

from __future__ import annotations

from tests.interop.tinyproxy import configuration
from tests.lab.routers import PROXY_PORT
from tests.lab.topology import Machine


def start_tinyproxy(machine: Machine, *connect_ports: int, credentials: tuple[str, str] | None = None) -> str:
    """Start it, opening tunnels to `connect_ports` for whoever has the `credentials`; its URL without these."""
    settings = machine.folder / "tinyproxy.conf"
    settings.write_text(configuration(PROXY_PORT, machine.address, *connect_ports, credentials=credentials))
    program = machine.start("tinyproxy", "-d", "-c", str(settings))
    program.wait_for("Accepting connections", 10)
    return f"{machine.address}:{PROXY_PORT}"
