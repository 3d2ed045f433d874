from __future__ import annotations

from tests.bench.samples import CHANNEL, CONTROL, HELP, OURS, RECONNECT, SETUP, STREAM, Samples, percentile, table


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    samples = Samples()
    for ours, control in ((30.0, 10.0), (8.0, 4.0), (5.0, 0.5)):  # a machine that got slower and slower
        samples.add(CHANNEL, OURS, ours)
        samples.add(CHANNEL, CONTROL, control)
    assert samples.ratio(CHANNEL) == 3.0


def test_what_aiortc_has_not_is_compared_with_what_is_nearest() -> None:
    samples = Samples()
    samples.add(STREAM, OURS, 20.0)
    samples.add(CHANNEL, CONTROL, 10.0)
    samples.add(RECONNECT, OURS, 5.0)
    samples.add(SETUP, CONTROL, 50.0)
    assert (samples.ratio(STREAM), samples.ratio(RECONNECT)) == (2.0, 0.1)
    assert samples.ratio(HELP) is None


def test_rows_and_table() -> None:
    samples = Samples()
    for value in (1.0, 9.0, 2.0):
        samples.add(STREAM, OURS, value)
    samples.add(HELP, OURS, 81.4)
    stream, program = samples.rows()
    assert (stream["measurement"], stream["unit"], stream["aiortc"]) == ("stream_throughput", "MB/s", None)
    assert stream["atmosphere"] == {"median": 2.0, "min": 1.0, "max": 9.0, "rounds": [1.0, 9.0, 2.0]}
    assert program["title"] == "atmosphere --help"
    assert table(samples.rows()).splitlines()[2:] == [
        "| one stream, 64 KB writes | MB/s | **2.0** (1.0–9.0) |  |  |",
        "| atmosphere --help | ms | 81 |  |  |",
    ]


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([3.0], 0.99)) == (51.0, 100.0, 3.0)
