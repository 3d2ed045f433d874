"""The answer to a connection of a kind that is not served here."""

from __future__ import annotations

import asyncio
from typing import cast


class HangUp(asyncio.Protocol):
    """For a connection that nobody serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it (asyncio.Protocol)."""
        cast("asyncio.Transport", transport).close()
