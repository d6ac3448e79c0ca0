/* What layers keep of the tokens read: keys and values of attention, memory and last inputs of recurrent layers. */
#include "decoder_run.h"

#include <string.h>

/* Blocks outside the loop run once, for turn 0. */
static int runs(const nk_model *m, int turn, int layer) {
    return turn == 0 || (layer >= m->before && layer < m->block_count - m->after);
}

static int number_slots(nk_decoder *d) {
    const nk_model *m = &d->model;
    d->cache.slot = nk_take(d, sizeof(int32_t) * (size_t)(m->turns * m->block_count));
    if (!d->cache.slot)
        return 0;
    for (int turn = 0; turn < m->turns; turn++)
        for (int layer = 0; layer < m->block_count; layer++) {
            int *next = m->blocks[layer].attention ? &d->cache.attention_slots : &d->cache.recurrent_slots;
            d->cache.slot[turn * m->block_count + layer] = runs(m, turn, layer) ? (*next)++ : -1;
        }
    return 1;
}

static const nk_delta *any_delta(const nk_model *m) {
    for (int layer = 0; layer < m->block_count; layer++)
        if (m->blocks[layer].delta)
            return m->blocks[layer].delta;
    return NULL;
}

static int take_recurrent(nk_decoder *d) {
    nk_cache *c = &d->cache;
    const nk_delta *w = any_delta(&d->model);
    if (!w)
        return 1;
    size_t inner = (size_t)w->heads * (size_t)w->head_dim;
    c->memory_stride = nk_round_up(w->head_dim, d->loops->panel);
    c->memory_size = inner * (size_t)c->memory_stride;
    c->input_size = w->taps > 1 ? (size_t)(w->taps - 1) * 3 * inner : 0;
    c->memories = nk_take(d, sizeof(float) * c->memory_size * (size_t)c->recurrent_slots);
    c->inputs = nk_take(d, sizeof(float) * c->input_size * (size_t)c->recurrent_slots);
    return c->memories && c->inputs;
}

int nk_cache_init(nk_decoder *d) {
    nk_cache *c = &d->cache;
    const nk_model *m = &d->model;
    if (!number_slots(d) || !take_recurrent(d))
        return 0;
    c->value_width = nk_round_up(m->head_dim, d->loops->panel);
    return 1;
}

int nk_cache_grown(const nk_decoder *d, nk_arena **arena, int capacity, nk_cache *grown) {
    const nk_model *m = &d->model;
    *grown = d->cache;
    grown->panels = nk_round_up(capacity, d->loops->panel) / d->loops->panel;
    size_t positions = (size_t)grown->panels * (size_t)d->loops->panel;
    grown->key_size = positions * (size_t)(m->kv_heads * m->head_dim);
    grown->value_size = positions * (size_t)(m->kv_heads * grown->value_width);
    grown->keys = nk_take_from(arena, sizeof(float) * grown->key_size * (size_t)grown->attention_slots);
    grown->values = nk_take_from(arena, sizeof(float) * grown->value_size * (size_t)grown->attention_slots);
    return grown->keys && grown->values;
}

/* `count` stripes of unequal lengths, of which the first `length` floats are copied. */
static void copy_stripes(float *to, size_t to_stripe, const float *from, size_t from_stripe, size_t length,
                         size_t count) {
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * to_stripe, from + i * from_stripe, length * sizeof(float));
}

void nk_cache_copy(const nk_decoder *d, const nk_cache *grown, int kept) {
    const nk_cache *c = &d->cache;
    size_t panel = (size_t)d->loops->panel, width = (size_t)d->model.head_dim;
    size_t heads = (size_t)c->attention_slots * (size_t)d->model.kv_heads, used = ((size_t)kept + panel - 1) / panel;
    if (!used)
        return;
    size_t to = (size_t)grown->panels * panel, from = (size_t)c->panels * panel;
    copy_stripes(grown->keys, to * width, c->keys, from * width, used * panel * width, heads);
    copy_stripes(grown->values, to * panel, c->values, from * panel, used * panel * panel,
                 heads * (size_t)c->value_width / panel);
}

/* Attention layers need none: positions that were not read yet are never looked at. */
void nk_cache_reset(nk_decoder *d) {
    nk_cache *c = &d->cache;
    if (!c->recurrent_slots)
        return;
    memset(c->memories, 0, sizeof(float) * c->memory_size * (size_t)c->recurrent_slots);
    memset(c->inputs, 0, sizeof(float) * c->input_size * (size_t)c->recurrent_slots);
}

int nk_slot(const nk_run *r, int turn, int layer) { return r->d->cache.slot[turn * r->m->block_count + layer]; }

/* A position's key, its entries `panel` apart. */
float *nk_key_at(const nk_run *r, int slot, int head, int position) {
    const nk_cache *c = &r->d->cache;
    int panel = r->f->panel;
    float *of_head = c->keys + (size_t)slot * c->key_size + (size_t)head * (c->key_size / (size_t)r->m->kv_heads);
    return of_head + (size_t)(position / panel) * (size_t)(r->m->head_dim * panel) + position % panel;
}

/* Values of `panel` dimensions from `first` on, of a position and, `panel` floats apart, of those after it. */
float *nk_value_at(const nk_run *r, int slot, int head, int first, int position) {
    const nk_cache *c = &r->d->cache;
    size_t positions = (size_t)c->panels * (size_t)r->f->panel;
    float *of_head = c->values + (size_t)slot * c->value_size + (size_t)(head * c->value_width) * positions;
    return of_head + (size_t)first * positions + (size_t)position * (size_t)r->f->panel;
}

void nk_keep_value(const nk_run *r, int slot, int head, int position, const float *value) {
    int panel = r->f->panel, width = r->m->head_dim;
    for (int first = 0; first < width; first += panel) {
        int length = width - first < panel ? width - first : panel;
        memcpy(nk_value_at(r, slot, head, first, position), value + first, (size_t)length * sizeof(float));
    }
}

void nk_copy_position(const nk_run *r, int from_slot, int to_slot, int head, int position) {
    int panel = r->f->panel, width = r->m->head_dim;
    const float *from = nk_key_at(r, from_slot, head, position);
    float *to = nk_key_at(r, to_slot, head, position);
    for (int i = 0; i < width; i++)
        to[i * panel] = from[i * panel];
    for (int first = 0; first < width; first += panel)
        memcpy(nk_value_at(r, to_slot, head, first, position), nk_value_at(r, from_slot, head, first, position),
               (size_t)panel * sizeof(float));
}
