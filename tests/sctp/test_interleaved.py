from __future__ import annotations

import struct

import pytest

from atmosphere.errors import DecodeError
from atmosphere.sctp.chunks import BEGIN, END
from atmosphere.sctp.interface import MAX_MESSAGE
from atmosphere.sctp.interleaved import InterleavedReassembly
from atmosphere.sctp.ordering import Message
from tests.sctp.test_reassembly import fragments

KEY = struct.pack("!HHL", 1, 0, 0)


def test_messages_come_in_between_each_other() -> None:
    reassembly = InterleavedReassembly()
    one = fragments("I-DATA", 1, 0, [b"a", b"b"], stream=1)
    two = fragments("I-DATA", 3, 0, [b"c", b"d"], stream=2)
    got = [message for chunk in (one[0], two[0], one[1], two[1]) for message in reassembly.add(*chunk)]
    assert got == [Message(1, 53, b"ab"), Message(2, 53, b"cd")]


def test_many_fragments_at_once_are_as_good_as_one_by_one() -> None:
    reassembly = InterleavedReassembly()
    chunks = fragments("I-DATA", 1, 0, [b"%02d" % place for place in range(6)])
    assert not reassembly.extend(KEY, 1, (b"01",), 2)
    reassembly.add(*chunks[0])
    assert not reassembly.extend(KEY, 2, (b"02",), 2)
    assert reassembly.extend(KEY, 1, (b"01", b"02"), 2)
    reassembly.add(*chunks[4])
    assert not reassembly.extend(KEY, 3, (b"03",), 2)  # one waits beyond
    reassembly.add(*chunks[3])
    (message,) = reassembly.add(*chunks[5])
    assert message == Message(1, 53, b"000102030405")
    assert reassembly.held == 0


def test_not_beyond_the_largest_message() -> None:
    reassembly = InterleavedReassembly()
    reassembly.add(*fragments("I-DATA", 1, 0, [b"a", b"b"])[0])
    assert not reassembly.extend(KEY, 1, (bytes(1000),) * (MAX_MESSAGE // 1000 + 1), 1000)


def test_a_fragment_twice_or_after_the_last_is_an_error() -> None:
    head = struct.Struct("!LHHLL").pack
    for second in ((BEGIN, 53), (0, 3), (END, 3)):
        reassembly = InterleavedReassembly()
        reassembly.add(1, BEGIN, head(1, 1, 0, 0, 53) + b"x")
        reassembly.add(3, END, head(3, 1, 0, 0, 2) + b"x")
        with pytest.raises(DecodeError):
            reassembly.add(5, second[0], head(5, 1, 0, 0, second[1]) + b"x")


def test_what_was_given_out_already_is_dropped() -> None:
    reassembly = InterleavedReassembly()
    chunk = fragments("I-DATA", 1, 0, [b"x"])[0]
    assert reassembly.add(*chunk)
    assert reassembly.add(*chunk) == []
