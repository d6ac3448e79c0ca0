"""What the next value of each technique's switch would change: parameters, memory, time. Arithmetic, one estimate each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from nanoconsole.services.cost import SMALL, Cost, Timing, cost, effect, time_words
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_faults import FIELDS
from nanoconsole.services.edits import applied, settled
from nanoconsole.services.format import count, signed, size
from nanoconsole.services.source import judge
from nanoconsole.services.techniques import SWITCHES
from nanoconsole.services.typed import parsed
from nanocore.config.fields import Field
from nanocore.config.schema import Config
from nanocore.errors import NanoError
from nanocore.runs.text import sanitize_line


@dataclass(frozen=True)
class Delta:
    """What a switch at `value` would add to the present configuration, or why that is `refused`.

    `work` is the relative change of arithmetic in training (0.1: a tenth more), `seconds` that of the time where a
    finished run tells it; `uncounted` says "slower" or "faster" where neither has all of it. `shares` are the relative
    changes of parameters and memory.
    """

    value: str
    parameters: int = 0
    peak_bytes: int = 0
    work: float = 0.0
    seconds: float | None = None
    uncounted: str = ""
    shares: tuple[float, float] = (0.0, 0.0)
    refused: str = ""


def choices(field: Field) -> tuple[str, ...]:
    """What one key press goes along: all values of a switch or choice, the usual ones of a technique's number or text."""
    if field.kind == "bool":
        return ("false", "true")
    return tuple(map(str, field.choices)) or SWITCHES.get(field.key, ())


def neighbour(field: Field, text: str, by: int = 1) -> str:
    """The value that one key press leads to; the first one from a value that is none of the usual."""
    allowed = choices(field)
    place = allowed.index(text) + by if text in allowed else 0
    return allowed[place % len(allowed)]


def deltas(draft: Draft, timings: Sequence[Timing], stopped: Callable[[], bool] = lambda: False) -> dict[str, Delta]:
    """The delta of every switch that has an effect; none while the draft has faults, fewer when it is `stopped`.

    It takes some milliseconds for each: call it in a thread, with a snapshot of the draft.
    """
    found: dict[str, Delta] = {}
    now = _cost(draft.config, timings) if draft.config else ""
    for key in SWITCHES:
        if not now or stopped():
            break
        if key not in draft.asleep:
            found[key] = _delta(draft, key, neighbour(FIELDS[key], draft.text(key)), now, timings)
    return found


def _delta(draft: Draft, key: str, value: str, now: Cost | str, timings: Sequence[Timing]) -> Delta:
    made = {**draft.edits, key: parsed(FIELDS[key], value)}
    made, _ = settled(draft.source_table, made, draft.aside, key)
    judged = judge(applied(draft.source_table, made))
    if judged.config is None:
        return Delta(value, refused=sanitize_line(str(judged.problems[0])))
    then = _cost(judged.config, timings)
    if isinstance(now, str) or isinstance(then, str):
        return Delta(value, refused=now if isinstance(now, str) else str(then))
    return _difference(value, now, then)


def _difference(value: str, now: Cost, then: Cost) -> Delta:
    made, before = effect(now, then), now.estimate
    shares = (made.parameters / before.parameters, made.peak_bytes / before.peak_bytes)
    return Delta(value, **asdict(made), shares=shares)


def _cost(config: Config, timings: Sequence[Timing]) -> Cost | str:
    try:
        return cost(config, list(timings))
    except NanoError as error:
        return sanitize_line(str(error))


def brief(delta: Delta) -> list[tuple[str, float]]:
    """The parts of a delta in as few characters as they need, each with the share it changes; none that is small."""
    if delta.refused:
        return [("refused", 1.0)]
    parts = [
        (signed(delta.parameters, count), abs(delta.shares[0])),
        (signed(delta.peak_bytes, size), abs(delta.shares[1])),
        (time_words(delta.work, delta.seconds), abs(delta.work)),
        (delta.uncounted, 1.0),
    ]
    return [(text, share) for text, share in parts if text and share >= SMALL]


def words(delta: Delta) -> str:
    """A delta as a sentence: what the next key press brings."""
    if delta.refused:
        return f"→ {delta.value or 'none'} is refused: {delta.refused}"
    parts = [
        f"{signed(delta.parameters, count)} parameters" if delta.parameters else "",
        f"{signed(delta.peak_bytes, size)} of tensors" if delta.peak_bytes else "",
        time_words(delta.work, delta.seconds, " arithmetic"),
        delta.uncounted and f"{delta.uncounted}, not counted",
    ]
    told = ", ".join(part for part in parts if part)
    return f"→ {delta.value or 'none'}: {told or 'neither parameters, memory nor arithmetic change'}"
