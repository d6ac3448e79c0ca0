"""From a configuration to the parts of a job: data, model, optimizers, position."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import cast

import torch
from torch import nn

from nanocore.analysis.streams import StreamProbe
from nanocore.analysis.ternary import TernaryProbe
from nanocore.analysis.updates import UpdateProbe
from nanocore.checkpoint.state import Checkpoint, load_checkpoint
from nanocore.config.estimate import estimate
from nanocore.config.schema import Config
from nanocore.config.sections import Data
from nanocore.data.heldout import HeldOut, validation_slice, xz_bits_per_byte
from nanocore.data.prefetch import open_loader
from nanocore.data.prepare import Corpus, prepare
from nanocore.errors import DataError, UsageError
from nanocore.model.transformer import Transformer
from nanocore.optim.optimizers import Optimizers
from nanocore.runs.create import read_run, starting_checkpoint, update_run
from nanocore.runs.documents import replace_file
from nanocore.runs.layout import RunFolder, cache_root
from nanocore.train.attempt import Attempt
from nanocore.train.checkpoints import own_checkpoint, parent_checkpoint, restore, stored_progress
from nanocore.train.distributed import broadcast_json
from nanocore.train.fire import chosen
from nanocore.train.hardware import Machine, surroundings
from nanocore.train.horizon import Horizon, planned_steps
from nanocore.train.job import Job
from nanocore.train.progress import Progress
from nanocore.train.reference import load_reference
from nanocore.train.reporter import Reporter
from nanokernels.int_matmul import chosen_path


def build(attempt: Attempt, config: Config) -> Job:
    """Prepare everything up to the first step. Raises DataError, CheckpointError, ResourceError, StopRequested."""
    world, orders, reporter = attempt.world, attempt.orders, attempt.reporter
    if config.training.batch_size < world.size:
        what = f"{world.size} processes need a batch of at least as many sequences"
        raise UsageError(what, where="training.batch_size")
    own = own_checkpoint(attempt.run, config, reporter)
    orders.raise_if_stopped(world)
    corpus = _corpus(attempt, config)
    _check_corpus(own, corpus)
    heldout = _heldout(corpus, config, reporter)
    orders.raise_if_stopped(world)
    reporter.status(phase="building")
    job = _assemble(attempt, config, corpus, heldout, stored_progress(own) if own else Progress())
    orders.raise_if_stopped(world)
    _begin(job, own)
    return job


def beside(job: Job, config: Config) -> Job:
    """A job of another configuration in the same process, from its own first weights. It reports nothing."""
    attempt = Attempt(job.run, job.world, job.machine, job.orders, job.reporter)
    corpus = _corpus(attempt, config)
    silent = replace(attempt, reporter=Reporter(None, None, job.reporter.attempt))
    return _assemble(silent, config, corpus, job.heldout, Progress())


def _assemble(attempt: Attempt, config: Config, corpus: Corpus, heldout: HeldOut, progress: Progress) -> Job:
    """The job with a model and optimizers as the seed makes them, its loader at the data position of `progress`."""
    core = _core(config, corpus, attempt.machine)
    return Job(
        run=attempt.run,
        config=config,
        world=attempt.world,
        machine=attempt.machine,
        corpus=corpus,
        heldout=heldout,
        core=core,
        model=compiled(core) if config.hardware.compile else core,
        optimizers=Optimizers(core, config),
        loader=open_loader(corpus, config, progress.loader),
        progress=progress,
        horizon=Horizon(config, planned_steps(config, progress)),
        orders=attempt.orders,
        reporter=attempt.reporter,
        streams=StreamProbe(core) if config.mhc.streams > 1 else None,
        ternary=TernaryProbe(core),
        updates=UpdateProbe(core, core.roles()),
        reference=load_reference(config, corpus.tokenizer, attempt.machine),
    )


def _begin(job: Job, own: Checkpoint | None) -> None:
    """Weights and optimizer state to start from, then what can only be reported once all parts are there."""
    job.reporter.step = job.progress.step
    if job.config.fire.at_step:
        chosen(job)  # names that fit nothing are told now, not at that step
    restore(job, own) if own else _fork(job)
    if job.world.rank == 0:
        _record_facts(job)
        if job.config.logging.tensorboard:
            job.reporter.open_tensorboard(job.run, job.progress.step)


def _core(config: Config, corpus: Corpus, machine: Machine) -> Transformer:
    """The model as the seed makes it, on its device."""
    core = Transformer(config, corpus.tokenizer.vocab_size)
    core.initialise(config.training.seed)
    return core.to(machine.device)


def _corpus(attempt: Attempt, config: Config) -> Corpus:
    """Rank 0 prepares; the others then find everything in the cache."""
    reporter = attempt.reporter

    def progress(phase: str, done: int, total: int) -> None:
        attempt.orders.raise_if_stopped()
        reporter.status(phase="preparing", message=f"{phase} {done}/{total}" if total else phase)

    reporter.status(phase="preparing")
    data = _with_parent_vocabulary(attempt.run, config.data)
    corpus = prepare(data, cache=cache_root(), progress=progress) if attempt.world.rank == 0 else None
    broadcast_json("prepared")
    corpus = corpus or prepare(data, cache=cache_root(), progress=lambda *_: None)
    reporter.status(message="")
    if corpus.facts["skipped_files"]:
        reporter.warn(
            f"{corpus.facts['skipped_files']} files are no text and were left out", files=corpus.facts["skipped"]
        )
    return corpus


def _heldout(corpus: Corpus, config: Config, reporter: Reporter) -> HeldOut:
    """The held-out slice; a warning when the text has fewer whole rows than evaluation.tokens asks for."""
    heldout, width = validation_slice(corpus, config), config.model.context_length
    if heldout.rows < config.evaluation.tokens // width:
        reporter.warn(
            f"measures are on {heldout.rows * width} held-out tokens, all there are, not on "
            f"evaluation.tokens = {config.evaluation.tokens}"
        )
    return heldout


def _with_parent_vocabulary(run: RunFolder, data: Data) -> Data:
    """A fork keeps the vocabulary its weights were trained on, also on other text; it is copied into the run."""
    parent = starting_checkpoint(run)
    if data.tokenizer != "bpe" or parent is None:
        return data
    if not run.tokenizer_file.exists():
        vocabulary = load_checkpoint(parent, with_optimizer=False).tokenizer_json
        replace_file(run.tokenizer_file, vocabulary.encode(), durable=True)
    return data.model_copy(update={"tokenizer": "file", "tokenizer_file": str(run.tokenizer_file)})


def _check_corpus(own: Checkpoint | None, corpus: Corpus) -> None:
    if own and own.state["corpus"] != corpus.key:
        raise DataError(
            "the training text is not the one this run began with",
            where="data.sources",
            fix="restore the text, or start a new run from this one with --from",
        )


def compiled(core: Transformer) -> nn.Module:
    """The model as torch.compile makes it at its first step."""
    device = core.head_weight.device
    for rows in (1, 1000):  # measured before, so that no measurement splits the graph
        chosen_path(device, rows)
    with torch.no_grad():
        core(torch.zeros(1, 1, dtype=torch.long, device=device))
    return cast(nn.Module, torch.compile(core))


def _fork(job: Job) -> None:
    """Begin with another run's weights, and its optimizer state unless a fresh one was asked for."""
    path = starting_checkpoint(job.run)
    if path is None:
        return
    kept = read_run(job.run)["parent"]["optimizer"] == "kept"
    checkpoint = parent_checkpoint(path, job.config, with_optimizer=kept)
    job.core.load_state_dict(checkpoint.model)
    if kept:
        job.optimizers.load_state_tensors(checkpoint.optimizer)
    job.reporter.log(
        f"starts from {path.parent.parent.name} at step {checkpoint.step}, optimizer {'kept' if kept else 'fresh'}"
    )


def _record_facts(job: Job) -> None:
    """Add to run.json what is known only now; the held-out text as xz -9 stands beside every bits-per-byte figure."""
    corpus = job.corpus.facts
    update_run(
        job.run,
        machine=job.machine.facts() | surroundings(),
        load_average=round(os.getloadavg()[0], 2),
        world=job.world.size,
        corpus=corpus,
        heldout=_heldout_facts(job.heldout, read_run(job.run).get("heldout")),
        parameters=sum(parameter.numel() for parameter in job.core.parameters()),
        vocabulary=job.corpus.tokenizer.vocab_size,
        groups=[asdict(group) for group in job.optimizers.groups],
        optimizer_state=job.optimizers.state_bytes(),
        optimizer_estimate=estimate(job.config).optimizer_bytes,
    )


def _heldout_facts(heldout: HeldOut, known: dict[str, float] | None) -> dict[str, float]:
    if known and known.get("bytes") == heldout.target_bytes:
        return known
    return {"bytes": heldout.target_bytes, "tokens": heldout.scored, "xz_bits_per_byte": xz_bits_per_byte(heldout.text)}
