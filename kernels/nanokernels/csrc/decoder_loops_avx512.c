/* The decoder's float loops for AVX-512. Function targets, not compiler flags: the object runs on older machines too. */
#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl")
#endif

#include "decoder_vector_avx512.h"
#include "decoder_loops_body.h"
#include "decoder_tiles_body.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const nk_loops *nk_loops_avx512(void) { return &table; }

#endif
