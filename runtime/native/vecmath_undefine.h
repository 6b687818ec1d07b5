/* Ends one round of vecmath_common.h and its like. */
#undef SQ_V
#undef SQ_U
#undef SQ_M
#undef SQ_N
#undef SQ_TOP
#undef F
#undef SQ_T
