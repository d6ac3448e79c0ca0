"""Check: each head of multi-token prediction is held against the token that many places ahead, in its document."""

from __future__ import annotations

import torch
from torch import Tensor

from nanocore.model.transformer import Transformer
from nanocore.objective import multi_token
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import MicroBatch
from nanocore.validation.outcome import Found, expect, within
from nanocore.validation.steps import as_micro, begin, random_batch
from nanocore.validation.workshop import Workshop

HEADS = 2


def check(_: Workshop) -> Found:
    worst = max(_kind(kind) for kind in ("independent", "sequential"))
    for progress, weight in ((0.0, 0.3), (0.5, 0.2), (1.0, 0.1)):
        within("weight of the heads off its line", abs(multi_token.weight_at(0.3, 0.1, progress) - weight), 1e-12)
    return Found(
        f"{HEADS} heads of 2 kinds, worst error {worst:.1e}",
        "their loss is cross-entropy on the tokens 2 and 3 places ahead, none beyond a document's end",
    )


def _kind(kind: str) -> float:
    sets = (f"mtp.horizon={HEADS}", f"mtp.kind={kind}", "mtp.weight=0.5", "mtp.final_weight=0.5")
    core = begin(*sets, double=True).core
    batch = random_batch(core.config)
    micro = as_micro(batch)
    hidden = core(micro.tokens, positions=micro.positions, documents=micro.documents)
    terms = Goal(core, core.config, batch).terms(hidden, micro)
    expect("loss/mtp" in terms.parts, f"{kind}: no loss of the heads", "loss/mtp among the terms")
    states = enumerate(_states(core, hidden, micro), 1)
    exact = sum(_head(core, state, micro, ahead) for ahead, state in states) / HEADS
    found = within(f"{kind}: the heads' loss, error", abs(float(terms.parts["loss/mtp"]) - exact), 1e-10)
    plain = float(terms.sums[0]) / int((batch.targets >= 0).sum())
    within(
        f"{kind}: loss less 0.5 of the heads' off plain", abs(float(terms.loss.detach()) - plain - 0.5 * exact), 1e-10
    )
    return found


def _states(core: Transformer, hidden: Tensor, micro: MicroBatch) -> list[Tensor]:
    heads = core.prediction_heads
    assert heads is not None
    if not heads.sequential:
        return [heads.independent(index, hidden) for index in range(HEADS)]
    context = core.context(micro.tokens, micro.positions, micro.documents)
    return list(heads.chain(hidden, micro.tokens, core.embedding, context))


def _head(core: Transformer, state: Tensor, micro: MicroBatch, ahead: int) -> float:
    """Mean cross-entropy of head `ahead` at t on token t + 1 + ahead of the same document, place by place."""
    log_p, found = core.logits(state).log_softmax(-1), []
    documents = micro.documents if micro.documents is not None else torch.zeros_like(micro.tokens)
    for row, place in torch.cartesian_prod(*map(torch.arange, micro.tokens.shape)).tolist():
        last = place + ahead  # its target is the token that stands for the head
        if last < micro.tokens.shape[1] and documents[row, place] == documents[row, last]:
            target = int(micro.targets[row, last])
            found += [-log_p[row, place, target]] if target >= 0 else []
    return float(torch.stack(found).detach().mean())
