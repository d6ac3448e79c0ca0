/* Maps of hyper-connections that every token chooses for itself: logits = alpha (phi RMSNorm(vec x)) + constants. */
#include "decoder_run.h"

#include <float.h>
#include <math.h>

enum { SINKHORN_STEPS = 20 };

static const float MAP_EPS = 1e-6f;

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* The next permutation in lexicographic order. */
static void permute(int *p, int n) {
    int i = n - 2, j = n - 1;
    while (i >= 0 && p[i] > p[i + 1])
        i--;
    if (i < 0)
        return;
    while (p[j] < p[i])
        j--;
    int swapped = p[i];
    p[i] = p[j], p[j] = swapped;
    for (int a = i + 1, b = n - 1; a < b; a++, b--)
        swapped = p[a], p[a] = p[b], p[b] = swapped;
}

/* mHC-lite: the permutations' combination with weights softmax(logits). */
static void combine_permutations(float *res, const float *logits, int n) {
    int count = n == 4 ? 24 : 2, p[NK_MAX_STREAMS] = {0, 1, 2, 3};
    float weights[NK_MOST_MAP_LOGITS], sum = 0.0f, most = logits[0];
    for (int k = 1; k < count; k++)
        most = logits[k] > most ? logits[k] : most;
    for (int k = 0; k < count; k++)
        sum += weights[k] = expf(logits[k] - most);
    for (int i = 0; i < n * n; i++)
        res[i] = 0.0f;
    for (int k = 0; k < count; k++, permute(p, n))
        for (int i = 0; i < n; i++)
            res[i * n + p[i]] += weights[k] / sum;
}

/* Divides n entries, `step` apart, by their sum. */
static void normalise(double *x, int n, int step) {
    double sum = DBL_MIN; /* a sum that vanished stays 0, and is not 0 / 0 */
    for (int i = 0; i < n; i++)
        sum += x[i * step];
    for (int i = 0; i < n; i++)
        x[i * step] /= sum;
}

/* mHC: in double, whose exponents reach where training works with logarithms. */
static void sinkhorn(float *res, const float *logits, int n) {
    double map[NK_MAX_STREAMS * NK_MAX_STREAMS];
    for (int j = 0; j < n; j++) { /* a factor for each column is gone after the first step */
        float most = logits[j];
        for (int i = 1; i < n; i++)
            most = logits[i * n + j] > most ? logits[i * n + j] : most;
        for (int i = 0; i < n; i++)
            map[i * n + j] = exp((double)logits[i * n + j] - most);
    }
    for (int step = 0; step < SINKHORN_STEPS; step++) {
        for (int j = 0; j < n; j++)
            normalise(map + j, n, n);
        for (int i = 0; i < n; i++)
            normalise(map + i * n, n, 1);
    }
    for (int i = 0; i < n * n; i++)
        res[i] = (float)map[i];
}

/* maps = pre, post, res from the products of phi with a token's streams, whose inverse rms is still missing. */
static void maps_from(float *maps, const nk_connection *c, float *products, float inverse, int n) {
    for (int i = 0; i < c->phi.rows; i++) {
        int part = i < n ? 0 : i < 2 * n ? 1 : 2;
        float from_token = products[i] * inverse;
        if (part == 2 && c->kind == NK_UNCONSTRAINED)
            from_token = tanhf(from_token);
        products[i] = c->alpha[part] * from_token + c->constants[i];
    }
    for (int i = 0; i < n; i++) {
        maps[i] = sigmoid(products[i]);
        maps[n + i] = 2.0f * sigmoid(products[n + i]);
    }
    if (c->mixes && c->kind == NK_LITE)
        combine_permutations(maps + 2 * n, products + 2 * n, n);
    else if (c->mixes && c->kind == NK_SINKHORN)
        sinkhorn(maps + 2 * n, products + 2 * n, n);
    for (int i = 0; c->mixes && c->kind == NK_UNCONSTRAINED && i < n * n; i++)
        maps[2 * n + i] = products[2 * n + i];
}

void nk_make_maps(nk_run *r, const nk_connection *c) {
    int n = r->m->streams, size = n * r->m->width;
    float *products = r->d->logits_of_maps;
    nk_range rows = nk_part(r, c->phi.rows);
    r->f->dense(&c->phi, r->d->streams, size, r->tokens, products, (size_t)c->phi.rows, rows.first, rows.count);
    nk_wait(r);
    nk_range mine = nk_part(r, r->tokens);
    for (int t = mine.first; t < mine.first + mine.count; t++) {
        const float *x = r->d->streams + (size_t)t * size;
        float inverse = 1.0f / sqrtf(r->f->dot(x, x, size) / (float)size + MAP_EPS);
        maps_from(r->d->maps + (size_t)t * (2 * n + n * n), c, products + (size_t)t * c->phi.rows, inverse, n);
    }
    nk_wait(r);
}
