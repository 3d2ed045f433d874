"""What several tests share: what a machine must have, and how a test says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_NODE = Path(__file__).resolve().parent.parent / ".node" / "node_modules"
NODE_PACKAGES = {"wrtc": _NODE / "@roamhq" / "wrtc", "libdatachannel": _NODE / "node-datachannel"}


@cache
def _missing(what: str) -> str | None:
    """Why `what` cannot be used here, or None when it can."""
    if what == "netns":
        return _netns_missing()
    if what in NODE_PACKAGES:
        return _node_package_missing(what)
    program = {"coturn": "turnserver"}.get(what, what)
    return None if shutil.which(program) else f"{program} is not installed (make test-deps)"


def _netns_missing() -> str | None:
    if not shutil.which("ip") or not shutil.which("nft"):
        return "ip or nft is not installed (make test-deps)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"atm-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        return f"network namespaces do not work here: {made.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


def _node_package_missing(what: str) -> str | None:
    if not shutil.which("node"):
        return "node is not installed"
    return None if NODE_PACKAGES[what].exists() else f"{what} for Node is not installed (tools/node-deps.sh)"


def seeds(few: int, many: int) -> list[Any]:
    """The numbers below `many`, for chance to begin with: the first `few` always, the others in `make soak`."""
    return [pytest.param(seed, marks=[pytest.mark.soak] if seed >= few else []) for seed in range(many)]


def require(*things: str) -> None:
    """Skip the running test where one of `things` is missing; under CI=true that is a failure."""
    for what in things:
        reason = _missing(what)
        if reason and os.environ.get("CI") == "true":
            pytest.fail(reason)
        elif reason:
            pytest.skip(reason)
