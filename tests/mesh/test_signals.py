from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.candidate import Candidate, candidate_priority, foundation
from atmosphere.mesh import signals
from tests.mesh.fakes import TCP


def candidate(rank: int, address: str = "192.0.2.1") -> Candidate:
    return Candidate(
        foundation=foundation("host", address),
        component=1,
        transport="udp",
        priority=candidate_priority("host", 65535 - rank),
        address=address,
        port=7000 + rank,
        type="host",
    )


@pytest.mark.parametrize("kind", [signals.Dial, signals.Candidates])
def test_what_is_encoded_is_decoded(kind: type[signals.Dial] | type[signals.Candidates]) -> None:
    message = kind("abcdEFGH", signals.candidate_lines([candidate(1)]))
    assert signals.decode(signals.encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_give_a_signal_or_a_decode_error(data: bytes) -> None:
    try:
        signals.decode(data)
    except DecodeError:
        pass


def test_a_signal_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="too long"):
        signals.decode(bytes(signals.MAX_SIGNAL + 1))


@pytest.mark.parametrize("session", ["", "abc", "x" * 33, "with:colon", "with space"])
def test_a_session_is_an_ice_ufrag(session: str) -> None:
    with pytest.raises(DecodeError):
        signals.decode(signals.encode(signals.Dial(session, [])))


def test_lines_are_best_first_and_not_too_many() -> None:
    lines = signals.candidate_lines(candidate(rank) for rank in reversed(range(50)))
    assert len(lines) == signals.MAX_CANDIDATES
    assert signals.parse_candidates(lines) == [candidate(rank) for rank in range(signals.MAX_CANDIDATES)]


def test_what_is_of_tcp_is_told_last_and_left_out_first() -> None:
    relay = Candidate.from_sdp("h 1 udp 33562367 203.0.113.1 50000 typ relay")
    assert signals.candidate_lines([TCP, relay, candidate(1)]) == [
        *(candidate(1).to_sdp(), relay.to_sdp(), TCP.to_sdp())
    ]
    many = [TCP, *(candidate(rank) for rank in range(40))]
    assert TCP.to_sdp() not in signals.candidate_lines(many)
    assert signals.parse_candidates([TCP.to_sdp()]) == [TCP]


def test_a_line_that_cannot_be_read_does_not_spoil_the_others() -> None:
    good = signals.candidate_lines([candidate(1)])
    assert signals.parse_candidates(["nonsense", *good, ""]) == [candidate(1)]
