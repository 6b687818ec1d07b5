/* Measures and exercises vecmath.h; compiled by test_vector_math.py and tests/bench/vector_math.py. `WIDE` is the type of the
 * references: double for fp32, long double (where it is longer than double) for fp64, both by the C library. */
#include "vecmath.h"
#include <float.h>
#include <math.h>

#define UNARY(X) X(exp) X(expm1) X(log) X(log1p) X(tanh) X(sigmoid) X(silu) X(softplus) X(logsigmoid) X(sin) X(cos) X(atan) X(erf) \
    X(sqrt) X(rsqrt)
#define OTHER(X) X(gelu) X(abs) X(sign) X(relu) X(floor) X(ceil) X(trunc) X(round) X(sincos_sin) X(sincos_cos)
#define BINARY(X) X(pow) X(mod) X(logaddexp) X(expdiff) X(min) X(max) X(copysign)

#define SINCOS(X, V) \
    SQ_FN V sq_sincos_sin_##X(V x) { V s, c; sq_sincos_##X(x, &s, &c); return s; } \
    SQ_FN V sq_sincos_cos_##X(V x) { V s, c; sq_sincos_##X(x, &s, &c); return c; }
SINCOS(f32, float) SINCOS(v32, sq_v32) SINCOS(f64, double) SINCOS(v64, sq_v64)

/* y[i] = f(x[i]) by whole vectors and a partial one, and one by one. */
#define MAP(f, v, s, T, N) \
    SQ_EXPORT void f##_##v(const T *x, T *y, int64_t n) { \
        int64_t i = 0; \
        for (; i + N <= n; i += N) sq_store_##v(y + i, sq_##f##_##v(sq_load_##v(x + i))); \
        if (i < n) sq_store_part_##v(y + i, (int)(n - i), sq_##f##_##v(sq_load_part_##v(x + i, (int)(n - i)))); \
    } \
    SQ_EXPORT void f##_##s(const T *x, T *y, int64_t n) { for (int64_t i = 0; i < n; i++) y[i] = sq_##f##_##s(x[i]); }
#define MAP2(f, v, s, T, N) \
    SQ_EXPORT void f##_##v(const T *x, const T *z, T *y, int64_t n) { \
        int64_t i = 0; \
        for (; i + N <= n; i += N) sq_store_##v(y + i, sq_##f##_##v(sq_load_##v(x + i), sq_load_##v(z + i))); \
        if (i < n) { \
            int m = (int)(n - i); \
            sq_store_part_##v(y + i, m, sq_##f##_##v(sq_load_part_##v(x + i, m), sq_load_part_##v(z + i, m))); \
        } \
    } \
    SQ_EXPORT void f##_##s(const T *x, const T *z, T *y, int64_t n) { \
        for (int64_t i = 0; i < n; i++) y[i] = sq_##f##_##s(x[i], z[i]); \
    }
#define MAPS(f) MAP(f, v32, f32, float, SQ_N32) MAP(f, v64, f64, double, SQ_N64)
#define MAPS2(f) MAP2(f, v32, f32, float, SQ_N32) MAP2(f, v64, f64, double, SQ_N64)
UNARY(MAPS) OTHER(MAPS) BINARY(MAPS2)

/* The references. */
#define REFERENCES(W, l) \
    static W ref_exp_##W(W x) { return exp##l(x); } \
    static W ref_expm1_##W(W x) { return expm1##l(x); } \
    static W ref_log_##W(W x) { return log##l(x); } \
    static W ref_log1p_##W(W x) { return log1p##l(x); } \
    static W ref_tanh_##W(W x) { return tanh##l(x); } \
    static W ref_sigmoid_##W(W x) { return x < 0 ? exp##l(x) / (1 + exp##l(x)) : 1 / (1 + exp##l(-x)); } \
    static W ref_silu_##W(W x) { return x * ref_sigmoid_##W(x); } \
    static W ref_softplus_##W(W x) { return (x < 0 ? 0 : x) + log1p##l(exp##l(-fabs##l(x))); } \
    static W ref_logsigmoid_##W(W x) { return (x < 0 || x != x ? x : 0) - log1p##l(exp##l(-fabs##l(x))); } \
    static W ref_sin_##W(W x) { return sin##l(x); } \
    static W ref_cos_##W(W x) { return cos##l(x); } \
    static W ref_atan_##W(W x) { return atan##l(x); } \
    static W ref_erf_##W(W x) { return erf##l(x); } \
    static W ref_sqrt_##W(W x) { return sqrt##l(x); } \
    static W ref_rsqrt_##W(W x) { return 1 / sqrt##l(x); } \
    static W ref_pow_##W(W x, W y) { return pow##l(x, y); }
