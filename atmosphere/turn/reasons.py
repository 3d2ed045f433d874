"""Why there is no allocation, in one line for a person."""

from __future__ import annotations

import ssl

from atmosphere.errors import AtmosphereError, Refused, Unreachable
from atmosphere.stun.library import stun
from signaling.printable import printable

_REASONS = {
    401: "wrong user name or password",
    403: "the server forbids it",
    437: "the allocation is gone",
    440: "the server has no relay of this address family",
    441: "wrong credentials",
    442: "the server relays no UDP",
    486: "the user's quota of allocations is used up",
    508: "the server is full",
}


def explain(error: BaseException, trouble: str | None, timeout: float) -> AtmosphereError:
    """The one line a person gets for a failed allocation."""
    if isinstance(error, stun.TransactionFailed):
        code = error.response.error_code
        reason = _REASONS.get(code or 0)
        if reason is None:
            _, text = error.response.attributes.get("ERROR-CODE", (0, "no reason given"))
            reason = f"the server refused: {printable(text[:80])} ({code})"
        return Refused(reason)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(f"the server's certificate is not valid: {error.verify_message}")
    if trouble:
        return Unreachable(trouble)
    if isinstance(error, ConnectionRefusedError):
        return Unreachable("connection refused")
    if isinstance(error, (TimeoutError, stun.TransactionTimeout)):
        return Unreachable(f"no answer within {timeout:g} s")
    return Unreachable(str(error) or type(error).__name__)
