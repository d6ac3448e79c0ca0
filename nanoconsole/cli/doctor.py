"""`nanoconsole doctor`: what this machine has, which of it is used and why; a worker process looks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nanoconsole.cli.model import answers
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, table, tell

NOT_FOUND = "not installed"
ResetTuning = Annotated[
    bool, typer.Option("--reset-tuning", help="Only forget what was measured here to choose fast kernels.")
]


def register(app: typer.Typer) -> None:
    app.command("doctor", epilog=examples("doctor", "doctor --json", "doctor --reset-tuning"))(doctor)


def doctor(reset_tuning: ResetTuning = False, runs: Runs = None, json: Json = False) -> None:
    """Look at this machine.

    Versions, processor and its instructions, the path that ternary products take and why not a faster one, torch, what was
    measured here to choose between them, GPUs, folders and their space. Problems stand at the end.
    """
    from nanocore.runs.layout import run_root

    request = {"verb": "doctor", "runs": str(run_root(runs)), "reset_tuning": reset_tuning}
    facts = {key: value for key, value in answers(request, lambda _: None).items() if key != "kind"}
    if json:
        return emit(facts)
    return _show_removed(facts) if reset_tuning else _show(facts)


def _show_removed(facts: dict[str, Any]) -> None:
    entries = sum(map(len, facts["removed"].values()))
    tell(f"{entries} measurements in {len(facts['removed'])} files removed from {facts['folder']}")


def _show(facts: dict[str, Any]) -> None:
    problems = facts.pop("problems")
    for index, (section, found) in enumerate(facts.items()):
        if index:
            tell("")
        rows = [(key.removesuffix("_bytes").replace("_", " "), _words(key, value)) for key, value in found.items()]
        table((section, ""), rows or [("nothing so far", "")])
    tell("\n" + ("\n".join(f"problem: {problem}" for problem in problems) or "no problems found"))


def _words(key: str, value: Any) -> str:
    from nanoconsole.services.format import size

    if key.endswith("_bytes"):
        return size(value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {reason}" for name, reason in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOT_FOUND if value is None else str(value)
