/* The decoder's float loops for AVX2. Function targets, not compiler flags: the object also runs on older machines. */
#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "decoder_vector_avx2.h"
#include "decoder_loops_body.h"
#include "decoder_tiles_body.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const nk_loops *nk_loops_avx2(void) { return &table; }

#endif
