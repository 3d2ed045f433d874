"""atmosphere.ice.listener."""

from __future__ import annotations

from typing import Any

import pytest

from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.listener import Listener


class Home:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def session_of(self, listener: Listener, remote_ufrag: str, origin: str | None) -> None:
        self.asked.append((listener, remote_ufrag, origin))

    def forget_listener(self, listener: Listener) -> None:
        self.asked.append(listener)


def listener(password: Any) -> tuple[Listener, Home]:
    home = Home()
    return Listener(home, IceCredentials("HostUfrag", "x" * 22), password, lambda session: None), home


def test_a_dialers_password() -> None:
    made, _ = listener(lambda ufrag: f"password of {ufrag}")
    assert made.ufrag == "HostUfrag"
    assert made.remote_credentials("dialer01") == IceCredentials("dialer01", "password of dialer01")


@pytest.mark.parametrize("ufrag", ["", "abc", "a" * 257, "with space", "dash-ed", "ünïcode", "line\nfeed", "colon:ed"])
def test_what_is_no_username_fragment_is_refused_without_asking(ufrag: str) -> None:
    asked: list[str] = []
    made, _ = listener(asked.append)
    assert made.remote_credentials(ufrag) is None
    assert asked == []


def test_refused_or_failing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(ufrag: str) -> str:
        raise ZeroDivisionError

    assert listener(lambda ufrag: None)[0].remote_credentials("dialer01") is None
    assert listener(fail)[0].remote_credentials("dialer01") is None
    assert "the password of a dialer" in caplog.text


def test_it_asks_its_home() -> None:
    made, home = listener(None)
    assert made.session("dialer01") is None
    made.close()
    assert home.asked == [(made, "dialer01", None), made]
