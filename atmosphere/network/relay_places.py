"""What a relay server tells of itself: the URLs and URIs that nodes use, its names, its relayed addresses (pure)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from atmosphere.network.relay_settings import RelaySettings, is_literal, place, public_place
from atmosphere.udp.address_class import address_class

MAX_URIS = 8
"""In one message of the signaling server."""


@dataclass(frozen=True)
class Places:
    """What follows from the settings, the local `addresses` (best first) and the `port`.

    `resolved` are the addresses that the public host's name has.
    """

    settings: RelaySettings
    addresses: Sequence[str]
    port: int
    resolved: Sequence[str] = ()

    @property
    def host(self) -> str:
        """The name or address that nodes use."""
        return self.settings.public_host or next(iter(self.addresses), "127.0.0.1")

    @property
    def signaling(self) -> str:
        """The signaling server's URL."""
        if self.settings.public_url:
            public = public_place(self.settings.public_url)
            return f"{'wss' if public.secure else 'ws'}://{public.netloc}{public.path}"
        return f"{'wss' if self.settings.tls_cert else 'ws'}://{place(self.host, self.port)}"

    @property
    def stun(self) -> str:
        """The STUN server's URI."""
        return f"stun:{place(self.host, self.port)}"

    @property
    def turn(self) -> tuple[str, ...]:
        """The URIs that are handed to nodes together with credentials."""
        own = (f"turn:{place(self.host, self.port)}", self._websocket) if self.settings.turn else ()
        return (*own, *self.settings.turn_uris)[:MAX_URIS]

    @property
    def _websocket(self) -> str:
        if self.settings.public_url:
            public = public_place(self.settings.public_url)
            path = f"&path={public.path}/turn" if public.path else ""
            return f"{'turns' if public.secure else 'turn'}:{public.netloc}?transport=ws{path}"
        return f"{'turns' if self.settings.tls_cert else 'turn'}:{place(self.host, self.port)}?transport=ws"

    @property
    def names(self) -> tuple[str, ...]:
        """By which Host the signaling server may be dialed; empty (any) when nobody said under which name it is known.

        Our own addresses are among them: whoever dials one of these has named this machine, not a hostile one.
        """
        known = [self.settings.public_host] if self.settings.public_host else []
        if self.settings.public_url:
            known.append(public_place(self.settings.public_url).host)
        if not known:
            return ()
        known += [*self.addresses, "localhost"]
        return tuple(dict.fromkeys(f"[{name}]" if ":" in name else name for name in known))

    @property
    def relayed(self) -> dict[str, str]:
        """Local addresses for relaying, and how the world sees them."""
        outer = [address for address in self.addresses if address_class(address) != "loopback"] or self.addresses
        return {address: self._seen_as(address) for address in outer}

    def _seen_as(self, address: str) -> str:
        public = self.settings.public_host
        seen: Sequence[str]
        if public is not None and is_literal(public):
            seen = () if public in self.addresses else (public,)
        else:
            # A name may as well be a proxy's; only where our own address is of no use its word is better.
            seen = self.resolved if address_class(address) in ("private", "shared") else ()
        return next((str(ipaddress.ip_address(one)) for one in seen if (":" in one) == (":" in address)), address)
