from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, parameters
from atmosphere.sctp.reset import DENIED, IN_PROGRESS, MAX_STREAMS, PERFORMED, Reset, StreamReset


def values(encoded: bytes) -> list[bytes]:
    return [value for kind, _, value in chunks.decode_all(encoded) if kind == chunks.RE_CONFIG]


def answers(encoded: bytes) -> list[tuple[int, int]]:
    found = [one for value in values(encoded) for one in parameters.decode_all(value)]
    return [struct.unpack("!LL", content) for kind, content in found if kind == parameters.RESET_RESPONSE]


def test_a_request_goes_out_waits_for_the_data_and_is_answered() -> None:
    one, other = StreamReset(10, 50), StreamReset(50, 10)
    one.want(4)
    one.want(6)
    assert one.has_work(0.0)
    (request,) = values(one.chunk(1000, 0.0, 0.2))
    assert not one.has_work(0.1) and one.chunk(1000, 0.1, 0.2) == b""
    assert other.receive(request, 990) == []
    assert other.receive(request, 990) == []
    assert answers(other.chunk(1, 0.0, 0.2)) == [(10, IN_PROGRESS)]
    assert (
        one.receive(values(chunks.encode(chunks.RE_CONFIG, parameters.encode(16, struct.pack("!LL", 10, 6))))[0], 0)
        == []
    )
    assert other.progress(998) == []
    assert other.progress(999) == [Reset((4, 6), ours=False)]
    assert other.receive(request, 999) == []
    (first, second) = values(other.chunk(1, 0.0, 0.2))
    assert one.receive(first, 0) == [Reset((4, 6), ours=True)]
    assert one.receive(second, 0) == []
    assert not one.has_work(1e9) and one.deadline() is None


def test_a_request_is_repeated_until_it_is_answered() -> None:
    one = StreamReset(10, 50)
    one.want(1)
    first = one.chunk(5, 0.0, 0.2)
    times = []
    for _ in range(8):
        deadline = one.deadline()
        assert deadline is not None
        assert one.chunk(9, deadline, 0.2) == first
        times.append(deadline)
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == sorted(gaps) and gaps[-1] == 3.0
    one.kick(times[-1])
    assert one.has_work(times[-1])
    StreamReset(1, 2).kick(0.0)


def test_one_request_at_a_time() -> None:
    one = StreamReset(10, 50)
    for stream in range(MAX_STREAMS + 1):
        one.want(stream)
    assert len(values(one.chunk(1, 0.0, 0.2))[0]) < 600
    one.want(9999)
    assert not one.has_work(0.0)
    one.receive(parameters.encode(parameters.RESET_RESPONSE, struct.pack("!LL", 10, PERFORMED)), 0)
    (value,) = values(one.chunk(1, 0.0, 0.2))
    ((_, content),) = parameters.decode_all(value)
    assert struct.unpack("!LLLHH", content) == (11, 49, 0, MAX_STREAMS, 9999)


def test_what_else_may_be_asked() -> None:
    one = StreamReset(10, 50)
    assert one.receive(parameters.encode(parameters.RESET_INCOMING, struct.pack("!LHH", 50, 3, 4)), 0) == [
        Reset((3, 4), ours=False)
    ]
    assert one.receive(parameters.encode(parameters.ADD_OUTGOING, struct.pack("!LHH", 51, 3, 0)), 0) == []
    assert one.receive(parameters.encode(parameters.RESET_TSN, struct.pack("!L", 51)), 0) == []
    assert one.receive(parameters.encode(parameters.RESET_TSN, struct.pack("!L", 60)), 0) == []
    assert one.receive(parameters.encode(99, bytes(4)), 0) == []
    assert answers(one.chunk(1, 0.0, 0.2)) == [(50, PERFORMED), (51, DENIED), (51, DENIED), (60, 5)]


@pytest.mark.parametrize(
    "broken",
    [
        parameters.encode(parameters.RESET_OUTGOING, struct.pack("!LL", 50, 0)),
        parameters.encode(parameters.RESET_OUTGOING, struct.pack("!LLL", 50, 0, 0) + b"x"),
        parameters.encode(parameters.RESET_RESPONSE, bytes(4)),
        parameters.encode(parameters.RESET_TSN, b""),
    ],
)
def test_what_is_cut_short_is_refused(broken: bytes) -> None:
    with pytest.raises(DecodeError):
        StreamReset(10, 50).receive(broken, 0)
