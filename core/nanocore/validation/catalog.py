"""Every check of `nanoconsole validate` by name, in the order they run. No torch here: the console reads this too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A check: `about` says in one line what it proves, `holds` when it does, `where` where to look when it does not.

    `function` does it. `ahead` begins what it needs of another process, before the first check, so that the two run
    side by side.
    """

    name: str
    about: str
    holds: str
    where: str
    function: str
    ahead: str = ""


def _entry(name: str, about: str, holds: str, where: str, module: str = "", *, ahead: bool = False) -> Entry:
    """A check whose function `check` stands in a module of its own; `begin` there is what goes ahead."""
    place = f"nanocore.validation.checks.{module or name}"
    return Entry(name, about, holds, where, f"{place}:check", f"{place}:begin" if ahead else "")


CHECKS: tuple[Entry, ...] = (
    _entry(
        "environment",
        "The programs that compute are there, in versions this was made for, and the best kernel path is taken.",
        "Linux, Python from 3.11 on, torch from 2.11 on and before 2.14; the active path is the first that runs here",
        "docs/troubleshooting.md; nanoconsole doctor tells all of it",
    ),
    _entry(
        "kernels",
        "Every path of a ternary product on this machine gives the exact sums of the specification.",
        "integer sums equal in every place; after scaling at most 1e-5 of the largest value; training's products bit for bit",
        "docs/kernels.md; kernels/nanokernels",
    ),
    _entry(
        "quantisers",
        "Weights become ternary and inputs 8-bit as the formulas say, and gradients pass straight through.",
        "codes equal; scales, outputs and gradients within 1e-5 of float64 arithmetic; 31 % of Gaussian weights are 0",
        "docs/techniques/ternary.md; core/nanocore/model/quantise.py, core/nanocore/model/ternary_products.py",
    ),
    _entry(
        "attention",
        "No token sees a later one or another document, and query heads read the key-value head they should.",
        "changes of later tokens reach no earlier output; grouped heads within 1e-12 of the sum written out, in float64",
        "core/nanocore/model/attention.py, core/nanocore/model/transformer.py",
    ),
    _entry(
        "tying",
        "Tied, embedding and output head are one matrix: in the model, in training and in what is saved.",
        "one memory, one parameter, gradients of both uses; untied, two",
        "core/nanocore/model/transformer.py",
    ),
    _entry(
        "streams",
        "Residual streams are mixed by doubly stochastic maps, amplify nothing, come to differ, and learn.",
        "rows sum to 1 within 1e-5, columns too for mHC-lite and within 0.2 for Sinkhorn's maps; gain 1 within 1e-4 both ways; cosine of streams below 0.999; no gradient is 0",
        "docs/techniques/hyper-connections.md; core/nanocore/model/hyper_connections.py",
    ),
    _entry(
        "objective",
        "The loss is plain next-token cross-entropy; label smoothing, z-loss and entropy bonus add what they should.",
        "losses and gradients within 1e-10 of the formulas, in float64",
        "docs/techniques/regularisers.md; core/nanocore/objective/cross_entropy.py",
    ),
    _entry(
        "gradients",
        "The gradient that a training step gives each parameter is the slope of the loss, also by micro-batches and clipped.",
        "within 1e-6 of central differences in float64; two micro-batches within 1e-10 of one; clipped to the norm asked for",
        "core/nanocore/train/step.py, core/nanocore/model/norm.py, core/nanocore/model/hyper_connections.py",
    ),
    _entry(
        "mtp",
        "Each head of multi-token prediction is trained on the token as far ahead as its place says.",
        "the heads' loss within 1e-10 of cross-entropy on targets moved by hand; document borders count",
        "docs/techniques/multi-token-prediction.md; core/nanocore/objective/multi_token.py",
    ),
    _entry(
        "collider",
        "Token filtering keeps the tokens with the largest loss, and its backward pass is that of the kept ones.",
        "exactly the kept share; gradients within 1e-10 of autograd with dropped keys and values detached",
        "docs/techniques/token-filtering.md; core/nanocore/objective/token_filter.py",
    ),
    _entry(
        "loop",
        "LoopLM's exit probabilities add up to 1, and its loss is the expected one minus the entropy term.",
        "sums within 1e-12 of 1; the loss within 1e-10 of the formula",
        "docs/techniques/looplm.md; core/nanocore/objective/exits.py",
    ),
    _entry(
        "experts",
        "Every token passes the experts its router chose, weighed by their scores; none is dropped.",
        "outputs within 1e-10 of the sum written out; loads count every token; the bias moves towards even loads",
        "docs/techniques/mixture-of-experts.md; core/nanocore/model/experts.py, core/nanocore/model/router.py",
    ),
    _entry(
        "deltanet",
        "The delta rule in chunks is the recurrence token by token, and stops at a document's border.",
        "outputs and state within 1e-9 of the recurrence written out, in float64",
        "docs/techniques/deltanet.md; core/nanocore/model/delta_rule.py",
    ),
    _entry(
        "fp4",
        "Emulated FP4 rounds to the nearest E2M1 number, stochastic rounding is right on average, rotations cancel.",
        "codes equal those of a search through all; means within 4 standard errors; H H^T = I within 1e-6",
        "docs/techniques/fp4.md; core/nanocore/model/fp4.py",
    ),
    _entry(
        "optimizers",
        "Muon and Lion move weights as their formulas say; orthogonalised updates have singular values near 1.",
        "weights within 1e-5 of the formulas after three steps; singular values between 0.5 and 1.3",
        "docs/techniques/muon.md; core/nanocore/optim/muon.py, core/nanocore/optim/lion.py",
    ),
    _entry(
        "int8-state",
        "Muon's momentum in 8 bits stays close to the one in floats, at the bytes it should take.",
        "codes within half a step; the update's cosine at least 0.999; bytes are 1 + 4 / block a value",
        "docs/techniques/8-bit-muon.md; core/nanocore/optim/quantised_state.py",
        "int8_state",
    ),
    _entry(
        "galore",
        "GaLore's momentum lives in the subspace of the gradient, is rotated into each new one, and is smaller.",
        "an orthonormal basis; at full rank the update of Muon within 1e-3 across refreshes; bytes as estimated",
        "docs/techniques/galore.md; core/nanocore/optim/galore.py",
    ),
    _entry(
        "fire",
        "FIRE replaces a matrix by the nearest one that stretches all directions alike.",
        "within 1e-3 of the polar factor by singular values; the deviation from isometry vanishes",
        "docs/techniques/fire.md; core/nanocore/optim/fire.py",
    ),
    _entry(
        "schedule",
        "The learning rate follows its closed form at every step, and weight decay ends where the decay begins.",
        "every factor within 1e-12 of the form written out",
        "docs/techniques/schedules.md; core/nanocore/optim/schedule.py",
    ),
    _entry(
        "techniques",
        "Each technique changes a training run when it is on, and changes no bit of it where it has no effect.",
        "begun alike, other weights after two steps for each that is on, all finite; the same bits for each that is off",
        "docs/techniques.md; tests/integration/test_techniques_neutral.py",
    ),
    _entry(
        "data",
        "Text survives its tokenizers, targets are the next tokens, and a stream goes on where it was left.",
        "every text and byte count back; targets moved by one; the same batches after a resume; no held-out text trained on",
        "core/nanocore/data",
    ),
    _entry(
        "training",
        "The trainer learns real text: the loss begins at ln V and falls, in training and on held-out text; evaluations change nothing.",
        "the first loss within 2 % of ln 257 = 5.55; at least 1.5 nats less at the end; held-out text likewise, its last loss within 1e-3 of the saved model's; the same bits after two steps with evaluations and samples as without",
        "docs/troubleshooting.md; core/nanocore/train/loop.py",
    ),
    _entry(
        "records",
        "The run folder tells the run as it was: every step once, true values, TensorBoard the same.",
        "all steps, metrics of the registry alone, learning rates of the formula, equal values in TensorBoard",
        "core/nanocore/runs/records.py, core/nanocore/train/event_file.py",
    ),
    _entry(
        "nonfinite",
        "A batch whose loss or gradient is not finite is caught before the update.",
        "weights and optimizer state the same bits as before; the next good batch is trained on",
        "core/nanocore/train/step.py",
    ),
    _entry(
        "checkpoint",
        "A saved model comes back bit for bit, and a damaged file is refused.",
        "every tensor equal, the same output; a flipped bit refused",
        "core/nanocore/checkpoint",
    ),
    _entry(
        "resume",
        "A run resumed from its middle ends as one that never stopped, with every technique that keeps a state.",
        "losses, weights and optimizer state the same bits",
        "core/nanocore/train/checkpoints.py",
    ),
    _entry(
        "kill",
        "A trainer killed by SIGKILL leaves a run that goes on and ends as one that was never killed.",
        "losses, weights and optimizer state the same bits",
        "core/nanocore/checkpoint/manifest.py, core/nanocore/train/checkpoints.py",
        ahead=True,
    ),
    _entry(
        "export",
        "A GGUF file holds the model itself: codes, scales and floats, and so the logits.",
        "codes and scales equal; logits the same bits; within 1e-9 in float64; the gguf package reads the same weights",
        "docs/export.md; core/nanocore/export",
    ),
    _entry(
        "generation",
        "The likeliest text is the same with a cache as when the whole text is read for every token.",
        "every token equal, also past a full context, in float64",
        "docs/inference.md; core/nanocore/infer, core/nanocore/model/cache.py",
    ),
    _entry(
        "decoder",
        "The native decoder computes what torch computes, within the rounding that float32 itself has.",
        "median and 99th percentile of the logit error at most twice those of torch's float32 against float64",
        "docs/inference.md; core/nanocore/infer/native_decoder.py",
    ),
    _entry(
        "sampling",
        "Tokens are drawn with their probabilities, the same ones for the same seed.",
        "frequencies within 4 standard errors; equal texts for equal seeds, others for others; top-k and top-p keep what they say",
        "docs/inference.md; core/nanocore/infer/sampler.py",
    ),
    _entry(
        "presets",
        "Every preset is valid, and with --full has exactly the parameters and optimizer state that are estimated.",
        "no error; counts on the meta device equal those of the arithmetic",
        "presets; core/nanocore/config/estimate.py",
    ),
    _entry(
        "gpu",
        "On a GPU, with --full: Triton's kernels give the exact sums, and a training step is the CPU's.",
        "integer sums equal; the loss within 1e-3 of the CPU's",
        "docs/kernels.md; kernels/nanokernels/triton_linear.py",
    ),
)
NAMES: tuple[str, ...] = tuple(entry.name for entry in CHECKS)
