"""Samples: what the model wrote at each step, of one run or of two side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.services.samples import Sample, Span, differences, nearest, read_sample, sample_steps
from nanoconsole.tui import keys
from nanoconsole.tui.screens.choose_run import ChooseRun
from nanoconsole.tui.screens.go_to_step import GoToStep
from nanoconsole.tui.screens.of_run import RunScreen
from nanoconsole.tui.widgets.timeline import Timeline
from nanocore.runs.layout import RunFolder

OF_SAMPLES = ("step", "go", "differences", "scroll")  # actions that need one
DIFFERENT = "underline bold $warning"


@dataclass(frozen=True)
class Looked:
    """What a look at the folders found: the samples to show, and where they differ."""

    run: RunFolder
    steps: list[int] = field(default_factory=list)
    sample: Sample | None = None
    other: Sample | None = None  # of the run beside; None when there is none to show
    spans: tuple[Sequence[Span], Sequence[Span]] = ((), ())
    compared: str = ""  # with what the differences are


class SamplesScreen(RunScreen):
    """One sample at a time; the newest until another is chosen."""

    SCOPE = "samples"
    ABOUT = (
        "What the model of the opened run wrote at each step: the same prompt and seed every time, so that the texts "
        "can be compared. The prompt is set apart by its colour. evaluation.sample_every says how often; a asks for "
        "one now. The run beside shows its last sample up to the same step."
    )
    CSS_PATH = ["of_run.tcss", "samples.tcss"]
    BINDINGS = [*keys.bindings("samples")]

    def __init__(self) -> None:
        super().__init__()
        self._step: int | None = None  # None: the newest, whatever comes
        self._beside: RunFolder | None = None
        self._marked = False
        self._looked: Looked | None = None
        self._seen: Looked | None = None

    def compose_run(self) -> Iterable[Widget]:
        yield Static(id="samples-head")
        yield Timeline()
        yield Static(id="samples-empty")
        with Horizontal(id="samples-body"):
            with VerticalScroll(id="samples-mine", can_focus=False):
                yield Static()
            with VerticalScroll(id="samples-other", can_focus=False):
                yield Static()

    def begin(self, run: RunFolder) -> None:
        self._step, self._looked, self._seen = None, None, None
        if self._beside == run:
            self._beside = None

    def read(self) -> bool:
        """Look at the folders, in the thread."""
        run, beside, step = self.run, self._beside, self._step
        if run is not None:
            self._looked = _look(run, beside, step, self._marked)
        return False

    def show(self) -> None:
        looked = self._looked
        if looked is None or looked.run != self.run or looked == self._seen:
            return
        self._seen = looked
        self.set_class(not looked.steps, "-empty")
        self.set_class(self._beside is not None, "-two")
        self.query_one("#samples-empty", Static).update(_nothing(looked.run))
        if looked.sample is not None:
            self.query_one("#samples-head", Static).update(self._head(looked, looked.sample))
            self.query_one(Timeline).show(looked.steps, looked.sample.step)
            self._fill("#samples-mine", looked.run, looked.sample, looked.spans[0])
        if self._beside is not None:
            self._fill("#samples-other", self._beside, looked.other, looked.spans[1])
        self.refresh_keys()

    def _head(self, looked: Looked, sample: Sample) -> Content:
        place = f"sample {looked.steps.index(sample.step) + 1:,} of {len(looked.steps):,}"
        newest = ", the newest" if sample.step == looked.steps[-1] else ""
        parts = [(f"step {sample.step:,}", "bold $accent"), (f"  {place}{newest}", "$axis")]
        if looked.compared:
            parts.append((f"  underlined: not as in {looked.compared}", "$warning"))
        return Content.assemble(*parts)

    def _fill(self, pane: str, run: RunFolder, sample: Sample | None, spans: Sequence[Span]) -> None:
        box = self.query_one(pane)
        step = f", step {sample.step:,}" if sample else ""
        box.border_title = Content(f"{run.name}{step}")
        box.query_one(Static).update(_text(sample, spans))

    # What is looked at

    def offers(self, action: str) -> bool:
        known = self._looked is not None and bool(self._looked.steps)
        return super().offers(action) and (known or action.partition("(")[0] not in OF_SAMPLES)

    def action_step(self, by: int) -> None:
        looked = self._looked
        if looked is not None and looked.sample is not None:
            place = looked.steps.index(looked.sample.step) + by
            self._go(looked, place)

    def _go(self, looked: Looked, place: int) -> None:
        """Show a sample by its number; from the last one on, the newest."""
        last = len(looked.steps) - 1
        self._step = None if place >= last else looked.steps[max(0, place)]
        self.read_on()

    def on_timeline_chosen(self, message: Timeline.Chosen) -> None:
        self._to_step(message.step)

    def action_go(self) -> None:
        if self._looked is not None and self._looked.steps:
            first, last = self._looked.steps[0], self._looked.steps[-1]
            self.app.push_screen(GoToStep(f"Samples lie between step {first:,} and {last:,}."), self._to_step)

    def _to_step(self, step: int | None) -> None:
        if step is not None and self._looked is not None and self._looked.steps:
            steps = self._looked.steps
            self._go(self._looked, steps.index(min(steps, key=lambda each: abs(each - step))))

    def action_beside(self) -> None:
        mine = self.run.name if self.run else ""
        names = [run.summary.name for run in self.console.run_list.runs if run.summary.name != mine]
        chosen = self._beside.name if self._beside else ""
        self.app.push_screen(ChooseRun("The run beside", names, chosen), self._take_beside)

    def _take_beside(self, name: str | None) -> None:
        if name is not None:
            self._beside = RunFolder(self.console.root / name) if name else None
            self._seen = None
            self.read_on()

    def action_differences(self) -> None:
        self._marked = not self._marked
        self.read_on()

    def action_scroll(self, by: int) -> None:
        for pane in self.query(VerticalScroll):
            pane.scroll_relative(y=by, animate=False)


def _look(run: RunFolder, beside: RunFolder | None, step: int | None, marked: bool) -> Looked:
    steps = sample_steps(run)
    if not steps:
        return Looked(run)
    shown = nearest(steps, step) if step is not None else steps[-1]
    sample = read_sample(run, shown)
    other = None
    if beside is not None and (others := sample_steps(beside)):
        other = read_sample(beside, nearest(others, shown))
    if not marked:
        return Looked(run, steps, sample, other)
    against, words = other, f"{beside.name}" if beside else ""
    if beside is None and shown != steps[0]:
        against = read_sample(run, steps[steps.index(shown) - 1])
        words = f"step {against.step:,}"
    if against is None:
        return Looked(run, steps, sample, other)
    mine, its = differences(sample.whole, against.whole)
    return Looked(run, steps, sample, other, (mine, its if beside else ()), words)


def _text(sample: Sample | None, spans: Sequence[Span]) -> Content:
    if sample is None:
        return Content.styled("no sample", "$axis")
    if sample.problem:
        return Content.styled(sample.problem, "$error")
    content = Content.assemble((sample.prompt, "bold $primary"), sample.text)
    for start, stop in spans:
        content = content.stylize(DIFFERENT, start, stop)
    return Content.assemble(content, ("\n… the rest is not shown", "$axis")) if sample.cut else content


def _nothing(run: RunFolder) -> Content:
    return Content.assemble(
        ("No sample yet\n\n", "bold"),
        f"{run.name} writes one every evaluation.sample_every steps, and at its end.\n",
        ("a", "bold $accent"),
        " asks a training run for one now.",
    )
