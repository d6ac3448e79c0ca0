"""One configuration: all sections together. Imports neither torch nor tomlkit."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from nanocore.config.section import Section
from nanocore.config.sections import (
    About,
    Checkpointing,
    Data,
    Evaluation,
    Hardware,
    Logging,
    Model,
    Optimizer,
    Schedule,
    Training,
)
from nanocore.config.techniques import Collider, Delta, Fire, Fp4, Galore, Loop, Mhc, Moe, Mtp, Objective

SCHEMA = 1
BYTES_VOCABULARY = 257  # 256 bytes and BOS


class Config(Section):
    """A whole configuration. Fields are the sections of the TOML file, in the order users meet them."""

    about: About = Field(default_factory=About)
    model: Model = Field(default_factory=Model)
    mhc: Mhc = Field(default_factory=Mhc)
    loop: Loop = Field(default_factory=Loop)
    moe: Moe = Field(default_factory=Moe)
    delta: Delta = Field(default_factory=Delta)
    fp4: Fp4 = Field(default_factory=Fp4)
    objective: Objective = Field(default_factory=Objective)
    mtp: Mtp = Field(default_factory=Mtp)
    collider: Collider = Field(default_factory=Collider)
    data: Data = Field(default_factory=Data)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    galore: Galore = Field(default_factory=Galore)
    fire: Fire = Field(default_factory=Fire)
    schedule: Schedule = Field(default_factory=Schedule)
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    checkpoint: Checkpointing = Field(default_factory=Checkpointing)
    hardware: Hardware = Field(default_factory=Hardware)
    logging: Logging = Field(default_factory=Logging)

    @property
    def head_dim(self) -> int:
        return self.model.head_dim or self.model.d_model // self.model.n_heads

    @property
    def tokens_per_step(self) -> int:
        return self.training.batch_size * self.model.context_length

    @model_validator(mode="after")
    def _rules(self) -> Config:
        from nanocore.config.rules import BrokenRules, broken

        problems = broken(self)
        if problems:
            raise BrokenRules(problems)
        return self


def seconds(duration: str) -> int:
    """Seconds in a duration as `30m`, `8h`, `1h30m` or `90s`. Raises ValueError for anything else."""
    match = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", duration, re.ASCII)
    if not duration or match is None:
        raise ValueError(f"{duration!r} is not a duration such as 30m, 8h or 1h30m")
    hours, minutes, secs = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + secs
