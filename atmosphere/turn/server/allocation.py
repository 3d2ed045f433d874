"""One client's allocation (RFC 8656 §3.2): what it may use, until when, and with whom it may talk. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atmosphere.turn.server.auth import Login
from atmosphere.turn.server.channels import ChannelBindings
from atmosphere.turn.server.flow import Address, Flow
from atmosphere.turn.server.host import Relay
from atmosphere.turn.server.permissions import Permissions
from atmosphere.turn.server.quota import Account

if TYPE_CHECKING:
    from atmosphere.turn.server.shared import SharedPort


def family_of(host: str) -> int:
    """4 or 6."""
    return 6 if ":" in host else 4


class Relayed:
    """One relayed transport address: `address` as the world sees it, on the local address `local`.

    `shared` is set where other allocations have the same.
    """

    __slots__ = ("address", "allocation", "local", "relay", "shared")

    def __init__(self, address: Address, local: str, shared: SharedPort | None = None) -> None:
        self.address = address
        self.local = local
        self.shared = shared
        self.relay: Relay | None = None
        self.allocation: Allocation | None = None

    @property
    def family(self) -> int:
        """4 or 6."""
        return family_of(self.address[0])


class Allocation:
    """An allocation of `flow`; at most one relayed address of each family."""

    __slots__ = (
        "account",
        "answer",
        "channels",
        "expires",
        "flow",
        "login",
        "permissions",
        "relayed",
        "transaction_id",
        "watched",
    )

    def __init__(
        self,
        flow: Flow,
        login: Login,
        account: Account,
        relayed: Sequence[Relayed],
        limits: tuple[int, int],
    ) -> None:
        """`limits`: how many permissions and channels it may have."""
        self.flow = flow
        self.login = login
        self.account = account
        self.relayed = {one.family: one for one in relayed}
        self.permissions = Permissions(limits[0])
        self.channels = ChannelBindings(limits[1])
        self.expires = 0.0
        self.watched = -1
        """The number of its newest entry in `table.Table`; older ones do not count."""
        self.transaction_id = b""
        self.answer = b""
        """The success response to that transaction, for a client that did not get it."""
        for one in relayed:
            one.allocation = self
