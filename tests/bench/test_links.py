from __future__ import annotations

import pytest

from tests.bench import links


def test_a_path_for_people_and_for_the_link() -> None:
    path = links.Path(0.1, 0.01, 50, 0.5)
    assert str(path) == "100 ms, 1 % lost, 50 Mbit/s, queue 0.5"
    made = path.conditions
    assert (made.delay, made.loss, made.rate, made.queue) == (0.05, 0.01, 6_250_000.0, 312_500)


@pytest.mark.needs("netns")
@pytest.mark.lab
async def test_every_stack_is_measured_alone_and_in_company() -> None:
    lines = await links.measure([links.Path(0.01, 0.0, 20)], [(links.OURS, "TCP cubic")], seconds=0.3)
    assert len(lines) == 7
    _, name, *cells, _ = lines[2].split("|")
    assert name.strip() == "10 ms, 0 % lost, 20 Mbit/s, queue 1" and len(cells) == len(links.STACKS)
    assert all(0 < float(cell.strip(" %")) < 110 for cell in cells)
    assert lines[-1].startswith("atmosphere ") and ", TCP cubic " in lines[-1]
