"""The README's examples run: those that need no internet as they stand, the others as far as compiling."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import atmosphere.network

README = Path(atmosphere.network.__file__).with_name("README.md")
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
LOCAL = [text for text in EXAMPLES if "127.0.0.1" in text]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_compile(text: str) -> None:
    compile(text, "README.md", "exec")


@pytest.mark.parametrize("text", LOCAL)
def test_local_examples_run(text: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4
    assert len(LOCAL) >= 2


def test_every_public_name_is_there() -> None:
    assert all(hasattr(atmosphere.network, name) for name in atmosphere.network.__all__)
