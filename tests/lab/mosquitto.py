"""Mosquitto in a machine of the laboratory."""

from __future__ import annotations

from tests.interop.mosquitto import configuration
from tests.lab.topology import Machine

PORT = 1883


def start_mosquitto(machine: Machine) -> str:
    """Start it on the machine's address; its URL."""
    file = machine.folder / "mosquitto.conf"
    file.write_text(configuration(machine.address, PORT))
    machine.start("mosquitto", "-c", str(file)).wait_for("running", 10)
    return f"mqtt://{machine.address}"
