"""coturn in a machine of the laboratory: STUN on two addresses, TURN over UDP and TCP for one user."""

from __future__ import annotations

from tests.lab.topology import Machine

PORT = 3479
"""Beside `atmosphere relay`, which has 3478."""
USER, PASSWORD = "anna", "correct-horse"


def start_coturn(machine: Machine, *addresses: str) -> str:
    """Start it on `addresses` (the machine's own when none are given); the `turn:` URI for `--turn`."""
    listening = [argument for address in addresses or (machine.address,) for argument in ("-L", address, "-E", address)]
    program = machine.start(
        "turnserver",
        "-n",
        *listening,
        f"--listening-port={PORT}",
        f"--alt-listening-port={PORT + 1}",
        "--realm=lab",
        f"--user={USER}:{PASSWORD}",
        "--lt-cred-mech",
        "--fingerprint",
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--verbose",
        "--min-port=50000",
        "--max-port=50999",
        "--log-file=stdout",
        f"--pidfile={machine.folder}/turnserver.pid",
        f"--userdb={machine.folder}/turndb",
    )
    program.wait_for("UDP listener opened", 10)
    return f"turn:{USER}:{PASSWORD}@{machine.address}:{PORT}"
