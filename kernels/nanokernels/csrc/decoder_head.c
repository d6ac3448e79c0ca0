/* The final norm and the output head, for the tokens whose logits are wanted. */
#include "decoder_run.h"

#include <string.h>

void nk_head(nk_run *r, int first, float *logits, float *hidden) {
    int width = r->m->width, count = r->tokens - first, vocabulary = r->m->vocabulary;
    nk_range mine = nk_part(r, count);
    for (int t = mine.first; t < mine.first + mine.count; t++) {
        float *row = r->d->final + (size_t)t * width;
        nk_collapse(r, first + t, r->own->mixed);
        nk_rms_norm(r, row, r->own->mixed, r->m->norm, width);
        if (hidden)
            memcpy(hidden + (size_t)t * width, row, (size_t)width * sizeof(float));
    }
    nk_wait(r);
    nk_range tiles = nk_part(r, (vocabulary + NK_HEAD_ROWS - 1) / NK_HEAD_ROWS);
    int from = tiles.first * NK_HEAD_ROWS, to = (tiles.first + tiles.count) * NK_HEAD_ROWS;
    to = to < vocabulary ? to : vocabulary;
    if (from < to)
        r->f->dense(&r->m->head, r->d->final, width, count, logits, (size_t)vocabulary, from, to - from);
}
