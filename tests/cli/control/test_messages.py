"""The control socket's decoders are total, and read what was written."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.cli.control import messages
from atmosphere.errors import DecodeError

REQUESTS = [
    messages.Invite(3, 60.0),
    messages.Revoke("ab"),
    messages.Join("atm1", "me", True, False, 5.0),
    messages.Ping("desk", 0, 1.0, 0.1, True),
    messages.Send("desk", [b"/x", b"/\xff"], None),
    messages.Bench("desk"),
    *(cls() for cls in (messages.Invites, messages.Peers, messages.Status, messages.Stop, messages.Leave)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_round_trip(request_: messages.Request) -> None:
    assert messages.decode_request(messages.encode(request_)) == request_


@pytest.mark.parametrize("reply", [messages.Progress([1]), messages.Done({"a": 1}), messages.Failed("code", "x")])
def test_replies_round_trip(reply: messages.Reply) -> None:
    assert messages.decode_reply(messages.encode(reply)) == reply


def test_every_request_has_a_handler() -> None:
    from atmosphere.cli.daemon.handlers import Handlers

    for cls in typing.get_args(messages.Request):
        assert hasattr(Handlers, f"_{cls.__name__.lower()}")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b'{"op":"nothing"}',
        b'{"op":"ping"}',
        b'{"op":"ping","peer":7}',
        b'{"op":"send","peer":"a","paths":[]}',
        b'{"op":"invite","uses":0}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_refused(line: bytes) -> None:
    with pytest.raises(DecodeError):
        messages.decode_request(line)


@given(st.binary(max_size=200))
def test_arbitrary_bytes(line: bytes) -> None:
    for decode in (messages.decode_request, messages.decode_reply):
        try:
            decode(line)
        except DecodeError:
            continue


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from([cls.__struct_config__.tag for cls in typing.get_args(messages.Request)]),
    st.dictionaries(
        st.sampled_from(["peer", "paths", "count", "code", "uses", "expires", "id", "seconds"]), json_values
    ),
)
def test_arbitrary_fields(tag: str, fields: dict[str, object]) -> None:
    try:
        request = messages.decode_request(msgspec.json.encode({"op": tag, **fields}))
    except DecodeError:
        return
    assert messages.decode_request(messages.encode(request)) == request
