"""How much is measured: the whole in under five minutes, the quick look in under one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds and durations (seconds) of everything."""

    rounds: int
    transfer_seconds: float
    echoes: int
    idle_rounds: int
    idle_peers: int
    idle_seconds: float
    lonely_seconds: float
    settle_seconds: float
    quiet_seconds: float
    hub_peers: int
    hub_seconds: float
    helps: int
    joins: int
    relay_rounds: int
    relay_seconds: float
    relay_allocations: int
    signaling_nodes: int
    signaling_messages: int
    signaling_rate: float
    cluster_rate: float


FULL = Plan(
    rounds=7,
    transfer_seconds=2.0,
    echoes=1000,
    idle_rounds=2,
    idle_peers=20,
    idle_seconds=20.0,
    lonely_seconds=10.0,
    settle_seconds=2.0,
    quiet_seconds=7.0,
    hub_peers=100,
    hub_seconds=30.0,
    helps=11,
    joins=5,
    relay_rounds=5,
    relay_seconds=2.0,
    relay_allocations=500,
    signaling_nodes=10_000,
    signaling_messages=100_000,
    signaling_rate=1_500.0,
    cluster_rate=800.0,
)
QUICK = Plan(
    rounds=3,
    transfer_seconds=0.7,
    echoes=300,
    idle_rounds=1,
    idle_peers=5,
    idle_seconds=5.0,
    lonely_seconds=3.0,
    settle_seconds=1.0,
    quiet_seconds=6.0,
    hub_peers=20,
    hub_seconds=5.0,
    helps=3,
    joins=1,
    relay_rounds=1,
    relay_seconds=0.7,
    relay_allocations=200,
    signaling_nodes=500,
    signaling_messages=5_000,
    signaling_rate=1_500.0,
    cluster_rate=1_000.0,
)
