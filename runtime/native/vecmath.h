/* Vector arithmetic and elementary functions for the C code that seqc generates.
 *
 * A generated translation unit begins with `#include "vecmath.h"`; the files lie beside it in the folder of the compilation.
 *
 * Types and lanes
 *     float, double               scalar forms, suffix _f32 and _f64
 *     sq_v32, sq_v64              vectors of SQ_N32 floats and SQ_N64 doubles, suffix _v32 and _v64 (GCC/Clang vector types: the
 *                                 operators + - * / and unary - work on them, also mixed with a scalar: `v * 2.0f`)
 *     sq_m32, sq_m64              masks of their lanes; for the scalar forms a mask is an int, 0 or 1. `&` and `|` join masks
 *     sq_u32v, sq_u64v            the lanes' bits
 * 64-byte vectors with AVX-512 (F, BW, DQ, VL), 32-byte with AVX2 and FMA, else 16-byte ones that the compiler lowers to what the
 * machine has (to scalar code, if need be). One source makes all of them.
 *
 * Contract
 *     Same value, same bits. f(x) depends on x alone: not on the lane, the neighbours, the form (scalar or vector) or the length
 *     of a tail. It holds because every form runs the same sequence of correctly rounded operations; compile with
 *     -ffp-contract=off and without any part of -ffast-math. (Another machine width changes nothing either, except that a machine
 *     without a fused multiply-add rounds twice where others round once. NaN may carry another payload.)
 *     NaN in, NaN out; infinities and signed zeros as in C's Annex F; denormals are arguments and results like any other. The
 *     rounding mode is to nearest; errno and exception flags are not kept.
 *     Memory: a partial load or store touches exactly its `n` elements, 0 <= n <= SQ_N; lanes beyond n hold 0.
 *
 * Elementary functions, all as sq_NAME_SUFFIX for the four suffixes. Beside each stands the largest error, for fp32 and fp64, that
 * tests/numeric/test_vector_math.py lets pass, in units in the last place of the result (of the smallest denormal where it is
 * one), on machines with a fused multiply-add; without, 3.5 and 3. What was found is a few hundredths less.
 *     exp(x)          0.90   0.90
 *     expm1(x)        1.65   1.80
 *     log(x)          0.95   0.80   -inf at 0, NaN below
 *     log1p(x)        1.30   1.35   -inf at -1, NaN below
 *     tanh(x)         1.40   1.40
 *     sigmoid(x)      1.50   1.50   1 / (1 + exp(-x)), never flushed: sigmoid(-100) is a denormal
 *     silu(x)         1.70   1.60   x sigmoid(x); NaN at -inf, as that product is
 *     softplus(x)     1.90   1.80   log(1 + exp(x)), without a threshold
 *     logsigmoid(x)   1.90   1.80   -softplus(-x)
 *     sin(x)          1.65   0.80   the whole range, 1e300 too; NaN at infinities
 *     cos(x)          1.65   0.80
 *     atan(x)         1.32   1.35
 *     erf(x)          1.20   1.20
 *     pow(x, y)       2.50   0.90   all special cases of C
 *     sqrt(x)         0.50   0.50
 *     rsqrt(x)        1.50   1.50   1 / sqrt(x)
 *     sincos(x, *s, *c)            both, for one reduction of the argument
 * and with an error that follows from those above
 *     gelu(x)           0.5 x (1 + erf(x / sqrt 2)): error below 2 units in the last place of x (far below 0
 *                       the result itself is much smaller than x; torch's formula and its error)
 *     logaddexp(a, b)   max + log1p(exp(-|a - b|)); -inf where both are -inf
 *     expdiff(a, b)     exp(a - b); 0 where a is -inf, whatever b is
 *
 * Exact ones: abs, sqrt, floor, ceil, trunc, round (half to even), sign (0 at 0 and at NaN, as in torch), relu (NaN stays), min and max (NaN
 * wins, as in torch), mod(a, b) (the remainder with the sign of b, as torch.remainder), fma(a, b, c) = a * b + c (one rounding
 * where the machine has it, else two), copysign.
 * Masks: lt le eq (a, b), isnan(x), not(m), any(m), sel(m, a, b) = a where m, else b.
 * Memory: set(c) in every lane; load(p), store(p, v), load_part(p, n), store_part(p, n, v), load_strided(p, step, n) and
 * store_strided(p, step, n, v) (step in elements, may be 0 for a load); lane access by `v[i]` on vector types.
 * sum(v): all lanes, in a fixed order (halves first); hmax(v), hmin(v): largest and smallest lane, NaN wins.
 *
 * 16-bit storage (vecmath_half.h): sq_load_bf16_v32(p), sq_load_part_bf16_v32(p, n), sq_store_bf16_v32(p, v),
 * sq_store_part_bf16_v32(p, n, v), the same with f16, and sq_from_bf16_f32(u), sq_to_bf16_f32(x), sq_from_f16_f32, sq_to_f16_f32
 * on uint16_t bits. To nearest, ties to even; denormals kept; NaN stays NaN.
 *
 * Threads (vecmath_parallel.h): SQ_PARALLEL(threads) before a `for`, and sums whose order does not depend on them.
 *
 * Macros for tests: SQ_GENERIC forces the 16-byte form.
 */
#ifndef SQ_VECMATH_H
#define SQ_VECMATH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "vecmath.h keeps NaN, infinities and denormals: it must not be compiled with -ffast-math"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "vecmath.h needs a machine that rounds each operation to its own type"
#endif

#define SQ_FN static inline __attribute__((unused))
#define SQ_HOT static inline __attribute__((unused, always_inline))
#define SQ_RARE static __attribute__((unused, noinline, cold))
#define SQ_UNLIKELY(c) __builtin_expect(!!(c), 0)

#include "vecmath_scalar.h"
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && !defined(SQ_GENERIC)
#include "vecmath_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && !defined(SQ_GENERIC)
#include "vecmath_avx2.h"
#else
#include "vecmath_generic.h"
#endif
#include "vecmath_reduce.h"
#include "vecmath_trig.h"

/* The functions, written once for each precision and made for the scalar and for the vector type. fp64 first: fp32's pow uses it. */
#define SQ_V double
#define SQ_T double
#define SQ_U uint64_t
#define SQ_M int
#define SQ_N 1
#define SQ_TOP 0x8000000000000000u
#define F(name) sq_##name##_f64
#include "vecmath_common.h"
#include "vecmath_f64.h"
#include "vecmath_undefine.h"
#define SQ_V sq_v64
#define SQ_T double
#define SQ_U sq_u64v
#define SQ_M sq_m64
#define SQ_N SQ_N64
#define SQ_TOP 0x8000000000000000u
#define F(name) sq_##name##_v64
#include "vecmath_common.h"
#include "vecmath_f64.h"
#include "vecmath_undefine.h"
#define SQ_V float
#define SQ_T float
#define SQ_U uint32_t
#define SQ_M int
#define SQ_N 1
#define SQ_TOP 0x80000000u
#define F(name) sq_##name##_f32
#include "vecmath_common.h"
#include "vecmath_f32.h"
#include "vecmath_undefine.h"
#define SQ_V sq_v32
#define SQ_T float
#define SQ_U sq_u32v
#define SQ_M sq_m32
#define SQ_N SQ_N32
#define SQ_TOP 0x80000000u
#define F(name) sq_##name##_v32
#include "vecmath_common.h"
#include "vecmath_f32.h"
#include "vecmath_undefine.h"

#include "vecmath_half.h"
#include "vecmath_parallel.h"

#endif
