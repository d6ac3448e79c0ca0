/* What the parts of the decoder share. All threads walk through the same layers together: between two barriers each
 * works on rows, heads, tokens or columns of its own. */
#ifndef NK_DECODER_RUN_H
#define NK_DECODER_RUN_H

#include "decoder.h"

#include <stdatomic.h>
#include <sys/types.h>

enum {
    NK_BLOCK = 48, /* tokens that go through all layers together: a multiple of the GEMM tiles, few enough for L2 */
    NK_FEW = 2,    /* up to so many tokens every thread quantises them all itself, which is cheaper than a barrier */
    NK_MOST_MAP_LOGITS = 2 * NK_MAX_STREAMS + 24,
};

typedef struct {
    atomic_int arrived, sleepers;
    atomic_uint phase;
    int threads;
} nk_barrier;

typedef struct {
    int32_t *first;        /* (experts + 1): where each expert's pairs begin */
    int32_t *place;        /* (tokens, active): where a pair stands in the order */
    int32_t *token;        /* whose pair stands there */
} nk_plan;

/* What a thread needs for itself. */
typedef struct {
    float *row, *mixed;  /* one row of the widest input */
    float *scores;       /* NK_TILE_ROWS rows of attention scores */
    float *outputs;      /* NK_TILE_ROWS rows of a head's output */
    float *rows;         /* NK_FEW normalised inputs of a sub-layer */
    nk_tokens tokens;    /* NK_FEW quantised inputs */
    nk_plan plan;
} nk_own;

/* What experts share: pairs of token and expert lie sorted by expert. */
typedef struct {
    float *scores;        /* (NK_BLOCK, experts) */
    float *weights;       /* (tokens, active) */
    int32_t *chosen;      /* (tokens, active) */
    nk_tokens inputs;     /* of the pairs: first the sub-layer's input, then the hidden values */
    float *hidden, *up;   /* (pairs, wide); the outputs take the place of `up` */
} nk_routes;

/* Both operands of attention's products lie in panels, as these read them: keys (heads, positions / panel, D, panel),
 * values (heads, D / panel, positions, panel). Of positions there are as many as were reserved. `slot` numbers the
 * attention layers, or recurrent ones, of each turn. */
typedef struct {
    float *keys, *values;
    float *memories, *inputs; /* recurrent layers: (heads, D, padded D) and the convolution's last inputs */
    size_t key_size, value_size, memory_size, input_size; /* floats of one slot */
    int32_t *slot;            /* (turns, blocks) */
    int attention_slots, recurrent_slots;
    int panels, value_width, memory_stride;
} nk_cache;

typedef struct nk_arena nk_arena;

struct nk_decoder {
    nk_model model;
    const nk_isa *isa;
    const nk_loops *loops;
    nk_pool *pool;
    nk_arena *arena;               /* what lives as long as the decoder, */
    nk_arena *reserved;            /* and what grows with the text: keys, values and scores */
    const float *cosines, *sines;  /* (positions, D / 2) */
    pid_t process;
    nk_barrier barrier;
    nk_own *own;
    nk_cache cache;
    nk_routes routes;
    int threads, wide;           /* wide: the widest input or output of a matrix, padded */
    float *streams;              /* (NK_BLOCK, n, C) */
    float *maps;                 /* (NK_BLOCK, 2 n + n n), */
    float *logits_of_maps;       /* (NK_BLOCK, rows) */
    float *rows;                 /* (NK_BLOCK, C) normalised inputs */
    float *query, *key, *value, *gate, *hidden, *output; /* (NK_BLOCK, wide) */
    float *final;                /* (NK_BLOCK, C) */
    float *stay;                 /* (NK_BLOCK) probability of being in the loop still, */
    int32_t *gone;               /* (NK_BLOCK) and whether it is over */
    nk_tokens tokens;            /* NK_BLOCK quantised inputs */
};

/* One block of tokens on its way, as one thread sees it. */
typedef struct {
    nk_decoder *d;
    const nk_model *m;
    const nk_loops *f;
    nk_own *own;
    int thread, threads;
    const int32_t *ids;
    int start, tokens, turn;
    int leaving; /* some tokens may have left the loop: `gone` counts */
} nk_run;

typedef struct {
    int first, count;
} nk_range;

/* This thread's part of `count` things. */
static inline nk_range nk_part(const nk_run *r, int count) {
    int32_t first, length;
    nk_share(count, r->thread, r->threads, &first, &length);
    return (nk_range){first, length};
}

