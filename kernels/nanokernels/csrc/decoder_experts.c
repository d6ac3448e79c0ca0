/* Mixture of experts: every token passes the few feed-forward networks that its router chooses, and the shared one.
 *
 * Pairs of token and expert are sorted by expert, so that each expert multiplies all of its tokens at once. */
#include "decoder_run.h"

#include <math.h>
#include <string.h>

static const float TINY = 1e-20f; /* keeps scores that are all zero from dividing by zero */

/* The experts of largest score + bias, which is not part of their weight. */
static void choose(const nk_experts *w, const float *scores, int32_t *chosen, float *weights) {
    float sum = 0.0f;
    for (int a = 0; a < w->active; a++) {
        int best = -1;
        for (int e = 0; e < w->count; e++) {
            int taken = 0;
            for (int before = 0; before < a; before++)
                taken |= chosen[before] == e;
            if (!taken && (best < 0 || scores[e] + w->bias[e] > scores[best] + w->bias[best]))
                best = e;
        }
        chosen[a] = best;
        sum += weights[a] = scores[best];
    }
    for (int a = 0; w->normalised && a < w->active; a++)
        weights[a] /= sum + TINY;
}

static void route(nk_run *r, const nk_experts *w, const float *rows) {
    nk_routes *s = &r->d->routes;
    nk_range mine = nk_part(r, r->tokens);
    for (int t = mine.first; t < mine.first + mine.count; t++) {
        float *scores = s->scores + (size_t)t * w->count;
        r->f->dense(&w->router, rows + (size_t)t * r->m->width, r->m->width, 1, scores, 0, 0, w->count);
        for (int e = 0; e < w->count; e++)
            scores[e] = 1.0f / (1.0f + expf(-scores[e]));
        choose(w, scores, s->chosen + t * w->active, s->weights + t * w->active);
    }
    nk_wait(r);
}

/* Counting sort. Every thread makes the plan for itself: waiting for another one's would take longer. */
static void sort_pairs(nk_run *r, const nk_experts *w) {
    nk_plan *plan = &r->own->plan;
    const int32_t *chosen = r->d->routes.chosen;
    int pairs = r->tokens * w->active;
    memset(plan->first, 0, (size_t)(w->count + 1) * sizeof(int32_t));
    for (int p = 0; p < pairs; p++)
        plan->first[chosen[p] + 1]++;
    for (int e = 0; e < w->count; e++)
        plan->first[e + 1] += plan->first[e];
    for (int p = 0; p < pairs; p++) {
        plan->place[p] = plan->first[chosen[p]]++;
        plan->token[plan->place[p]] = p / w->active;
    }
    for (int e = w->count; e > 0; e--)
        plan->first[e] = plan->first[e - 1];
    plan->first[0] = 0;
}

static void gather(nk_run *r, const nk_experts *w, const nk_tokens *x) {
    nk_tokens *to = &r->d->routes.inputs;
    nk_range mine = nk_part(r, r->tokens * w->active);
    for (int p = mine.first; p < mine.first + mine.count; p++) {
        int t = r->own->plan.token[p];
        memcpy(to->codes + (size_t)p * x->stride, x->codes + (size_t)t * x->stride, (size_t)x->stride);
        memcpy(to->sums + p * x->groups, x->sums + t * x->groups, (size_t)x->groups * sizeof(int32_t));
        to->scales[p] = x->scales[t];
    }
    nk_wait(r);
}

/* Tokens `first` and on of what lies in `all`, shaped as `like`. */
static nk_tokens tokens_from(const nk_tokens *all, int first, int count, int columns, int groups) {
    int stride = nk_padded(columns);
    return (nk_tokens){all->codes + (size_t)first * stride, all->scales + first, all->sums + (size_t)first * groups,
                       count, columns, groups, stride};
}

static int groups_of(const nk_matrix *w) { return w->groups ? w->groups : 1; }

typedef void (*nk_expert_work)(nk_run *r, const nk_feed_forward *w, int first, int count, nk_range blocks);

