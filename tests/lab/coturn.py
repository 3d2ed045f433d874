"""coturn in a machine of the laboratory: STUN on two addresses, TURN over UDP and TCP."""

from __future__ import annotations

from tests.lab.topology import Machine

PORT = 3479
"""Beside `atmosphere relay`, which has 3478."""
USER, PASSWORD = "anna", "correct-horse"


def start_coturn(machine: Machine, *addresses: str, secret: str | None = None) -> str:
    """Start it on `addresses` (the machine's own when none are given); its `turn:` URI.

    For one user, who is in the URI; or, with `secret`, for whoever has credentials in the REST form.
    """
    access = ["--lt-cred-mech", f"--user={USER}:{PASSWORD}"]
    if secret is not None:
        access = ["--use-auth-secret", f"--static-auth-secret={secret}"]
    listening = [argument for address in addresses or (machine.address,) for argument in ("-L", address, "-E", address)]
    program = machine.start(
        "turnserver",
        "-n",
        *listening,
        f"--listening-port={PORT}",
        f"--alt-listening-port={PORT + 1}",
        "--realm=lab",
        *access,
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
    return f"turn:{machine.address}:{PORT}" if secret else f"turn:{USER}:{PASSWORD}@{machine.address}:{PORT}"
