"""Events compare by what they say, and cannot be changed."""

from __future__ import annotations

import dataclasses

import pytest

from atmosphere.ice.events import IceFailed, PathLost, RemoteSeen, Transmit


def test_events_are_values() -> None:
    assert PathLost(3.0) == PathLost(3.0) != PathLost(4.0)
    assert RemoteSeen(1, ("192.0.2.1", 1)) == RemoteSeen(1, ("192.0.2.1", 1))
    assert Transmit(1, b"", ("192.0.2.1", 1)) != Transmit(2, b"", ("192.0.2.1", 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        IceFailed("x").reason = "y"  # type: ignore[misc]
