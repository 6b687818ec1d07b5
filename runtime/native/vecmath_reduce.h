/* Vector forms that work lane by lane: strided memory, and sums and extremes over the lanes in a fixed order. See vecmath.h. */
#define SQ_ACROSS(X, s, T, V, N) \
    SQ_FN V sq_load_strided_##X(const T *p, ptrdiff_t step, int n) { \
        T a[N] = {0}; \
        for (int i = 0; i < n; i++) a[i] = p[i * step]; \
        return sq_load_##X(a); \
    } \
    SQ_FN void sq_store_strided_##X(T *p, ptrdiff_t step, int n, V v) { \
        T a[N]; \
        sq_store_##X(a, v); \
        for (int i = 0; i < n; i++) p[i * step] = a[i]; \
    } \
    SQ_FN T sq_sum_##X(V v) { \
        T a[N]; \
        sq_store_##X(a, v); \
        for (int w = N / 2; w > 0; w /= 2) for (int i = 0; i < w; i++) a[i] += a[i + w]; \
        return a[0]; \
    } \
    SQ_FN T sq_hmax_##X(V v) { \
        T a[N]; \
        sq_store_##X(a, v); \
        for (int w = N / 2; w > 0; w /= 2) for (int i = 0; i < w; i++) a[i] = a[i] != a[i] || a[i] > a[i + w] ? a[i] : a[i + w]; \
        return a[0]; \
    } \
    SQ_FN T sq_hmin_##X(V v) { \
        T a[N]; \
        sq_store_##X(a, v); \
        for (int w = N / 2; w > 0; w /= 2) for (int i = 0; i < w; i++) a[i] = a[i] != a[i] || a[i] < a[i + w] ? a[i] : a[i + w]; \
        return a[0]; \
    }
SQ_ACROSS(v32, f32, float, sq_v32, SQ_N32)
SQ_ACROSS(v64, f64, double, sq_v64, SQ_N64)
#undef SQ_ACROSS
