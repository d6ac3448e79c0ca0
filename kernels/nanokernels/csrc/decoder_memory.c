/* The memory of a decoder: working memory when it is made, caches when room is reserved. A forward allocates nothing. */
#include "decoder_run.h"

#include <stdlib.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

struct nk_arena {
    nk_arena *next;
    size_t bytes;
};

/* calloc leaves large blocks to the system, which gives pages when they are first written. */
void *nk_take_from(nk_arena **arena, size_t bytes) {
    nk_arena *block = calloc(1, sizeof(nk_arena) + bytes + 2 * ALIGNMENT);
    if (!block)
        return NULL;
    block->next = *arena;
    block->bytes = bytes;
    *arena = block;
    uintptr_t start = (uintptr_t)(block + 1);
    return (void *)((start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

void *nk_take(nk_decoder *d, size_t bytes) { return nk_take_from(&d->arena, bytes); }

static void give_back(nk_arena *arena) {
    for (nk_arena *next; arena; arena = next) {
        next = arena->next;
        free(arena);
    }
}

static int64_t bytes_of(const nk_arena *arena) {
    int64_t bytes = 0;
    for (; arena; arena = arena->next)
        bytes += (int64_t)arena->bytes;
    return bytes;
}

static float *take_floats(nk_decoder *d, size_t rows, size_t columns) {
    return nk_take(d, rows * columns * sizeof(float));
}

typedef struct {
    int widest;     /* input or output of any matrix */
    int groups;     /* most scale groups */
    int routes;     /* most experts of a token, */
    int experts;    /* of so many */
    int head_dim;   /* widest head */
} nk_sizes;

static int larger(int a, int b) { return a > b ? a : b; }

static void count_matrix(nk_sizes *s, const nk_matrix *w) {
    s->widest = larger(s->widest, larger(w->rows, w->columns));
    s->groups = larger(s->groups, w->groups);
}

static void count_feed_forward(nk_sizes *s, const nk_feed_forward *w) {
    count_matrix(s, &w->up);
    count_matrix(s, &w->down);
}

static void count_block(nk_sizes *s, const nk_block *b) {
    if (b->attention) {
        count_matrix(s, &b->attention->query);
        count_matrix(s, &b->attention->output);
    } else {
        count_matrix(s, &b->delta->query);
        count_matrix(s, &b->delta->output);
        s->head_dim = larger(s->head_dim, b->delta->head_dim);
        s->widest = larger(s->widest, 2 * b->delta->heads); /* strengths and decays share a row */
    }
    if (b->feed_forward) {
        count_feed_forward(s, b->feed_forward);
        return;
    }
    count_feed_forward(s, b->experts->experts);
    if (b->experts->shared)
        count_feed_forward(s, b->experts->shared);
    s->routes = larger(s->routes, b->experts->active);
    s->experts = larger(s->experts, b->experts->count);
}

static nk_sizes sizes_of(const nk_model *m) {
    nk_sizes s = {.widest = m->width, .groups = 1, .head_dim = m->head_dim};
    for (int i = 0; i < m->block_count; i++)
        count_block(&s, m->blocks + i);
    return s;
}

static int take_tokens(nk_decoder *d, nk_tokens *tokens, const nk_sizes *s, size_t count) {
    tokens->codes = nk_take(d, count * (size_t)nk_padded(s->widest) + ALIGNMENT);
    tokens->scales = take_floats(d, count, 1);
    tokens->sums = nk_take(d, count * (size_t)s->groups * sizeof(int32_t));
    return tokens->codes && tokens->scales && tokens->sums;
}

static int take_plan(nk_decoder *d, nk_plan *plan, const nk_sizes *s) {
    size_t pairs = (size_t)NK_BLOCK * (size_t)s->routes;
    plan->first = nk_take(d, (size_t)(s->experts + 1) * sizeof(int32_t));
    plan->place = nk_take(d, pairs * sizeof(int32_t));
    plan->token = nk_take(d, pairs * sizeof(int32_t));
    return plan->first && plan->place && plan->token;
}

static int take_own(nk_decoder *d, nk_own *own, const nk_sizes *s) {
    size_t wide = (size_t)d->wide, panel = (size_t)d->loops->panel;
    own->row = take_floats(d, 1, wide);
    own->mixed = take_floats(d, 1, wide);
    own->rows = take_floats(d, NK_FEW, (size_t)d->model.width);
    own->outputs = take_floats(d, NK_TILE_ROWS, (size_t)nk_round_up(s->head_dim, (int)panel));
    return own->row && own->mixed && own->rows && own->outputs && take_plan(d, &own->plan, s) &&
           take_tokens(d, &own->tokens, s, NK_FEW);
}

static int take_threads(nk_decoder *d, const nk_sizes *s) {
    d->own = nk_take(d, (size_t)d->threads * sizeof(nk_own));
    for (int t = 0; d->own && t < d->threads; t++)
        if (!take_own(d, d->own + t, s))
            return 0;
    return d->own != NULL;
}

static int take_routes(nk_decoder *d, const nk_sizes *s) {
    nk_routes *routes = &d->routes;
    size_t pairs = (size_t)NK_BLOCK * (size_t)s->routes;
    routes->scores = take_floats(d, NK_BLOCK, (size_t)s->experts);
    routes->weights = take_floats(d, pairs, 1);
    routes->chosen = nk_take(d, pairs * sizeof(int32_t));
    routes->hidden = take_floats(d, pairs, (size_t)d->wide);
    routes->up = take_floats(d, pairs, (size_t)d->wide);
    return routes->scores && routes->weights && routes->chosen && routes->hidden && routes->up &&
           take_tokens(d, &routes->inputs, s, pairs);
}

static int take_shared(nk_decoder *d, const nk_sizes *s) {
    size_t n = (size_t)d->model.streams, width = (size_t)d->model.width, wide = (size_t)d->wide;
    float **outputs[] = {&d->query, &d->key, &d->value, &d->gate, &d->hidden, &d->output};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (!(*outputs[i] = take_floats(d, NK_BLOCK, wide)))
            return 0;
    d->streams = take_floats(d, NK_BLOCK, n * width);
    d->maps = take_floats(d, NK_BLOCK, 2 * n + n * n);
    d->logits_of_maps = take_floats(d, NK_BLOCK, NK_MOST_MAP_LOGITS);
    d->rows = take_floats(d, NK_BLOCK, width);
    d->final = take_floats(d, NK_BLOCK, width);
    d->stay = take_floats(d, NK_BLOCK, 1);
    d->gone = nk_take(d, NK_BLOCK * sizeof(int32_t));
    return d->streams && d->maps && d->logits_of_maps && d->rows && d->final && d->stay && d->gone &&
           take_tokens(d, &d->tokens, s, NK_BLOCK);
}

nk_decoder *nk_decoder_new(const nk_model *model, nk_pool *pool) {
    nk_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    nk_sizes sizes = sizes_of(model);
    d->model = *model;
    d->isa = nk_active();
    d->loops = nk_loops_active();
    d->pool = pool;
    d->process = getpid();
    d->threads = pool ? nk_pool_threads(pool) : 1;
    d->wide = nk_round_up(sizes.widest, 16) + 16; /* no power of 2: rows of a block would share few cache lines */
    nk_barrier_init(&d->barrier, d->threads);
    if (nk_cache_init(d) && take_shared(d, &sizes) && take_routes(d, &sizes) && take_threads(d, &sizes))
        return d;
    nk_decoder_free(d);
    return NULL;
}

void nk_decoder_free(nk_decoder *decoder) {
    if (!decoder)
        return;
    give_back(decoder->reserved);
    give_back(decoder->arena);
    free(decoder);
}

int32_t nk_decoder_reserve(nk_decoder *d, int32_t capacity, int32_t kept, const float *cosines, const float *sines) {
    nk_arena *reserved = NULL;
    nk_cache grown;
    size_t scores_of_thread = (size_t)NK_TILE_ROWS * (size_t)nk_round_up(capacity, d->loops->panel);
    float *scores = nk_take_from(&reserved, (size_t)d->threads * scores_of_thread * sizeof(float));
    if (!scores || !nk_cache_grown(d, &reserved, capacity, &grown)) {
        give_back(reserved);
        return 0;
    }
    nk_cache_copy(d, &grown, kept);
    give_back(d->reserved);
    d->reserved = reserved;
    d->cache = grown;
    d->cosines = cosines;
    d->sines = sines;
    for (int t = 0; t < d->threads; t++)
        d->own[t].scores = scores + (size_t)t * scores_of_thread;
    return 1;
}

int64_t nk_decoder_bytes(const nk_decoder *decoder) {
    return bytes_of(decoder->arena) + bytes_of(decoder->reserved);
}
