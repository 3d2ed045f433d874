"""What the machine says about this process and itself."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

LIBRARIES = ("atmosphere-mesh", "aiortc", "aioice", "cryptography", "pyOpenSSL")


def resident() -> int:
    """Bytes of memory that this process holds now, after what it does not need was given back; 0 where unknown."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> int:
    """Let `peak` count from now on; bytes that are held now."""
    held = resident()
    Path("/proc/self/clear_refs").write_text("5")
    return held


def peak() -> int:
    """Bytes of memory that this process held at the most since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise OSError("the kernel does not tell the peak")
    return int(found[1]) * 1024


def processor_time() -> float:
    """Seconds of processor that this process has used."""
    return time.process_time()


def versions() -> dict[str, str]:
    """What was measured, and on what."""
    found = {name: version(name) for name in LIBRARIES}
    found |= {"python": platform.python_version(), "openssl": backend.openssl_version_text()}
    found |= {"system": f"{platform.system()} {platform.release()} {platform.machine()}", "cores": str(os.cpu_count())}
    return found
