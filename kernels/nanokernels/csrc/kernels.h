/* All loops, once: an isa_*.c includes a vec_*.h with its vector operations, its tile sizes,
 * names the FAMILY of its dot product, and includes this. */
#include "nanokernels.h"

#define BLOCK_ROWS 80 /* room for the rows of a block of either layout */
#define TILE (T2_TILE > T5_TILE ? T2_TILE : T5_TILE)
#define PREFETCH 16384 /* bytes ahead of a single token's stream of weights; measured best from the third-level cache */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif

/* The tokens of one tile, from some column on. */
typedef struct {
    const int8_t *codes;
    const int32_t *sums;  /* of this group's codes: sums[t * groups] */
    const float *scales;
    ptrdiff_t stride;
    int groups;
} nk_panel;

INLINE v_int v_broadcast(const int8_t *codes) {
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return v_set(four);
}

#include FAMILY
#include "t2.h"
#include "t5.h"
#include "multiply.h"
#include "quantise.h"
