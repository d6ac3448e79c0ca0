"""How much passing memory the core takes at one time, by device; the estimate of a configuration counts with the same."""

from __future__ import annotations

# Logits of the fused cross-entropy. CPU: measured best from 257 to 32,000 tokens of vocabulary; from 32 MiB on, glibc
# maps fresh pages for each chunk, and touching them costs more than the arithmetic. CUDA: rows to fill the device.
LOGITS_BYTES = {"cpu": 24 * 2**20, "cuda": 256 * 2**20}
# Matrices that Muon orthogonalises in one call. On a CPU the work should stay in cache (measured at widths 64 to 512);
# on a GPU only the memory of the stack limits it.
STACK_BYTES = {"cpu": 2 * 2**20, "cuda": 64 * 2**20}
