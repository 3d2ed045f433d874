"""Throughput and latency: both stacks connected all the while, asked in turns."""

from __future__ import annotations

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.samples import (
    CHANNEL,
    CHANNEL_CPU,
    CHANNEL_MEMORY,
    CONTROL,
    ECHO_P50,
    ECHO_P99,
    OURS,
    STREAM,
    STREAM_CPU,
    STREAM_ECHO_P50,
    STREAM_ECHO_P99,
    STREAM_MEMORY,
    Measurement,
    Samples,
    Stack,
    percentile,
)

Turn = tuple[Stack, str]
TURNS: list[Turn] = [(OURS, "stream"), (CONTROL, "channel"), (OURS, "channel")]
RATES = {
    "stream": (STREAM, STREAM_CPU, STREAM_MEMORY),
    "channel": (CHANNEL, CHANNEL_CPU, CHANNEL_MEMORY),
}
ECHOES = {"stream": (STREAM_ECHO_P50, STREAM_ECHO_P99), "channel": (ECHO_P50, ECHO_P99)}
END = "data"


async def measure(plan: Plan, samples: Samples) -> None:
    """Every turn once a round, in an order that rotates, so that no stack always comes first."""
    async with Pair(OURS) as ours, Pair(CONTROL) as control:
        pairs = {OURS: ours, CONTROL: control}
        for pair in pairs.values():
            await pair.connect(END, END)
        for stack, kind in TURNS:  # nobody's first packets count
            await _transfer(pairs[stack], kind, plan.transfer_seconds / 4)
            await pairs[stack].dialer.ask(END, "echo", kind, plan.echoes // 4)
        for number in range(plan.rounds):
            turns = TURNS[number % len(TURNS) :] + TURNS[: number % len(TURNS)]
            for stack, kind in turns:
                _add(samples, RATES[kind], stack, *await _transfer(pairs[stack], kind, plan.transfer_seconds))
            for stack, kind in turns:
                took = await pairs[stack].dialer.ask(END, "echo", kind, plan.echoes)
                _add(samples, ECHOES[kind], stack, percentile(took, 0.5), percentile(took, 0.99))


async def _transfer(pair: Pair, kind: str, seconds: float) -> tuple[float, float, float]:
    """MB a second, milliseconds of processor for each MB, and KB of memory more than before at the most."""
    held, used = await pair.both("forget_peak"), await pair.both("cpu")
    rate, megabytes = await pair.dialer.ask(END, "throughput", kind, seconds)
    used = await pair.both("cpu") - used
    return rate, used * 1000 / megabytes, (await pair.both("peak") - held) / 1e3


def _add(samples: Samples, what: tuple[Measurement, ...], stack: Stack, *values: float) -> None:
    for measurement, value in zip(what, values, strict=True):
        samples.add(measurement, stack, value)