typedef long double longer;
REFERENCES(double, )
REFERENCES(longer, l)

SQ_EXPORT int wide_digits(void) { return LDBL_MANT_DIG; }
SQ_EXPORT int lanes(void) { return SQ_N32; }

/* |y - r| in units in the last place of r, for a result of `digits` bits with exponents up to `top`: beyond the largest number
 * counts 2^top, below the smallest normal one the unit of the denormals. Negative: NaN or the sign of zero is wrong. */
#define ERROR(W, T, frexp_, ldexp_, digits, top) \
    static double error_##T(T y, W r) { \
        if (r != r || y != y) return r != r && y != y ? 0.0 : -1.0; \
        W limit = ldexp_(1, top), z = y; \
        if (y - y != 0) z = y > 0 ? limit : -limit; \
        if (r > limit) r = limit; \
        if (r < -limit) r = -limit; \
        if (r == 0 && y == 0) return !signbit(r) == !signbit(y) ? 0.0 : -2.0; \
        int e; \
        frexp_(r, &e); \
        if (r == 0 || e < 3 - top) e = 3 - top; \
        if (e > top) e = top; \
        W d = z > r ? z - r : r - z; \
        return (double)ldexp_(d, digits - e); \
    }
ERROR(double, float, frexp, ldexp, 24, 128)
ERROR(longer, double, frexpl, ldexpl, 53, 1024)

/* out[0] largest error, out[1] where, out[2] how many wrong NaN and zeros, out[3] one of them, out[4] how many vector results with
 * other bits than the scalar form, out[5] one of them. n is rounded down to whole vectors. */
#define CHECK(f, v, s, T, W, N, U) \
    SQ_EXPORT void check_##f##_##v(const T *x, int64_t n, double *out) { \
        for (int64_t i = 0; i + N <= n; i += N) { \
            T y[N]; \
            sq_store_##v(y, sq_##f##_##v(sq_load_##v(x + i))); \
            for (int k = 0; k < N; k++) { \
                T a = x[i + k], b = sq_##f##_##s(a); \
                U p, q; \
                __builtin_memcpy(&p, &b, sizeof p), __builtin_memcpy(&q, y + k, sizeof q); \
                if (p != q && !(b != b && y[k] != y[k])) out[4] += 1, out[5] = (double)a; \
                double e = error_##T(y[k], ref_##f##_##W((W)a)); \
                if (e < 0) out[2] += 1, out[3] = (double)a; \
                if (e > out[0]) out[0] = e, out[1] = (double)a; \
            } \
        } \
    }
#define CHECKS(f) CHECK(f, v32, f32, float, double, SQ_N32, uint32_t) CHECK(f, v64, f64, double, longer, SQ_N64, uint64_t)
UNARY(CHECKS)
#define CHECK2(f, v, s, T, W, N, U) \
    SQ_EXPORT void check_##f##_##v(const T *x, const T *z, int64_t n, double *out) { \
        for (int64_t i = 0; i + N <= n; i += N) { \
            T y[N]; \
            sq_store_##v(y, sq_##f##_##v(sq_load_##v(x + i), sq_load_##v(z + i))); \
            for (int k = 0; k < N; k++) { \
                T a = x[i + k], b = sq_##f##_##s(a, z[i + k]); \
                U p, q; \
                __builtin_memcpy(&p, &b, sizeof p), __builtin_memcpy(&q, y + k, sizeof q); \
                if (p != q && !(b != b && y[k] != y[k])) out[4] += 1, out[5] = (double)a; \
                double e = error_##T(y[k], ref_##f##_##W((W)a, (W)z[i + k])); \
                if (e < 0) out[2] += 1, out[3] = (double)a; \
                if (e > out[0]) out[0] = e, out[1] = (double)a; \
            } \
        } \
    }
CHECK2(pow, v32, f32, float, double, SQ_N32, uint32_t)
CHECK2(pow, v64, f64, double, longer, SQ_N64, uint64_t)

