/* Recorded steps: a list of small tensor instructions, run one after the other by one call (see runtime/native/recording.py).
 *
 * A unit defines SEQC_REAL (32 or 64), then includes this. `seqc_steps(program, given)` runs a program on the addresses given; it
 * answers 0, 1 where an index is out of its range or a matrix has no inverse, 2 where a guarded parameter has changed, 3 without memory.
 *
 *     program     [addresses given, addresses held, bytes of memory, instructions, busy, memory, held addresses ..., instructions ...]
 *     instruction [its length, what, ...], `what` one of the numbers below
 *     place       [address number, offset in bytes, step for each loop in elements]
 * Addresses are numbered: those given, those held, then the memory for what lies between.
 */
#ifndef SQ_STEPS_H
#define SQ_STEPS_H

#include "kernels.h"

/* What is below is vectors by hand; looking for more of them in a hundred small loops would double the time that compiling takes. */
#ifndef __clang__
#pragma GCC push_options
#pragma GCC optimize("O1")
#endif

typedef struct { R re, im; } Z;
typedef void (*Loop)(int64_t n, char *const *p, const int64_t *s);

/* ---- a vector at a time, wherever its lanes lie; each function is compiled into one place ---- */

#define AT(T, k) (((T *)p[k])[i * s[k]])
#define ENTRIES for (int64_t i = 0; i < n; i++)

SQ_HOT V lanes_of(const R *p, int64_t step, int n) {
    if (step == 1) return VF(load_part)(p, n);
    return step ? VF(load_strided)(p, step, n) : VF(set)(*p);
}
SQ_HOT void lanes_to(R *p, int64_t step, int n, V v) {
    if (step == 1) VF(store_part)(p, n, v);
    else VF(store_strided)(p, step, n, v);
}
#define ONE(name, v) static void f_##name(int64_t n, char *const *p, const int64_t *s) { \
    R *o = (R *)p[0]; const R *a = (const R *)p[1]; \
    for (int64_t i = 0; i < n; i += W) { \
        const int m = n - i < (int64_t)W ? (int)(n - i) : (int)W; \
        const V x = lanes_of(a + i * s[1], s[1], m); \
        lanes_to(o + i * s[0], s[0], m, v); \
    } \
}
#define FUNCTION(name) ONE(name, VF(name)(x))
FUNCTION(abs) FUNCTION(exp) FUNCTION(expm1) FUNCTION(log) FUNCTION(log1p) FUNCTION(tanh) FUNCTION(sigmoid) FUNCTION(silu)
FUNCTION(softplus) FUNCTION(logsigmoid) FUNCTION(sin) FUNCTION(cos) FUNCTION(atan) FUNCTION(erf) FUNCTION(sqrt) FUNCTION(rsqrt)
FUNCTION(gelu) FUNCTION(floor) FUNCTION(ceil) FUNCTION(trunc) FUNCTION(round) FUNCTION(sign) FUNCTION(relu)
ONE(neg, -x)
ONE(square, x * x)
ONE(reciprocal, VF(set)(1) / x)

#define TWO(name, v) static void f_##name(int64_t n, char *const *p, const int64_t *s) { \
    R *o = (R *)p[0]; const R *a = (const R *)p[1], *b = (const R *)p[2]; \
    for (int64_t i = 0; i < n; i += W) { \
        const int m = n - i < (int64_t)W ? (int)(n - i) : (int)W; \
        const V x = lanes_of(a + i * s[1], s[1], m), y = lanes_of(b + i * s[2], s[2], m); \
        lanes_to(o + i * s[0], s[0], m, v); \
    } \
}
TWO(add, x + y)
TWO(sub, x - y)
TWO(mul, x * y)
TWO(div, x / y)
TWO(min, VF(min)(x, y))
TWO(max, VF(max)(x, y))
TWO(pow, VF(pow)(x, y))
TWO(mod, VF(mod)(x, y))
TWO(logaddexp, VF(logaddexp)(x, y))
#undef ONE
#undef TWO

#define PLAIN_1(name, O, A, c) static void f_##name(int64_t n, char *const *p, const int64_t *s) { \
    ENTRIES { const A x = AT(A, 1); AT(O, 0) = c; } }
#define PLAIN_2(name, O, A, c) static void f_##name(int64_t n, char *const *p, const int64_t *s) { \
    ENTRIES { const A x = AT(A, 1), y = AT(A, 2); AT(O, 0) = c; } }
