"""A TLS certificate that is looked for again when its files change.

Whoever renews a certificate writes new files and does nothing else. They are looked at when a client connects, once a
second at most. A new pair that cannot be used (half written, of different keys) leaves the former in use and one line
in the log; it is tried again at its next change.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from signaling.errors import CertificateError

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
ALPN = ["http/1.1", "stun.turn", "stun.nat-discovery"]
"""RFC 7301; the names of TURN and STUN are RFC 7443's."""

Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """The TLS context of a server: `certificate` (a PEM chain) and `key` are files; without `key`, one file has both.

    Raises CertificateError when they cannot be used at the start.
    """

    def __init__(
        self, certificate: str | Path, key: str | Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._certificate = Path(certificate)
        self._key = Path(key) if key else None
        self._clock = clock
        self._looked_at = clock()
        self.reloads = self.failures = 0
        try:
            self._stamp = self._look()
            self._context = self._load()
        except (OSError, ValueError) as error:
            raise CertificateError(f"{certificate} and its key cannot be used: {_reason(error)}") from error

    def context(self) -> ssl.SSLContext:
        """The context for the next client."""
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._reload()
        return self._context

    def listening_context(self) -> ssl.SSLContext:
        """One context for a server that is given it once and for all: it hands each client on to the newest."""
        listening = self._load()
        listening.sni_callback = self._hand_on
        return listening

    def _hand_on(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, listening: ssl.SSLContext) -> None:
        connection.context = self.context()

    def _reload(self) -> None:
        try:
            stamp = self._look()
        except OSError as error:
            if self._stamp:
                self._keep_former(error)
            self._stamp = ()
            return
        if stamp == self._stamp:
            return
        # Remembered before reading: what is written while we read shows as another change.
        self._stamp = stamp
        try:
            self._context = self._load()
        except (OSError, ValueError) as error:
            self._keep_former(error)
            return
        self.reloads += 1
        logger.info("a new certificate from %s is in use", self._certificate)

    def _keep_former(self, error: Exception) -> None:
        self.failures += 1
        logger.warning("%s cannot be used, the former certificate stays: %s", self._certificate, _reason(error))

    def _look(self) -> Stamp:
        found = [os.stat(file) for file in (self._certificate, self._key) if file]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(ALPN)
        # A passphrase would be asked for on the terminal; there may be none, and the server must not wait.
        context.load_cert_chain(self._certificate, self._key, password=b"")
        return context


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())
