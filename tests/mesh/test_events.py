"""The events are the whole of what an application is told; `Event` names each of them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import get_args

import pytest

from atmosphere.mesh import events


def test_every_event_is_one() -> None:
    classes = {one for _, one in inspect.getmembers(events, inspect.isclass) if one.__module__ == events.__name__}
    assert set(get_args(events.Event)) == classes


@pytest.mark.parametrize("kind", get_args(events.Event))
def test_an_event_does_not_change(kind: type[events.Event]) -> None:
    fields = dataclasses.fields(kind)
    made = kind(*(None for _ in fields))  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, fields[0].name, "other")