#define COMPARE(k, T) PLAIN_2(lt_##k, uint8_t, T, x < y) PLAIN_2(le_##k, uint8_t, T, x <= y) \
    PLAIN_2(eq_##k, uint8_t, T, x == y) PLAIN_2(ne_##k, uint8_t, T, x != y)
COMPARE(r, R) COMPARE(i, int64_t) COMPARE(b, uint8_t)
PLAIN_1(not, uint8_t, uint8_t, !x)
PLAIN_2(and, uint8_t, uint8_t, x && y)
PLAIN_2(or, uint8_t, uint8_t, x || y)
PLAIN_2(xor, uint8_t, uint8_t, !x != !y)
PLAIN_1(neg_i, int64_t, int64_t, -x)
PLAIN_1(abs_i, int64_t, int64_t, x < 0 ? -x : x)
PLAIN_2(add_i, int64_t, int64_t, x + y)
PLAIN_2(sub_i, int64_t, int64_t, x - y)
PLAIN_2(mul_i, int64_t, int64_t, x * y)
PLAIN_2(min_i, int64_t, int64_t, x < y ? x : y)
PLAIN_2(max_i, int64_t, int64_t, x > y ? x : y)

#define CHOOSE(k, T) static void f_where_##k(int64_t n, char *const *p, const int64_t *s) { \
    ENTRIES { AT(T, 0) = AT(uint8_t, 1) ? AT(T, 2) : AT(T, 3); } }
CHOOSE(r, R) CHOOSE(i, int64_t) CHOOSE(b, uint8_t) CHOOSE(c, Z)

/* Copies, from one type to another too. */
#define COPY(name, O, A, c) PLAIN_1(copy_##name, O, A, c)
COPY(rr, R, R, x) COPY(ri, R, int64_t, (R)x) COPY(rb, R, uint8_t, (R)(x != 0))
COPY(ii, int64_t, int64_t, x) COPY(ir, int64_t, R, (int64_t)x) COPY(ib, int64_t, uint8_t, x != 0)
COPY(bb, uint8_t, uint8_t, x) COPY(bi, uint8_t, int64_t, x != 0) COPY(br, uint8_t, R, x != 0)
COPY(cc, Z, Z, x) COPY(cr, Z, R, ((Z){x, 0})) COPY(ci, Z, int64_t, ((Z){(R)x, 0})) COPY(cb, Z, uint8_t, ((Z){(R)(x != 0), 0}))

/* Pairs. */
static Z divided(Z x, Z y) {
    if (SF(abs)(y.re) >= SF(abs)(y.im)) {
        const R r = y.im / y.re, d = y.re + y.im * r;
        return (Z){(x.re + x.im * r) / d, (x.im - x.re * r) / d};
    }
    const R r = y.re / y.im, d = y.re * r + y.im;
    return (Z){(x.re * r + x.im) / d, (x.im * r - x.re) / d};
}
static Z raised(Z x) {
    R s, c;
    SF(sincos)(x.im, &s, &c);
    const R e = SF(exp)(x.re);
    return (Z){x.im == 0 ? e : e * c, x.im == 0 ? x.im : e * s};
}
static Z raised_less_one(Z x) {
    const R half = SF(sin)(x.im * (R)0.5), m = SF(expm1)(x.re), e = SF(exp)(x.re);
    return (Z){m * SF(cos)(x.im) - 2 * half * half, e * SF(sin)(x.im)};
}
PLAIN_1(neg_c, Z, Z, ((Z){-x.re, -x.im}))
PLAIN_1(conj_c, Z, Z, ((Z){x.re, -x.im}))
PLAIN_1(exp_c, Z, Z, raised(x))
PLAIN_1(expm1_c, Z, Z, raised_less_one(x))
PLAIN_1(abs_c, R, Z, (R)__builtin_hypot(x.re, x.im))
PLAIN_2(add_c, Z, Z, ((Z){x.re + y.re, x.im + y.im}))
PLAIN_2(sub_c, Z, Z, ((Z){x.re - y.re, x.im - y.im}))
PLAIN_2(mul_c, Z, Z, ((Z){x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re}))
PLAIN_2(div_c, Z, Z, divided(x, y))

