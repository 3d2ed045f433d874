"""What two nodes tell each other before there is a link: where the dialer can be reached, and where the other side can.

One message goes each way, as often as there is news (trickle, RFC 8838): `Dial` from the one who dials, `Candidates`
back. `session` is the dialer's ICE ufrag, which names the attempt. Candidates are SDP attribute values (RFC 8839).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from atmosphere.errors import DecodeError
from atmosphere.ice.candidate import Candidate

MAX_SIGNAL = 8 * 1024
MAX_CANDIDATES = 32

SessionName = Annotated[str, Meta(min_length=4, max_length=32, pattern=r"^[A-Za-z0-9+/]+\Z")]
CandidateLines = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=MAX_CANDIDATES)]


class Dial(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """I am sending you checks under the ufrag `session`; these are the addresses they come from."""

    session: SessionName
    candidates: CandidateLines


class Candidates(msgspec.Struct, tag=2, array_like=True, frozen=True):
    """The answer: for your attempt `session` I can be reached here."""

    session: SessionName
    candidates: CandidateLines


Message = Dial | Candidates

_decoder = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """The bytes of one signal."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """The signal in `data`; raises DecodeError for anything else."""
    if len(data) > MAX_SIGNAL:
        raise DecodeError(f"a signal of {len(data)} bytes is too long")
    try:
        message: Message = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a signal: {error}") from error
    return message


def candidate_lines(candidates: Iterable[Candidate]) -> list[str]:
    """`candidates` as SDP values, at most as many as a signal takes: best first, and those of TCP last.

    Where there is no room for all, relays matter more than TCP, which hardly anybody needs besides.
    """
    ranked = sorted(candidates, key=lambda candidate: (candidate.transport == "tcp", -candidate.priority))
    return [candidate.to_sdp() for candidate in ranked[:MAX_CANDIDATES]]


def parse_candidates(lines: Iterable[str]) -> list[Candidate]:
    """The candidates of `lines`; those that cannot be read are left out, since one bad line must not spoil the rest."""
    found = []
    for line in lines:
        try:
            found.append(Candidate.from_sdp(line))
        except DecodeError:
            continue
    return found
