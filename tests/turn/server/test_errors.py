from __future__ import annotations

from atmosphere.turn.server.errors import REASONS, TurnError


def test_every_code_of_the_rfc_that_udp_relaying_has() -> None:
    assert set(REASONS) == {400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508}


def test_an_error_reads_well() -> None:
    assert str(TurnError(486)) == "486 Allocation Quota Reached"
    assert TurnError(400).attributes == {}