typedef struct { const char *name; Loop loop; int operands; } Named;
#define N1(name) {#name, f_##name, 2},
#define N2(name) {#name, f_##name, 3},
static const Named LOOPS[] = {
    N1(abs) N1(exp) N1(expm1) N1(log) N1(log1p) N1(tanh) N1(sigmoid) N1(silu) N1(softplus) N1(logsigmoid) N1(sin) N1(cos) N1(atan)
    N1(erf) N1(sqrt) N1(rsqrt) N1(gelu) N1(floor) N1(ceil) N1(trunc) N1(round) N1(sign) N1(relu) N1(neg) N1(square) N1(reciprocal)
    N2(add) N2(sub) N2(mul) N2(div) N2(min) N2(max) N2(pow) N2(mod) N2(logaddexp)
    N2(lt_r) N2(le_r) N2(eq_r) N2(ne_r) N2(lt_i) N2(le_i) N2(eq_i) N2(ne_i) N2(lt_b) N2(le_b) N2(eq_b) N2(ne_b)
    N1(not) N2(and) N2(or) N2(xor) N1(neg_i) N1(abs_i) N2(add_i) N2(sub_i) N2(mul_i) N2(min_i) N2(max_i)
    {"where_r", f_where_r, 4}, {"where_i", f_where_i, 4}, {"where_b", f_where_b, 4}, {"where_c", f_where_c, 4},
    N1(copy_rr) N1(copy_ri) N1(copy_rb) N1(copy_ii) N1(copy_ir) N1(copy_ib) N1(copy_bb) N1(copy_bi) N1(copy_br)
    N1(copy_cc) N1(copy_cr) N1(copy_ci) N1(copy_cb)
    N1(neg_c) N1(conj_c) N1(exp_c) N1(expm1_c) N1(abs_c) N2(add_c) N2(sub_c) N2(mul_c) N2(div_c)
    {0, 0, 0},
};

/* [.., loop, loops, sizes ..., operands, for each its width and its place]; the last loop is the inner one. */
static void entries(const int64_t *c, char **base) {
    const Named *f = &LOOPS[c[0]];
    const int64_t *sizes = c + 2;
    const int loops = (int)c[1], k = f->operands;
    char *p[4];
    int64_t by[4][8], width[4], inner[4], at[8] = {0};
    c = sizes + loops;
    for (int j = 0; j < k; j++, c += 3 + loops) {
        width[j] = c[0];
        p[j] = base[c[1]] + c[2];
        for (int d = 0; d < loops; d++) by[j][d] = c[3 + d] * c[0];
        inner[j] = loops ? c[2 + loops] : 0;
    }
    const int64_t n = loops ? sizes[loops - 1] : 1;
    for (;;) {
        f->loop(n, p, inner);
        int d = loops - 2;
        for (; d >= 0; d--) {
            for (int j = 0; j < k; j++) p[j] += by[j][d];
            if (++at[d] < sizes[d]) break;
            for (int j = 0; j < k; j++) p[j] -= by[j][d] * sizes[d];
            at[d] = 0;
        }
        if (d < 0) return;
    }
}

/* ---- sums and extremes: [which, outer loops, inner loops, sizes ..., place of the result (outer), place of the operand (all)] ---- */

enum { TOTAL, LARGEST, SMALLEST };
static R folded(int which, R so_far, const R *a, int64_t n, int64_t step) {
    if (step == 1 && n >= (int64_t)W) {
        int64_t i = W;
        V v = VF(load)(a);
        for (; i + (int64_t)W <= n; i += W) {
            const V x = VF(load)(a + i);
            v = which == TOTAL ? (V)(v + x) : which == LARGEST ? (V)VF(max)(v, x) : (V)VF(min)(v, x);
        }
        const R lanes = which == TOTAL ? LANES_SUM(v) : which == LARGEST ? LANES_MAX(v) : LANES_MIN(v);
        so_far = which == TOTAL ? so_far + lanes : which == LARGEST ? SF(max)(so_far, lanes) : SF(min)(so_far, lanes);
        a += i, n -= i;
    }
    for (int64_t i = 0; i < n; i++) {
        const R x = a[i * step];
        so_far = which == TOTAL ? so_far + x : which == LARGEST ? SF(max)(so_far, x) : SF(min)(so_far, x);
    }
    return so_far;
}

