/* The float loops of the decoder. They are written once, in decoder_loops_body.h and decoder_tiles_body.h, and compiled
 * for each vector width; nk_loops_active chooses the table that goes with the kernels' instruction set. */
#ifndef NK_DECODER_LOOPS_H
#define NK_DECODER_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum { NK_TILE_ROWS = 6 };      /* most rows of a tile of products */
enum { NK_MAX_STREAMS = 4 };

typedef enum { NK_FLOAT32, NK_BFLOAT16, NK_FLOAT16, NK_INT8 } nk_number;

/* A dense matrix (rows, stride) whose columns are padded with zeros to a multiple of 16. */
typedef struct {
    const void *data;
    const float *scale; /* one for each row of int8 */
    int32_t rows, columns, stride, number;
} nk_dense;

typedef struct {
    int panel; /* columns of one tile of products: the width of a panel of the key cache */

    float (*dot)(const float *a, const float *b, int n);
    void (*scale)(float *y, const float *x, float factor, const float *gain, int n); /* y = x factor gain */
    void (*add)(float *y, const float *x, int n);
    void (*add_products)(float *y, const float *a, const float *b, int n); /* y += a b */
    void (*rotate)(float *x, const float *cosines, const float *sines, int half);

    void (*silu)(float *x, int n);
    void (*silu_times)(float *gate, const float *x, int n); /* gate = silu(gate) x */
    void (*relu_squared)(float *x, int n);
    float (*exponentials)(float *x, float scale, int n); /* x = exp(scale (x - max)), returns the sum */

    /* y = sum of weights[i] x_i, for the rows x_i, `stride` apart. */
    void (*mix)(float *y, const float *x, int stride, const float *weights, int count, int n);
    /* x_i = sum over j of map[i][j] x_j, + weights[i] y; without a map x_i stays. */
    void (*write)(float *x, int stride, const float *map, const float *weights, const float *y, int count, int n);

    /* c[r][j] = sum over k of a[r][k] b[k stride + j], for `panel` columns j and at most NK_TILE_ROWS rows. */
    void (*products)(const float *const *a, int rows, const float *b, int stride, int depth, float *const *c);
    /* y[t y_stride + r] = row r of w times x_t, for rows first .. first + rows. */
    void (*dense)(const nk_dense *w, const float *x, int x_stride, int tokens, float *y, size_t y_stride, int first,
                  int rows);
    /* One token of the gated delta rule on the memory s (depth, stride); columns independent of each other. */
    void (*delta_step)(float *s, int stride, int depth, const float *q, const float *k, const float *v, float strength,
                       float decay, float *out);
} nk_loops;

const nk_loops *nk_loops_portable(void);
const nk_loops *nk_loops_avx2(void);   /* only on x86-64 */
const nk_loops *nk_loops_avx512(void); /* only on x86-64 */

/* The table for the instruction set that the kernels use now. */
const nk_loops *nk_loops_active(void);

#endif
