/* Products over the threads of a pool: each thread has its own consecutive row blocks, in memory that it wrote first. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "nanokernels.h"

#define HUGE_PAGE ((uintptr_t)2 << 20)

void nk_share(int32_t blocks, int thread, int threads, int32_t *first, int32_t *count) {
    int64_t begin = (int64_t)blocks * thread / threads, end = (int64_t)blocks * (thread + 1) / threads;
    *first = (int32_t)begin;
    *count = (int32_t)(end - begin);
}

void nk_share_of(int32_t total, int32_t before, int32_t blocks, int thread, int threads, int32_t *first,
                 int32_t *count) {
    int32_t own, length;
    nk_share(total, thread, threads, &own, &length);
    int32_t begin = own > before ? own - before : 0, end = own + length - before;
    end = end < blocks ? end : blocks;
    *first = begin;
    *count = end > begin ? end - begin : 0;
}

typedef struct {
    const nk_isa *isa;
    const nk_matrix *w;
    const nk_tokens *tokens;
    float *y;
    ptrdiff_t y_stride;
    int32_t *sums;
} product;

static void multiply_share(void *argument, int thread, int threads) {
    const product *p = argument;
    int32_t first, count;
    nk_share(nk_blocks(p->w), thread, threads, &first, &count);
    p->isa->multiply(p->w, p->tokens, p->y, p->y_stride, first, count);
}

static void sum_share(void *argument, int thread, int threads) {
    const product *p = argument;
    int32_t first, count;
    nk_share(nk_blocks(p->w), thread, threads, &first, &count);
    p->isa->int_sums(p->w, p->tokens, p->sums, first, count);
}

void nk_multiply_all(const nk_isa *isa, nk_pool *pool, const nk_matrix *w, const nk_tokens *tokens, float *y,
                     ptrdiff_t y_stride) {
    product p = {.isa = isa ? isa : nk_active(), .w = w, .tokens = tokens, .y = y, .y_stride = y_stride};
    nk_pool_run(pool, multiply_share, &p);
}

void nk_int_sums_all(const nk_isa *isa, nk_pool *pool, const nk_matrix *w, const nk_tokens *tokens, int32_t *out) {
    product p = {.isa = isa ? isa : nk_active(), .w = w, .tokens = tokens, .sums = out};
    nk_pool_run(pool, sum_share, &p);
}

/* Large pages spare the page walks of a long stream of weights; where there are none, nothing is lost. Only those that
 * lie within the thread's share: a page lies on one node. */
static void ask_for_huge_pages(uint8_t *to, size_t bytes) {
    uintptr_t begin = ((uintptr_t)to + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)to + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

typedef struct {
    const nk_piece *pieces;
    int32_t count, blocks;
} placing;

static int32_t piece_blocks(const nk_piece *piece) {
    return (int32_t)((piece->bytes + piece->block_bytes - 1) / piece->block_bytes);
}

static void copy_blocks(const nk_piece *piece, int32_t first, int32_t count) {
    int64_t begin = first * piece->block_bytes, end = begin + count * piece->block_bytes;
    size_t bytes = (size_t)((end < piece->bytes ? end : piece->bytes) - begin);
    ask_for_huge_pages(piece->to + begin, bytes);
    memcpy(piece->to + begin, piece->from + begin, bytes);
}

static void place_share(void *argument, int thread, int threads) {
    const placing *p = argument;
    int32_t before = 0, first, count;
    for (int32_t i = 0; i < p->count; i++) {
        int32_t blocks = piece_blocks(p->pieces + i);
        nk_share_of(p->blocks, before, blocks, thread, threads, &first, &count);
        if (count)
            copy_blocks(p->pieces + i, first, count);
        before += blocks;
    }
}

void nk_place(nk_pool *pool, const nk_piece *pieces, int32_t count) {
    placing p = {pieces, count, 0};
    for (int32_t i = 0; i < count; i++)
        p.blocks += piece_blocks(pieces + i);
    nk_pool_run(pool, place_share, &p);
}
