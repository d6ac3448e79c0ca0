"""Limits that the core works under and the estimate of a configuration counts with: passing memory, tokenizer files."""

from __future__ import annotations

# Logits of the fused cross-entropy. CPU: measured best from 257 to 32,000 tokens of vocabulary; from 32 MiB on, glibc
# maps fresh pages for each chunk, and touching them costs more than the arithmetic. CUDA: rows to fill the device.
LOGITS_BYTES = {"cpu": 24 * 2**20, "cuda": 256 * 2**20}
# Matrices that Muon orthogonalises in one call. On a CPU the work should stay in cache (measured at widths 64 to 512);
# on a GPU only the memory of the stack limits it.
STACK_BYTES = {"cpu": 2 * 2**20, "cuda": 64 * 2**20}
# A tokenizer.json that somebody gave us; the largest published ones have 33 MB and 260,000 tokens.
TOKENIZER_BYTES = 64 * 2**20
VOCABULARY = 1_000_000
