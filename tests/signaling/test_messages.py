from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import messages as m
from signaling.errors import DecodeError
from signaling.turn_credentials import TurnServer

NODE, OTHER = "a" * 52, "b2" * 26
TURN = TurnServer(["turn:turn.example.org:3478?transport=udp"], "1:a", "secret", 60.0)

FROM_CLIENT: list[m.ClientMessage] = [
    m.Hello("a2V5", "c2ln"),
    m.Send(OTHER, "cGF5bG9hZA==", "id", 1),
    m.Send(OTHER, "", "id", 2**53, 0.0),
    m.Publish("topic", "cGF5", "id", 3),
    m.Subscribe("t" * 64, 4),
    m.Unsubscribe("topic", 5),
    m.Watch([NODE, OTHER], 6),
    m.Watch([], 7),
]
FROM_SERVER: list[m.ServerMessage] = [
    m.Challenge(1, "bm9uY2Vub25jZW5vbmNl"),
    m.Welcome(NODE, m.Limits(16384), 20.0, [TURN]),
    m.Delivered(1),
    m.Delivered(1, 7),
    m.Queued(2),
    m.Done(3),
    m.Error("full", "the mailbox is full", 4),
    m.Error("replaced"),
    m.Incoming(NODE, "cGF5", "id"),
    m.Incoming(NODE, "cGF5", "id", "topic"),
    m.Presence(NODE, True),
    m.Turn([TURN]),
    m.Drain(),
]


@pytest.mark.parametrize("message", FROM_CLIENT, ids=repr)
def test_what_a_client_says_survives_the_wire(message: m.ClientMessage) -> None:
    assert m.decode_client(m.encode(message)) == message


@pytest.mark.parametrize("message", FROM_SERVER, ids=lambda message: type(message).__name__)
def test_what_a_server_says_survives_the_wire(message: m.ServerMessage) -> None:
    assert m.decode_server(m.encode(message)) == message


def test_the_wire_looks_as_documented() -> None:
    assert m.encode(m.Send(OTHER, "cGF5", "id", 9)) == (
        b'{"type":"send","to":"' + OTHER.encode() + b'","payload":"cGF5","id":"id","ref":9}'
    )
    assert b'{"type":"message","sender"' in m.encode(m.Incoming(NODE, "", "id"))


def test_unknown_members_are_skipped() -> None:
    assert m.decode_server('{"type":"done","ref":1,"newer":{"a":[1]}}') == m.Done(1)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type":"send"}',
        '{"type":"unknown"}',
        '{"type":"send","to":"short","payload":"","id":"x","ref":1}',
        '{"type":"send","to":"' + NODE + '\\n","payload":"","id":"x","ref":1}',
        '{"type":"send","to":"' + NODE + '","payload":"not base64!","id":"x","ref":1}',
        '{"type":"send","to":"' + NODE + '","payload":"","id":"","ref":1}',
        '{"type":"send","to":"' + NODE + '","payload":"","id":"x","ref":-1}',
        '{"type":"send","to":"' + NODE + '","payload":"","id":"x","ref":1,"ttl":121}',
        '{"type":"send","to":"' + NODE + '","payload":"","id":"x","ref":1,"ttl":NaN}',
        '{"type":"subscribe","topic":"' + "t" * 65 + '","ref":1}',
        '{"type":"subscribe","topic":"\\ud800","ref":1}',
        '{"type":"watch","ids":' + str(["x"] * 2).replace("'", '"') + ',"ref":1}',
        '{"type":"hello","key":1,"signature":2}',
        '{"type":"challenge","protocol":1,"nonce":"x"}',
        '{"x":' + "[" * 8000,
        "x" * (m.MAX_MESSAGE + 1),
    ],
)
def test_anything_else_is_a_decode_error(frame: str) -> None:
    with pytest.raises(DecodeError):
        m.decode_client(frame)


def test_a_list_has_its_limit() -> None:
    ids = ",".join(f'"{NODE}"' for _ in range(m.MAX_WATCHED + 1))
    with pytest.raises(DecodeError):
        m.decode_client(f'{{"type":"watch","ref":1,"ids":[{ids}]}}')


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_input_gives_a_message_or_a_decode_error(frame: bytes | str) -> None:
    for decode in (m.decode_client, m.decode_server):
        try:
            decode(frame)
        except DecodeError:
            pass


@given(st.sampled_from(FROM_CLIENT + FROM_SERVER), st.data())
def test_mutated_messages_give_a_message_or_a_decode_error(
    message: m.ClientMessage | m.ServerMessage, data: st.DataObject
) -> None:
    frame = bytearray(m.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    for decode in (m.decode_client, m.decode_server):
        try:
            decode(bytes(frame))
        except DecodeError:
            pass


def test_no_secret_is_in_a_repr() -> None:
    assert "secret" not in repr(m.Welcome(NODE, m.Limits(1), 20.0, [TURN]))
