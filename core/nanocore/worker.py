"""The process behind the console's short heavy verbs: `python -m nanocore.worker`.

Reads one JSON request (one line) from stdin and answers in JSON lines on stdout; each has a `kind`:

- `text` (`text`): the next piece of generated text
- `progress` (`phase`, `done`, `total`): how far a preparation is
- `done`: the job's result, the last line
- `error` (`type`, `message`, `exit_code`): why there is none, and the class of the error; the last line

It ends when its stdin closes: whoever asked is gone, or does not want the answer any more.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocore.errors import NanoError, ResourceError, UsageError
from nanocore.runs.hints import to_type

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.data.prepare import Corpus
    from nanocore.errors import CheckpointError
    from nanocore.runs.layout import RunFolder

Answer = Callable[[dict[str, Any]], None]
CANCELLED = 130


def main() -> int:
    """Answer the one request on stdin; returns the exit code."""
    answer = _answers_on_stdout()
    try:
        request = _request(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        VERBS[request["verb"]](request, answer)
        return 0
    except NanoError as error:
        return _fail(answer, error)
    except MemoryError:
        return _fail(answer, ResourceError("out of memory"))
    except Exception as error:
        traceback.print_exc()
        return _fail(answer, NanoError(f"unexpected error: {type(error).__name__}: {error}"))


def _fail(answer: Answer, error: NanoError) -> int:
    """Report an error as the last answer; its exit code."""
    answer({"kind": "error", "type": type(error).__name__, "message": str(error), "exit_code": error.exit_code})
    return error.exit_code


def _answers_on_stdout() -> Answer:
    """A function that writes answers to the real stdout; prints of libraries go to stderr from here on."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(record: dict[str, Any]) -> None:
        channel.write(json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n")
        channel.flush()

    return answer


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError(f"the request is not JSON: {error}") from None
    if not isinstance(request, dict) or request.get("verb") not in VERBS:
        raise UsageError(f"the request names none of the verbs {', '.join(VERBS)}")
    return request


def _end_with_stdin() -> None:
    """Runs in a thread. It reads past Python's own buffer, whose lock would disturb an ordinary end."""
    while os.read(0, 4096):
        pass
    os._exit(CANCELLED)


def generate(request: dict[str, Any], answer: Answer) -> None:
    """Text from a checkpoint: request `run` (folder), `step`, `prompt`, `tokens`, `temperature`, `top_k`, `top_p`, `seed`."""
    checkpoint = _checkpoint(Path(request["run"]), request.get("step", "latest"))
    from nanocore.infer.generate import generate as pieces
    from nanocore.infer.load import load_model
    from nanocore.infer.sampler import Sampling

    model, tokenizer, _ = load_model(checkpoint)
    sampling = Sampling(**{key: request[key] for key in ("temperature", "top_k", "top_p", "seed") if key in request})
    began, text = time.monotonic(), ""
    for piece in pieces(model, tokenizer, request["prompt"], tokens=request["tokens"], sampling=sampling):
        text += piece
        answer({"kind": "text", "text": piece})
    seconds = time.monotonic() - began
    answer({"kind": "done", "checkpoint": checkpoint.name, "text": text, "seconds": round(seconds, 3)})


def _checkpoint(run: Path, step: int | str) -> Path:
    """The folder of a checkpoint of a run, `latest` or by step, verified. Raises CheckpointError when there is none."""
    from nanocore.checkpoint import manifest
    from nanocore.errors import CheckpointError
    from nanocore.runs.layout import RunFolder

    folder = RunFolder(run).checkpoints_dir
    if step == "latest":
        found = manifest.latest(folder)
        if found is None:
            raise _without_checkpoint(RunFolder(run))
        return found
    path = manifest.step_folder(folder, int(step))
    problems = manifest.verify(path) if path.is_dir() else [f"no checkpoint of step {step}"]
    if problems:
        raise CheckpointError(
            problems[0], where=run.name, fix=f"{to_type(f'runs show {run.name}')} lists its checkpoints"
        )
    return path


def _without_checkpoint(run: RunFolder) -> CheckpointError:
    """The refusal of a run that has saved nothing: one at work can be asked to, any other is resumed."""
    from nanocore.errors import CheckpointError
    from nanocore.runs.liveness import observe

    state = observe(run)
    if state.at_work:
        return CheckpointError("has no checkpoint yet", where=run.name, fix=f"ask: {to_type(f'checkpoint {run.name}')}")
    what = f"has no checkpoint, and nothing trains it ({state.text})"
    verb = "start it" if state.state == "created" else "go on with"
    return CheckpointError(what, where=run.name, fix=f"{verb}: {to_type(f'resume {run.name}')}")


def prepare(request: dict[str, Any], answer: Answer) -> None:
    """Make the token shards of the configuration `config` (a table), or find them in the cache."""
    began = time.monotonic()
    _, corpus = _corpus(request, answer)
    answer({"kind": "done", **corpus.facts, "seconds": round(time.monotonic() - began, 3)})


def inspect(request: dict[str, Any], answer: Answer) -> None:
    """What a model would be trained on: the corpus in numbers, the held-out slice, and the text of one training row."""
    from nanocore.data.heldout import validation_slice, xz_bits_per_byte
    from nanocore.data.stream import batches

    config, corpus = _corpus(request, answer)
    held_out = validation_slice(corpus, config)
    batch, _ = next(batches(corpus, config))
    slice_facts = {
        "held_out_bytes": held_out.target_bytes,
        "held_out_tokens": held_out.scored,
        "xz_bits_per_byte": round(xz_bits_per_byte(held_out.text), 4),
    }
    answer({"kind": "done", **corpus.facts, **slice_facts, "row": corpus.tokenizer.decode(batch.tokens[0].tolist())})


def _corpus(request: dict[str, Any], answer: Answer) -> tuple[Config, Corpus]:
    from nanocore.config.validate import build
    from nanocore.data.prepare import prepare as prepared
    from nanocore.runs.layout import cache_root

    def progress(phase: str, done: int, total: int) -> None:
        answer({"kind": "progress", "phase": phase, "done": done, "total": total})

    config = build(request["config"])
    return config, prepared(config.data, cache=cache_root(), progress=progress)


VERBS: dict[str, Callable[[dict[str, Any], Answer], None]] = {
    "generate": generate,
    "data-prepare": prepare,
    "data-inspect": inspect,
}

if __name__ == "__main__":
    sys.exit(main())