/* Its part of `blocks` of them, before which `before` come, where all are `total`. */
static inline nk_range nk_part_of(const nk_run *r, int total, int before, int blocks) {
    int32_t first, length;
    nk_share_of(total, before, blocks, r->thread, r->threads, &first, &length);
    return (nk_range){first, length};
}

static inline int nk_round_up(int x, int multiple) { return (x + multiple - 1) / multiple * multiple; }

/* Wait until all threads have come here. */
void nk_wait(nk_run *r);
void nk_barrier_init(nk_barrier *barrier, int threads);

/* The input of matrices: rows x (of `columns`, `stride` apart) or what `connection` reads of the streams. */
typedef struct {
    const float *x;
    int stride, columns;
    const nk_connection *connection;
    const float *gain; /* RMS norm; NULL is none */
    int keep;          /* the normalised rows are needed as well */
} nk_input;

typedef struct {
    nk_tokens tokens;
    const float *rows; /* (tokens, columns), if kept */
} nk_encoded;

/* Normalises and quantises for a matrix, all tokens of the block. Ends with a barrier where threads share the work. */
nk_encoded nk_encode(nk_run *r, const nk_input *input, const nk_matrix *reader);

typedef struct {
    const nk_matrix *matrix;
    float *y; /* (tokens, wide) */
} nk_product;

/* This thread's row blocks of all the products. */
void nk_multiply_share(nk_run *r, const nk_tokens *tokens, const nk_product *products, int count);
/* This thread's row blocks of a product, as columns of y. */
nk_range nk_columns(const nk_run *r, const nk_matrix *w);
/* This thread's row blocks of one product: returns its columns of y. */
nk_range nk_multiply_columns(nk_run *r, const nk_tokens *tokens, const nk_matrix *w, float *y);

/* y = RMSNorm(x) gain. */
void nk_rms_norm(const nk_run *r, float *y, const float *x, const float *gain, int n);

/* Streams: equal at the start, read before a sub-layer, written after it, their mean at the end. */
void nk_embed(nk_run *r);
void nk_make_maps(nk_run *r, const nk_connection *c); /* of tokens that have their own; ends with a barrier */
void nk_read_streams(nk_run *r, const nk_connection *c, int token, float *y);
void nk_write_streams(nk_run *r, const nk_connection *c, const float *y, nk_range columns);
void nk_collapse(nk_run *r, int token, float *y);

/* Sub-layers, read and written connection included. All threads have passed a barrier when they return. */
void nk_attention_layer(nk_run *r, const nk_block *b, int layer);
void nk_delta_layer(nk_run *r, const nk_block *b, int layer);
void nk_feed_forward_layer(nk_run *r, const nk_block *b);
void nk_experts_layer(nk_run *r, const nk_block *b);

/* hidden (tokens, stride) = what stands before `down`, for these row blocks; `up` (tokens, stride) is room for it. */
void nk_hidden_columns(nk_run *r, const nk_feed_forward *w, const nk_tokens *tokens, float *hidden, float *up,
                       int stride, nk_range blocks);

/* The loop: after a turn, whether every token has left it; keys and values of tokens that left. */
int nk_leave(nk_run *r);
void nk_repeat_turns(nk_run *r);

/* Caches. A slot belongs to one layer in one turn. */
int nk_cache_init(nk_decoder *d);
/* The cache with room for `capacity` positions, keys and values empty and taken from `arena`; 0 without memory. */
int nk_cache_grown(const nk_decoder *d, nk_arena **arena, int capacity, nk_cache *grown);
/* Its first `kept` positions become those of the decoder's cache. */
void nk_cache_copy(const nk_decoder *d, const nk_cache *grown, int kept);
void nk_cache_reset(nk_decoder *d);
int nk_slot(const nk_run *r, int turn, int layer);
float *nk_key_at(const nk_run *r, int slot, int head, int position);
float *nk_value_at(const nk_run *r, int slot, int head, int first, int position);
void nk_keep_value(const nk_run *r, int slot, int head, int position, const float *value);
void nk_copy_position(const nk_run *r, int from_slot, int to_slot, int head, int position);

/* Zeroed bytes that live as long as the arena; large ones take no memory before they are written. NULL without. */
void *nk_take_from(nk_arena **arena, size_t bytes);
/* The same from the decoder's own. */
void *nk_take(nk_decoder *d, size_t bytes);

/* Logits, and unless NULL hidden states, of the block's tokens from `first` on. */
void nk_head(nk_run *r, int first, float *logits, float *hidden);

#endif
