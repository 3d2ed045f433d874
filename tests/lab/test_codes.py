"""Codes that must not work: each says why in words of its own, exits with 5, and changes nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.lab.household import Member, joined
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

ALONE = ("--stun", "none")
REFUSED = 5


def used(host: Member, lab: Lab, home: Callable[[str], Member]) -> str:
    code = host.code()
    joined(home("first"), code)
    return code


def expired(host: Member, lab: Lab, home: Callable[[str], Member]) -> str:
    invite = host.json("join", "--expires", "1s")
    time.sleep(max(0.0, float(invite["expires_at"]) - time.time()) + 1.1)  # the code's clock is the calendar
    return str(invite["code"])


def mistyped(host: Member, lab: Lab, home: Callable[[str], Member]) -> str:
    code = host.code()
    middle = len(code) // 2
    return code[:middle] + ("a" if code[middle] != "a" else "b") + code[middle + 1 :]


def revoked(host: Member, lab: Lab, home: Callable[[str], Member]) -> str:
    code = host.code()
    (invite,) = host.json("invites")
    assert host.atmosphere("invites", "revoke", invite["id"]).returncode == 0
    return code


def cut_short(host: Member, lab: Lab, home: Callable[[str], Member]) -> str:
    return host.code()[:-20]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(used, "used"), (expired, "expired"), (mistyped, "mistyped"), (revoked, "revoked"), (cut_short, "cut off")],
)
def test_a_code_that_must_not_work(
    lab: Lab, spoil: Callable[[Member, Lab, Callable[[str], Member]], str], words: str
) -> None:
    home = lab.home("home", "port-restricted")

    def member(name: str) -> Member:
        return Member(home.machine(name), *ALONE)

    host = member("host")
    host.found()
    code = spoil(host, lab, member)
    late = member("late")
    refused(late.join(code), words)
    assert "late" not in host.peers()


def test_a_code_of_another_mesh(lab: Lab) -> None:
    home = lab.home("home", "port-restricted")
    one, two = Member(home.machine("one"), *ALONE), Member(home.machine("two"), *ALONE)
    one.found("first")
    two.found("second")
    refused(two.join(one.code()), "mesh")
    assert one.peers() == two.peers() == {}


def refused(done: subprocess.CompletedProcess[str], word: str) -> None:
    """One line that says `word`, perhaps one that says what to do, exit code 5, and no traceback."""
    assert done.returncode == REFUSED, f"exit {done.returncode}\n{done.stderr}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert word in errors[0].lower()
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
