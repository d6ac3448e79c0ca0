/* The vector operations on 128-bit NEON registers. */
#include <arm_neon.h>
#include <string.h>

#define TARGET "arch=armv8.2-a+dotprod"
#define INLINE static inline __attribute__((always_inline, target(TARGET)))
#define KERNEL static __attribute__((target(TARGET)))
#define LANES 4

typedef int32x4_t v_int;
typedef float32x4_t v_float;

INLINE v_int v_set(int32_t value) { return vdupq_n_s32(value); }
INLINE v_int v_zero(void) { return v_set(0); }
INLINE v_int v_load(const void *from) { return vreinterpretq_s32_u8(vld1q_u8(from)); }
INLINE void v_store(void *to, v_int v) { vst1q_u8(to, vreinterpretq_u8_s32(v)); }
INLINE v_int v_add(v_int a, v_int b) { return vaddq_s32(a, b); }
INLINE v_int v_sub(v_int a, v_int b) { return vsubq_s32(a, b); }
INLINE v_int v_and(v_int a, v_int b) { return vandq_s32(a, b); }
INLINE v_int v_shift_right(v_int a, int bits) { return vshlq_s32(a, v_set(-bits)); }
INLINE v_int v_max(v_int a, v_int b) { return vmaxq_s32(a, b); }
INLINE void v_prefetch(const void *address) { __builtin_prefetch(address); }

/* Both sides signed. */
INLINE v_int v_dot4(v_int acc, v_int bytes, v_int codes) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(bytes), vreinterpretq_s8_s32(codes));
}
INLINE v_int v_add_bytes(v_int acc, v_int codes) { return v_dot4(acc, v_set(0x01010101), codes); }

INLINE v_float vf_set(float value) { return vdupq_n_f32(value); }
INLINE v_float vf_load(const float *from) { return vld1q_f32(from); }
INLINE void vf_store(float *to, v_float v) { vst1q_f32(to, v); }
INLINE v_float vf_add(v_float a, v_float b) { return vaddq_f32(a, b); }
INLINE v_float vf_mul(v_float a, v_float b) { return vmulq_f32(a, b); }
INLINE v_float vf_from_int(v_int a) { return vcvtq_f32_s32(a); }

/* Rounds half to even. */
INLINE void v_store_rounded(int8_t *to, v_float v) {
    int16x4_t words = vmovn_s32(vcvtnq_s32_f32(v));
    int32_t four = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
    memcpy(to, &four, sizeof four);
}
