/* Causal attention with grouped heads: queries of the heads that share keys go through them together. */
#include "decoder_run.h"

#include <math.h>
#include <string.h>

/* Query or key of one head: normalised, then turned to its position. */
static void prepare_head(nk_run *r, float *x, const float *gain, int position) {
    int width = r->m->head_dim, half = width / 2;
    if (gain)
        nk_rms_norm(r, x, x, gain, width);
    r->f->rotate(x, r->d->cosines + (size_t)position * half, r->d->sines + (size_t)position * half, half);
}

static void keep(nk_run *r, const nk_attention *w, int slot, int head, int token) {
    int width = r->m->head_dim, position = r->start + token;
    float *key = r->d->key + (size_t)token * r->d->wide + (size_t)head * width;
    float *panel = nk_key_at(r, slot, head, position);
    prepare_head(r, key, w->key_norm, position);
    for (int i = 0; i < width; i++)
        panel[i * r->f->panel] = key[i];
    nk_keep_value(r, slot, head, position, r->d->value + (size_t)token * r->d->wide + (size_t)head * width);
}

/* Everything of one key-value head that comes before attention, for all tokens of the block. */
static void prepare(nk_run *r, const nk_attention *w, int layer, int head) {
    int group = r->m->heads / r->m->kv_heads, slot = nk_slot(r, r->turn, layer);
    for (int t = 0; t < r->tokens; t++) {
        if (r->leaving && r->d->gone[t])
            nk_copy_position(r, nk_slot(r, r->turn - 1, layer), slot, head, r->start + t);
        else
            keep(r, w, slot, head, t);
        float *queries = r->d->query + (size_t)t * r->d->wide + (size_t)(head * group) * r->m->head_dim;
        for (int g = 0; g < group; g++)
            prepare_head(r, queries + (size_t)g * r->m->head_dim, w->query_norm, r->start + t);
    }
}

/* Rows of one key-value head are its queries, token by token. */
typedef struct {
    int head, first, count, group;
    int seen; /* positions that the last of them sees */
} nk_tile;

static size_t score_stride(const nk_run *r) { return (size_t)r->d->cache.panels * (size_t)r->f->panel; }

static size_t place_of(const nk_run *r, const nk_tile *tile, int row) {
    int token = (tile->first + row) / tile->group, member = (tile->first + row) % tile->group;
    return (size_t)token * r->d->wide + (size_t)(tile->head * tile->group + member) * r->m->head_dim;
}

static void score(nk_run *r, const nk_tile *tile, int slot) {
    const float *queries[NK_TILE_ROWS];
    float *scores[NK_TILE_ROWS];
    for (int i = 0; i < tile->count; i++)
        queries[i] = r->d->query + place_of(r, tile, i);
    for (int at = 0; at < tile->seen; at += r->f->panel) {
        for (int i = 0; i < tile->count; i++)
            scores[i] = r->own->scores + (size_t)i * score_stride(r) + at;
        r->f->products(queries, tile->count, nk_key_at(r, slot, tile->head, at), r->f->panel, r->m->head_dim, scores);
    }
}

/* Softmax without its division, causal; returns the sums. */
static void weigh(nk_run *r, const nk_tile *tile, float *sums) {
    float factor = 1.0f / sqrtf((float)r->m->head_dim);
    for (int i = 0; i < tile->count; i++) {
        float *scores = r->own->scores + (size_t)i * score_stride(r);
        int seen = r->start + (tile->first + i) / tile->group + 1;
        sums[i] = r->f->exponentials(scores, factor, seen);
        memset(scores + seen, 0, (size_t)(tile->seen - seen) * sizeof(float));
    }
}

static void mix_values(nk_run *r, const nk_tile *tile, int slot, const float *sums) {
    const float *weights[NK_TILE_ROWS];
    float *outputs[NK_TILE_ROWS];
    int width = r->d->cache.value_width, panel = r->f->panel;
    for (int i = 0; i < tile->count; i++)
        weights[i] = r->own->scores + (size_t)i * score_stride(r);
    for (int first = 0; first < width; first += panel) {
        for (int i = 0; i < tile->count; i++)
            outputs[i] = r->own->outputs + (size_t)i * width + first;
        const float *values = nk_value_at(r, slot, tile->head, first, 0);
        r->f->products(weights, tile->count, values, panel, tile->seen, outputs);
    }
    for (int i = 0; i < tile->count; i++) {
        float share = 1.0f / sums[i];
        float *y = r->d->hidden + place_of(r, tile, i);
        r->f->mix(y, r->own->outputs + (size_t)i * width, 0, &share, 1, r->m->head_dim);
    }
}

static void attend(nk_run *r, int layer, int head, int first_row) {
    int group = r->m->heads / r->m->kv_heads, rows = r->tokens * group - first_row;
    nk_tile tile = {head, first_row, rows < NK_TILE_ROWS ? rows : NK_TILE_ROWS, group, 0};
    tile.seen = r->start + (first_row + tile.count - 1) / group + 1;
    float sums[NK_TILE_ROWS];
    int slot = nk_slot(r, r->turn, layer);
    score(r, &tile, slot);
    weigh(r, &tile, sums);
    mix_values(r, &tile, slot, sums);
}

/* One token's head is prepared and read by the same thread; with more tokens the tiles are shared out anew. */
static void attend_all(nk_run *r, const nk_attention *w, int layer) {
    int tiles = (r->tokens * (r->m->heads / r->m->kv_heads) + NK_TILE_ROWS - 1) / NK_TILE_ROWS;
    nk_range heads = nk_part(r, r->m->kv_heads);
    for (int h = heads.first; h < heads.first + heads.count; h++)
        prepare(r, w, layer, h);
    if (tiles > 1)
        nk_wait(r);
    nk_range mine = nk_part(r, r->m->kv_heads * tiles);
    for (int i = mine.first; i < mine.first + mine.count; i++)
        attend(r, layer, i / tiles, i % tiles * NK_TILE_ROWS);
    nk_wait(r);
}

void nk_attention_layer(nk_run *r, const nk_block *b, int layer) {
    const nk_attention *w = b->attention;
    nk_decoder *d = r->d;
    nk_input input = {.connection = &b->mixer_connection, .gain = b->mixer_norm, .columns = r->m->width};
    nk_encoded x = nk_encode(r, &input, &w->query);
    const nk_product products[] = {{&w->query, d->query}, {&w->key, d->key}, {&w->value, d->value}};
    nk_multiply_share(r, &x.tokens, products, 3);
    nk_wait(r);
    attend_all(r, w, layer);
    nk_input mixed = {.x = d->hidden, .stride = d->wide, .columns = w->output.columns, .gain = w->sub_norm};
    nk_encoded y = nk_encode(r, &mixed, &w->output);
    nk_range columns = nk_multiply_columns(r, &y.tokens, &w->output, d->output);
    nk_write_streams(r, &b->mixer_connection, d->output, columns);
    nk_wait(r);
}
