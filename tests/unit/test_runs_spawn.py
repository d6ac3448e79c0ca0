"""The trainer's environment: explicit threads from what the machine grants, and no surprises from the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nanocore.runs.spawn import MOST_THREADS, cgroup_quota, thread_count, trainer_environment


def test_a_wish_for_threads_is_granted_and_zero_means_what_the_machine_has() -> None:
    assert thread_count(3) == 3
    assert 1 <= thread_count(0) <= min(MOST_THREADS, len(os.sched_getaffinity(0)))


def test_affinity_limits_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert thread_count() == 1


def _groups(tmp_path: Path, files: dict[str, str], membership: str) -> int:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "self").write_text(membership)
    return cgroup_quota(tmp_path / "cgroup", tmp_path / "self")


@pytest.mark.parametrize(
    ("files", "membership", "processors"),
    [
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n"}, "0::/a/b\n", 2),
        ({"a/cpu.max": "50000 100000\n"}, "0::/a\n", 1),
        ({"a/cpu.max": "max 100000\n"}, "0::/a\n", 10**6),
        (
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "400000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/x\n",
            4,
        ),
        ({"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, "3:cpu:/x\n2:memory:/x\n", 10**6),
        ({"a/cpu.max": "nonsense"}, "0::/a\n", 10**6),
    ],
)
def test_cgroup_quotas(tmp_path: Path, files: dict[str, str], membership: str, processors: int) -> None:
    assert _groups(tmp_path, files, membership) == processors


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path, tmp_path / "missing") == 10**6


def test_the_environment_waits_passively_and_finds_the_same_modules() -> None:
    environment = trainer_environment(2)
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert 0 < int(environment["GOMP_SPINCOUNT"]) < 100_000
    assert environment["PYTHONUNBUFFERED"] == "1"
    places = environment["PYTHONPATH"].split(os.pathsep)
    assert str(Path(__file__).parents[2]) in places
    assert "" not in places
