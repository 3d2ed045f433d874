"""Figures by measurement and stack, one a round; medians and ratios that a noisy machine does not shake."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

Stack = Literal["atmosphere", "aiortc", "coturn"]
OURS: Stack = "atmosphere"
CONTROL: Stack = "aiortc"
RELAY_CONTROL: Stack = "coturn"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a figure is, in which unit, whether more of it is better, and whose it is measured beside."""

    key: str
    title: str
    unit: str
    digits: int
    more_is_better: bool = False
    control: Stack = CONTROL


STREAM = Measurement("stream_throughput", "one stream, 64 KB writes", "MB/s", 1, more_is_better=True)
CHANNEL = Measurement("channel_throughput", "one reliable channel, 64 KB messages", "MB/s", 1, more_is_better=True)
STREAM_CPU = Measurement("stream_cpu", "... processor, both ends, stream", "ms/MB", 1)
CHANNEL_CPU = Measurement("channel_cpu", "... processor, both ends, channel", "ms/MB", 1)
STREAM_MEMORY = Measurement("stream_memory", "... memory while it flows, both ends, stream", "KB", 0)
CHANNEL_MEMORY = Measurement("channel_memory", "... memory while it flows, both ends, channel", "KB", 0)
ECHO_P50 = Measurement("echo_p50", "echo of 100 bytes on a channel, p50", "µs", 0)
ECHO_P99 = Measurement("echo_p99", "... p99", "µs", 0)
STREAM_ECHO_P50 = Measurement("stream_echo_p50", "echo of 100 bytes on a stream, p50", "µs", 0)
STREAM_ECHO_P99 = Measurement("stream_echo_p99", "... p99", "µs", 0)
SETUP = Measurement("setup", "set-up: code (aiortc: offer) to first byte back", "ms", 0)
RECONNECT = Measurement("reconnect", "a member restarts: start to first byte back", "ms", 0)
LONG_SETUP = Measurement("long_setup", "set-up over 100 ms, with aiortc's signaling", "RTT", 2)
LONG_RELAYED = Measurement("long_relayed", "... by a relay half-way", "RTT", 2)
LONG_RECONNECT = Measurement("long_reconnect", "a member restarts, over 100 ms", "RTT", 2)
IDLE_MEMORY = Measurement("idle_memory", "memory per connected idle peer", "KB", 0)
IDLE_CPU = Measurement("idle_cpu", "processor per connected idle peer", "% of a core", 4)
LONELY_CPU = Measurement("lonely_cpu", "processor of a process without a peer", "% of a core", 4)
PEERS_JOIN = Measurement("peers_join", "100 peers join one node, 4 at a time, all with a byte back", "s", 1)
PEERS_JOIN_CPU = Measurement("peers_join_cpu", "... processor of that node, each", "ms", 0)
PEERS_MEMORY = Measurement("peers_memory", "... memory of that node, each, idle", "KB", 0)
PEERS_CPU = Measurement("peers_cpu", "... processor of that node, each, idle", "% of a core", 4)
PEERS_BYTES = Measurement("peers_bytes", "... what goes to and fro, each, idle, an hour", "KB", 0)
HELP = Measurement("help", "atmosphere --help", "ms", 0)
PYTHON = Measurement("python", "... of which the interpreter's start", "ms", 0)
JOIN = Measurement("join", "atmosphere join CODE, code to exit", "ms", 0)
RELAY_OUT = Measurement("relay_out", "relay, bulk of 1200 bytes, client to peer", "s/GB", 2, control=RELAY_CONTROL)
RELAY_IN = Measurement("relay_in", "... peer to client", "s/GB", 2, control=RELAY_CONTROL)
RELAY_BOTH = Measurement("relay_both", "... both at once", "s/GB", 2, control=RELAY_CONTROL)
RELAY_SMALL = Measurement("relay_small", "... 100 bytes of 50 clients in turn", "s/million", 2, control=RELAY_CONTROL)
RELAY_MEMORY = Measurement("relay_memory", "memory per idle allocation", "KB", 1, control=RELAY_CONTROL)
RELAY_ALLOCATE = Measurement(
    "relay_allocate", "processor per allocation, challenge included", "µs", 0, control=RELAY_CONTROL
)
NODE_MEMORY = Measurement("signaling_memory", "signaling server, memory per connected node", "KB", 1)
SERVER_CPU = Measurement("signaling_cpu", "... processor a message", "µs", 0)
SERVER_P50 = Measurement("signaling_p50", "... message to a node chosen at random, p50", "ms", 1)
SERVER_P99 = Measurement("signaling_p99", "... p99", "ms", 1)
SERVER_MISSED = Measurement("signaling_missed", "... messages missed", "", 0)
SERVER_TWICE = Measurement("signaling_twice", "... messages that came twice", "", 0)
CLUSTER_P50 = Measurement("cluster_p50", "three instances, one killed half-way, p50", "ms", 1)
CLUSTER_P99 = Measurement("cluster_p99", "... p99", "ms", 1)
CLUSTER_MISSED = Measurement("cluster_missed", "... acknowledged messages missed", "", 0)
CLUSTER_MOVE_P50 = Measurement("cluster_move_p50", "... its nodes are elsewhere after, p50", "s", 2)
CLUSTER_MOVE = Measurement("cluster_move", "... the last of them", "s", 2)
ALL = (
    *(STREAM, CHANNEL, STREAM_CPU, CHANNEL_CPU, STREAM_MEMORY, CHANNEL_MEMORY),
    *(ECHO_P50, ECHO_P99, STREAM_ECHO_P50, STREAM_ECHO_P99),
    *(SETUP, RECONNECT, LONG_SETUP, LONG_RELAYED, LONG_RECONNECT, IDLE_MEMORY, IDLE_CPU, LONELY_CPU),
    *(PEERS_JOIN, PEERS_JOIN_CPU, PEERS_MEMORY, PEERS_CPU, PEERS_BYTES, HELP, PYTHON, JOIN),
    *(RELAY_OUT, RELAY_IN, RELAY_BOTH, RELAY_SMALL, RELAY_MEMORY, RELAY_ALLOCATE),
    *(NODE_MEMORY, SERVER_CPU, SERVER_P50, SERVER_P99, SERVER_MISSED, SERVER_TWICE),
    *(CLUSTER_P50, CLUSTER_P99, CLUSTER_MISSED, CLUSTER_MOVE_P50, CLUSTER_MOVE),
)
BESIDE = {STREAM: CHANNEL, STREAM_CPU: CHANNEL_CPU, STREAM_ECHO_P50: ECHO_P50, STREAM_ECHO_P99: ECHO_P99}
"""Of what aiortc has not: what of aiortc's it is compared with."""
BESIDE[STREAM_MEMORY] = CHANNEL_MEMORY
BESIDE[RECONNECT] = SETUP
BESIDE[LONG_RECONNECT] = LONG_SETUP


