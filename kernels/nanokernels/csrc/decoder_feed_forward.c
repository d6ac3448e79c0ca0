/* The dense feed-forward part: gated SiLU or squared ReLU. */
#include "decoder_run.h"

enum { BLOCKS_AT_ONCE = 2 }; /* their outputs for many tokens are still in cache when the activation reads them */

static void activate(nk_run *r, const nk_feed_forward *w, float *hidden, const float *up, int tokens, int stride,
                     int columns) {
    for (int t = 0; t < tokens; t++) {
        if (w->gate.rows)
            r->f->silu_times(hidden + (size_t)t * stride, up + (size_t)t * stride, columns);
        else
            r->f->relu_squared(hidden + (size_t)t * stride, columns);
    }
}

void nk_hidden_columns(nk_run *r, const nk_feed_forward *w, const nk_tokens *tokens, float *hidden, float *up,
                       int stride, nk_range blocks) {
    int size = nk_block_rows(w->up.layout), most = tokens->tokens > NK_FEW ? BLOCKS_AT_ONCE : blocks.count;
    for (int b = blocks.first, end = blocks.first + blocks.count, n; b < end; b += n) {
        n = end - b < most ? end - b : most;
        if (w->gate.rows)
            r->d->isa->multiply(&w->gate, tokens, hidden, stride, b, n);
        r->d->isa->multiply(&w->up, tokens, w->gate.rows ? up : hidden, stride, b, n);
        int first = b * size, last = (b + n) * size < w->up.rows ? (b + n) * size : w->up.rows;
        activate(r, w, hidden + first, up + first, tokens->tokens, stride, last - first);
    }
}

void nk_feed_forward_layer(nk_run *r, const nk_block *b) {
    const nk_feed_forward *w = b->feed_forward;
    nk_decoder *d = r->d;
    nk_input input = {.connection = &b->feed_forward_connection, .gain = b->feed_forward_norm, .columns = r->m->width};
    nk_encoded x = nk_encode(r, &input, &w->up);
    nk_hidden_columns(r, w, &x.tokens, d->hidden, d->gate, d->wide, nk_part(r, nk_blocks(&w->up)));
    nk_wait(r);
    nk_input inner = {.x = d->hidden, .stride = d->wide, .columns = w->down.columns, .gain = w->sub_norm};
    nk_encoded y = nk_encode(r, &inner, &w->down);
    nk_range columns = nk_multiply_columns(r, &y.tokens, &w->down, d->output);
    nk_write_streams(r, &b->feed_forward_connection, d->output, columns);
    nk_wait(r);
}
