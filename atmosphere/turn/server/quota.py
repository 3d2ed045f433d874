"""How many allocations there are: in all, of each user, from each client address; and each user's bytes. Pure."""

from __future__ import annotations

from atmosphere.stun.limits import source_key
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.settings import TurnSettings

BURST_SECONDS = 0.5
"""How much of its rate a user may use at once."""


class Account:
    """One user: how many allocations it has now, and a bucket of bytes that all of them share."""

    __slots__ = ("_at", "_rate", "_tokens", "allocations", "identity")

    def __init__(self, identity: str, rate: float, now: float) -> None:
        self.identity = identity
        self.allocations = 0
        self._rate = rate
        self._tokens = rate * BURST_SECONDS
        self._at = now

    def spend(self, size: int, now: float) -> bool:
        """Whether `size` more bytes are within the user's rate. A burst that begins within it passes whole."""
        if not self._rate:
            return True
        self._tokens = min(self._rate * BURST_SECONDS, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens <= 0:
            return False
        self._tokens -= size
        return True


class Quotas:
    """Counts what is allocated; bounded by the allocations there are, and by `settings.sources`.

    A user's last allocation leaves its account behind, for otherwise a new allocation would come with a full bucket,
    and who allocates anew for each burst would have no rate at all. The account longest unused is forgotten first.
    """

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self.total = 0
        self._accounts: dict[str, Account] = {}
        self._resting: dict[str, Account] = {}
        self._hosts: dict[bytes, int] = {}

    @property
    def users(self) -> int:
        """Users with an allocation."""
        return len(self._accounts)

    def admit(self, identity: str, host: str, now: float) -> Account:
        """Count one allocation of a user at a client address; TurnError 486 or 508 where there are too many."""
        settings = self._settings
        if self.total >= settings.allocations:
            raise TurnError(508)
        account = self._accounts.get(identity) or self._resting.get(identity)
        if account is None:
            account = Account(identity, settings.bytes_per_second, now)
        key = source_key(host)
        of_host = self._hosts.get(key, 0)
        if account.allocations >= settings.allocations_per_user or of_host >= settings.allocations_per_address:
            raise TurnError(486)
        self.total += 1
        account.allocations += 1
        self._accounts[identity] = account
        self._resting.pop(identity, None)
        self._hosts[key] = of_host + 1
        return account

    def release(self, account: Account, host: str) -> None:
        """Give back what `admit` counted."""
        self.total -= 1
        account.allocations -= 1
        if not account.allocations:
            del self._accounts[account.identity]
            self._rest(account)
        key = source_key(host)
        self._hosts[key] -= 1
        if not self._hosts[key]:
            del self._hosts[key]

    def _rest(self, account: Account) -> None:
        if self._settings.bytes_per_second:
            self._resting[account.identity] = account
            if len(self._resting) > self._settings.sources:
                del self._resting[next(iter(self._resting))]
