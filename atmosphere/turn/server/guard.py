"""What may be answered to a source that has not shown that it gets our answers: forging one gains nothing. Pure.

A first Allocate of 28 bytes must be answered with a realm and a nonce, which no 28 bytes hold. So a source has a
balance: what it sends is added, what it is answered is taken, and it begins with, and never has more than, `burst`. An
answer that exceeds the balance is not given. Of any source, then, over any time in which it is remembered:

    bytes answered ≤ bytes received + burst

Whoever comes back with the nonce it was given is there, and is forgotten here. As sources are forgotten too when there
are too many, the excess of answers over requests of all sources together is bounded by a rate as well.
"""

from __future__ import annotations

from atmosphere.stun.limits import source_key


class ReflectionGuard:
    """The balances of at most `size` sources."""

    def __init__(self, *, burst: int, rate: float, size: int) -> None:
        self._burst = burst
        self._rate = rate
        self._size = size
        self._balances: dict[bytes, int] = {}
        self._common = rate
        self._at = 0.0

    def __len__(self) -> int:
        return len(self._balances)

    def permits(self, host: str, request: int, answer: int, now: float) -> bool:
        """Whether a source that sent `request` bytes may be sent `answer` bytes; counts both."""
        key = source_key(host)
        balance = min(self._burst, self._balances.pop(key, self._burst) + request)
        self._common = min(self._rate, self._common + (now - self._at) * self._rate)
        self._at = now
        excess = max(0, answer - request)
        permitted = answer <= balance and excess <= self._common
        if permitted:
            balance -= answer
            self._common -= excess
        self._balances[key] = balance
        if len(self._balances) > self._size:
            del self._balances[next(iter(self._balances))]
        return permitted

    def proved(self, host: str) -> None:
        """The source has shown a nonce that only it was sent."""
        self._balances.pop(source_key(host), None)
