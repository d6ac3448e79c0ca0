"""What checks must not let pass: numbers that are none, parts that did not run, and what they may not load."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch

from nanocore.infer.packed_model import Unsupported
from nanocore.validation.checks.techniques import ON, common, trained
from nanocore.validation.compare import demand_finite, differing, error
from nanocore.validation.outcome import Failed
from nanocore.validation.run import Report, chosen, run
from nanocore.validation.workshop import Workshop
from nanokernels.native import Found


def ended(name: str) -> Report:
    with Workshop() as workshop:
        return list(run(chosen([name]), workshop))[-1]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_error_is_infinite_where_a_value_is_not_finite_and_no_maximum_drops_it(value: float) -> None:
    good, bad = torch.tensor([1.0, 2.0]), torch.tensor([1.0, value])
    for pair in ((bad, good), (good, bad), (bad, bad)):
        assert max(error(good, good), error(*pair)) == math.inf
    assert error(good + 1, good) == 0.5


def test_finite_numbers_are_demanded_by_name() -> None:
    tensors = {"a": torch.ones(2), "b": torch.tensor([1.0, math.nan]), "c": torch.ones(2, dtype=torch.int8)}
    with pytest.raises(Failed, match=r"x: 1 tensors are not finite, first \['b'\]"):
        demand_finite("x", tensors)
    demand_finite("x", {"a": tensors["a"], "c": tensors["c"]})


@pytest.mark.parametrize("name", ["experts", "DeltaNet", "squared ReLU"])
def test_a_technique_that_adds_or_leaves_out_weights_begins_with_the_plain_ones(name: str) -> None:
    plain, found = trained("the plain run", count=0), trained(name, *ON[name], count=0)
    shared = common(plain, found)
    assert "embedding.weight" in shared and plain.keys() != found.keys()
    assert not differing(plain, found, shared)


def test_a_model_that_the_native_decoder_refuses_fails_and_only_without_kernels_it_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Unsupported("nobody packs it")

    monkeypatch.setattr("nanocore.infer.native_decoder.pack_model", refuse)
    monkeypatch.setattr("nanokernels.native.find", lambda: Found(object(), "", ""))  # type: ignore[arg-type]
    report = ended("decoder")
    told = "the native decoder refuses grouped heads: nobody packs it"
    assert (report.state, report.observed) == ("failed", told)
    monkeypatch.setattr("nanokernels.native.find", lambda: Found(None, "", "no C compiler"))
    report = ended("decoder")
    assert (report.state, report.meaning) == ("not run", "there are no native kernels here: no C compiler")


def test_paths_that_did_not_run_for_want_of_the_native_library_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanokernels.native.find", lambda: Found(None, "", "no C compiler"))
    report = ended("kernels")
    assert report.state == "passed"
    assert report.figure.startswith("2 paths, none of them native, ")
    absent = "not run: avx512vnni, avxvnni, avx2, neon, scalar (no C compiler); "
    assert report.meaning.startswith(f"{absent}torch, reference give the same integer sums")


# Stands where an installed Triton would, so that the test needs none, and notes which modules of this program load it.
# (torch's own optimizers do, where there is one.)
WATCHED = """
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec

loading = []


class Watch:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "triton" else None

    def create_module(self, spec):
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        loading.extend(name for name in [frame.f_globals["__name__"]] if name.startswith("nano"))

    def exec_module(self, module):
        raise ImportError("it is not here")


sys.meta_path.insert(0, Watch())
from nanocore.validation.catalog import CHECKS
from nanocore.validation.run import chosen, run
from nanocore.validation.workshop import Workshop
"""
LOADS = "for entry in CHECKS: import_module(entry.function.partition(':')[0])"
RUNS = "with Workshop() as workshop: states = [report.state for report in run(chosen([]), workshop)]; assert 'failed' not in states"


@pytest.mark.parametrize("work", [LOADS, pytest.param(RUNS, marks=pytest.mark.slow)], ids=["loaded", "run"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's kernels are Triton's")
def test_checks_leave_triton_out_without_a_gpu(work: str) -> None:
    seen = "print(loading); import nanokernels.triton_language; print(loading)"  # the second: it would have been noted
    program = f"{WATCHED}{work}\n{seen}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=110, check=True)
    assert result.stdout.splitlines()[-2:] == ["[]", "['nanokernels.triton_language']"], result.stderr