/* Storage in 16 bits, whole vectors and a part. */
#define HALF(K) \
    SQ_EXPORT void to_##K(const float *x, uint16_t *y, int64_t n) { \
        int64_t i = 0; \
        for (; i + SQ_N32 <= n; i += SQ_N32) sq_store_##K##_v32(y + i, sq_load_v32(x + i)); \
        if (i < n) sq_store_part_##K##_v32(y + i, (int)(n - i), sq_load_part_v32(x + i, (int)(n - i))); \
    } \
    SQ_EXPORT void from_##K(const uint16_t *x, float *y, int64_t n) { \
        int64_t i = 0; \
        for (; i + SQ_N32 <= n; i += SQ_N32) sq_store_v32(y + i, sq_load_##K##_v32(x + i)); \
        if (i < n) sq_store_part_v32(y + i, (int)(n - i), sq_load_part_##K##_v32(x + i, (int)(n - i))); \
    } \
    SQ_EXPORT void to_##K##_one(const float *x, uint16_t *y, int64_t n) { for (int64_t i = 0; i < n; i++) y[i] = sq_to_##K##_f32(x[i]); } \
    SQ_EXPORT void from_##K##_one(const uint16_t *x, float *y, int64_t n) { for (int64_t i = 0; i < n; i++) y[i] = sq_from_##K##_f32(x[i]); }
HALF(bf16) HALF(f16)

/* Memory and lanes. */
SQ_EXPORT void strided_f32(const float *x, int64_t from, float *y, int64_t to, int n) {
    sq_store_strided_v32(y, to, n, sq_load_strided_v32(x, from, n));
}
SQ_EXPORT void lanes_f32(const float *x, float *y) {
    sq_v32 v = sq_load_v32(x);
    y[0] = sq_sum_v32(v), y[1] = sq_hmax_v32(v), y[2] = sq_hmin_v32(v), y[3] = v[SQ_N32 - 1];
}
SQ_EXPORT void lanes_f64(const double *x, double *y) {
    sq_v64 v = sq_load_v64(x);
    y[0] = sq_sum_v64(v), y[1] = sq_hmax_v64(v), y[2] = sq_hmin_v64(v), y[3] = v[SQ_N64 - 1];
}
SQ_EXPORT void masks_f32(const float *x, const float *z, float *y) {
    sq_v32 a = sq_load_v32(x), b = sq_load_v32(z), one = sq_set_v32(1.0f), none = sq_set_v32(0.0f);
    sq_m32 less = sq_lt_v32(a, b), same = sq_eq_v32(a, b), most = sq_le_v32(a, b), odd = sq_isnan_v32(a) | sq_isnan_v32(b);
    sq_store_v32(y, sq_sel_v32(less, one, none));
    sq_store_v32(y + SQ_N32, sq_sel_v32(same, one, none));
    sq_store_v32(y + 2 * SQ_N32, sq_sel_v32(most, one, none));
    sq_store_v32(y + 3 * SQ_N32, sq_sel_v32(sq_not_v32(odd), one, none));
    sq_store_v32(y + 4 * SQ_N32, sq_sel_v32(most & sq_not_v32(same), one, none));
    y[5 * SQ_N32] = (float)sq_any_v32(less);
}

/* Threads. */
SQ_EXPORT void blocks_of(int64_t n, int64_t blocks, int64_t *from) { for (int64_t b = 0; b <= blocks; b++) from[b] = sq_block_start(n, blocks, b); }
SQ_EXPORT void sum_rows_f32(float *p, int64_t rows, int64_t width, int threads) { sq_sum_rows_f32(p, rows, width, threads); }
SQ_EXPORT void sum_rows_f64(double *p, int64_t rows, int64_t width, int threads) { sq_sum_rows_f64(p, rows, width, threads); }
SQ_EXPORT void sum_of_exp(const float *x, int64_t n, float *rows, int threads) { /* rows [blocks of 1000, SQ_N32]; the sum in rows[0] */
    int64_t blocks = sq_block_count(n, 1000);
    SQ_PARALLEL(threads)
    for (int64_t b = 0; b < blocks; b++) {
        int64_t i = sq_block_start(n, blocks, b), to = sq_block_start(n, blocks, b + 1);
        sq_v32 s = sq_set_v32(0.0f);
        for (; i + SQ_N32 <= to; i += SQ_N32) s += sq_exp_v32(sq_load_v32(x + i));
        if (i < to) {
            sq_v32 e = sq_exp_v32(sq_load_part_v32(x + i, (int)(to - i)));
            for (int k = 0; k < (int)(to - i); k++) s[k] += e[k];
        }
        sq_store_v32(rows + b * SQ_N32, s);
    }
    sq_sum_rows_f32(rows, blocks, SQ_N32, threads);
    rows[0] = sq_sum_v32(sq_load_v32(rows));
}
SQ_EXPORT int threads_seen(int threads) {
    int64_t seen[64] = {0};
    int count = 0;
    SQ_PARALLEL(threads)
    for (int64_t b = 0; b < 64; b++) { int here; seen[b] = (int64_t)(intptr_t)&here; }
    for (int b = 0; b < 64; b++) { /* distinct stacks, a megabyte apart at least */
        int fresh = 1;
        for (int c = 0; c < b; c++) fresh &= (seen[b] >> 14) != (seen[c] >> 14);
        count += fresh;
    }
    return count;
}
