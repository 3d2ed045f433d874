"""A relay in a process of its own, ours or coturn, and what the system says that it uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.samples import OURS, RELAY_CONTROL, Stack
from tests.bench.turn_client import PASSWORD, USER, TurnClient
from tests.interop.coturn import free_port

STARTS_WITHIN = 20.0


class RelayProcess:
    """A running relay on a port of loopback."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.address = ("127.0.0.1", port)
        self._process = process
        self._proc = Path("/proc", str(process.pid))

    def processor(self) -> float:
        """Seconds that all of its threads have run, to the nanosecond (`stat` counts in hundredths)."""
        ran = (int(task.joinpath("schedstat").read_text().split()[0]) for task in self._proc.joinpath("task").iterdir())
        return sum(ran) / 1e9

    def resident(self) -> int:
        """Bytes in memory."""
        return int(self._proc.joinpath("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def wait_until_it_answers(self) -> None:
        """Allocate once."""
        give_up = time.monotonic() + STARTS_WITHIN
        while True:
            client = TurnClient(self.address)
            client.patience = 1.0
            try:
                client.allocate()
                client.close()
            except (ConnectionError, TimeoutError):
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return
            finally:
                client.sock.close()


def available(stack: Stack) -> bool:
    return stack == OURS or shutil.which("turnserver") is not None


def _command(stack: Stack, port: int, folder: str) -> list[str]:
    if stack == OURS:
        return [sys.executable, "-m", "tests.bench.relay_end", str(port)]
    assert stack == RELAY_CONTROL
    return [
        *("turnserver", "-n", "--no-tls", "--no-dtls", "--no-tcp", "--no-cli", "-m", "1", "--realm=bench"),
        *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", "--allow-loopback-peers"),
        *("--lt-cred-mech", f"--user={USER}:{PASSWORD}", "--log-file=/dev/null", "--no-stdout-log"),
        *(f"--pidfile={folder}/pid", f"--userdb={folder}/db"),
    ]


@contextmanager
def running(stack: Stack) -> Iterator[RelayProcess]:
    """A relay of one of both kinds, with one relay thread, that answers."""
    with tempfile.TemporaryDirectory(prefix="atmosphere-bench-") as folder:
        port = free_port()
        process = subprocess.Popen(
            _command(stack, port, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=None if stack == OURS else subprocess.DEVNULL,
        )
        relay = RelayProcess(port, process)
        try:
            relay.wait_until_it_answers()
            yield relay
        finally:
            process.kill()
            process.communicate()
