/* A whole decoder in one call: tokens in, logits out. The caller describes the model by the structs below, whose arrays
 * it owns and keeps alive; nk_decoder_new copies the structs of the first level only.
 *
 * Sizes: C = width, n = streams, D = head_dim, V = vocabulary. Arrays are float32, contiguous, rows first. Norm gains
 * that are NULL leave a norm out. All ternary matrices that read the same input have as many scale groups. */
#ifndef NK_DECODER_H
#define NK_DECODER_H

#include "decoder_loops.h"
#include "nanokernels.h"

#define NK_HEAD_ROWS 4 /* of the head, in one tile: the unit in which threads share it */

enum { NK_LITE, NK_SINKHORN, NK_UNCONSTRAINED }; /* kinds of residual map */

/* Hyper-connection around a sub-layer: x' = res x + post F(pre x). Not read for one stream, which is x + F(x). */
typedef struct {
    const float *maps;      /* pre (n), post (n), and if `mixes` res (n, n), the same for all tokens; NULL: from phi */
    nk_dense phi;           /* (rows, n C): logits = alpha (phi RMSNorm(vec x)) + constants, of each token; */
    const float *constants; /* (rows): n + n, and if `mixes` n! (lite) or n n more */
    const float *alpha;     /* one for pre, post and res each */
    int32_t kind, mixes;
} nk_connection;

typedef struct {
    nk_matrix query, key, value, output;
    const float *query_norm, *key_norm; /* (D) or NULL */
    const float *sub_norm;              /* (heads D) or NULL */
} nk_attention;

/* Gated DeltaNet, or plain DeltaNet: no gate (rows 0) and no decay. */
typedef struct {
    nk_matrix query, key, value, gate, output;
    nk_dense strength, decay;                 /* (heads, C): sigmoid(strength x), exp(-rate softplus(decay x + bias)) */
    const float *decay_bias, *rate;           /* (heads) */
    const float *convolution;                 /* (taps, 3 heads head_dim), oldest token first; or NULL */
    const float *head_norm;                   /* (head_dim) */
    int32_t heads, head_dim, taps;
} nk_delta;

/* down(silu(gate x) up x), or without gate (rows 0) down(relu(up x)^2). */
typedef struct {
    nk_matrix gate, up, down;
    const float *sub_norm;
} nk_feed_forward;

typedef struct {
    const nk_feed_forward *experts;       /* of one shape */
    const nk_feed_forward *shared;        /* every token passes it; or NULL */
    nk_dense router;                      /* (count, C) */
    const float *bias;                    /* (count) */
    int32_t count, active, normalised;    /* normalised: weights of the chosen experts add up to 1 */
} nk_experts;

/* Exactly one of attention and delta, and one of feed_forward and experts. */
typedef struct {
    const nk_attention *attention;
    const nk_delta *delta;
    const nk_feed_forward *feed_forward;
    const nk_experts *experts;
    const float *mixer_norm, *feed_forward_norm; /* (C) */
    nk_connection mixer_connection, feed_forward_connection;
} nk_block;

typedef struct {
    const nk_block *blocks;
    const float *embedding;                     /* (V, C) */
    const float *norm;                          /* (C) */
    const float *gate_norm, *gate, *gate_bias;  /* (C), (C), (1): the exit gate, read where exit_threshold < 1 */
    nk_dense head;
    int32_t block_count, width, streams, vocabulary;
    int32_t heads, kv_heads, head_dim;
    int32_t turns, before, after;               /* all blocks but the first and the last few run `turns` times */
    float exit_threshold, eps;
} nk_model;

typedef struct nk_decoder nk_decoder;

/* A decoder that has no room for tokens yet. The instruction set is the active one of this moment. NULL without memory.
 * `pool` may be NULL and is not freed. */
nk_decoder *nk_decoder_new(const nk_model *model, nk_pool *pool);
void nk_decoder_free(nk_decoder *decoder);

/* Makes room for `capacity` tokens of one sequence, no fewer than before; the first `kept` of those read stay. The angles
 * of their positions, cosines and sines (capacity, D / 2), belong to the caller and take the place of those before. Returns
 * 1, or 0 without memory: then all is as it was. */
int32_t nk_decoder_reserve(nk_decoder *decoder, int32_t capacity, int32_t kept, const float *cosines,
                           const float *sines);

/* Reads `count` tokens that follow the first `start` ones, which earlier calls read, and forgets what else they read.
 * Writes the logits of the last `wanted` tokens (wanted, V) and, unless NULL, their hidden states after the final norm
 * (wanted, C). Recurrent layers cannot go back: with them `start` is 0 or what has been read. Nothing is checked:
 * tokens lie in the vocabulary, start + count is at most the capacity, and 1 <= wanted <= count. */
void nk_decoder_forward(nk_decoder *decoder, const int32_t *tokens, int32_t count, int32_t start, int32_t wanted,
                        float *logits, float *hidden);

/* Bytes of the decoder's own memory, caches included. */
int64_t nk_decoder_bytes(const nk_decoder *decoder);

#endif
