"""Who belongs to the mesh, as this node knows it, and where everybody was last seen; kept on disk.

Before the first join the roster is empty and has no mesh.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from atmosphere.errors import DecodeError, Refused
from atmosphere.identity import node_id_of, verify
from atmosphere.joincode import JoinCode
from atmosphere.mesh import wire
from atmosphere.mesh.contacts import Contact, ContactBook
from atmosphere.mesh.facts import Facts, display_names
from atmosphere.mesh.membership import Authority, Fact, Membership, Role, encode_fact
from atmosphere.mesh.removal import removal
from atmosphere.mesh.root import mesh_id_of
from atmosphere.mesh.store import Home

logger = logging.getLogger(__name__)


class Roster:
    """Facts and contacts of the mesh; every change is on disk when the method returns."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.contacts = ContactBook(self._is_signed)
        for data in home.load_contacts():
            self._add_contact(data, kept=True)
        self.on_facts: Callable[[list[bytes]], None] = lambda fresh: None
        self.on_contacts: Callable[[], None] = lambda: None

    # --- this node ------------------------------------------------------------------------------------------------

    @property
    def own_id(self) -> str:
        """This node's id."""
        return self._home.identity.node_id

    @property
    def own_name(self) -> str:
        """What this node is called in the mesh, or wants to be."""
        own = self.member(self.own_id)
        return own.name if own else self._home.node_name

    @property
    def mesh_id_bytes(self) -> bytes:
        """The mesh's id (20 bytes); empty before the first join."""
        return self._facts.mesh_id if self._facts else b""

    @property
    def mesh_id(self) -> str:
        """The mesh's id in hexadecimal; empty before the first join."""
        return self.mesh_id_bytes.hex()

    @property
    def root_public_key(self) -> bytes:
        """The key that founds the mesh (Ed25519, 32 bytes); raises Refused before the first join."""
        return self._known().root_public_key

    @property
    def mesh_name(self) -> str:
        """What the mesh is called; empty before the first join."""
        return self._home.mesh_name

    @property
    def is_member(self) -> bool:
        """Whether this node's own membership holds."""
        return self.member(self.own_id) is not None

    @property
    def _facts(self) -> Facts | None:
        return self._home.facts

    # --- members --------------------------------------------------------------------------------------------------

    def members(self) -> dict[str, Membership]:
        """The membership of every node that belongs now, this one included."""
        return self._facts.members(time.time()) if self._facts else {}

    def member(self, node_id: str) -> Membership | None:
        """The membership of a node, None when it does not belong."""
        return self._facts.member(node_id, time.time()) if self._facts else None

    def public_key(self, node_id: str) -> bytes | None:
        """The public key of a member (SubjectPublicKeyInfo)."""
        member = self.member(node_id)
        return member.public_key if member else None

    def role(self, node_id: str) -> str:
        """member, admin or founder; "none" for who does not belong."""
        member = self.member(node_id)
        return member.role if member else "none"

    def name(self, node_id: str) -> str:
        """The member's name as it is written in its membership."""
        member = self.member(node_id)
        return member.name if member else node_id[:8]

    def display_name(self, node_id: str) -> str:
        """The member's name, with a part of its id where several members share one."""
        return display_names(self.members()).get(node_id, node_id[:8])

    # --- facts ----------------------------------------------------------------------------------------------------

    def own_chain(self) -> list[bytes]:
        """The facts that prove this node's membership to whoever knows the mesh's root key."""
        return self.chain_of(self.own_id)

    def chain_of(self, node_id: str) -> list[bytes]:
        """The facts that prove a node's membership, at most as many as a greeting takes."""
        return self._facts.proof(node_id)[:32] if self._facts else []

    def digest(self) -> bytes:
        """32 bytes that are equal on two nodes exactly when they hold the same facts."""
        return self._known().digest()

    def fact_ids(self) -> list[bytes]:
        """The ids of all facts."""
        return self._facts.ids() if self._facts else []

    def facts_beyond(self, ids: Iterable[bytes]) -> list[bytes]:
        """The facts that are not among `ids`."""
        return self._facts.missing(ids) if self._facts else []

    def add_facts(self, encoded: Iterable[bytes]) -> list[bytes]:
        """Take in facts; those that were new, which `on_facts` hears of too."""
        if self._facts is None:
            return []
        return self._changed(self._facts.merge(encoded))

    def _say(self, facts: Iterable[Fact]) -> list[bytes]:
        known = self._known()
        return self._changed([fact for fact in facts if known.add(fact)])

    def _known(self) -> Facts:
        if self._facts is None:
            raise Refused("this node is in no mesh yet", hint="atmosphere init, or atmosphere join CODE")
        return self._facts

    def _changed(self, fresh: list[Fact]) -> list[bytes]:
        encoded = [encode_fact(fact) for fact in fresh]
        if fresh:
            self._home.save_facts()
            self.contacts.keep_only(self.members())
            self.on_facts(encoded)
        return encoded

    # --- authority ------------------------------------------------------------------------------------------------

    def _authority(self, what: str) -> Authority:
        own = self.member(self.own_id)
        if self._home.root_key is not None:
            return Authority.root(self._home.root_key)
        if own is None or not own.is_admin:
            raise Refused(
                f"only the founder and admins {what}", hint="the founder can run: atmosphere promote " + self.own_name
            )
        return Authority.node(self._home.identity)

    def may_invite(self) -> bool:
        """Whether this node may make members."""
        return self._home.root_key is not None or self.role(self.own_id) in ("admin", "founder")

    def issue(self, public_key: bytes, name: str, role: Role = "member") -> list[bytes]:
        """Make the node of `public_key` a member, on disk before this returns; the new facts. Raises Refused."""
        authority = self._authority("invite others")
        facts = self._known()
        issued = facts.issue_time(authority.issuer, node_id_of(public_key), time.time())
        return self._say([authority.membership(facts.mesh_id, public_key, name, issued=issued, role=role)])

    def promote(self, node_id: str) -> list[bytes]:
        """Make a member an admin; the new facts. Raises Refused."""
        member = self.member(node_id)
        if member is None:
            raise Refused("only a member can be promoted")
        return self.issue(member.public_key, member.name, "admin")

    def revoke(self, node_id: str) -> list[bytes]:
        """Remove a member everywhere; the new facts. Raises Refused."""
        authority = self._authority("remove members")
        return self._say(removal(self._known(), node_id, authority, time.time()))

    def farewell(self) -> list[bytes]:
        """Revoke our own memberships: the last facts before leaving."""
        if not self.is_member:
            return []
        facts, authority = self._known(), Authority.node(self._home.identity)
        now = facts.issue_time(authority.issuer, "", time.time())
        return self._say(
            authority.revocation(facts.mesh_id, membership.serial, issued=now)
            for membership in facts.memberships(self.own_id)
        )

    def adopt(self, code: JoinCode, granted: wire.Granted, name: str) -> None:
        """Make the mesh of a redeemed code our own, on disk before this returns; raises Refused for a grant that is
        none."""
        if mesh_id_of(granted.root_public_key) != code.mesh_id:
            raise Refused("the host granted another mesh than its code names")
        facts = Facts(granted.root_public_key)
        facts.merge(granted.chain)
        own = facts.member(self.own_id, time.time())
        if own is None or own.public_key != self._home.identity.public_key:
            raise Refused("the host's grant does not make this node a member")
        self._home.adopt(granted.mesh_name, facts, own.name or name)

    # --- contacts -------------------------------------------------------------------------------------------------

    def add_contacts(self, signed: Iterable[bytes]) -> list[bytes]:
        """Take in signed contacts; those that were news, after `on_contacts` was told that there were some."""
        fresh = [data for data in signed if self._add_contact(data) is not None]
        if fresh:
            self._home.save_contacts(self.contacts.encoded())
            self.on_contacts()
        return fresh

    def _add_contact(self, data: bytes, *, kept: bool = False) -> Contact | None:
        try:
            return self.contacts.add(data, time.time(), kept=kept)
        except DecodeError as error:
            logger.debug("a contact was dropped: %s", error)
            return None

    def _is_signed(self, node_id: str, signature: bytes, data: bytes) -> bool:
        key = self.public_key(node_id)
        return key is not None and verify(key, signature, data)
