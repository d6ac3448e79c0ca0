/* What a packed line becomes where the machine has a dot product of bytes (or vec_scalar.h plays one).
 *
 * T2: fields stay where they are in the byte, so the sums of three are scaled by 1, 4 and 16, and the whole byte stands
 * for S0 + 4 S1 + 16 S2 + 64 S3: no shift in the loop. T5: quotients of the byte by powers of 3. */

typedef v_int v_narrow; /* the accumulator of the inner loop */

INLINE v_narrow n_zero(void) { return v_zero(); }
INLINE v_int n_widen(v_narrow acc) { return acc; }
INLINE v_narrow n_accumulate(v_narrow acc, v_int field, v_int codes) { return v_dot4(acc, field, codes); }

INLINE void t2_fields(v_int line, v_int field[4]) {
    field[0] = v_and(line, v_set(0x03030303));
    field[1] = v_and(line, v_set(0x0c0c0c0c));
    field[2] = v_and(line, v_set(0x30303030));
    field[3] = line;
}

/* From the sums of the fields as accumulated to the sums of the codes 0..2. Sums wrap modulo 2^32 and the differences
 * are right as long as 64 S3 fits in 32 bits, which NK_MAX_COLUMNS sees to. */
INLINE void t2_recover(v_int sum[4]) {
    v_int lower = v_add(v_add(sum[0], sum[1]), sum[2]);
    sum[3] = v_shift_right(v_sub(sum[3], lower), 6);
    sum[1] = v_shift_right(sum[1], 2);
    sum[2] = v_shift_right(sum[2], 4);
}

typedef v_int t5_codes; /* four codes in every lane */
typedef struct {
    v_int even, odd; /* bytes 0 and 2 in the low byte, bytes 1 and 3 in the high byte of each 16 bits */
} t5_halves;

INLINE t5_codes t5_broadcast(const int8_t *codes) { return v_broadcast(codes); }
INLINE t5_halves t5_split(v_int line) {
    return (t5_halves){v_and(line, v_set(0x00ff00ff)), v_and(line, v_set((int32_t)0xff00ff00))};
}
INLINE t5_halves t5_quotient(t5_halves line, uint16_t reciprocal) {
    return (t5_halves){v_multiply_high16(line.even, reciprocal), v_multiply_high16(line.odd, reciprocal)};
}
INLINE v_int t5_dot(v_int acc, t5_halves line, t5_codes codes) {
    return v_dot4(acc, v_select(v_set((int32_t)0xff00ff00), line.odd, line.even), codes);
}
INLINE v_int t5_dot_line(v_int acc, v_int line, t5_codes codes) { return v_dot4(acc, line, codes); }