class Samples:
    """Every figure that was seen."""

    def __init__(self) -> None:
        self._seen: defaultdict[tuple[Measurement, str], list[float]] = defaultdict(list)

    def add(self, what: Measurement, stack: str, value: float) -> None:
        """One more figure; the n-th of both stacks come from the same round."""
        self._seen[what, stack].append(value)

    def of(self, what: Measurement, stack: Stack) -> list[float]:
        """The figures of one stack, in the order of the rounds."""
        if stack == CONTROL and (what, stack) not in self._seen:
            what = BESIDE.get(what, what)
        return list(self._seen.get((what, stack), ()))

    def ratio(self, what: Measurement) -> float | None:
        """How many times the control's figure ours is: the median over the rounds."""
        pairs = zip(self.of(what, OURS), self.of(what, what.control), strict=False)
        ratios = [ours / control for ours, control in pairs if control]
        return statistics.median(ratios) if ratios else None

    def rows(self) -> list[dict[str, Any]]:
        """Everything that was measured, as JSON has it."""
        return [self._row(what) for what in ALL if self.of(what, OURS)]

    def _row(self, what: Measurement) -> dict[str, Any]:
        row: dict[str, Any] = {"measurement": what.key, "title": what.title, "unit": what.unit}
        for stack in (OURS, what.control):
            seen = self.of(what, stack)
            row[stack] = spread(seen) if seen else None
        return row | {"ratio": self.ratio(what), "more_is_better": what.more_is_better}


def spread(seen: list[float]) -> dict[str, Any]:
    """The median, the extremes, and every figure."""
    return {"median": statistics.median(seen), "min": min(seen), "max": max(seen), "rounds": seen}


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all lie below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown tables, one for each control: medians, extremes in brackets."""
    controls = {what.key: what.control for what in ALL}
    found = dict.fromkeys(controls[row["measurement"]] for row in rows)
    tables = (_table([row for row in rows if controls[row["measurement"]] == control], control) for control in found)
    return "\n\n".join(tables)


def _table(rows: list[dict[str, Any]], control: Stack) -> str:
    digits = {what.key: what.digits for what in ALL}
    lines = [f"| measurement | unit | atmosphere | {control} | ratio |", "|---|---|---|---|---|"]
    for row in rows:
        cells = [_cell(row[stack], digits[row["measurement"]]) for stack in (OURS, control)]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lines.append(f"| {row['title']} | {row['unit']} | {cells[0]} | {cells[1]} | {ratio} |")
    return "\n".join(lines)


def _cell(figures: dict[str, Any] | None, digits: int) -> str:
    if figures is None:
        return ""
    middle, least, most = (f"{figures[name]:.{digits}f}" for name in ("median", "min", "max"))
    return middle if len(figures["rounds"]) == 1 else f"**{middle}** ({least}–{most})"
