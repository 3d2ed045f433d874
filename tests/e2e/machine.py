"""A machine of a test: a home, a port of its own, and the real `atmosphere` program in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "atmosphere"]
LOOPBACK = {"ATMOSPHERE_HOST": "127.0.0.1", "ATMOSPHERE_STUN": "none", "ATMOSPHERE_NO_PORT_MAPPING": "1"}


def _heed_interrupts() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C, the tests and all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Machine:
    """Runs commands for one home; `close` ends its node whatever happened."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = name
        self._spawned: list[subprocess.Popen[str]] = []
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ATMOSPHERE_")}
        self.environment = kept | LOOPBACK | {"ATMOSPHERE_PORT": "0", "ATMOSPHERE_NAME": name}

    def run(self, *arguments: str, code: int = 0, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """The finished command, whose exit code must be `code`; no traceback is ever shown."""
        done = subprocess.run(
            [*PROGRAM, "--home", str(self.home), *arguments],
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        if code and "--check" not in arguments:
            assert done.stderr.splitlines()[-1].startswith(("Error: ", "Try: "))
        return done

    def json(self, *arguments: str) -> Any:
        """The one JSON document that the command prints."""
        return json.loads(self.run("--json", *arguments).stdout)

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, running."""
        process = subprocess.Popen(
            [*PROGRAM, "--home", str(self.home), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_interrupts,
        )
        self._spawned.append(process)
        return process

    def log(self) -> str:
        """What the background node wrote."""
        log = self.home / "node.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def close(self) -> None:
        """End the node and every command that still run."""
        for process in self._spawned:
            process.terminate()
            with process:
                process.wait(timeout=20)
        subprocess.run(
            [*PROGRAM, "--home", str(self.home), "stop"], env=self.environment, capture_output=True, timeout=60
        )
