"""One STUN request and the wait for its answer (RFC 8489 §6.2.1). Pure: the owner has the socket and the clock.

    transaction = BindingTransaction(server, now)
    loop: send what `poll(now)` gives, come back at `next_at`, hand decoded messages to `receive`, until `done`

Over UDP the request is sent again after the retransmission timeout, which doubles each time, until the deadline.
"""

from __future__ import annotations

from typing import Any

from atmosphere.stun.message import Class, Message, binding_request, encode, mapped_address

RTO = 0.5
MAX_RTO = 8.0
MAX_SENDS = 7
DEADLINE = 39.5
"""Seconds: RFC 8489's values are 7 sends from 500 ms on, and 39.5 s in all. Callers that people wait for use less."""

Address = tuple[str, int]


class Transaction:
    """A request to `server`, sent until it is answered or `timeout` seconds have passed.

    `done` says it is over; then `response` is the success response, or `error` one line (both never). `rtt` is in
    seconds, from the latest send before the answer, so never too long by a lost datagram. `key` signs the request's
    answer: with one, an answer without a right MESSAGE-INTEGRITY is ignored.
    """

    def __init__(
        self,
        request: Message,
        server: Address,
        now: float,
        *,
        timeout: float = DEADLINE,
        rto: float = RTO,
        reliable: bool = False,
        key: bytes | None = None,
        any_source: bool = False,
    ) -> None:
        """`reliable`: over TCP it is sent once. `any_source`: the answer may come from another address (RFC 5780)."""
        self.request = request
        self.server = server
        self.sends = 0
        self.done = False
        self.response: Message | None = None
        self.responder: Address | None = None
        self.error: str | None = None
        self.error_code: int | None = None
        self.rtt: float | None = None
        self._datagram = encode(request)
        self._deadline = now + timeout
        self._due = now
        self._sent_at = now
        self._rto = rto
        self._max_sends = 1 if reliable else MAX_SENDS
        self._key = key
        self._any_source = any_source

    @property
    def transaction_id(self) -> bytes:
        """The 12 bytes that the answer repeats."""
        return self.request.transaction_id

    @property
    def next_at(self) -> float | None:
        """When `poll` wants to be called again; None when it is over."""
        if self.done:
            return None
        return min(self._due, self._deadline) if self.sends < self._max_sends else self._deadline

    def poll(self, now: float) -> bytes | None:
        """The datagram to send to `server` now, or None; ends the transaction at its deadline."""
        if self.done:
            return None
        if now >= self._deadline:
            self._end("no answer")
            return None
        if self.sends >= self._max_sends or now < self._due:
            return None
        self.sends += 1
        self._sent_at = now
        self._due = now + self._rto
        self._rto = min(self._rto * 2, MAX_RTO)
        return self._datagram

    def receive(self, message: Message, source: Address, now: float) -> bool:
        """Whether `message` is the answer; it then ends the transaction."""
        if self.done or not self._matches(message, source):
            return False
        self.rtt = max(0.0, now - self._sent_at)
        self.responder = source
        if message.message_class is Class.ERROR:
            self.error_code, reason = message.attributes.get("ERROR-CODE", (None, ""))
            self._end(f"error {self.error_code} {reason}".strip() if self.error_code else "an error without a code")
        elif message.unknown:
            self._end("an answer with attributes that are not understood")
        else:
            self.response = message
            self.done = True
        return True

    def fail(self, reason: str) -> None:
        """End it early, with `reason` as its error; nothing when it is over already."""
        if not self.done:
            self._end(reason)

    def _end(self, error: str) -> None:
        self.error = error
        self.done = True

    def _matches(self, message: Message, source: Address) -> bool:
        return (
            message.transaction_id == self.transaction_id
            and message.message_method is self.request.message_method
            and message.message_class in (Class.RESPONSE, Class.ERROR)
            and (self._any_source or source == self.server)
            and (self._key is None or message.check_message_integrity(self._key))
        )


class BindingTransaction(Transaction):
    """Asks a STUN server for our own address: `mapped` when it is done and answered."""

    def __init__(
        self,
        server: Address,
        now: float,
        *,
        timeout: float = DEADLINE,
        rto: float = RTO,
        reliable: bool = False,
        attributes: dict[str, Any] | None = None,
        any_source: bool = False,
    ) -> None:
        """`attributes` go into the request, as CHANGE-REQUEST does; the rest is `Transaction`'s."""
        request = binding_request(attributes)
        super().__init__(request, server, now, timeout=timeout, rto=rto, reliable=reliable, any_source=any_source)

    @property
    def mapped(self) -> Address | None:
        """Our address as the server saw it, or None."""
        return mapped_address(self.response) if self.response else None

    @property
    def other(self) -> Address | None:
        """The server's second address (OTHER-ADDRESS, RFC 5780 §7.4), where it has one."""
        return self.response.attributes.get("OTHER-ADDRESS") if self.response else None

    def _matches(self, message: Message, source: Address) -> bool:
        answers = message.message_class is Class.ERROR or mapped_address(message) is not None
        return answers and super()._matches(message, source)
