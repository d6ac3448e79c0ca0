/* What a packed line becomes where the dot product takes signed bytes on both sides (NEON): nothing may exceed 127.
 *
 * T2: the upmost field is shifted down, the others stay in place. T5: the whole byte, up to 242, is multiplied in two
 * halves; its quotients by 3 and more fit. */

typedef v_int v_narrow; /* the accumulator of the inner loop */

INLINE v_narrow n_zero(void) { return v_zero(); }
INLINE v_int n_widen(v_narrow acc) { return acc; }
INLINE v_narrow n_accumulate(v_narrow acc, v_int field, v_int codes) { return v_dot4(acc, field, codes); }

INLINE v_int shift_bytes(v_int bytes, int bits) {
    return vreinterpretq_s32_u8(vshlq_u8(vreinterpretq_u8_s32(bytes), vdupq_n_s8((int8_t)-bits)));
}

INLINE void t2_fields(v_int line, v_int field[4]) {
    field[0] = v_and(line, v_set(0x03030303));
    field[1] = v_and(line, v_set(0x0c0c0c0c));
    field[2] = v_and(line, v_set(0x30303030));
    field[3] = shift_bytes(line, 6);
}

INLINE void t2_recover(v_int sum[4]) {
    sum[1] = v_shift_right(sum[1], 2);
    sum[2] = v_shift_right(sum[2], 4);
}

typedef v_int t5_codes; /* four codes in every lane */
typedef struct {
    int16x8_t even, odd; /* bytes 0 and 2, and bytes 1 and 3, of each lane */
} t5_halves;

INLINE t5_codes t5_broadcast(const int8_t *codes) { return v_broadcast(codes); }
INLINE t5_halves t5_split(v_int line) {
    uint16x8_t words = vreinterpretq_u16_s32(line);
    return (t5_halves){vreinterpretq_s16_s32(v_and(line, v_set(0x00ff00ff))), vreinterpretq_s16_u16(vshrq_n_u16(words, 8))};
}
/* The instruction doubles the product before it takes the high half, so half of the (even) reciprocal does. */
INLINE t5_halves t5_quotient(t5_halves line, uint16_t reciprocal) {
    int16x8_t half = vdupq_n_s16((int16_t)(reciprocal / 2));
    return (t5_halves){vqdmulhq_s16(line.even, half), vqdmulhq_s16(line.odd, half)};
}
INLINE v_int t5_dot(v_int acc, t5_halves line, t5_codes codes) {
    return v_dot4(acc, vreinterpretq_s32_s16(vsliq_n_s16(line.even, line.odd, 8)), codes);
}
INLINE v_int t5_dot_line(v_int acc, v_int line, t5_codes codes) {
    v_int half = shift_bytes(line, 1);
    v_int rest = vreinterpretq_s32_u8(vsubq_u8(vreinterpretq_u8_s32(line), vreinterpretq_u8_s32(half)));
    return v_dot4(v_dot4(acc, half, codes), rest, codes);
}
