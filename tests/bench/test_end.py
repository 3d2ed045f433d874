from __future__ import annotations

import pytest

from tests.bench.end import BLOCK, Sink


def test_a_sink_counts_what_is_right() -> None:
    sink, sent = Sink(), BLOCK * 3
    for start, end in ((0, 1), (1, 65_537), (65_537, 65_537), (65_537, 3 * 65_536)):
        sink.take(sent[start:end])
    assert sink.bytes == len(sent)


def test_a_sink_notices_what_is_wrong() -> None:
    sink = Sink()
    sink.take(BLOCK)
    with pytest.raises(ValueError, match="from 65536 on"):
        sink.take(BLOCK[1:])
