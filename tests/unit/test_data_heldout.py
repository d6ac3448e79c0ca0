"""The held-out slice: fixed, scored on text alone, and its bytes known exactly."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from nanocore.data.batch import NO_LOSS
from nanocore.data.heldout import validation_slice, xz_bits_per_byte
from nanocore.data.prepare import prepare
from nanocore.errors import DataError
from tests.tiny import tiny_config

SETS = ("data.validation_fraction=0.4", "evaluation.tokens=700")
BPE = ("data.tokenizer=bpe", "data.vocab_size=280")


@pytest.mark.parametrize("tokenizer", [(), BPE], ids=["bytes", "bpe"])
def test_scored_targets_are_exactly_the_text(tmp_path: Path, tokenizer: tuple[str, ...]) -> None:
    config = tiny_config(*SETS, *tokenizer)
    corpus = prepare(config.data, cache=tmp_path)
    found = validation_slice(corpus, config)
    targets = np.concatenate([batch.targets.ravel() for batch in found.batches])
    assert len(targets) == 700 // 32 * 32
    scored = targets[targets != NO_LOSS]
    assert corpus.tokenizer.bos not in scored
    assert corpus.tokenizer.bytes_of(scored.tolist()) == found.text
    assert found.target_bytes == int(corpus.tokenizer.byte_lengths[scored].sum()) == len(found.text)
    assert found.scored == len(scored) < len(targets)  # some documents begin inside


def test_the_slice_is_the_beginning_of_the_validation_shard_row_by_row(tmp_path: Path) -> None:
    config = tiny_config(*SETS)
    corpus = prepare(config.data, cache=tmp_path)
    found = validation_slice(corpus, config)
    tokens = np.concatenate([batch.tokens for batch in found.batches])
    assert np.array_equal(tokens.ravel(), corpus.validation.tokens[: 21 * 32])
    assert [len(batch.tokens) for batch in found.batches] == [4, 4, 4, 4, 4, 1]
    documents = [corpus.tokenizer.decode(corpus.validation.document(index)) for index in range(3)]
    assert found.text.decode().startswith("".join(documents)[:600])


def test_a_small_shard_gives_all_its_whole_rows(tmp_path: Path) -> None:
    config = tiny_config("evaluation.tokens=1000000")
    corpus = prepare(config.data, cache=tmp_path)
    assert validation_slice(corpus, config).rows == (len(corpus.validation.tokens) - 1) // 32


def test_less_than_one_row_is_refused(tmp_path: Path) -> None:
    config = tiny_config("model.context_length=65536", "evaluation.tokens=65536")
    with pytest.raises(
        DataError, match=r"held-out tokens \(\d+ of \d+ documents\) are less than one row of 65537; raise it, add text"
    ):
        validation_slice(prepare(config.data, cache=tmp_path), config)


def test_xz_is_what_xz_says(tmp_path: Path) -> None:
    text = b"the same line again\n" * 400 + bytes(range(256))
    assert xz_bits_per_byte(text) == 8 * len(lzma.compress(text, preset=9)) / len(text)
    if which("xz") is None:
        return
    path = tmp_path / "text"
    path.write_bytes(text)
    packed = subprocess.run(["xz", "-9", "-c", str(path)], capture_output=True, check=True).stdout
    assert abs(8 * len(packed) / len(text) - xz_bits_per_byte(text)) < 0.02
