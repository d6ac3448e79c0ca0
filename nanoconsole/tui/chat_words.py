"""What Chat says in words: titles of the panes, transcripts, and the page without a model."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from nanoconsole.services.conversation import Talk, Turn

STATES = {
    "closed": ("○ not loaded", "$axis"),
    "loading": ("◐ loading", "$primary"),
    "ready": ("● ready", "$success"),
    "writing": ("◐ writing", "$primary"),
    "failed": ("✗ failed", "$error"),
}


def title(name: str, talk: Talk) -> Content:
    """A pane's title: which model, whether it is loaded, how fast it wrote, and what computes."""
    words, colour = STATES[talk.state]
    speed = talk.turns[-1].speed if talk.turns else None
    rate = f"  {speed:.1f} tok/s" if speed is not None else ""
    computed = f"  {talk.computed}" if talk.computed else ""
    return Content.assemble(
        (f"{name} ", "bold $accent"), (talk.model.label, "bold"), (f"  {words}", colour), (f"{rate}{computed}", "$axis")
    )


def transcript(talk: Talk) -> Content:
    """What was said and written, why it failed, or what takes so long before the first word; above, what was passed over."""
    parts = [Content.styled(f"! {talk.passed_over}", "$warning")] if talk.passed_over else []
    parts += [part for turn in talk.turns for part in _turn(turn)]
    if talk.notice:
        parts.append(Content.styled(f"◐ {talk.notice}", "$axis"))
    if talk.problem:
        parts.append(Content.styled(f"✗ {talk.problem}\n  what you say next starts it again", "$error"))
    if not parts:
        parts = [Content.styled("Nothing was said yet; the model is loaded with the first line.", "$axis")]
    return Content("\n").join(parts)


def _turn(turn: Turn) -> Iterator[Content]:
    """What was said, what was written, and how fast."""
    yield Content.assemble(("› ", "bold $accent"), (turn.said, "bold $primary"))
    if turn.reply:
        yield Content(turn.reply)
    if turn.end:
        speed = f", {turn.speed:.1f} tok/s" if turn.speed is not None else ""
        yield Content.styled(f"{turn.tokens} {'token' if turn.tokens == 1 else 'tokens'}{speed}, {turn.end}", "$axis")


def no_model() -> Content:
    """The page in place of a conversation."""
    return Content.assemble(
        ("No model to talk with\n\n", "bold"),
        ("m", "bold $accent"),
        " chooses a checkpoint of a run or an exported model; an opened run's newest checkpoint is taken by itself.",
    )