static void fold(const int64_t *c, char **base) {
    const int which = (int)c[0], outer = (int)c[1], inner = (int)c[2];
    const int64_t *sizes = c + 3, *o = sizes + outer + inner, *a = o + 2 + outer;
    R *out = (R *)(base[o[0]] + o[1]);
    const R *in = (const R *)(base[a[0]] + a[1]);
    const int64_t *so = o + 2, *sa = a + 2;
    int64_t at[8] = {0};
    for (;;) {
        R found = which == TOTAL ? 0 : which == LARGEST ? -(R)__builtin_inf() : (R)__builtin_inf();
        int64_t in_at[8] = {0};
        const R *row = in;
        for (;;) {
            found = folded(which, found, row, inner ? sizes[outer + inner - 1] : 1, inner ? sa[outer + inner - 1] : 0);
            int d = inner - 2;
            for (; d >= 0; d--) {
                row += sa[outer + d];
                if (++in_at[d] < sizes[outer + d]) break;
                row -= sa[outer + d] * sizes[outer + d];
                in_at[d] = 0;
            }
            if (d < 0) break;
        }
        *out = found;
        int d = outer - 1;
        for (; d >= 0; d--) {
            out += so[d], in += sa[d];
            if (++at[d] < sizes[d]) break;
            out -= so[d] * sizes[d], in -= sa[d] * sizes[d];
            at[d] = 0;
        }
        if (d < 0) return;
    }
}

#ifndef __clang__
#pragma GCC pop_options
#endif

/* ---- products: [sets, rows, columns, depth, has a term, out, left, right, term], each [address, offset, by set, by row, by column];
 * the left one by set, row, depth; the right one by set, depth, column ---- */

#define ROWS 4
/* `rows` rows of the left side with all columns: dot products, where the depth lies side by side on both sides. */
SQ_HOT void dots(int rows, int64_t N, int64_t K, R *o, int64_t om, int64_t on, const R *a, int64_t am, const R *b, int64_t bn) {
    for (int64_t j = 0; j < N; j++) {
        const R *w = b + j * bn;
        V v[ROWS];
        int64_t k = 0;
        for (int r = 0; r < rows; r++) v[r] = VF(set)(0);
        if (rows == 1) {
            V more[3] = {VF(set)(0), VF(set)(0), VF(set)(0)};
            for (; k + 4 * (int64_t)W <= K; k += 4 * W) {
                v[0] = VF(fma)(VF(load)(a + k), VF(load)(w + k), v[0]);
                for (int u = 0; u < 3; u++)
                    more[u] = VF(fma)(VF(load)(a + k + (u + 1) * W), VF(load)(w + k + (u + 1) * W), more[u]);
            }
            v[0] = (v[0] + more[0]) + (more[1] + more[2]);
        }
        for (; k + (int64_t)W <= K; k += W) {
            const V x = VF(load)(w + k);
            for (int r = 0; r < rows; r++) v[r] = VF(fma)(VF(load)(a + r * am + k), x, v[r]);
        }
        if (k < K) {
            const int rest = (int)(K - k);
            const V x = VF(load_part)(w + k, rest);
            for (int r = 0; r < rows; r++) v[r] = VF(fma)(VF(load_part)(a + r * am + k, rest), x, v[r]);
        }
        for (int r = 0; r < rows; r++) o[r * om + j * on] += LANES_SUM(v[r]);
    }
}

/* The same where the columns lie side by side: a block of columns at a time, over the whole depth. */
SQ_HOT void sums(int rows, int64_t N, int64_t K, R *o, int64_t om, const R *a, int64_t am, int64_t ak, const R *b, int64_t bk) {
    int64_t j = 0;
    for (; rows == 1 && j + 4 * (int64_t)W <= N; j += 4 * W) {
        V v[4];
        for (int u = 0; u < 4; u++) v[u] = VF(load)(o + j + u * W);
        for (int64_t k = 0; k < K; k++) {
            const V x = VF(set)(a[k * ak]);
            const R *w = b + k * bk + j;
            v[0] = VF(fma)(x, VF(load)(w), v[0]);
            v[1] = VF(fma)(x, VF(load)(w + W), v[1]);
            v[2] = VF(fma)(x, VF(load)(w + 2 * W), v[2]);
            v[3] = VF(fma)(x, VF(load)(w + 3 * W), v[3]);
        }
        for (int u = 0; u < 4; u++) VF(store)(o + j + u * W, v[u]);
    }
    for (; j < N; j += W) {
        const int n = N - j < (int64_t)W ? (int)(N - j) : (int)W;
        V v[ROWS];
        for (int r = 0; r < rows; r++) v[r] = VF(load_part)(o + r * om + j, n);
        for (int64_t k = 0; k < K; k++) {
            const V x = n == (int)W ? VF(load)(b + k * bk + j) : VF(load_part)(b + k * bk + j, n);
            for (int r = 0; r < rows; r++) v[r] = VF(fma)(VF(set)(a[r * am + k * ak]), x, v[r]);
        }
        for (int r = 0; r < rows; r++) VF(store_part)(o + r * om + j, n, v[r]);
    }
}

