"""What every column of a report means: said here once, for the page, and as docs/comparisons.md has it."""

from __future__ import annotations

LEGEND: dict[str, dict[str, str]] = {
    "Quality, at equal steps and at equal time": {
        "seeds": "finished runs of those planned",
        "bits/byte": "held-out bits per byte at the end of the run, mean over the seeds",
        "± seeds": "standard deviation of it over the seeds",
        "difference": "of bits per byte, variant minus baseline, mean over the pairs of one seed: below 0 is better",
        "95 % interval": "Student's t over the pairs",
        "p": "two-sided, corrected by Holm over all planned variants of the table, of which one without a p counts as p = 1; the power "
        "check is not among them",
        "CE nats/token": "held-out cross-entropy at the end of the run, mean over the seeds",
        "CE difference %": "of the baseline's cross-entropy of the same seed, mean over the pairs, with its interval",
        "verdict": "better or worse where p < 0.05, else that no difference was seen; what diverged, or is far worse and too "
        "scattered to test, is said so",
    },
    "Time and memory": {
        "steps, tokens": "that the run trained",
        "training s": "all training steps of the run together; evaluations, checkpoints and samples are no training time",
        "tok/s, step ms": "medians after the first four steps, of runs side by side",
        "step ms alone": "by the calibrations, in which nothing else of the experiment works",
        "x baseline": "the calibrated step time over the baseline's, with the 95 % interval of the median over the rounds. A verdict "
        "at equal time is as good as this: steps that are 3 % too many are an advantage of 3 % in every seed",
        "optimizer MiB": "bytes of live optimizer state",
        "peak MiB": "largest memory that the process had as a record was written: it may have had more between two; of the GPU, where one "
        "was used, the largest at any time",
    },
    "Where the time goes, means after the first four steps, so that work which comes rarely is in them": {
        "data wait ms, forward ms, backward ms, optimizer ms": "of a step; the forward pass has the loss in it, and in this project "
        "the gradient of the loss too; the optimizer has clipping in it",
        "between steps ms": "a step, between the end of one and the beginning of the next: evaluation, checkpoints, telemetry, records",
        "data wait %": "share of the step",
        "device use %": "processor time over threads times the clock's; on a GPU what the driver says",
        "MFU %": "of the peak in `throughput/mfu`; where no peak is known a dash",
        "kept %": "share of the tokens that had a backward pass, with token filtering",
        "gain": "largest composite gain of the residual maps, forward or backward; 1 by construction for mHC-lite, a dash with one stream",
    },
    "To the loss that the baseline ends with": {
        "got there": "seeds that came to the held-out bits per byte with which the baseline of the same seed ended; a dash: no finished pair",
        "tokens, seconds": "of training steps until then, mean over the seeds that got there",
        "baseline's tokens, baseline's seconds": "until the baseline first had that loss itself, mean over those same seeds: "
        "before its end where its held-out loss was as low earlier",
        "tokens %, seconds %": "the one over the other, so the baseline has 100 %; of the seeds that got there alone: those that did "
        "not are not in it",
    },
}
