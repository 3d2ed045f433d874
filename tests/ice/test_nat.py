from __future__ import annotations

import pytest

from atmosphere.ice.nat import Behaviour, NatBehaviour, NatType, Seen, expectation, filtering_of, mapping_of, type_of

LOCAL = ("192.168.1.2", 5000)
PUBLIC, OTHER_PORT, THIRD_PORT = ("203.0.113.9", 5000), ("203.0.113.9", 5001), ("203.0.113.9", 5002)
S1, S1B = ("198.51.100.1", 3478), ("198.51.100.1", 3479)
S2, S2B = ("198.51.100.2", 3478), ("198.51.100.2", 3479)
NEAR = ("192.168.1.3", 3478)


@pytest.mark.parametrize(
    ("name", "seen", "expected"),
    [
        ("nobody answered", {}, "unknown"),
        ("no NAT", {S1: LOCAL}, "none"),
        ("no NAT, two say so", {S1: LOCAL, S2: LOCAL}, "none"),
        ("one server only", {S1: PUBLIC}, "unknown"),
        ("two ports of one server", {S1: PUBLIC, S1B: PUBLIC}, "unknown"),
        ("two servers agree", {S1: PUBLIC, S2: PUBLIC}, "endpoint-independent"),
        ("two servers differ", {S1: PUBLIC, S2: OTHER_PORT}, "address-and-port-dependent"),
        ("two addresses of the NAT", {S1: PUBLIC, S2: ("203.0.113.10", 5000)}, "address-and-port-dependent"),
        ("the port matters", {S1: PUBLIC, S1B: OTHER_PORT}, "address-and-port-dependent"),
        (
            "only the address matters",
            {S1: PUBLIC, S1B: PUBLIC, S2: OTHER_PORT, S2B: OTHER_PORT},
            "address-dependent",
        ),
        (
            "address and port matter",
            {S1: PUBLIC, S2: OTHER_PORT, S2B: THIRD_PORT},
            "address-and-port-dependent",
        ),
        ("a server on our side", {NEAR: LOCAL, S1: PUBLIC, S2: PUBLIC}, "endpoint-independent"),
    ],
)
def test_mapping(name: str, seen: dict[tuple[str, int], tuple[str, int]], expected: Behaviour) -> None:
    assert mapping_of(LOCAL, [Seen(server, mapped) for server, mapped in seen.items()]) == expected


@pytest.mark.parametrize(
    ("mapping", "elsewhere", "other_port", "expected"),
    [
        ("none", True, True, "none"),
        ("none", False, True, "address-dependent"),
        ("none", False, False, "address-and-port-dependent"),
        ("endpoint-independent", True, False, "endpoint-independent"),
        ("endpoint-independent", False, True, "address-dependent"),
        ("endpoint-independent", False, False, "address-and-port-dependent"),
        ("endpoint-independent", None, None, "unknown"),
        ("endpoint-independent", False, None, "unknown"),
    ],
)
def test_filtering(mapping: Behaviour, elsewhere: bool | None, other_port: bool | None, expected: Behaviour) -> None:
    assert filtering_of(mapping, from_elsewhere=elsewhere, from_other_port=other_port) == expected


@pytest.mark.parametrize(
    ("mapping", "filtering", "expected"),
    [
        ("none", "none", "open"),
        ("none", "unknown", "open"),
        ("none", "address-and-port-dependent", "open"),
        ("endpoint-independent", "endpoint-independent", "full-cone"),
        ("endpoint-independent", "none", "full-cone"),
        ("endpoint-independent", "address-dependent", "restricted-cone"),
        ("endpoint-independent", "address-and-port-dependent", "port-restricted-cone"),
        ("endpoint-independent", "unknown", "port-restricted-cone"),
        ("address-dependent", "endpoint-independent", "symmetric"),
        ("address-and-port-dependent", "address-and-port-dependent", "symmetric"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_type(mapping: Behaviour, filtering: Behaviour, expected: NatType) -> None:
    assert type_of(mapping, filtering, asked=2, answered=1) == expected


def test_nobody_answers() -> None:
    assert type_of("unknown", "unknown", asked=2, answered=0) == "udp-blocked"
    assert type_of("unknown", "unknown", asked=0, answered=0) == "unknown"


@pytest.mark.parametrize("kind", NatType.__args__)  # type: ignore[attr-defined]
def test_every_type_has_a_sentence(kind: NatType) -> None:
    assert expectation(NatBehaviour(type=kind)).endswith(".")


def test_a_firewall_without_a_nat() -> None:
    assert "firewall" in expectation(NatBehaviour("none", "address-and-port-dependent", None, "open"))
