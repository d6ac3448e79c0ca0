/* Ternary products: inputs are normalised and quantised once for all the matrices that read them, and every thread
 * multiplies its own row blocks. */
#include "decoder_run.h"

#include <math.h>

void nk_rms_norm(const nk_run *r, float *y, const float *x, const float *gain, int n) {
    float mean = r->f->dot(x, x, n) / (float)n;
    r->f->scale(y, x, 1.0f / sqrtf(mean + r->m->eps), gain, n);
}

/* The row that is quantised: `room` holds it where it is not the input itself. */
static const float *input_row(nk_run *r, const nk_input *in, int token, float *room) {
    const float *x = in->x ? in->x + (size_t)token * in->stride : NULL;
    if (!x && r->m->streams == 1)
        x = r->d->streams + (size_t)token * in->columns;
    if (!x) {
        nk_read_streams(r, in->connection, token, r->own->mixed);
        x = r->own->mixed;
    }
    if (!in->gain)
        return x;
    nk_rms_norm(r, room, x, in->gain, in->columns);
    return room;
}

static void quantise_row(const nk_run *r, const float *x, const nk_tokens *tokens, int token) {
    nk_tokens one = *tokens;
    one.codes += (size_t)token * one.stride;
    one.scales += token;
    one.sums += (size_t)token * one.groups;
    one.tokens = 1;
    r->d->isa->quantise(x, one.columns, &one);
}

nk_encoded nk_encode(nk_run *r, const nk_input *in, const nk_matrix *reader) {
    int few = r->tokens <= NK_FEW;
    nk_tokens tokens = few ? r->own->tokens : r->d->tokens;
    float *rows = few ? r->own->rows : r->d->rows;
    tokens.tokens = r->tokens;
    tokens.columns = in->columns;
    tokens.stride = nk_padded(in->columns);
    tokens.groups = reader->groups ? reader->groups : 1;
    if (in->connection && r->m->streams > 1 && !in->connection->maps)
        nk_make_maps(r, in->connection);
    nk_range mine = few ? (nk_range){0, r->tokens} : nk_part(r, r->tokens);
    for (int t = mine.first; t < mine.first + mine.count; t++) {
        float *room = in->keep ? rows + (size_t)t * in->columns : r->own->row;
        quantise_row(r, input_row(r, in, t, room), &tokens, t);
    }
    if (!few)
        nk_wait(r);
    return (nk_encoded){tokens, in->keep ? rows : NULL};
}

void nk_multiply_share(nk_run *r, const nk_tokens *tokens, const nk_product *products, int count) {
    int total = 0;
    for (int i = 0; i < count; i++)
        total += nk_blocks(products[i].matrix);
    int before = 0;
    for (int i = 0; i < count; i++) {
        int blocks = nk_blocks(products[i].matrix);
        nk_range mine = nk_part_of(r, total, before, blocks);
        if (mine.count)
            r->d->isa->multiply(products[i].matrix, tokens, products[i].y, r->d->wide, mine.first, mine.count);
        before += blocks;
    }
}

nk_range nk_columns(const nk_run *r, const nk_matrix *w) {
    nk_range blocks = nk_part(r, nk_blocks(w));
    int size = nk_block_rows(w->layout), first = blocks.first * size, end = first + blocks.count * size;
    first = first < w->rows ? first : w->rows;
    return (nk_range){first, (end < w->rows ? end : w->rows) - first};
}

nk_range nk_multiply_columns(nk_run *r, const nk_tokens *tokens, const nk_matrix *w, float *y) {
    nk_range blocks = nk_part(r, nk_blocks(w));
    if (blocks.count)
        r->d->isa->multiply(w, tokens, y, r->d->wide, blocks.first, blocks.count);
    return nk_columns(r, w);
}
