/* Exact products of packed ternary matrices with 8-bit token codes: the interface to every instruction set.
 *
 * A caller quantises tokens, multiplies them by row blocks of a matrix (both functions of an nk_isa), and spreads the
 * blocks over the threads of a pool (nk_pool_run). Nothing here allocates, but for the pool. docs/kernels.md explains
 * the layouts and why the sums are exact. */
#ifndef NANOKERNELS_H
#define NANOKERNELS_H

#include <stddef.h>
#include <stdint.h>

#define NK_VERSION 4            /* changes with any struct or signature below */
#define NK_MAX_COLUMNS 131072   /* up to here every sum is exact */
#define NK_LINE 64              /* bytes that hold four columns of one row block */

enum { NK_T2 = 2, NK_T5 = 5 };  /* layouts: 2 bits a weight, 64 rows a block; 5 weights a byte, 80 rows a block */

/* A packed matrix: for each row block, one line for every four columns. Rows and columns are the true sizes; the data
 * is padded to whole blocks and lines with weights of 0. */
typedef struct {
    const uint8_t *data;
    const float *scale;         /* groups 0: scale[0] for all; else scale[g * rows + r] */
    int32_t rows, columns;
    int32_t groups;             /* equal groups of columns, each a multiple of 4 wide where there are several */
    int32_t layout;             /* NK_T2 or NK_T5 */
} nk_matrix;

/* Quantised tokens; the caller owns the arrays. x = code * scale. */
typedef struct {
    int8_t *codes;              /* tokens x stride; columns are padded with 0 to a multiple of 4 */
    float *scales;              /* one a token */
    int32_t *sums;              /* tokens x groups: sums of the codes of each group of columns */
    int32_t tokens, columns;
    int32_t groups;             /* at least 1, and the same as the matrix's (1 for a matrix with groups 0) */
    int32_t stride;             /* bytes from one token's codes to the next, at least nk_padded(columns) */
} nk_tokens;

static inline int32_t nk_padded(int32_t columns) { return (columns + 3) / 4 * 4; }
static inline int32_t nk_block_rows(int32_t layout) { return layout == NK_T2 ? 64 : 80; }
static inline int32_t nk_blocks(const nk_matrix *w) {
    return (w->rows + nk_block_rows(w->layout) - 1) / nk_block_rows(w->layout);
}

/* The same functions for each instruction set; all give the same bits.
 *
 * quantise: codes = round_half_even(x * (1 / scale)), scale = max(max|x| / 127, 1e-5 / 127), per token, in float32. Fills
 * codes, scales and sums; x_stride counts floats. A token that holds NaN or infinity gets codes 0 and scale NaN.
 * multiply: y[t * y_stride + r] = (sum over groups of exact sum * weight scale) * token scale, for the rows of some blocks.
 * int_sums: the sums before any scale, out[(g * tokens + t) * rows + r]. */
typedef struct nk_isa {
    const char *name;           /* "avx512vnni", "avxvnni", "avx2", "neon", "scalar" */
    void (*quantise)(const float *x, ptrdiff_t x_stride, nk_tokens *tokens);
    void (*multiply)(const nk_matrix *w, const nk_tokens *tokens, float *y, ptrdiff_t y_stride, int32_t first_block,
                     int32_t blocks);
    void (*int_sums)(const nk_matrix *w, const nk_tokens *tokens, int32_t *out, int32_t first_block, int32_t blocks);
} nk_isa;

int nk_version(void);
const nk_isa *nk_find(const char *name);    /* NULL: unknown, or this CPU cannot run it */
const nk_isa *nk_active(void);              /* the fastest this CPU runs, or what nk_use said */
int nk_use(const char *name);               /* 1: done; 0: this CPU cannot, nothing changed; NULL: the fastest again */

/* Fills `sums` from the codes that are there. */
void nk_sum_codes(nk_tokens *tokens);

/* Threads that wait parked. The caller of nk_pool_run is thread 0 of `threads`; one run at a time, others queue. They are
 * not pinned to CPUs (docs/kernels.md says why). NULL on failure. */
typedef struct nk_pool nk_pool;
typedef void (*nk_work)(void *argument, int thread, int threads);
nk_pool *nk_pool_new(int threads);
int nk_pool_threads(const nk_pool *pool);
void nk_pool_run(nk_pool *pool, nk_work work, void *argument);
void nk_pool_free(nk_pool *pool);

/* The row blocks that one thread of several works on; the same cut everywhere, so that a thread meets its own memory. */
void nk_share(int32_t blocks, int thread, int threads, int32_t *first, int32_t *count);

/* The same for one of several matrices that are shared out as one: `before` of all the `total` blocks come before its. */
void nk_share_of(int32_t total, int32_t before, int32_t blocks, int thread, int threads, int32_t *first,
                 int32_t *count);

/* All blocks over the pool (NULL: the calling thread alone), on the given instruction set (NULL: the active one). */
void nk_multiply_all(const nk_isa *isa, nk_pool *pool, const nk_matrix *w, const nk_tokens *tokens, float *y,
                     ptrdiff_t y_stride);
void nk_int_sums_all(const nk_isa *isa, nk_pool *pool, const nk_matrix *w, const nk_tokens *tokens, int32_t *out);

/* Weights that are to lie at `to`. The last block may be cut short. */
typedef struct {
    const uint8_t *from;
    uint8_t *to;
    int64_t block_bytes, bytes;
} nk_piece;

/* Copies pieces that are shared out as one, so that each thread writes first, and thereby places, the blocks it will read. */
void nk_place(nk_pool *pool, const nk_piece *pieces, int32_t count);

#endif
