"""What the floors below may say, and what is made of their silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from atmosphere.mesh import hints
from atmosphere.mesh.situation import Search

PLACE = ("203.0.113.1", 7777)


def endpoint(**says: Any) -> Any:
    return cast("Any", SimpleNamespace(**says))


def test_port_mapping() -> None:
    def port(
        external: tuple[str, int] | None, verified: bool | None = None, transport: str = "udp", error: str | None = None
    ) -> Any:
        return SimpleNamespace(external=external, verified=verified, transport=transport, error=error)

    def asked(*ports: Any, wanted: bool = True) -> tuple[str, list[tuple[str, int]]]:
        return hints.port_mapping(endpoint(port_mappings=lambda: list(ports)), wanted=wanted)

    assert asked(port(PLACE)) == asked(port(PLACE, True)) == ("open", [PLACE])
    assert asked(port(PLACE, False), port(PLACE, True)) == ("open", [PLACE, PLACE])
    assert asked(port(PLACE, False)) == ("beyond", [PLACE])
    assert asked(port(None, error="no answer")) == ("none", [])
    # Nobody was asked, or has not answered yet.
    assert asked() == asked(port(None)) == asked(port(PLACE, transport="tcp")) == ("unknown", [])
    assert asked(port(PLACE), wanted=False) == ("off", [])


def test_search() -> None:
    findings = {"bob": "given up after 20.0 s and 2000 checks"}
    searches = SimpleNamespace(finding=findings.get)
    assert hints.search(None, "bob") is None
    assert hints.search(searches, "bob") == Search(False, "given up after 20.0 s and 2000 checks")
    assert hints.search(searches, "carol") == Search(True)
