"""The texts that a run's model wrote while it learned, by step, and where two of them differ."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import Any

from nanocore.errors import ConfigError, UsageError
from nanocore.files import open_regular
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize

SAMPLE_BYTES = 64 << 10  # shown of a sample; one of 1000 tokens has 4 thousand
MOST_WORDS = 3000  # of each text that are compared: the time grows with their product
_NAME = re.compile(r"step-(\d{1,16})\.txt")
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
Span = tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """What the model wrote at a step, sanitised: the prompt and what follows. `problem` says why it is not there.

    `prompt` is "" when the text does not begin with the run's present prompt. `cut`: the file is longer than shown.
    """

    step: int
    prompt: str = ""
    text: str = ""
    cut: bool = False
    problem: str = ""

    @property
    def whole(self) -> str:
        return self.prompt + self.text

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"step": self.step, "prompt": self.prompt, "text": self.text, "cut": self.cut, "problem": self.problem}


def sample_steps(run: RunFolder) -> list[int]:
    """The steps at which samples were taken, in order; [] when there are none, or the folder cannot be read."""
    try:
        names = [path.name for path in run.samples_dir.iterdir()]
    except OSError:
        return []
    found = (_NAME.fullmatch(name) for name in names)
    return sorted({int(match[1]) for match in found if match})


def read_sample(run: RunFolder, step: int) -> Sample:
    """The sample of a step."""
    try:
        with os.fdopen(open_regular(run.sample_file(step)), "rb") as file:
            raw = file.read(SAMPLE_BYTES + 1)
    except OSError as error:
        return Sample(step, problem=f"cannot be read: {error.strerror}")
    text = sanitize(raw[:SAMPLE_BYTES].decode("utf-8", "replace"))
    prompt = prompt_of(run)
    prompt = prompt if text.startswith(prompt) else ""
    return Sample(step, prompt, text[len(prompt) :], len(raw) > SAMPLE_BYTES)


def prompt_of(run: RunFolder) -> str:
    """The prompt of the run's samples as its configuration has it, sanitised; "" when that cannot be read."""
    from nanocore.config.toml import load  # pydantic, which the list of samples does not need

    try:
        return sanitize(load(run.config_file).evaluation.sample_prompt)
    except ConfigError:
        return ""


def nearest(steps: list[int], step: int) -> int:
    """Of steps in order the last one up to `step`, else the first. Raises ValueError when there is none."""
    return max((each for each in steps if each <= step), default=min(steps))


def chosen_sample(run: RunFolder, step: int | None) -> Sample:
    """The sample of a step, the newest by default. Raises UsageError when there is none."""
    steps = sample_steps(run)
    if not steps:
        how = "evaluation.sample_every says how many steps lie between samples; the verb sample asks for one now"
        raise UsageError("no sample was taken yet", where=run.name, fix=how)
    if step is not None and step not in steps:
        near = min(steps, key=lambda each: abs(each - step))
        raise UsageError(f"no sample was taken at step {step}", where=run.name, fix=f"the nearest is {near}")
    return read_sample(run, steps[-1] if step is None else step)


def differences(one: str, two: str) -> tuple[list[Span], list[Span]]:
    """Where the words of two texts differ, as spans of characters in each; only the first 3000 words are compared."""
    mine, other = _words(one), _words(two)
    matcher = difflib.SequenceMatcher(None, [word for word, _ in mine], [word for word, _ in other], autojunk=False)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for kind, *ranges in matcher.get_opcodes():
        if kind != "equal":
            for words, found, (start, stop) in zip((mine, other), spans, (ranges[:2], ranges[2:]), strict=True):
                if stop > start:
                    found.append((words[start][1][0], words[stop - 1][1][1]))
    return spans


def _words(text: str) -> list[tuple[str, Span]]:
    matches = _WORDS.finditer(text)
    return [(match.group(), match.span()) for _, match in zip(range(MOST_WORDS), matches, strict=False)]
