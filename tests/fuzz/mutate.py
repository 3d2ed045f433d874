"""Bytes that resemble the real ones, from a seeded chance, so that a failure can be had again."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

COOKIE = b"\x21\x12\xa4\x42"
ATTRIBUTES = (0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x0014, 0x0020, 0x0024, 0x0025, 0x8022, 0x8028, 0x8029, 0x802A)


class Mutator:
    """Makes datagrams: of nothing, of a protocol's looks, and of real ones that were seen."""

    def __init__(self, seed: int, ufrags: Sequence[str] = ()) -> None:
        self.chance = random.Random(seed)
        self.ufrags = list(ufrags) or ["host"]
        self.seen: list[bytes] = []
        self._kinds: list[Callable[[], bytes]] = [
            self.noise,
            self.stun,
            self.stun_check,
            self.dtls,
            self.channel_data,
            self.changed,
            self.changed,
            self.replayed,
        ]

    def datagram(self) -> bytes:
        """One of any kind."""
        return self.chance.choice(self._kinds)()

    def noise(self) -> bytes:
        """Random bytes, sometimes none, sometimes as many as a datagram holds."""
        size = self.chance.choice((0, 1, 2, 19, 20, 21, 100, 1200, 9000)) or self.chance.randrange(64)
        return self.chance.randbytes(size)

    def stun(self) -> bytes:
        """A header and attributes, with lengths that may lie."""
        chance = self.chance
        body = b"".join(self._attribute() for _ in range(chance.randrange(6)))
        length = len(body) if chance.random() < 0.7 else chance.randrange(65536)
        kind = chance.choice((0x0001, 0x0101, 0x0111, 0x0011, 0x0003, 0x0016, chance.randrange(0x4000)))
        message = struct.pack("!HH", kind, length) + COOKIE + chance.randbytes(12) + body
        return self._fingerprinted(message) if chance.random() < 0.3 else message

    def _attribute(self) -> bytes:
        chance = self.chance
        size = chance.choice((0, 4, 8, 20, chance.randrange(64)))
        kind = chance.choice((*ATTRIBUTES, chance.randrange(65536)))
        length = size if chance.random() < 0.8 else chance.randrange(65536)
        return struct.pack("!HH", kind, length) + chance.randbytes(size + -size % 4)

    def _fingerprinted(self, message: bytes) -> bytes:
        whole = message[:2] + struct.pack("!H", (len(message) - 20 + 8) & 0xFFFF) + message[4:]
        return whole + struct.pack("!HHI", 0x8028, 4, zlib.crc32(whole) ^ 0x5354554E)

    def stun_check(self) -> bytes:
        """A check with a username that is right or nearly, and an integrity that is wrong."""
        chance = self.chance
        ufrag = chance.choice(self.ufrags)
        name = chance.choice(
            (f"{ufrag}:{chance.randrange(10**6):06}", ufrag, f":{ufrag}", f"{ufrag}:", "\0:\0")
        ).encode()
        body = struct.pack("!HH", 0x0006, len(name)) + name + bytes(-len(name) % 4)
        body += struct.pack("!HHI", 0x0024, 4, chance.randrange(2**32)) if chance.random() < 0.7 else b""
        body += struct.pack("!HHQ", 0x802A, 8, chance.randrange(2**64))
        body += struct.pack("!HH", 0x0008, 20) + chance.randbytes(20)
        return self._fingerprinted(struct.pack("!HH", 0x0001, len(body)) + COOKIE + chance.randbytes(12) + body)

    def dtls(self) -> bytes:
        """A record header of any type, version and epoch, before noise."""
        chance = self.chance
        size = chance.randrange(200)
        head = struct.pack(
            "!BHHHIH",
            chance.randrange(20, 26),
            chance.choice((0xFEFD, 0xFEFF, 0x0303)),
            chance.choice((0, 1, 2, 65535)),
            chance.randrange(65536),
            chance.randrange(2**32),
            size if chance.random() < 0.8 else chance.randrange(65536),
        )
        return head + chance.randbytes(size)

    def channel_data(self) -> bytes:
        """As from a TURN server (RFC 8656 §12.4)."""
        size = self.chance.randrange(100)
        return struct.pack("!HH", self.chance.randrange(0x4000, 0x8000), size) + self.chance.randbytes(size)

    def replayed(self) -> bytes:
        """A real datagram, once more."""
        return self.chance.choice(self.seen) if self.seen else self.noise()

    def changed(self) -> bytes:
        """A real datagram with some bytes changed, cut out, doubled or added."""
        return self.change(self.replayed())

    def change(self, data: bytes) -> bytes:
        """`data` with a few random edits."""
        whole, chance = bytearray(data), self.chance
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(whole) + 1)
            match chance.randrange(5):
                case 0:
                    whole[place:place] = chance.randbytes(chance.randrange(1, 8))
                case 1:
                    del whole[place : place + chance.randrange(1, 16)]
                case 2:
                    whole[place:place] = whole[place : place + 16]
                case _:
                    whole[place : place + 1] = chance.randbytes(1)
        return bytes(whole)
