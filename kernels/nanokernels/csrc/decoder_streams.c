/* Residual streams (tokens, n, C): every sub-layer reads one combination of them and writes back to all. */
#include "decoder_run.h"

#include <string.h>

static float *streams_of(const nk_run *r, int token) {
    return r->d->streams + (size_t)token * r->m->streams * r->m->width;
}

/* pre (n), post (n), res (n, n) of a token. */
static const float *maps_of(const nk_run *r, const nk_connection *c, int token) {
    int n = r->m->streams;
    return c->maps ? c->maps : r->d->maps + (size_t)token * (2 * n + n * n);
}

void nk_embed(nk_run *r) {
    int width = r->m->width;
    nk_range mine = nk_part(r, r->tokens);
    for (int t = mine.first; t < mine.first + mine.count; t++)
        for (int s = 0; s < r->m->streams; s++)
            memcpy(streams_of(r, t) + (size_t)s * width, r->m->embedding + (size_t)r->ids[t] * width,
                   (size_t)width * sizeof(float));
    nk_wait(r);
}

void nk_read_streams(nk_run *r, const nk_connection *c, int token, float *y) {
    r->f->mix(y, streams_of(r, token), r->m->width, maps_of(r, c, token), r->m->streams, r->m->width);
}

static void write_token(nk_run *r, const nk_connection *c, int token, const float *y, nk_range columns) {
    int n = r->m->streams;
    float *x = streams_of(r, token) + columns.first;
    if (n == 1) {
        r->f->add(x, y, columns.count);
        return;
    }
    const float *maps = maps_of(r, c, token);
    r->f->write(x, r->m->width, c->mixes ? maps + 2 * n : NULL, maps + n, y, n, columns.count);
}

/* Tokens that have left the loop keep their streams. */
void nk_write_streams(nk_run *r, const nk_connection *c, const float *y, nk_range columns) {
    for (int t = 0; t < r->tokens; t++)
        if (!r->leaving || !r->d->gone[t])
            write_token(r, c, t, y + (size_t)t * r->d->wide + columns.first, columns);
}

void nk_collapse(nk_run *r, int token, float *y) {
    static const float quarter[NK_MAX_STREAMS] = {0.25f, 0.25f, 0.25f, 0.25f}, half[2] = {0.5f, 0.5f}, one[1] = {1.0f};
    int n = r->m->streams;
    r->f->mix(y, streams_of(r, token), r->m->width, n == 4 ? quarter : n == 2 ? half : one, n, r->m->width);
}
