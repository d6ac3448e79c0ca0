/* For benchmarks: what this machine does at most, and products in a loop that costs nothing between them. */
#ifndef NK_PROBE_H
#define NK_PROBE_H

#include "nanokernels.h"

/* Matrices of one shape in turn, one after another and then anew: one of them stays in a cache that holds it, many that
 * exceed the cache come from memory each time. */
typedef struct {
    const nk_matrix *matrices;
    int32_t count;
    int32_t first;  /* index of the next one */
    int64_t visits; /* how many are visited in all */
} nk_rotation;

/* Reads packed data and does nothing with it; each thread reads the row blocks that it would multiply. What lies
 * `ahead` bytes on is prefetched; 0 for nothing. */
void nk_probe_read(const nk_isa *isa, nk_pool *pool, const nk_rotation *rotation, int64_t ahead);

/* Dot products on registers, on every thread `rounds` of nk_probe_operations additions and multiplications. */
void nk_probe_dot(const nk_isa *isa, nk_pool *pool, int64_t rounds);
int64_t nk_probe_operations(const nk_isa *isa);

/* y (tokens, rows) of each matrix in turn; where x is given, its tokens are quantised before each product. */
void nk_probe_multiply(const nk_isa *isa, nk_pool *pool, const nk_rotation *rotation, const float *x,
                       nk_tokens *tokens, float *y);

#endif
