/* What a packed line becomes on AVX2, which multiplies bytes into 16-bit sums of two products only.
 *
 * T2: a field is shifted to weigh at most 2, or 2 * 4, so that 16 lines add at most 16 * 2 * 8 * 128 = 32768 in absolute
 * value, and +32768 would need the code +128, which int8 has not: T2_SPAN lines fit in 16 bits, exactly. T5: quotients
 * are multiplied as 16-bit numbers, which gives 32-bit sums at once. */

#define T2_SPAN 16

typedef v_int v_narrow; /* sixteen 16-bit sums */

INLINE v_narrow n_zero(void) { return v_zero(); }
INLINE v_int n_widen(v_narrow acc) { return _mm256_madd_epi16(acc, _mm256_set1_epi16(1)); }
INLINE v_narrow n_accumulate(v_narrow acc, v_int field, v_int codes) {
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(field, codes));
}
INLINE v_int v_add_bytes(v_int acc, v_int codes) {
    return v_add(acc, n_widen(_mm256_maddubs_epi16(_mm256_set1_epi8(1), codes)));
}

INLINE void t2_fields(v_int line, v_int field[4]) {
    v_int upper = _mm256_srli_epi16(line, 4);
    field[0] = v_and(line, v_set(0x03030303));
    field[1] = v_and(line, v_set(0x0c0c0c0c));
    field[2] = v_and(upper, v_set(0x03030303));
    field[3] = v_and(upper, v_set(0x0c0c0c0c));
}

INLINE void t2_recover(v_int sum[4]) {
    sum[1] = v_shift_right(sum[1], 2);
    sum[3] = v_shift_right(sum[3], 2);
}

/* Bytes 0 and 2, and bytes 1 and 3, of each lane as 16-bit numbers. */
typedef struct {
    v_int even, odd;
} t5_halves;
typedef t5_halves t5_codes;

INLINE t5_codes t5_broadcast(const int8_t *codes) {
    v_int four = v_broadcast(codes);
    return (t5_codes){_mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8), _mm256_srai_epi16(four, 8)};
}
INLINE t5_halves t5_split(v_int line) {
    return (t5_halves){v_and(line, v_set(0x00ff00ff)), _mm256_srli_epi16(line, 8)};
}
INLINE t5_halves t5_quotient(t5_halves line, uint16_t reciprocal) {
    return (t5_halves){v_multiply_high16(line.even, reciprocal), v_multiply_high16(line.odd, reciprocal)};
}
INLINE v_int t5_dot(v_int acc, t5_halves line, t5_codes codes) {
    v_int even = _mm256_madd_epi16(line.even, codes.even), odd = _mm256_madd_epi16(line.odd, codes.odd);
    return v_add(acc, v_add(even, odd));
}
INLINE v_int t5_dot_line(v_int acc, v_int line, t5_codes codes) { return t5_dot(acc, t5_split(line), codes); }
