from __future__ import annotations

from atmosphere.tcp.kinds import kind_of


def test_every_first_byte() -> None:
    kinds = {first: kind_of(first) for first in range(256)}
    assert {first for first, kind in kinds.items() if kind == "turn"} == {0, 1, 2, 3, 0x40}
    assert {first for first, kind in kinds.items() if kind == "tls"} == {0x16}
    assert {chr(first) for first, kind in kinds.items() if kind == "http"} == {
        *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    }
