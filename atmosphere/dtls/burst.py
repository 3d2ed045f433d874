"""Bursts of DTLS records: many of one size, end to end, as a socket gives and takes them."""

from __future__ import annotations

from atmosphere.dtls.records import APPLICATION_DATA, HEADER, VERSION

Burst = tuple[bytes, int]
"""Packets end to end, and the size of each but the last, which may be shorter."""

_DATA = bytes((APPLICATION_DATA,)) + VERSION
"""How a record of data begins."""


def is_uniform(data: bytes, segment: int) -> bool:
    """Whether every datagram of a burst is just one record of application data, so that none hides another."""
    if segment <= HEADER:
        return False
    if len(data) == segment:
        return data[:3] == _DATA and int.from_bytes(data[11:13]) == segment - HEADER
    count, last = divmod(len(data), segment)
    length = (segment - HEADER).to_bytes(2)
    whole = data[: count * segment]
    return (
        whole[0::segment] == _DATA[:1] * count
        and whole[1::segment] == _DATA[1:2] * count
        and whole[2::segment] == _DATA[2:] * count
        and whole[11::segment] == length[:1] * count
        and whole[12::segment] == length[1:] * count
        and (
            not last
            or (
                last > HEADER
                and data[-last : 3 - last] == _DATA
                and data[11 - last : 13 - last] == (last - HEADER).to_bytes(2)
            )
        )
    )
