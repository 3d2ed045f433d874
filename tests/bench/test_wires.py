from __future__ import annotations

from tests.bench import wires


async def test_every_stack_carries_every_size() -> None:
    names = wires.stacks()
    found = await wires.measure(names, rounds=1, seconds=0.02, echoes=3)
    for name in names:
        sizes = [title for title, size in wires.SIZES.items() if size <= wires.MOST.get(name, size)]
        assert all(found[f"{title}, MB/s", name][0] > 0 for title in sizes)
        assert found["echo p99, µs", name] >= found["echo p50, µs", name] > [0]
    lines = wires.table(found, names).splitlines()
    assert len(lines) == 2 + 2 * len(wires.SIZES) + 2
    assert {line.count("|") for line in lines} == {len(names) + 2}
