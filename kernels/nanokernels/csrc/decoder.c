/* The forward pass: blocks of tokens, one after the other, through all layers; every thread runs this together. */
#include "decoder_run.h"

#include <unistd.h>

typedef struct {
    nk_decoder *decoder;
    const int32_t *tokens;
    int count, start, wanted;
    float *logits, *hidden;
} nk_call;

static void run_layers(nk_run *r, int from, int to) {
    for (int layer = from; layer < to; layer++) {
        const nk_block *b = r->m->blocks + layer;
        if (b->attention)
            nk_attention_layer(r, b, layer);
        else
            nk_delta_layer(r, b, layer);
        if (b->feed_forward)
            nk_feed_forward_layer(r, b);
        else
            nk_experts_layer(r, b);
    }
}

/* The looped blocks, once in a plain decoder. */
static void run_turns(nk_run *r) {
    const nk_model *m = r->m;
    int adaptive = m->exit_threshold < 1.0f;
    for (r->turn = 0; r->turn < m->turns; r->turn++) {
        run_layers(r, m->before, m->block_count - m->after);
        if (adaptive && r->turn + 1 < m->turns && nk_leave(r)) {
            nk_repeat_turns(r);
            break;
        }
        r->leaving = adaptive;
    }
    r->turn = r->leaving = 0;
}

static void run_block(nk_run *r) {
    nk_embed(r);
    run_layers(r, 0, r->m->before);
    run_turns(r);
    run_layers(r, r->m->block_count - r->m->after, r->m->block_count);
}

static void work(void *argument, int thread, int threads) {
    const nk_call *call = argument;
    nk_decoder *d = call->decoder;
    int silent = call->count - call->wanted; /* tokens without logits */
    nk_run r = {.d = d, .m = &d->model, .f = d->loops, .own = d->own + thread, .thread = thread, .threads = threads};
    for (int at = 0; at < call->count; at += r.tokens) {
        r.ids = call->tokens + at;
        r.start = call->start + at;
        r.tokens = call->count - at < NK_BLOCK ? call->count - at : NK_BLOCK;
        run_block(&r);
        if (at + r.tokens <= silent)
            continue;
        int first = silent > at ? silent - at : 0;
        size_t row = (size_t)(at + first - silent);
        float *hidden = call->hidden ? call->hidden + row * (size_t)d->model.width : NULL;
        nk_head(&r, first, call->logits + row * (size_t)d->model.vocabulary, hidden);
    }
}

void nk_decoder_forward(nk_decoder *decoder, const int32_t *tokens, int32_t count, int32_t start, int32_t wanted,
                        float *logits, float *hidden) {
    nk_call call = {decoder, tokens, count, start, wanted, logits, hidden};
    if (start == 0)
        nk_cache_reset(decoder);
    if (decoder->pool && decoder->process == getpid())
        nk_pool_run(decoder->pool, work, &call);
    else /* a forked child has no threads but its own */
        work(&call, 0, 1);
}
