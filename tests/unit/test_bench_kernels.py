"""`bench kernels` on tiny shapes: every contestant is there, figures are sound, and a wrong kernel fails it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nanocore.bench import end_to_end, ggml, kernels, limits, peers, products, sides
from nanocore.bench.kernels import bench_kernels
from nanocore.bench.model_file import pair_tokenizer
from nanocore.bench.race import Contestant, Effort
from nanocore.errors import NanoError, UsageError
from nanokernels import native, ops, packing, probe
from nanokernels.paths import available_paths

needs_native = pytest.mark.skipif(native.find().library is None, reason="no native kernels here")
SHAPES = ((100, 36), (130, 64))
NO_TIME = Effort(1, 0.0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.setattr(kernels, "QUICK_SHAPES", SHAPES)
    monkeypatch.setattr(kernels, "QUICK", NO_TIME)
    monkeypatch.setattr(products, "TOKENS", {"gemv": (1,), "gemm": (8, 9)})
    monkeypatch.setattr(limits, "WORKING_SETS", (32 << 10, 64 << 10))
    for module in (kernels, limits):
        monkeypatch.setattr(module, "memory_bytes", lambda *, quick: 20_000)
    yield
    torch.set_num_threads(threads)


def bench(*parts: str, threads: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    """The report as another program reads it."""
    report = bench_kernels(parts, threads, quick=True, progress=lambda _: None)
    return json.loads(json.dumps(report, allow_nan=False))


@pytest.mark.slow
@needs_native
def test_every_path_that_runs_here_is_measured_or_said_to_be_left_out() -> None:
    report = bench("gemv", "gemm")
    for race in [*report["gemv"], *report["gemm"]]:
        ours = {(row["path"], row["weights"]) for row in race["results"] if row["ours"]}
        expected = {(path, layout) for path in limits.natives() for layout in ("t2", "t5")} | {("torch", "int8")}
        assert ours == expected
        assert {path for path, _ in ours} | report["left_out"].keys() >= set(available_paths())
        peers = [(row["path"], row["weights"]) for row in race["results"] if not row["ours"]]
        assert peers == [("linear", "float32"), ("linear", "bfloat16"), ("_int_mm", "int8")]
    told = [(race["rows"], race["columns"], race["tokens"], race["data"], race["threads"]) for race in report["gemm"]]
    assert told == [
        (*shape, tokens, data, threads)
        for shape in SHAPES
        for threads in (1, 2)
        for tokens, data in ((8, "hot"), (8, "cold"), (9, "hot"))
    ]


@needs_native
def test_shares_are_of_the_lower_limit() -> None:
    for race in bench("gemv", threads=(1,))["gemv"]:
        memory, arithmetic = race["limits"]["memory"], race["limits"]["arithmetic"]
        assert set(memory) == {"t2", "t5"} and set(arithmetic) == set(limits.natives())
        for row in race["results"]:
            assert 0 < row["least"] <= row["gops"] <= row["largest"] and row["samples"] >= 1
            if row["path"] not in arithmetic:
                assert row["limit"] is row["bound"] is row["share"] is None
                continue
            bounds = {"memory": memory[row["weights"]], "arithmetic": arithmetic[row["path"]]}
            assert row["limit"] == pytest.approx(min(bounds.values()), abs=0.1)
            assert row["bound"] == min(bounds, key=lambda name: bounds[name])
            assert row["share"] == pytest.approx(row["gops"] / row["limit"], rel=0.01)


@needs_native
def test_what_is_read_allows_two_operations_for_each_weight_and_token() -> None:
    case = products.Case(64, 64, 3, cold=False, threads=1)
    rate = products.Rate(1e9, 1e9, 1e9, 1)
    rates = {products.Name("read", "ahead 0", layout): rate for layout in ("t2", "t5")}
    assert products._readable(case, "t2", rates) == 3 * 8e9  # 4 weights a byte
    assert products._readable(case, "t5", rates) == 3 * 10e9  # 5 weights a byte


@pytest.mark.slow
@needs_native
def test_unpacking_is_a_limit_of_each_layout_on_one_thread() -> None:
    for race in bench("gemv")["gemv"]:
        paths = limits.natives() if race["threads"] == 1 else []
        assert race["limits"]["unpacking"].keys() == {f"{path} {layout}" for path in paths for layout in ("t2", "t5")}
        assert all(rate > 0 for rate in race["limits"]["unpacking"].values())


@needs_native
def test_what_is_unpacked_fits_the_second_level_cache_and_is_the_whole_product() -> None:
    found = limits.unpacker(limits.natives()[0], "t5", 3)
    rotation, _, codes, y = found.run.args  # type: ignore[attr-defined]
    assert found.work == 2 * 512 * 2048 * 3 and rotation.matrices[0].data.nbytes <= 256 << 10
    found.run(2)
    sums = codes.codes[:, :2048].float() @ packing.unpack(rotation.matrices[0])[0].float().mT
    torch.testing.assert_close(y, sums * codes.scales.view(-1, 1), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("columns", "there"), [(256, True), (300, False)])
def test_llama_cpp_s_product_runs_where_its_blocks_fit(
    columns: int, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contestant(*given: Any, cold: bool, threads: int) -> Contestant:
        return Contestant(lambda visits: None, 1.0)

    monkeypatch.setattr(products, "absent", lambda: "")
    monkeypatch.setattr(products.ggml, "contestant", contestant)
    monkeypatch.setattr(kernels, "QUICK_SHAPES", ((64, columns),))
    for each in bench("gemv")["gemv"]:
        rows = [(row["path"], row["weights"], row["share"]) for row in each["results"]]
        assert (("llama.cpp", "tq2_0", None) in rows) == there


def test_a_missing_llama_cpp_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    assert bench(threads=(1,))["left_out"]["llama.cpp"] == "not run: llama-cpp-python is not installed"


@pytest.mark.oracle
@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("cold", [False, True])
def test_llama_cpp_multiplies_the_same_matrix(tokens: int, cold: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_cpp")
    matrices = kernels.Matrices(96, 512, 40_000, threads=1)
    given = products.Tokens(matrices, tokens)
    found = ggml.contestant(given, matrices, 1000, cold=cold, threads=2)
    assert found.check is not None and found.work == 1000 * (16 // tokens)  # more than the copies that memory asks for
    found.run(2)
    found.check()
    result = ggml.Graph.result
    monkeypatch.setattr(ggml.Graph, "result", lambda self: result(self) * 1.05)
    with pytest.raises(NanoError, match=r"llama\.cpp TQ2_0, 96 x 512, .* tokens: the result is wrong by"):
        found.check()


@needs_native
def test_cold_matrices_exceed_the_memory_that_was_asked_for() -> None:
    matrices = kernels.Matrices(64, 64, 20_000, threads=1)
    for copies in (*matrices.packed.values(), matrices.weights(torch.float32), matrices.weights(torch.int8)):
        sizes = [each.nbytes if isinstance(each, torch.Tensor) else each.data.nbytes for each in copies]
        assert sum(sizes) >= 20_000 > sum(sizes[1:])
    assert [len(copies) for copies in kernels.Matrices(64, 64, 0, threads=1).packed.values()] == [1, 1]


@needs_native
@pytest.mark.parametrize("layout", ["t2", "t5"])
def test_a_wrong_kernel_fails_the_benchmark(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    multiply = probe.multiply

    def off_by_one(rotation: probe.Rotation, *rest: Any) -> None:
        multiply(rotation, *rest)
        if rotation.matrices[0].layout == layout:
            rest[4][0, -1] *= 1.0001

    monkeypatch.setattr(probe, "multiply", off_by_one)
    with pytest.raises(NanoError, match=f"{limits.natives()[0]} {layout}, 100 x 36, 1 tokens: the result is wrong"):
        bench("gemv", threads=(1,))


@pytest.mark.parametrize("contestant", ["float32", "bfloat16", "int8", "ours"])
def test_so_does_a_wrong_competitor(contestant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    linear, int8 = torch.nn.functional.linear, torch._int_mm

    def spoilt(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return linear(x, weight) * (1.1 if str(weight.dtype) == f"torch.{contestant}" else 1)

    monkeypatch.setattr(peers.torch.nn.functional, "linear", spoilt)
    if contestant == "int8":
        monkeypatch.setattr(peers.torch, "_int_mm", lambda *each: int8(*each) + 1)
    if contestant == "ours":
        product = peers.plain_products
        monkeypatch.setattr(peers, "plain_products", lambda *each: (None, None, [product(*each)[2][0] * 1.0001]))
    with pytest.raises(NanoError, match="the result is wrong"):
        bench("gemv", threads=(1,))


@needs_native
def test_limits_by_working_set_and_path() -> None:
    measured = bench("limits")["limits"]["measured"]
    assert [each["threads"] for each in measured] == [1, 2]
    for each in measured:
        assert [read["bytes"] for read in each["read"]] == [32 << 10, 64 << 10, 20_000]
        assert [dot["path"] for dot in each["dot"]] == limits.natives()
        assert all(read["gbps"] > 0 for read in each["read"]) and all(dot["gops"] > 0 for dot in each["dot"])


def test_without_native_kernels_torch_alone_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "find", lambda: native.Found(None, "", "switched off"))
    report = bench("limits", "gemv", "end-to-end", threads=(1,))
    assert report["limits"]["skipped"] == report["end_to_end"]["skipped"] == "not run: no native kernels: switched off"
    for race in report["gemv"]:
        assert [row["path"] for row in race["results"] if row["ours"]] == ["torch"]
        assert all(row["share"] is None for row in race["results"])


@pytest.mark.slow
@needs_native
def test_without_llama_cpp_our_engine_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(end_to_end.__dict__, "absent", lambda: "not run: llama-cpp-python is not installed")
    [model] = bench("end-to-end")["end_to_end"]["models"]
    assert (model["architecture"], model["head"]) == ("qwen3", "float16")
    assert model["llama_cpp"] == "not run: llama-cpp-python is not installed"
    assert [(row["threads"], row["work"]) for row in model["results"]] == [
        (threads, work) for threads in (1, 2) for work in ("decode", "prefill")
    ]
    for row in model["results"]:
        assert row["sides"].keys() == {"ours"} and row["sides"]["ours"]["tokens_per_second"] > 0
        assert row["ratio"] is None


def test_why_llama_cpp_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    assert sides.absent() == "not run: llama-cpp-python is not installed"


@needs_native
def test_a_side_with_wrong_logits_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = sides.NativeDecoder.forward
    monkeypatch.setattr(sides.NativeDecoder, "forward", lambda self, tokens: forward(self, tokens).roll(1))
    monkeypatch.setitem(end_to_end.__dict__, "absent", lambda: "not run")
    with pytest.raises(NanoError, match="ours, 1 thread: the logits are wrong"):
        bench("end-to-end")


def test_the_benchmark_s_tokenizer_has_exactly_so_many_tokens() -> None:
    tokenizer = pair_tokenizer(512)
    assert tokenizer.vocab_size == 512
    assert tokenizer.decode(tokenizer.encode("héllo\n\n 漢").tolist()) == "héllo\n\n 漢"


@pytest.mark.oracle
def test_llama_cpp_computes_the_same_logits_beside_us() -> None:
    pytest.importorskip("llama_cpp")
    [model] = bench("end-to-end")["end_to_end"]["models"]
    assert model["llama_cpp"] == "" and 0 < model["errors"]["llama.cpp"] < 0.05
    assert all(row["ratio"] > 0 for row in model["results"])


@pytest.mark.parametrize("threads", [0, 1000])
def test_a_number_of_threads_that_makes_no_sense_is_refused(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanokernels.native_ops.cpus", lambda: 2)
    with pytest.raises(UsageError, match=f"threads {threads} is not between 1 and 64"):
        bench_kernels(["gemv"], (1, threads))


def test_no_matrix_is_unpacked_while_a_contestant_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking takes longer than the product: what our torch path needs lies ready."""
    unpacked: list[object] = []
    unpack = packing.unpack
    for module in (packing, ops):
        monkeypatch.setattr(module, "unpack", lambda packed: unpacked.append(packed) or unpack(packed))
    bench("gemv", threads=(1,))
    assert not unpacked
