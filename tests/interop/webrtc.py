"""Our stack as a WebRTC peer: session descriptions from an endpoint's candidates, then a plain link over ICE."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from atmosphere.channels.channel import Channel
from atmosphere.channels.link import Link
from atmosphere.errors import DecodeError
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import IceEvent, IceFailed, PathRestored, PathSelected
from atmosphere.ice.mobility import MobilePath
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity

Setup = Literal["actpass", "active", "passive"]

_DESCRIPTION = """\
v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
{candidates}a=end-of-candidates
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
a=setup:{setup}
a=sctp-port:5000
a=max-message-size:1048576
"""


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate as SDP has it (RFC 8122 section 5)."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class WebRtcPeer:
    """One peer connection of ours on a shared endpoint: makes an offer, or the answer to one, then a plain link."""

    def __init__(self, endpoint: IceEndpoint, identity: Identity) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._credentials = IceCredentials.random()
        self._theirs = ""
        self.link: Link
        self.path: MobilePath
        self._restarts = 0
        self.channels: asyncio.Queue[Channel] = asyncio.Queue()

    @property
    def session(self) -> IceSession:
        """The ICE session in use."""
        return self.path.session

    @property
    def fingerprint(self) -> str:
        """Our certificate's, as we announce it."""
        return fingerprint(self._identity.certificate)

    def describe(self, setup: Setup) -> str:
        """Our session description."""
        return _DESCRIPTION.format(
            candidates="".join(f"a=candidate:{one.to_sdp()}\n" for one in self._endpoint.candidates),
            ufrag=self._credentials.ufrag,
            password=self._credentials.password,
            fingerprint=self.fingerprint,
            setup=setup,
        ).replace("\n", "\r\n")

    async def connect(self, description: str, *, offered: bool, client: bool) -> Link:
        """The link to whoever made `description`; who offered is controlling (RFC 8839 section 4.1)."""
        [theirs] = re.findall(r"^a=fingerprint:sha-256 (\S+)", description, re.MULTILINE | re.IGNORECASE)
        session = self._session(description, offered=offered)
        self.path = MobilePath(session)
        self.path.on_event = self._path_event
        most = re.search(r"^a=max-message-size:(\d+)", description, re.MULTILINE)
        announced = int(most[1]) if most else None
        self.link = Link(self.path, self._identity, client=client, plain=True, max_message=announced)
        self.link.on_channel = self.channels.put_nowait
        await session.connected(10)
        await self.link.start(10)
        assert fingerprint(x509.load_der_x509_certificate(self.link.peer_certificate)) == theirs.upper()
        return self.link

    def renew(self) -> None:
        """Take new credentials: what we describe next begins a restart, or answers one (RFC 8839 section 4.4.1.1.1)."""
        self._credentials = IceCredentials.random()

    def offer_restart(self) -> str:
        """Our offer of a restart."""
        self.renew()
        return self.describe("actpass")

    def restart(self, description: str, *, offered: bool) -> None:
        """Let the link go on over another ICE session, with whoever made `description`."""
        self._restarts += 1
        self.path.attach(self._session(description, offered=offered), (self._restarts, 0))

    def _session(self, description: str, *, offered: bool) -> IceSession:
        ufrag, password = (_value(description, name) for name in ("ice-ufrag", "ice-pwd"))
        session = self._endpoint.dial(self._credentials, IceCredentials(ufrag, password), controlling=offered)
        for line in re.findall(r"^a=candidate:(.*?)\r?$", description, re.MULTILINE):
            with suppress(DecodeError):  # one over TCP, say
                session.add_remote(Candidate.from_sdp(line))
        return session

    def _path_event(self, event: IceEvent) -> None:
        if isinstance(event, PathSelected | PathRestored):
            self.link.path_changed()
        elif isinstance(event, IceFailed):
            self.link.abort(event.reason)

    async def next_channel(self) -> Channel:
        """The next channel that the peer opens."""
        return await asyncio.wait_for(self.channels.get(), 5)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.link.close("the test is over")
        self.path.close()


def _value(description: str, name: str) -> str:
    [value] = re.findall(rf"^a={name}:(\S+)", description, re.MULTILINE)
    return str(value)
