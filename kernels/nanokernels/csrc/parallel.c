/* A product over the threads of a pool: each thread has its own consecutive row blocks. */
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

typedef struct {
    const nk_isa *isa;
    const nk_matrix *w;
    const nk_tokens *tokens;
    float *y;
    ptrdiff_t y_stride;
    int32_t *sums;
    uint8_t *copy;
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

static void copy_share(void *argument, int thread, int threads) {
    const product *p = argument;
    size_t block_bytes = (size_t)nk_padded(p->w->columns) / 4 * NK_LINE;
    int32_t first, count;
    nk_share(nk_blocks(p->w), thread, threads, &first, &count);
    memcpy(p->copy + (size_t)first * block_bytes, p->w->data + (size_t)first * block_bytes, (size_t)count * block_bytes);
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

/* Large pages spare the page walks of a long stream of weights; where there are none, nothing is lost. */
static void ask_for_huge_pages(uint8_t *to, size_t bytes) {
    uintptr_t begin = ((uintptr_t)to + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)to + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

void nk_place(nk_pool *pool, const nk_matrix *from, uint8_t *to) {
    product p = {.w = from, .copy = to};
    ask_for_huge_pages(to, (size_t)nk_blocks(from) * nk_padded(from->columns) / 4 * NK_LINE);
    nk_pool_run(pool, copy_share, &p);
}
