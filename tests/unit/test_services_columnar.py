"""Blocks of records decoded at once hold what a decoder of single lines finds, whatever stands in the lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoconsole.services.columnar import ChunkDecoder, columns_of
from nanocore.runs.records import decode

PLAIN = b'{"schema":1,"step":%d,"attempt":1,"tokens":%d,"time":1.5,"elapsed":2.5,"a":%d,"b":0.5}\n'
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**25), 10**25), st.none(), st.booleans(),
    st.text(max_size=3), st.just([1]), st.just(10**400),
)  # fmt: skip
KEYS = ["step", "attempt", "schema", "tokens", "elapsed", "time", "kind", "a", "b", "c", "m0", "\x1b", "nonfinite"]
LINES = st.one_of(
    st.integers(0, 99).map(lambda n: PLAIN % (n, n, n)),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6).map(lambda r: json.dumps(r).encode() + b"\n"),
    st.sampled_from([b"\n", b"{\n", b"[1]\n", b"\xff\xfe\n", b'{"step":1,"a":1e999}\n', b'{"step":7.0,"a":1}\n']),
    st.just(b'{"step":5,"a":null,"nonfinite":{"a":"-inf"}}\n'),
)


def contents(chunk) -> dict[str, object]:
    points = {name: (where.tolist(), values.tolist()) for name, (where, values) in chunk.metrics.items()}
    axes = [np.nan_to_num(column, nan=-1.0).tolist() for column in (chunk.tokens, chunk.elapsed)]
    return {"steps": chunk.steps.tolist(), "attempts": chunk.attempts.tolist(), "axes": axes, "points": points}


@given(st.lists(st.lists(LINES, max_size=6), max_size=4))
@settings(max_examples=80, deadline=None)
def test_a_block_decoded_at_once_holds_what_its_lines_hold(blocks: list[list[bytes]]) -> None:
    decoder = ChunkDecoder()
    decoder.decode(PLAIN % (0, 0, 0))  # from now on plain lines go the quick way
    for lines in blocks:
        block = b"".join(lines)
        assert contents(decoder.decode(block)) == contents(columns_of(decode(block)[0]))


def test_plain_blocks_go_the_quick_way_and_lines_that_are_none_are_counted(monkeypatch) -> None:
    decoder = ChunkDecoder()
    decoder.decode(PLAIN % (1, 1, 1))
    assert decoder.decode(b"{\n" + PLAIN % (2, 2, 2)).steps.tolist() == [2]
    assert decoder.skipped == 1
    monkeypatch.setattr("nanoconsole.services.columnar.columns_of", None)  # the slow way is closed
    assert decoder.decode(PLAIN % (3, 3, 3) * 2).metrics["a"][1].tolist() == [3.0, 3.0]


def test_a_chunk_can_be_taken_in_another_order_and_joined() -> None:
    chunk = columns_of([{"step": step, "a": float(step)} for step in (3, 1, 2)])
    turned = chunk.take(np.array([1, 2, 0])).then(columns_of([{"step": 4, "b": 9.0}]))
    assert turned.steps.tolist() == [1, 2, 3, 4]
    assert turned.metrics["a"][1].tolist() == [1.0, 2.0, 3.0]
    assert turned.metrics["b"][0].tolist() == [3]


@pytest.mark.parametrize("name", ["a\x1b]0;b\x07", 'quo"te', "back\\slash", "r\u202etl", "ü"])
def test_a_name_that_json_writes_otherwise_is_read_all_the_same(name: str) -> None:
    decoder = ChunkDecoder()
    line = (
        json.dumps({"step": 1, "attempt": 1, "tokens": 1, "elapsed": 1.0, name: 2.0, "loss/ce": 3.0}) + "\n"
    ).encode()
    known = columns_of(decode(line)[0]).metrics
    assert len(known) == 2
    for _ in range(2):
        found = decoder.decode(line).metrics
        assert {key: values.tolist() for key, (_, values) in found.items()} == {
            key: known[key][1].tolist() for key in known
        }
