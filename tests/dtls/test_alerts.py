from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.dtls.alerts import CLOSE_NOTIFY, FATAL, WARNING, says_fatal


def test_only_fatal_alerts_say_something() -> None:
    assert says_fatal(CLOSE_NOTIFY) == says_fatal(bytes((WARNING, 40))) == ""
    assert says_fatal(bytes((FATAL, 40))) == "handshake failure"
    assert says_fatal(bytes((FATAL, 250))) == "alert 250"


@given(st.binary(max_size=4))
def test_any_bytes_do(alert: bytes) -> None:
    assert bool(says_fatal(alert)) == (len(alert) == 2 and alert[0] == FATAL)
