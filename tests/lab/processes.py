"""Programs inside a namespace: started as a user would, watched by their output, ended by their process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command_in(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` inside `namespace`."""
    return ["ip", "netns", "exec", namespace, *command]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Our environment without colours, terminals and proxies, plus `extra`.

    Without coverage too: each of many programs starts slower with it, and other tests run the same lines.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ATMOSPHERE_", "COVERAGE_")) and not name.lower().endswith("_proxy")
    }
    return inherited | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | dict(extra)


def end_processes_in(namespaces: Iterable[str]) -> None:
    """Kill everything that runs in our namespaces, whoever started it, until nothing is left."""
    own = set()
    for namespace in namespaces:
        with contextlib.suppress(FileNotFoundError):
            own.add(os.stat(f"/run/netns/{namespace}").st_ino)
    while found := [pid for pid in _pids() if _network_of(pid) in own]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # the kernel tells nobody but a parent


def _pids() -> Iterable[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _network_of(pid: int) -> int | None:
    """The namespace of a process; None when it has ended, even if nobody has buried it yet."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


class Program:
    """A running program; its output is kept line by line and can be waited for."""

    def __init__(self, name: str, command: Sequence[str], extra_environment: Mapping[str, str]) -> None:
        self.name = name
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=ROOT,
            env=environment(extra_environment),
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id (`ip netns exec` replaces itself, so it is the program's own)."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything it said so far, both streams."""
        with self._changed:
            return "\n".join(self.lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append("(end of output)")
            self._changed.notify_all()

    def wait_for(self, text: str, timeout: float = 20.0) -> str:
        """The first line that contains `text`; AssertionError with all output when none comes within `timeout` s."""
        return self.wait_until(lambda line: text in line, repr(text), timeout)

    def wait_until(self, accepts: Callable[[str], bool], what: str, timeout: float = 20.0) -> str:
        """The first line that `accepts` likes; AssertionError that it did not say `what` when none comes in time."""

        def found() -> str | None:
            return next((line for line in self.lines if accepts(line)), None)

        def settled() -> bool:
            return found() is not None or (bool(self.lines) and self.lines[-1] == "(end of output)")

        with self._changed:
            self._changed.wait_for(settled, timeout)
            line = found()
        assert line is not None, f"{self.name} did not say {what} within {timeout:g} s:\n{self.output}"
        return line

    def wait(self, timeout: float = 20.0) -> int:
        """Its exit code, once it has ended by itself."""
        code = self._process.wait(timeout)
        self._reader.join(5)
        return code

    def pause(self) -> None:
        """Stop it where it is, as a machine that goes to sleep does."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def terminate(self, timeout: float = 10.0) -> int:
        """Ask it to end, as `kill` and service managers do; its exit code (after `timeout` it is killed)."""
        self._end(signal.SIGTERM, timeout)
        return self._process.returncode

    def _end(self, how: signal.Signals, timeout: float = 10.0) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
