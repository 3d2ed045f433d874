"""atmosphere.ice.router: a contract; both sides of it are tested in test_mux and test_session."""

from __future__ import annotations

from atmosphere.ice.gather import Gatherer
from atmosphere.ice.mux import Mux
from atmosphere.ice.router import Claim, Router


async def test_the_mux_is_a_router() -> None:
    router: Router = Mux("any", Gatherer())
    assert router.base(1) is None


def test_a_claim_is_unproven_until_there_was_an_answer() -> None:
    assert Claim(seen_at=5.0).answered_at < 0.0
