"""The outcome of a comparison in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nanocore.compare.spec import BASELINE, POWER_CHECK

if TYPE_CHECKING:
    from nanocore.compare.results import Comparison
    from nanocore.compare.statistics import Paired

SIGNIFICANT = 0.05
POWER = {
    True: "the deliberately bad variant (learning rates / 8) came out worse: the comparison can see a difference",
    False: "NO POWER: the deliberately bad variant (learning rates / 8) did not come out worse; "
    "nothing can be concluded from variants that look equal",
}
ONE_SEED = "not known: the deliberately bad variant (learning rates / 8) needs two seeds or more"


def power(comparisons: Sequence[Comparison]) -> bool | None:
    """Whether the deliberately bad variant came out worse: its interval lies above 0. None when that is not known: a seed has no
    pair, or there is but one seed.
    """
    check = _power_check(comparisons)
    if check is None or check.bits is None or check.bits.low is None or check.bits.n < check.seeds:
        return None
    return check.bits.low > 0


def power_words(comparisons: Sequence[Comparison]) -> str:
    """`power` in words; where it is not known, which runs it lacks."""
    if (found := power(comparisons)) is not None:
        return POWER[found]
    if comparisons[0].seeds < 2:
        return ONE_SEED
    needed = (_finished(one) for one in comparisons if one.variant in (BASELINE, POWER_CHECK))
    return f"not known: {' and '.join(needed)} finished, and all are needed"


def _finished(comparison: Comparison) -> str:
    """`2 of 3 runs of power-check (1 diverged)`."""
    done, diverged = sum(result.finished for result in comparison.results), _diverged(comparison)
    words = f"{done} of {comparison.seeds} runs of {comparison.variant}"
    return f"{words} ({diverged} diverged)" if diverged else words


def far(comparisons: Sequence[Comparison]) -> float | None:
    """From which mean difference a variant is called far worse: the deliberately bad one's. None where that is not above 0."""
    check = _power_check(comparisons)
    return check.bits.mean if check is not None and check.bits is not None and check.bits.mean > 0 else None


def verdict(comparison: Comparison, has_power: bool | None, far: float | None) -> str:
    """The outcome in plain words. `far` is no test, and what it makes be said names none."""
    bits = comparison.bits
    if comparison.variant == BASELINE:
        return ""
    if bits is None:
        return _without_pairs(comparison)
    partly = _partly(comparison, bits.n)
    p = comparison.corrected_p if comparison.corrected_p is not None else bits.p
    if p is not None and p < SIGNIFICANT:
        return ("better" if bits.mean < 0 else "worse") + partly
    if far_worse(comparison, far):
        return _untested(bits.n) + partly
    if p is None:
        return f"no verdict from one pair{partly}"
    if comparison.variant == POWER_CHECK:
        return f"did not come out worse{partly}"
    partly = _alone(bits) + partly
    if has_power:
        return f"no difference seen at this scale{partly}"
    return f"no difference seen, {'power not known' if has_power is None else 'but no power to see one'}{partly}"


def _alone(bits: Paired) -> str:
    """What its own interval would say, were it the only variant: readers see in the table that it leaves out 0."""
    if bits.low is None or bits.high is None or bits.low <= 0 <= bits.high:
        return ""
    return f"; {'worse' if bits.low > 0 else 'better'} by its own interval alone"


def far_worse(comparison: Comparison, far: float | None) -> bool:
    """Whether every seed is worse, and the mean by more than `far`."""
    bits, least = comparison.bits, comparison.least
    return far is not None and bits is not None and least is not None and least > 0 and bits.mean > far


def _untested(pairs: int) -> str:
    """Words for what is far worse and not significant, which no reader can take for a test."""
    if pairs == 1:
        return "far worse in the one pair, no test"
    return f"all {pairs} seeds worse, by far on average, too scattered to test"


def _without_pairs(comparison: Comparison) -> str:
    diverged, runs = _diverged(comparison), len(comparison.results)
    if not diverged:
        return "no result"
    if diverged < runs:
        return f"no result ({diverged} of {runs} seeds diverged)"
    return f"diverged in {'its one seed' if runs == 1 else f'all {runs} seeds'}"


def _partly(comparison: Comparison, pairs: int) -> str:
    """` (2 of 3 seeds, 1 diverged)`; "" where every seed has its pair."""
    if pairs == comparison.seeds:
        return ""
    diverged = _diverged(comparison)
    return f" ({pairs} of {comparison.seeds} seeds{f', {diverged} diverged' if diverged else ''})"


def _diverged(comparison: Comparison) -> int:
    return sum(result.state == "diverged" for result in comparison.results)


def _power_check(comparisons: Sequence[Comparison]) -> Comparison | None:
    return next((one for one in comparisons if one.variant == POWER_CHECK), None)
