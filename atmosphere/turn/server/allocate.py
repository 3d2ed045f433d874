"""The Allocate request (RFC 8656 §7.2), checked in the RFC's order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atmosphere.stun.library import FAMILY_IPV4, FAMILY_IPV6
from atmosphere.stun.message import Message
from atmosphere.turn.server.allocation import Allocation, Relayed
from atmosphere.turn.server.auth import Login
from atmosphere.turn.server.errors import REASONS, TurnError
from atmosphere.turn.server.flow import Flow
from atmosphere.turn.server.opener import Opener
from atmosphere.turn.server.quota import Account, Quotas
from atmosphere.turn.server.reservations import Reservation, Reservations
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.table import Table
from atmosphere.turn.server.wire import SECOND_RELAYED

UDP = 17
DONT_FRAGMENT = 0x001A
FAMILIES = {FAMILY_IPV4 >> 24: 4, FAMILY_IPV6 >> 24: 6}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a well-formed Allocate request asks for."""

    families: tuple[int, ...]
    optional: tuple[int, ...] = ()
    even: bool = False
    pair: bool = False
    token: bytes | None = None


def wish(request: Message, dont_fragment: bool) -> Wish:
    """What `request` asks for, or TurnError 400, 420, 440, 442 (RFC 8656 §7.2, points 3 to 8)."""
    attributes = request.attributes
    transport = attributes.get("REQUESTED-TRANSPORT")
    if transport is None:
        raise TurnError(400)
    if transport >> 24 != UDP:
        raise TurnError(442)
    if "DONT-FRAGMENT" in attributes and not dont_fragment:
        raise TurnError(420, {"UNKNOWN-ATTRIBUTES": (DONT_FRAGMENT,)})
    return _addresses(attributes)


def _addresses(attributes: dict[str, Any]) -> Wish:
    family, additional = attributes.get("REQUESTED-ADDRESS-FAMILY"), attributes.get("ADDITIONAL-ADDRESS-FAMILY")
    if additional is None:
        additional = attributes.get("ADDITIONAL-ADDRESS-FAMILY-OLD")
    token, even = attributes.get("RESERVATION-TOKEN"), attributes.get("EVEN-PORT")
    pair = even is not None and bool(even & 0x80)
    if sum(one is not None for one in (token, family, additional)) > 1 or None not in (token, even):
        raise TurnError(400)
    if additional is not None:
        if pair or FAMILIES.get(additional >> 24) != 6:
            raise TurnError(400)
        return Wish((4, 6), optional=(4, 6), even=even is not None)
    wanted = 4 if family is None else FAMILIES.get(family >> 24)
    if wanted is None:
        raise TurnError(440)
    return Wish((wanted,), even=even is not None, pair=pair, token=token)


class Allocator:
    """Makes and ends allocations."""

    def __init__(
        self, settings: TurnSettings, opener: Opener, quotas: Quotas, table: Table, dont_fragment: bool
    ) -> None:
        self._settings = settings
        self._opener = opener
        self._quotas = quotas
        self._table = table
        self._dont_fragment = dont_fragment
        self.reservations = Reservations(self._unreserve)

    def lifetime(self, request: Message) -> int:
        """Seconds that an allocation gets which asks for what `request` does."""
        asked = request.attributes.get("LIFETIME", 0)
        return int(min(max(asked, self._settings.lifetime), self._settings.max_lifetime))

    def allocate(self, flow: Flow, login: Login, request: Message, now: float) -> tuple[Allocation, dict[str, Any]]:
        """Make an allocation for `flow`: it, and the success response's attributes; TurnError, and nothing is made."""
        wanted = wish(request, self._dont_fragment)
        if wanted.token is not None:
            account, relayed = self._fetch(flow, wanted.token, login, now)
            return self._made(flow, login, request, account, relayed, now)
        account = self._quotas.admit(login.identity, flow.client[0], now)
        try:
            relayed, answer = self._open(flow, login, wanted, now)
        except TurnError:
            self._quotas.release(account, flow.client[0])
            raise
        made, attributes = self._made(flow, login, request, account, relayed, now)
        return made, attributes | answer

    def _fetch(self, flow: Flow, token: bytes, login: Login, now: float) -> tuple[Account, list[Relayed]]:
        reservation = self.reservations.fetch(token, login.identity)
        if reservation is None:
            raise TurnError(508)
        # What was counted where the reservation came from is counted where its user is now.
        self._quotas.release(reservation.account, reservation.host)
        try:
            return self._quotas.admit(login.identity, flow.client[0], now), [reservation.relayed]
        except TurnError:
            self._opener.close(reservation.relayed)
            raise

    def _open(self, flow: Flow, login: Login, wanted: Wish, now: float) -> tuple[list[Relayed], dict[str, Any]]:
        if wanted.pair:
            second = self._quotas.admit(login.identity, flow.client[0], now)
            try:
                first, kept = self._opener.open(wanted.families[0], flow.local[0], pair=True)
            except TurnError:
                self._quotas.release(second, flow.client[0])
                raise
            token = self.reservations.keep(kept, second, flow.client[0], now)
            return [first], {"RESERVATION-TOKEN": token}
        relayed: list[Relayed] = []
        answer: dict[str, Any] = {}
        for family in wanted.families:
            try:
                relayed += self._opener.open(family, flow.local[0], even=wanted.even)
            except TurnError as error:
                if family not in wanted.optional:
                    raise
                failed = error
                answer["ADDRESS-ERROR-CODE"] = (1 if family == 4 else 2, error.code, REASONS[error.code])
        if not relayed:
            raise failed
        return relayed, answer

    def _made(
        self, flow: Flow, login: Login, request: Message, account: Account, relayed: list[Relayed], now: float
    ) -> tuple[Allocation, dict[str, Any]]:
        limits = (self._settings.permissions, self._settings.channels)
        allocation = Allocation(flow, login, account, relayed, limits)
        lifetime = self.lifetime(request)
        allocation.expires = now + lifetime
        self._table.add(allocation)
        names = ("XOR-RELAYED-ADDRESS", SECOND_RELAYED)
        addresses = {name: one.address for name, one in zip(names, relayed, strict=False)}
        return allocation, addresses | {"LIFETIME": lifetime, "XOR-MAPPED-ADDRESS": flow.client}

    def end(self, allocation: Allocation) -> None:
        """End an allocation and free what it had."""
        self._table.remove(allocation)
        for relayed in allocation.relayed.values():
            self._opener.close(relayed)
            relayed.allocation = None
        self._quotas.release(allocation.account, allocation.flow.client[0])

    def _unreserve(self, reservation: Reservation) -> None:
        self._opener.close(reservation.relayed)
        self._quotas.release(reservation.account, reservation.host)
