"""aiortc's SCTP: the one place that imports aiortc (slow and large, so import this late).

Only its chunk machinery is used: handshake, congestion control, retransmission, reassembly, stream reset. Its data
channels are not; `association` has ours. Every private name of it that `base`, `receiving`, `sending` and `transport`
use is pinned by tests/sctp/test_private_names.py.
"""

from __future__ import annotations

from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    InitAckChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
    ShutdownAckChunk,
    ShutdownChunk,
    parse_packet,
)

__all__ = [
    "AbortChunk",
    "Chunk",
    "DataChunk",
    "ForwardTsnChunk",
    "InitAckChunk",
    "InitChunk",
    "RTCSctpTransport",
    "SackChunk",
    "ShutdownAckChunk",
    "ShutdownChunk",
    "parse_packet",
]
