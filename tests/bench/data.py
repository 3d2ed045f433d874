"""Throughput and latency: both stacks connected all the while, asked in turns."""

from __future__ import annotations

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.samples import (
    CHANNEL,
    CHANNEL_CPU,
    CONTROL,
    ECHO_P50,
    ECHO_P99,
    OURS,
    STREAM,
    STREAM_CPU,
    STREAM_ECHO_P50,
    STREAM_ECHO_P99,
    Measurement,
    Samples,
    Stack,
    percentile,
)

Turn = tuple[Stack, str]
TURNS: list[Turn] = [(OURS, "stream"), (CONTROL, "channel"), (OURS, "channel")]
RATES = {"stream": (STREAM, STREAM_CPU), "channel": (CHANNEL, CHANNEL_CPU)}
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
                rate, cost = await _transfer(pairs[stack], kind, plan.transfer_seconds)
                _add(samples, RATES[kind], stack, rate, cost)
            for stack, kind in turns:
                took = await pairs[stack].dialer.ask(END, "echo", kind, plan.echoes)
                _add(samples, ECHOES[kind], stack, percentile(took, 0.5), percentile(took, 0.99))


async def _transfer(pair: Pair, kind: str, seconds: float) -> tuple[float, float]:
    """MB a second, and milliseconds of processor for each MB."""
    before = await pair.both("cpu")
    rate, megabytes = await pair.dialer.ask(END, "throughput", kind, seconds)
    return rate, (await pair.both("cpu") - before) * 1000 / megabytes


def _add(samples: Samples, what: tuple[Measurement, ...], stack: Stack, *values: float) -> None:
    for measurement, value in zip(what, values, strict=True):
        samples.add(measurement, stack, value)
