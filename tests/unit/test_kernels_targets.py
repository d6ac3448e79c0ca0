"""What the C sources are compiled for is what the CPU is asked for before they run: one bit short is a crash elsewhere."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from nanokernels import build, native

# Which check of cpuid.c stands before the code of a file: dispatch.c and decoder_loops_portable.c say so.
GUARDS = {
    "isa_avx512vnni.c": "avx512vnni",
    "decoder_loops_avx512.c": "avx512vnni",
    "isa_avxvnni.c": "avxvnni",
    "isa_avx2.c": "avx2",
    "decoder_loops_avx2.c": "fma",
}
IN_CPUINFO = {
    "avx2": {"avx2"},
    "avxvnni": {"avx2", "avx_vnni"},
    "avx512vnni": {"avx512f", "avx512bw", "avx512vl", "avx512_vnni"},
}


def source(name: str) -> str:
    return (build.CSRC / name).read_text()


def asked_for(check: str) -> set[str]:
    """The features that nk_has_<check> looks at, by itself and through others."""
    body = re.search(rf"int nk_has_{check}\(void\) \{{(.*?)\}}", source("cpuid.c"), re.DOTALL)
    assert body, check
    others = (asked_for(other) for other in re.findall(r"nk_has_(\w+)\(\)", body[1]))
    return set(re.findall(r"has_bit\((\w+)\)", body[1])).union(*others)


def compiled_for(name: str) -> set[str]:
    """The features in the target attributes of a file and of the headers that hold its vector operations."""
    text = source(name)
    text += "".join(source(header) for header in re.findall(r'#include "(vec_\w+\.h)"', text))
    targets = re.findall(r'(?:target\(|TARGET )"([^"]+)"', text)
    return {feature.upper() for target in targets for feature in target.split(",")}


@pytest.mark.parametrize("name", GUARDS)
def test_code_runs_only_where_all_it_is_compiled_for_is_there(name: str) -> None:
    assert compiled_for(name) and compiled_for(name) <= asked_for(GUARDS[name])


def test_every_file_that_is_compiled_for_something_has_its_check() -> None:
    special = {
        path.name for path in build.sources() if "TARGET " in path.read_text() or "GCC target" in path.read_text()
    }
    special |= {path.name for path in build.sources() if re.search(r'"vec_(256|512)\.h"', path.read_text())}
    assert special - {"isa_neon.c"} == set(GUARDS)
    for path in ("avx512vnni", "avxvnni", "avx2"):
        assert f"{{&nk_{path}, nk_has_{path}}}" in source("dispatch.c")
    assert 'strcmp(name, "avx512vnni")' in source("decoder_loops_portable.c")
    assert "nk_has_fma())" in source("decoder_loops_portable.c")


@pytest.mark.skipif(
    platform.machine() != "x86_64" or native.find().library is None, reason="needs native kernels on x86"
)
@pytest.mark.parametrize("path", IN_CPUINFO)
def test_the_cpu_is_read_as_linux_reads_it(path: str) -> None:
    (flags,) = {line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")}
    library = native.find().library
    assert library is not None
    assert bool(library.nk_find(path.encode())) == (IN_CPUINFO[path] <= set(flags.split()))
