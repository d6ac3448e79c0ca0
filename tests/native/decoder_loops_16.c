/* The decoder's float loops, as wide as for AVX-512, in place of decoder_loops_portable.c. */
#include "decoder_vector_16.h"

#include "decoder_loops_body.h"
#include "decoder_tiles_body.h"

const nk_loops *nk_loops_portable(void) { return &table; }
const nk_loops *nk_loops_active(void) { return &table; }
