from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import parameters
from atmosphere.sctp.parameters import Features


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=30)), max_size=8))
def test_parameters_come_back(written: list[tuple[int, bytes]]) -> None:
    assert parameters.decode_all(b"".join(parameters.encode(*one) for one in written)) == written


@given(st.binary(max_size=80))
def test_any_bytes_are_parameters_or_a_decode_error(data: bytes) -> None:
    try:
        parameters.decode_features(parameters.decode_all(data))
    except DecodeError:
        pass
    assert len(parameters.abort_reason(data)) <= parameters.MAX_REASON


@pytest.mark.parametrize("broken", [b"\0", b"\0\1\0\3", b"\0\1\0\5", b"\0\1\0\4" * 300])
def test_what_is_cut_short_or_too_much_is_refused(broken: bytes) -> None:
    with pytest.raises(DecodeError):
        parameters.decode_all(broken)


@given(st.builds(Features, st.booleans(), st.booleans(), st.booleans(), st.booleans()))
def test_what_a_side_can_do_comes_back(offered: Features) -> None:
    assert parameters.decode_features(parameters.decode_all(parameters.encode_features(offered))) == offered
    assert offered.both(Features()) == offered
    assert not any(offered.both(Features(False, False, False, False)))


def test_a_reason_is_shown_as_far_as_it_can_be() -> None:
    assert parameters.abort_reason(parameters.abort_cause("wörd\n" + "x" * 300)) == "wörd" + "x" * 194
    assert parameters.abort_reason(parameters.encode(parameters.PROTOCOL_VIOLATION, b"why")) == "why"
    assert parameters.abort_reason(b"\0\0\0") == parameters.abort_reason(b"") == ""
