"""The endpoint benchmark's own arithmetic."""

from __future__ import annotations

import time

from scones_ops import bench


def test_quantiles_are_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert bench.quantile(ordered, 0.50) == 50.0
    assert bench.quantile(ordered, 0.99) == 99.0
    assert bench.quantile([7.0], 0.99) == 7.0


def test_every_picture_is_classified_once_whatever_the_number_of_clients() -> None:
    seen: list[bytes] = []
    bodies = [bytes([number]) for number in range(50)]
    speed = bench.measure("it", seen.append, bodies, clients=4)
    assert speed.calls == 50
    assert sorted(seen[bench.WARM_UP :]) == bodies


def test_clients_work_beside_each_other() -> None:
    speed = bench.measure("sleep", lambda _: time.sleep(0.01), [b""] * 40, clients=4)
    assert speed.p50_ms >= 10.0
    assert speed.pictures_per_second > 200


def test_the_table_has_a_line_for_each_measure() -> None:
    speed = bench.Speed("endpoint", 4, 200, 3.25, 9.5, 300.0)
    lines = bench.table([speed]).splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["endpoint", "4", "200", "3.25", "9.50", "300.0"]