#define PRODUCT(name, T, ZERO, ...) static void name(const int64_t *c, char **base) { \
    const int64_t S = c[0], M = c[1], N = c[2], K = c[3], *o = c + 5, *a = o + 5, *b = a + 5, *t = b + 5; \
    for (int64_t q = 0; q < S; q++) { \
        T *out = (T *)(base[o[0]] + o[1]) + q * o[2]; \
        const T *x = (const T *)(base[a[0]] + a[1]) + q * a[2], *y = (const T *)(base[b[0]] + b[1]) + q * b[2]; \
        const T *term = c[4] ? (const T *)(base[t[0]] + t[1]) + q * t[2] : 0; \
        for (int64_t i = 0; i < M; i++) \
            for (int64_t j = 0; j < N; j++) out[i * o[3] + j * o[4]] = term ? term[i * t[3] + j * t[4]] : ZERO; \
        __VA_ARGS__ \
    } \
}
PRODUCT(product, R, 0, {
    if (a[4] == 1 && b[3] == 1 && K > 1)
        for (int64_t i = 0; i < M;)
            if (M - i >= ROWS) dots(ROWS, N, K, out + i * o[3], o[3], o[4], x + i * a[3], a[3], y, b[4]), i += ROWS;
            else dots(1, N, K, out + i * o[3], o[3], o[4], x + i * a[3], a[3], y, b[4]), i++;
    else if (b[4] == 1 && o[4] == 1)
        for (int64_t i = 0; i < M;)
            if (M - i >= ROWS) sums(ROWS, N, K, out + i * o[3], o[3], x + i * a[3], a[3], a[4], y, b[3]), i += ROWS;
            else sums(1, N, K, out + i * o[3], o[3], x + i * a[3], a[3], a[4], y, b[3]), i++;
    else
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++)
                for (int64_t k = 0; k < K; k++)
                    out[i * o[3] + j * o[4]] = SF(fma)(x[i * a[3] + k * a[4]], y[k * b[3] + j * b[4]], out[i * o[3] + j * o[4]]);
})
PRODUCT(product_c, Z, ((Z){0, 0}), {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            Z v = out[i * o[3] + j * o[4]];
            for (int64_t k = 0; k < K; k++) {
                const Z u = x[i * a[3] + k * a[4]], w = y[k * b[3] + j * b[4]];
                v.re += u.re * w.re - u.im * w.im, v.im += u.re * w.im + u.im * w.re;
            }
            out[i * o[3] + j * o[4]] = v;
        }
})

/* ---- rows by number: [bytes of an entry, loops, loops of the indices (the first ones), sizes ..., indices, out, from, then for each
 * index its place (loops of the indices), its range, its step in elements, and whether it may count from the end] ---- */
static int gather(const int64_t *c, char **base) {
    const int64_t bytes = c[0];
    const int loops = (int)c[1], lead = (int)c[2];
    const int64_t *sizes = c + 3, count = sizes[loops], *o = sizes + loops + 1, *a = o + 2 + loops, *first = a + 2 + loops;
    int64_t at[8] = {0}, total = 1;
    for (int d = 0; d < loops; d++) total *= sizes[d];
    for (int64_t n = 0; n < total; n++) {
        char *to = base[o[0]] + o[1];
        const char *from = base[a[0]] + a[1];
        for (int d = 0; d < loops; d++) to += at[d] * o[2 + d] * bytes, from += at[d] * a[2 + d] * bytes;
        const int64_t *x = first;
        for (int64_t j = 0; j < count; j++, x += 5 + lead) {
            const int64_t *where = (const int64_t *)(base[x[0]] + x[1]);
            for (int d = 0; d < lead; d++) where += at[d] * x[2 + d];
            int64_t i = *where;
            const int64_t range = x[2 + lead];
            if (i < 0 && x[4 + lead]) i += range;
            if (i < 0 || i >= range) return 1;
            from += i * x[3 + lead] * bytes;
        }
        memcpy(to, from, (size_t)bytes);
        for (int d = loops - 1; d >= 0; d--) {
            if (++at[d] < sizes[d]) break;
            at[d] = 0;
        }
    }
    return 0;
}

