"""The arithmetic of the alert rules: each check turns what a run does into readings, and a latch makes alerts of them.

A check keeps a short window of the newest records and nothing else. What is beyond its limit enters the window cut down
to the limit, so that one spike does not hide the next, and a new level is accepted in time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from nanoconsole.services.format import number
from nanoconsole.services.settings import Settings
from nanocore.runs.curve import value
from nanocore.runs.records import Record

WINDOW = 64  # newest records that a spike is measured against
LEAST = 24  # records before a spike can be told
CALM = 5  # calm readings in a row that end an alert
DECAY = 0.9  # of the moving average of the loss
QUIET = 0.01  # of the loss: a deviation below that is no news however quiet the curve is
NORMAL = 1.4826  # makes the median absolute deviation the standard deviation of normal noise
MARGIN = 0.05  # of a range, from its ends, that a value must keep to be calm
RECENT = 5  # records whose median is the speed now
LASTING = 20.0  # seconds of training for which a speed must be lost: what else runs on the machine comes and goes
FINITE = ("loss/ce", "loss/total", "training/grad_norm")
GAINS = ("mhc/composite_gain", "mhc/composite_gain_backward")


@dataclass(frozen=True)
class Reading:
    """What a check found: the value, the range it should keep to, and words for both. Neither beyond nor calm: wait."""

    value: float
    low: float
    high: float
    beyond: bool
    calm: bool
    text: str


class Check(Protocol):
    """One rule watching one run. `level`: it tells of a state, so it counts even when it began before the look."""

    rule: str
    level: bool

    def see(self, record: Record) -> Reading | None:
        """The reading of a record; None when it says nothing about the rule."""
        ...


class Latch:
    """Raises once when a reading is beyond its limit, and clears after `CALM` calm ones in a row."""

    def __init__(self) -> None:
        self.raised = False
        self._calm = 0

    def take(self, reading: Reading) -> str:
        """ "raised" or "cleared" when that changes, else ""."""
        self._calm = self._calm + 1 if reading.calm else 0
        if reading.beyond and not self.raised:
            self.raised = True
            return "raised"
        if self.raised and self._calm >= CALM:
            self.raised = False
            return "cleared"
        return ""


class NonFinite:
    """nan or inf in the loss or the gradient norm, and updates that the trainer left out because of them."""

    rule, level = "nonfinite", True

    def see(self, record: Record) -> Reading | None:
        found = {name: value(record, name) for name in FINITE}
        bad = next((name for name, each in found.items() if each is not None and not math.isfinite(each)), "")
        if record.get("kind") == "nonfinite":
            return _unbounded(math.nan, "a non-finite loss or gradient was met and not applied")
        if bad:
            return _unbounded(found[bad] or math.nan, f"{bad} is {found[bad]}")
        return Reading(0.0, -math.inf, math.inf, False, True, "") if found["loss/ce"] is not None else None


class LossSpike:
    """The loss above its moving average, in robust standard deviations of the newest differences from it."""

    rule, level = "loss_spike", False

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._average: float | None = None
        self._residuals: deque[float] = deque(maxlen=WINDOW)

    def see(self, record: Record) -> Reading | None:
        loss = value(record, "loss/ce")
        if loss is None or not math.isfinite(loss):
            return None
        average = loss if self._average is None else self._average
        residual, reading = loss - average, None
        if len(self._residuals) >= LEAST:
            middle, scale = self._spread(average)
            z = (residual - middle) / scale
            text = f"loss {number(loss)}, {z:.1f} robust deviations above its average {number(average)}"
            reading = Reading(z, -math.inf, self._limit, z > self._limit, z < self._limit / 2, text)
            residual = min(residual, middle + self._limit * scale)
        self._residuals.append(residual)
        self._average = average + (1 - DECAY) * residual
        return reading

    def _spread(self, average: float) -> tuple[float, float]:
        middle = median(self._residuals)
        deviation = NORMAL * median(abs(each - middle) for each in self._residuals)
        return middle, max(deviation, QUIET * abs(average), 1e-12)


class GradientSpike:
    """The gradient norm as a multiple of the median of the newest ones."""

    rule, level = "gradient_spike", False

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._norms: deque[float] = deque(maxlen=WINDOW)

    def see(self, record: Record) -> Reading | None:
        norm = value(record, "training/grad_norm")
        if norm is None or not math.isfinite(norm):
            return None
        reading = None
        usual = median(self._norms) if self._norms else norm
        if len(self._norms) >= LEAST and usual > 0:
            times = norm / usual
            text = f"gradient norm {number(norm)}, {times:.1f} times the usual {number(usual)}"
            reading = Reading(times, 0.0, self._limit, times > self._limit, times < self._limit / 2, text)
            norm = min(norm, self._limit * usual)
        self._norms.append(norm)
        return reading


class Gain:
    """The gain of the product of all residual maps, the worse of both directions."""

    rule, level = "mhc_gain", True

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def see(self, record: Record) -> Reading | None:
        found = [(each, name) for name in GAINS if (each := value(record, name)) is not None]
        if not found:
            return None
        gain, name = max(found, key=lambda each: self._excess(each[0]))
        excess = self._excess(gain)
        calm = excess <= -MARGIN * (self._high - self._low)
        return Reading(gain, self._low, self._high, excess > 0, calm, f"{name} is {number(gain)}")

    def _excess(self, gain: float) -> float:
        """How far outside the range; negative inside."""
        return max(self._low - gain, gain - self._high) if math.isfinite(gain) else math.inf


class Throughput:
    """Tokens per second of the newest records against those before; a lasting drop keeps being measured by them."""

    rule, level = "throughput", True

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._before: deque[float] = deque(maxlen=WINDOW)
        self._now: deque[float] = deque(maxlen=RECENT)
        self._since: float | None = None  # seconds of training at which the speed was lost

    def see(self, record: Record) -> Reading | None:
        speed = value(record, "throughput/tokens_per_sec")
        if speed is None or not math.isfinite(speed):
            return None
        passed = self._now[0] if len(self._now) == RECENT else None
        self._now.append(speed)
        if len(self._before) < LEAST:
            if passed is not None:
                self._before.append(passed)
            return None
        usual, now = median(self._before), median(self._now)
        lost = 1 - now / usual if usual > 0 else 0.0
        if passed is not None and lost <= self._limit:
            self._before.append(passed)
        text = f"{now:,.0f} tokens per second, {max(lost, 0):.0%} below the usual {usual:,.0f}"
        return Reading(lost, -math.inf, self._limit, self._lasts(lost, record), lost < self._limit / 2, text)

    def _lasts(self, lost: float, record: Record) -> bool:
        """Whether the speed is lost, and has been for a while; at once where a record does not tell the time."""
        moment = value(record, "elapsed")
        if lost <= self._limit:
            self._since = None
        elif self._since is None:
            self._since = moment
        return lost > self._limit and (moment is None or self._since is None or moment - self._since >= LASTING)


class HeldOut:
    """Held-out cross-entropy above the best so far, as a share of it."""

    rule, level = "heldout", True

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._best = math.inf

    def see(self, record: Record) -> Reading | None:
        loss = value(record, "eval/ce")
        if loss is None or not math.isfinite(loss) or loss <= 0:
            return None
        self._best = min(self._best, loss)
        above = loss / self._best - 1
        text = f"held-out loss {number(loss)}, {above:.1%} above its best {number(self._best)}"
        return Reading(above, 0.0, self._limit, above > self._limit, above < self._limit / 2, text)


def _unbounded(found: float, text: str) -> Reading:
    return Reading(found, -math.inf, math.inf, True, False, text)


def checks(settings: Settings) -> list[Check]:
    """The checks of a run's records that the settings have on."""
    limit = settings.limit
    every: list[Check] = [
        NonFinite(),
        LossSpike(limit("loss_spike", "above")),
        GradientSpike(limit("gradient_spike", "above")),
        Gain(limit("mhc_gain", "below"), limit("mhc_gain", "above")),
        Throughput(limit("throughput", "above")),
        HeldOut(limit("heldout", "above")),
    ]
    return [check for check in every if settings.enabled(check.rule)]
