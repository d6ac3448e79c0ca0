/* DeltaNet layers: each head keeps a matrix memory, decayed and corrected at every token, and read by a query. */
#include "decoder_run.h"

#include <math.h>
#include <string.h>

static const float UNIT_EPS = 1e-6f;

enum { QUERY, KEY, VALUE, READ }; /* rows of a thread's room */

typedef struct {
    const nk_delta *w;
    float *memory, *inputs; /* of this layer, all heads */
    int inner, stride;
} nk_heads;

static float *projections(const nk_run *r, int part) {
    return part == QUERY ? r->d->query : part == KEY ? r->d->key : r->d->value;
}

static float *room(const nk_run *r, const nk_heads *h, int row) { return r->own->outputs + (size_t)row * h->stride; }

/* The input of the convolution at `token`, before the block's first one from what is kept. */
static const float *input_at(const nk_run *r, const nk_heads *h, int part, int head, int token) {
    size_t channel = (size_t)head * h->w->head_dim;
    if (token >= 0)
        return projections(r, part) + (size_t)token * r->d->wide + channel;
    return h->inputs + (size_t)(h->w->taps - 1 + token) * 3 * h->inner + (size_t)part * h->inner + channel;
}

/* Query, key or value of one token and head: convolved over time, then SiLU. */
static void convolve(nk_run *r, const nk_heads *h, int part, int head, int token) {
    int width = h->w->head_dim;
    float *y = room(r, h, part);
    size_t channel = (size_t)part * h->inner + (size_t)head * width;
    memset(y, 0, (size_t)h->stride * sizeof(float)); /* also what pads the values */
    for (int back = 0; back < h->w->taps; back++) {
        const float *weights = h->w->convolution + (size_t)(h->w->taps - 1 - back) * 3 * h->inner + channel;
        r->f->add_products(y, weights, input_at(r, h, part, head, token - back), width);
    }
    if (!h->w->taps)
        memcpy(y, input_at(r, h, part, head, token), (size_t)width * sizeof(float));
    r->f->silu(y, width);
}

static void make_unit(nk_run *r, float *x, int width) {
    float inverse = 1.0f / sqrtf(r->f->dot(x, x, width) + UNIT_EPS);
    r->f->mix(x, x, 0, &inverse, 1, width);
}

static float decay_of(const nk_delta *w, float x, int head) {
    x += w->decay_bias[head];
    float softplus = x > 20.0f ? x : log1pf(expf(x));
    return expf(-w->rate[head] * softplus);
}

static void one_token(nk_run *r, const nk_heads *h, int head, int token) {
    const nk_delta *w = h->w;
    int width = w->head_dim;
    const float *from_token = r->d->output + (size_t)token * r->d->wide; /* logits of strength and decay */
    for (int part = QUERY; part <= VALUE; part++)
        convolve(r, h, part, head, token);
    make_unit(r, room(r, h, QUERY), width);
    make_unit(r, room(r, h, KEY), width);
    float strength = 1.0f / (1.0f + expf(-from_token[head]));
    float decay = w->decay.rows ? decay_of(w, from_token[w->heads + head], head) : 1.0f;
    r->f->delta_step(h->memory + (size_t)head * width * h->stride, h->stride, width, room(r, h, QUERY), room(r, h, KEY),
                     room(r, h, VALUE), strength, decay, room(r, h, READ));
    size_t at = (size_t)token * r->d->wide + (size_t)head * width;
    nk_rms_norm(r, r->d->hidden + at, room(r, h, READ), w->head_norm, width);
    if (w->gate.rows)
        r->f->silu_times(r->d->gate + at, r->d->hidden + at, width);
}

/* Keep the last inputs of this head's channels; rows that stay move up, the oldest first. */
static void keep_inputs(nk_run *r, const nk_heads *h, int head) {
    int kept = h->w->taps - 1;
    for (int part = QUERY; part <= VALUE; part++)
        for (int j = 0; j < kept; j++) {
            const float *from = input_at(r, h, part, head, r->tokens - kept + j);
            size_t at = (size_t)j * 3 * h->inner + (size_t)part * h->inner + (size_t)head * h->w->head_dim;
            memmove(h->inputs + at, from, (size_t)h->w->head_dim * sizeof(float));
        }
}

static void all_heads(nk_run *r, const nk_delta *w, int layer) {
    nk_cache *c = &r->d->cache;
    size_t slot = (size_t)nk_slot(r, r->turn, layer);
    nk_heads h = {w, c->memories + slot * c->memory_size, c->inputs + slot * c->input_size, w->heads * w->head_dim,
                  c->memory_stride};
    nk_range mine = nk_part(r, w->heads);
    for (int head = mine.first; head < mine.first + mine.count; head++) {
        for (int t = 0; t < r->tokens; t++)
            one_token(r, &h, head, t);
        keep_inputs(r, &h, head);
    }
    nk_wait(r);
}

void nk_delta_layer(nk_run *r, const nk_block *b, int layer) {
    const nk_delta *w = b->delta;
    nk_decoder *d = r->d;
    nk_input input = {.connection = &b->mixer_connection, .gain = b->mixer_norm, .columns = r->m->width, .keep = 1};
    nk_encoded x = nk_encode(r, &input, &w->query);
    const nk_product products[] = {
        {&w->query, d->query}, {&w->key, d->key}, {&w->value, d->value}, {&w->gate, d->gate}};
    nk_multiply_share(r, &x.tokens, products, w->gate.rows ? 4 : 3);
    nk_range heads = nk_part(r, w->heads);
    size_t stride = (size_t)d->wide;
    r->f->dense(&w->strength, x.rows, r->m->width, r->tokens, d->output, stride, heads.first, heads.count);
    if (w->decay.rows)
        r->f->dense(&w->decay, x.rows, r->m->width, r->tokens, d->output + w->heads, stride, heads.first, heads.count);
    nk_wait(r);
    all_heads(r, w, layer);
    nk_input mixed = {.x = w->gate.rows ? d->gate : d->hidden, .stride = d->wide, .columns = w->output.columns};
    nk_encoded y = nk_encode(r, &mixed, &w->output);
    nk_range columns = nk_multiply_columns(r, &y.tokens, &w->output, d->output);
    nk_write_streams(r, &b->mixer_connection, d->output, columns);
    nk_wait(r);
}