/* ---- systems of equations: [sets, size, columns, matrix, right sides (which become the solution), each as in a product], by
 * elimination with pivots; the matrix is used up ---- */
static int solve(const int64_t *c, char **base) {
    const int64_t S = c[0], n = c[1], m = c[2], *a = c + 3, *b = a + 5;
    for (int64_t q = 0; q < S; q++) {
        R *A = (R *)(base[a[0]] + a[1]) + q * a[2], *X = (R *)(base[b[0]] + b[1]) + q * b[2];
        for (int64_t k = 0; k < n; k++) {
            int64_t best = k;
            for (int64_t i = k + 1; i < n; i++)
                if (SF(abs)(A[i * a[3] + k * a[4]]) > SF(abs)(A[best * a[3] + k * a[4]])) best = i;
            const R pivot = A[best * a[3] + k * a[4]];
            if (pivot == 0 || pivot != pivot) return 1;
            for (int64_t j = 0; j < n; j++) {
                R *u = &A[k * a[3] + j * a[4]], *v = &A[best * a[3] + j * a[4]], t = *u;
                *u = *v, *v = t;
            }
            for (int64_t j = 0; j < m; j++) {
                R *u = &X[k * b[3] + j * b[4]], *v = &X[best * b[3] + j * b[4]], t = *u;
                *u = *v, *v = t;
            }
            for (int64_t i = k + 1; i < n; i++) {
                const R f = A[i * a[3] + k * a[4]] / pivot;
                for (int64_t j = k + 1; j < n; j++) A[i * a[3] + j * a[4]] = SF(fma)(-f, A[k * a[3] + j * a[4]], A[i * a[3] + j * a[4]]);
                for (int64_t j = 0; j < m; j++) X[i * b[3] + j * b[4]] = SF(fma)(-f, X[k * b[3] + j * b[4]], X[i * b[3] + j * b[4]]);
            }
        }
        for (int64_t k = n - 1; k >= 0; k--)
            for (int64_t j = 0; j < m; j++) {
                R v = X[k * b[3] + j * b[4]];
                for (int64_t i = k + 1; i < n; i++) v = SF(fma)(-A[k * a[3] + i * a[4]], X[i * b[3] + j * b[4]], v);
                X[k * b[3] + j * b[4]] = v / A[k * a[3] + k * a[4]];
            }
    }
    return 0;
}

/* ---- the program ---- */

enum { SAME, ENTRIES_OF, FOLD, PRODUCT_R, PRODUCT_C, GATHER, SOLVE };

static int run(const int64_t *c, int64_t count, char **base) {
    for (int64_t i = 0; i < count; i++, c += c[0]) {
        const int64_t *x = c + 2;
        switch (c[1]) {
        case SAME: if (memcmp(base[x[0]] + x[1], base[x[2]] + x[3], (size_t)x[4])) return 2; break;
        case ENTRIES_OF: entries(x, base); break;
        case FOLD: fold(x, base); break;
        case PRODUCT_R: product(x, base); break;
        case PRODUCT_C: product_c(x, base); break;
        case GATHER: if (gather(x, base)) return 1; break;
        case SOLVE: if (solve(x, base)) return 1; break;
        }
    }
    return 0;
}

__attribute__((visibility("default"))) const char *seqc_loop(int64_t number) { return LOOPS[number].name; }

__attribute__((visibility("default"))) int64_t seqc_steps(int64_t *program, char *const *given) {
    const int64_t in = program[0], held = program[1], bytes = program[2];
    char *few[256], **base = few;
    if (in + held + 1 > 256 && !(base = malloc((size_t)(in + held + 1) * sizeof *base))) return 3;
    memcpy(base, given, (size_t)in * sizeof *base);
    memcpy(base + in, program + 6, (size_t)held * sizeof *base);
    /* the program's own memory, unless another thread is in it */
    const int busy = (int)__atomic_exchange_n(&program[4], 1, __ATOMIC_ACQUIRE);
    char *memory = busy ? (char *)scratch_of(bytes / (int64_t)sizeof(R) + 1, 0) : (char *)program[5];
    int64_t answer = 3;
    if (memory) {
        base[in + held] = memory;
        answer = run(program + 6 + held, program[3], base);
    }
    if (busy) free(memory);
    else __atomic_store_n(&program[4], 0, __ATOMIC_RELEASE);
    if (base != few) free(base);
    return answer;
}

#endif
