/* sin and cos of large arguments: Payne and Hanek's reduction by 2/pi to 1280 bits. Scalar, for |x| >= 2 in double. */

static const uint64_t sq_two_over_pi[22] = {0,
    0xA2F9836E4E441529u, 0xFC2757D1F534DDC0u, 0xDB6295993C439041u, 0xFE5163ABDEBBC561u,
    0xB7246E3A424DD2E0u, 0x06492EEA09D1921Cu, 0xFE1DEB1CB129A73Eu, 0xE88235F52EBB4484u,
    0xE99C7026B45F7E41u, 0x3991D639835339F4u, 0x9C845F8BBDF9283Bu, 0x1FF897FFDE05980Fu,
    0xEF2F118B5A0A6D1Fu, 0x6D367ECF27CB09B7u, 0x4F463F669E5FEA2Du, 0x7527BAC7EBE5F17Bu,
    0x3D0739F78A5292EAu, 0x6BFB5FB11F8D5D08u, 0x56033046FC7B6BABu, 0xF0CFBC209AF4361Du, 0};

/* The high word of a 64 by 64 bit product. */
SQ_HOT uint64_t sq_mul_high(uint64_t a, uint64_t b) {
    uint64_t al = a & 0xFFFFFFFFu, ah = a >> 32, bl = b & 0xFFFFFFFFu, bh = b >> 32;
    uint64_t mid = (al * bl >> 32) + (ah * bl & 0xFFFFFFFFu) + (al * bh & 0xFFFFFFFFu);
    return ah * bh + (ah * bl >> 32) + (al * bh >> 32) + (mid >> 32);
}

/* x - q pi/2 as hi + lo in [-pi/4, pi/4]; returns q modulo 4. For finite x, 2^-10 <= |x|. */
SQ_RARE uint64_t sq_trig_payne_hanek(double x, double *hi, double *lo) {
    uint64_t u = sq_bits_f64(x), m = (u & 0x000FFFFFFFFFFFFFu) | 0x0010000000000000u;
    int s = (int)(u >> 52 & 2047u) - 1077 + 64; /* |x| = m 2^e; of 2/pi the 192 bits after bit e - 2, those before give whole turns */
    const uint64_t *w = sq_two_over_pi + s / 64;
    int c = s % 64;
    uint64_t a2 = w[0] << c, a1 = w[1] << c, a0 = w[2] << c;
    if (c) a2 |= w[1] >> (64 - c), a1 |= w[2] >> (64 - c), a0 |= w[3] >> (64 - c);
    uint64_t p0 = m * a0, p1 = m * a1, h0 = sq_mul_high(m, a0), p2 = m * a2 + sq_mul_high(m, a1);
    p1 += h0, p2 += p1 < h0; /* m a modulo 2^192: two bits of quadrant, 190 of fraction */
    uint64_t q = p2 >> 62, t2 = p2 << 2 | p1 >> 62, t1 = p1 << 2 | p0 >> 62, t0 = p0 << 2, down = t2 >> 63;
    q += down;
    if (down) t0 = ~t0, t1 = ~t1, t2 = ~t2; /* 1 - fraction, but for 2^-192 */
    int z = 0;
    if (t2 == 0) t2 = t1, t1 = t0, t0 = 0, z = 64;
    int k = t2 ? __builtin_clzll(t2) : 0;
    if (k) t2 = t2 << k | t1 >> (64 - k), t1 = t1 << k | t0 >> (64 - k);
    double f = (double)(t2 >> 11), g = (double)((t2 << 53 | t1 >> 11) >> 11);
    f *= 0x1p-53, g *= 0x1p-106;
    double p = f * 0x1.921fb54442d18p+0, e = sq_mulerr_f64(f, 0x1.921fb54442d18p+0, p);
    e += f * 0x1.1a62633145c07p-54 + g * 0x1.921fb54442d18p+0;
    double scale = sq_val_f64((uint64_t)(1023 - z - k) << 52), top = p + e;
    if ((u >> 63) ^ down) scale = -scale;
    *hi = top * scale;
    *lo = ((p - top) + e) * scale;
    return u >> 63 ? (uint64_t)0 - q : q;
}
