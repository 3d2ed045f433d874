"""Long-term credentials (RFC 8489 §9.2): who a request is from, or why it is refused. Pure.

A request is judged in the RFC's order: without integrity it is challenged (401), with an incomplete set of attributes
or another choice of password algorithms than was offered it is bad (400), with a nonce that is old, of another address
or not ours it gets a fresh one (438), and with a name, realm or password that is wrong it is refused (401), always in
the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from atmosphere.stun.integrity import PasswordAlgorithm, long_term_key
from atmosphere.stun.limits import SourceLimiter
from atmosphere.stun.longterm import OFFERED, request_algorithm
from atmosphere.stun.message import Message
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.flow import Flow
from atmosphere.turn.server.nonce import Nonces
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import MAX_USERNAME, Users, identity_of


class Unproven(TurnError):
    """A refusal that goes to a source which has not shown that it is where it says."""


class Ignored(Exception):
    """A request is not answered at all."""


@dataclass(frozen=True, slots=True)
class Login:
    """Whose a request is: `identity` is what quotas count, `key`, made by `algorithm`, signs the answer."""

    username: str
    identity: str
    algorithm: PasswordAlgorithm
    key: bytes = field(repr=False)


class Authenticator:
    """Judges requests; `proved(host)` is told of each source that shows a nonce of its own."""

    def __init__(
        self,
        settings: TurnSettings,
        users: Users,
        nonces: Nonces,
        proved: Callable[[str], None],
        unix: Callable[[], float],
    ) -> None:
        self._realm = settings.realm
        self._users = users
        self._nonces = nonces
        self._proved = proved
        self._unix = unix
        self._failures = SourceLimiter(
            rate=settings.failures_per_second, burst=settings.failures, size=settings.sources
        )

    def login(self, flow: Flow, request: Message, now: float) -> Login:
        """Whose `request` is. Raises TurnError (Unproven where the source is not known to be real) or Ignored."""
        if not (request.signed or request.signed_sha256):
            raise Unproven(401, self._challenge(flow, now))
        attributes = request.attributes
        algorithm = request_algorithm(request)
        if algorithm is None or not {"USERNAME", "REALM", "NONCE"} <= attributes.keys():
            raise Unproven(400)
        verdict = self._nonces.judge(attributes["NONCE"], flow.client, now)
        if verdict == "foreign":
            raise Unproven(438, self._challenge(flow, now))
        self._proved(flow.client[0])
        if verdict == "stale":
            raise TurnError(438, self._challenge(flow, now))
        login = self._known(flow, attributes, algorithm)
        if login is None or not request.verify(login.key):
            if not self._failures.allow(flow.client[0], now):
                raise Ignored
            raise TurnError(401, self._challenge(flow, now))
        return login

    def _known(self, flow: Flow, attributes: dict[str, Any], algorithm: PasswordAlgorithm) -> Login | None:
        """The user that is named. Whoever has an allocation keeps its key, so credentials that end do not end it."""
        username = attributes["USERNAME"]
        if attributes["REALM"] != self._realm or len(username.encode()) > MAX_USERNAME:
            return None
        if flow.allocation is not None:
            login = flow.allocation.login
            if (login.username, login.algorithm) == (username, algorithm):
                return login
        password = self._users.password(username, self._unix())
        if password is None:
            return None
        key = long_term_key(username, self._realm, password, algorithm)
        return Login(username, identity_of(self._users, username), algorithm, key)

    def _challenge(self, flow: Flow, now: float) -> dict[str, Any]:
        nonce = self._nonces.make(flow.client, now)
        return {"REALM": self._realm, "NONCE": nonce, "PASSWORD-ALGORITHMS": OFFERED}
