"""Which paths may be used: any, direct ones alone, or none but relayed ones; and what that leaves out for now. Pure.

    any      everything
    direct   no relay of ours, and none of the remote's
    relay    nothing leaves here but through a relay of ours

What a policy leaves out is remembered, for the policy may change while the session lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from atmosphere.ice.candidate import Candidate
    from atmosphere.ice.pair import CandidatePair

__all__ = ["PathPolicy", "Policy"]

PathPolicy = Literal["any", "direct", "relay"]
MAX_REFUSED = 100

Address = tuple[str, int]


class Policy:
    """The policy of one session, and the candidates that it leaves out."""

    def __init__(self, name: PathPolicy) -> None:
        self.name = name
        self._locals: dict[int, Candidate] = {}
        self._remotes: dict[Address, Candidate] = {}

    def takes_local(self, candidate: Candidate, base: int) -> bool:
        """Whether to pair a base's own candidate; one that is left out is remembered."""
        if self._allows_local(candidate):
            return True
        self._locals[base] = candidate
        return False

    def takes_remote(self, candidate: Candidate) -> bool:
        """Whether to pair a remote candidate; one that is left out is remembered, within bounds."""
        if self.allows_remote(candidate):
            return True
        if len(self._remotes) < MAX_REFUSED:
            self._remotes[candidate.endpoint] = candidate
        return False

    @property
    def left_out(self) -> int:
        """How many candidates of both sides the policy leaves out."""
        return len(self._locals) + len(self._remotes)

    def is_left_out(self, endpoint: Address) -> bool:
        """Whether that is a remote address which the policy leaves out, also when its checks come from there."""
        return endpoint in self._remotes

    def drop_base(self, base: int) -> None:
        """The base is gone."""
        self._locals.pop(base, None)

    def allows(self, local: Candidate, remote: Candidate) -> bool:
        """Whether these may be a pair."""
        return self._allows_local(local) and self.allows_remote(remote)

    def forbids(self, pair: CandidatePair) -> bool:
        """Whether the policy has no use for a pair that there is."""
        return not self.allows(pair.base_candidate, pair.remote)

    def change(self, name: PathPolicy) -> tuple[list[tuple[Candidate, int]], list[Candidate]]:
        """Take another policy; the local (with their bases) and remote candidates that were left out until now."""
        self.name = name
        known = [(candidate, base) for base, candidate in self._locals.items()], list(self._remotes.values())
        self._locals, self._remotes = {}, {}
        return known

    def _allows_local(self, candidate: Candidate) -> bool:
        return self.name == "any" or candidate.is_relayed == (self.name == "relay")

    def allows_remote(self, candidate: Candidate) -> bool:
        """Whether a remote candidate may be in a pair."""
        return self.name != "direct" or not candidate.is_relayed