/* This thread's part of the row blocks of all experts that got tokens, each with its sorted pairs. */
static void for_experts(nk_run *r, const nk_experts *w, int blocks_each, nk_expert_work work) {
    const int32_t *firsts = r->own->plan.first;
    int busy = 0, before = 0;
    for (int e = 0; e < w->count; e++)
        busy += firsts[e + 1] > firsts[e];
    for (int e = 0; e < w->count; e++) {
        if (firsts[e + 1] == firsts[e])
            continue;
        nk_range mine = nk_part_of(r, busy * blocks_each, before, blocks_each);
        if (mine.count)
            work(r, w->experts + e, firsts[e], firsts[e + 1] - firsts[e], mine);
        before += blocks_each;
    }
}

static void hidden_of(nk_run *r, const nk_feed_forward *w, int first, int count, nk_range blocks) {
    nk_routes *s = &r->d->routes;
    nk_tokens x = tokens_from(&s->inputs, first, count, w->up.columns, groups_of(&w->up));
    size_t at = (size_t)first * r->d->wide;
    nk_hidden_columns(r, w, &x, s->hidden + at, s->up + at, r->d->wide, blocks);
}

static void output_of(nk_run *r, const nk_feed_forward *w, int first, int count, nk_range blocks) {
    nk_routes *s = &r->d->routes;
    nk_tokens x = tokens_from(&s->inputs, first, count, w->down.columns, groups_of(&w->down));
    float *y = s->up + (size_t)first * r->d->wide;
    r->d->isa->multiply(&w->down, &x, y, r->d->wide, blocks.first, blocks.count);
}

/* The experts' hidden values, normalised where the model does, take the place of their inputs. */
static void quantise_hidden(nk_run *r, const nk_experts *w) {
    const nk_feed_forward *any = w->experts;
    nk_routes *s = &r->d->routes;
    nk_range mine = nk_part(r, r->tokens * w->active);
    for (int p = mine.first; p < mine.first + mine.count; p++) {
        float *row = s->hidden + (size_t)p * r->d->wide;
        nk_tokens one = tokens_from(&s->inputs, p, 1, any->down.columns, groups_of(&any->down));
        if (any->sub_norm)
            nk_rms_norm(r, row, row, any->sub_norm, any->down.columns);
        r->d->isa->quantise(row, any->down.columns, &one);
    }
    nk_wait(r);
}

/* y = sum of the weighed outputs of each token's experts, added to what the shared expert left there. */
static void combine(nk_run *r, const nk_experts *w, nk_range columns) {
    nk_routes *s = &r->d->routes;
    for (int t = 0; t < r->tokens; t++) {
        float *y = r->d->output + (size_t)t * r->d->wide + columns.first;
        if (!w->shared)
            memset(y, 0, (size_t)columns.count * sizeof(float));
        for (int p = t * w->active; p < (t + 1) * w->active; p++) {
            const float *x = s->up + (size_t)r->own->plan.place[p] * r->d->wide + columns.first;
            r->f->write(y, 0, NULL, s->weights + p, x, 1, columns.count);
        }
    }
}

void nk_experts_layer(nk_run *r, const nk_block *b) {
    const nk_experts *w = b->experts;
    const nk_feed_forward *any = w->experts;
    nk_decoder *d = r->d;
    nk_input input = {.connection = &b->feed_forward_connection, .gain = b->feed_forward_norm, .columns = r->m->width,
                      .keep = 1};
    nk_encoded x = nk_encode(r, &input, &any->up);
    route(r, w, x.rows);
    sort_pairs(r, w);
    gather(r, w, &x.tokens);
    for_experts(r, w, nk_blocks(&any->up), hidden_of);
    if (w->shared)
        nk_hidden_columns(r, w->shared, &x.tokens, d->hidden, d->gate, d->wide, nk_part(r, nk_blocks(&w->shared->up)));
    nk_wait(r);
    quantise_hidden(r, w);
    for_experts(r, w, nk_blocks(&any->down), output_of);
    nk_range columns = nk_columns(r, &any->down);
    if (w->shared) {
        const nk_feed_forward *shared = w->shared;
        nk_input inner = {.x = d->hidden, .stride = d->wide, .columns = shared->down.columns, .gain = shared->sub_norm};
        nk_encoded y = nk_encode(r, &inner, &shared->down);
        nk_multiply_columns(r, &y.tokens, &shared->down, d->output);
    }
    nk_wait(r);
    combine(r, w, columns);
    nk_write_streams(r, &b->feed_forward_connection, d->output, columns);
    nk_wait(r);
}
