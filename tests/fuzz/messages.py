"""Control messages of the mesh as a malicious member makes them: of the right shape, with anything in them."""

from __future__ import annotations

import random
import time

from atmosphere.identity import Identity
from atmosphere.mesh import contacts, wire
from atmosphere.mesh.membership import Authority, encode_fact
from tests.fuzz.mutate import Mutator


class MessageMutator:
    """Makes messages; `identity` is the malicious member's, `ids` are the members'."""

    def __init__(self, seed: int, identity: Identity, mesh_id: bytes, ids: list[str]) -> None:
        self.chance = random.Random(seed)
        self._bytes = Mutator(seed)
        self._identity = identity
        self._mesh_id = mesh_id
        self._ids = ids
        self._stamp = time.time()
        self._others = [Identity.generate() for _ in range(4)]

    def message(self) -> wire.Message:
        """Any message, `Bye` apart: that ends the link as it should."""
        chance = self.chance
        match chance.randrange(11):
            case 0:
                return wire.Ping(chance.randrange(-(2**63), 2**64))
            case 1:
                return wire.Pong(chance.randrange(-(2**63), 2**64))
            case 2:
                return self.signal()
            case 3:
                return wire.Have([chance.randbytes(32) for _ in range(chance.choice((0, 1, 50, 4096)))])
            case 4:
                return wire.Facts([self.fact() for _ in range(chance.randrange(8))])
            case 5:
                return wire.Contacts([self.contact() for _ in range(chance.randrange(8))])
            case 6:
                return wire.Hello(chance.randrange(5), "0" * 40, chance.randbytes(8), "\x1b[2J", [])
            case 7:
                return wire.Redeem(1, "x" * chance.randrange(64), chance.randbytes(32), "name")
            case 8:
                return wire.Digest(chance.randbytes(32))
            case 9:
                return wire.Denied("member", "\x1b]0;no\x07")
            case _:
                return wire.Granted("name", chance.randbytes(32), [self.fact()])

    def signal(self, destination: str | None = None) -> wire.Signal:
        """An envelope that nobody sealed."""
        chance = self.chance
        source = chance.choice((self._identity.node_id, self._identity.node_id, *self._ids, "x" * 52))
        kind = bytes([chance.randrange(5)])
        payload = kind + chance.randbytes(chance.choice((0, 7, 8, 40, 200, 12_000)))
        return wire.Signal(destination or chance.choice((*self._ids, "y" * 52)), source, payload)

    def fact(self) -> bytes:
        """Noise, or a statement that its signer may not make."""
        chance, now = self.chance, int(time.time())
        match chance.randrange(3):
            case 0:
                return chance.randbytes(chance.randrange(300))
            case 1:
                signer = Authority.node(chance.choice((self._identity, *self._others)))
                serial = f"{chance.randrange(2**64):032x}"
                return encode_fact(signer.revocation(self._mesh_id, serial, issued=now))
            case _:
                signer = Authority.node(chance.choice((self._identity, *self._others)))
                subject = chance.choice(self._others).public_key
                fact = encode_fact(signer.membership(self._mesh_id, subject, "eve 2", issued=now, role="admin"))
                return self._bytes.change(fact) if chance.random() < 0.3 else fact

    def contact(self) -> bytes:
        """The member's own contact, newer each time; another's, forged; or noise."""
        self._stamp += 0.001
        chance = self.chance
        node_id = chance.choice((self._identity.node_id, *self._ids))
        lines = [chance.choice(("x", "1 1 udp 1 127.0.0.1 9 typ host", "\x1b[2J"))] * chance.randrange(16)
        contact = contacts.Contact(node_id, self._stamp, lines, ["ws://127.0.0.1:9"])
        signed = contacts.sign(contact, self._identity.sign)
        return self._bytes.change(signed) if chance.random() < 0.3 else signed

    def noise(self) -> bytes:
        """Bytes that may or may not be a message."""
        if self.chance.random() < 0.3:
            return self.chance.randbytes(self.chance.randrange(200))
        return self._bytes.change(wire.encode(self.message()))
