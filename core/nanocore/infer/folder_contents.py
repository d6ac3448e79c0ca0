"""What is inside a folder for transformers that this program wrote."""

from __future__ import annotations

from nanocore.export.hf_names import CLASSES
from nanocore.export.hf_read import parse_hf, ternary_at
from nanocore.infer.contents import (
    Budget,
    Contents,
    TensorFacts,
    described,
    in_words,
    integrity,
    measured,
    weights_apart,
)
from nanocore.infer.locate import Source


def folder_contents(source: Source) -> Contents:
    """Every tensor of the file of weights. Raises FormatError for a folder that is damaged or of another program."""
    folder = parse_hf(source.path)
    size = sum(file.stat().st_size for file in source.path.iterdir() if file.is_file())
    parts = weights_apart(sum(tensor.nbytes for tensor in folder.tensors.values()), size)
    facts = {"form": folder.form, "vocabulary": folder.tokenizer.vocab_size, **described(folder.config)}
    found = Contents("hf", source.label, str(source.path), CLASSES[folder.architecture], parts, facts)
    found.description, found.integrity = in_words(folder.config), integrity(folder.verified)
    ternary, budget = {place.tensor: place for place in folder.places if place.ternary}, Budget()
    for name, tensor in sorted(folder.tensors.items()):
        place, kind = ternary.get(name), str(tensor.dtype).removeprefix("torch.")
        shape = place.shape if place else tuple(tensor.shape)  # packed rows are told as what they hold
        each = TensorFacts(name, kind, shape, tensor.nbytes, place is not None)
        if place and budget.take(each.values):
            weight = ternary_at(folder, place)
            each = measured(each, weight.codes == 0, weight.scale)
        found.tensors.append(each)
    return found
