/* float_formats.h - one value at a time between float and the narrower formats; exact where the format can hold the
 * value, otherwise round to nearest even. Kernels do this in bulk; these define what is right. */
#ifndef CIUIC_FLOAT_FORMATS_H
#define CIUIC_FLOAT_FORMATS_H

#include <stdint.h>

/* IEEE binary16. NaN stays NaN and is made quiet, as vcvtph2ps does. */
float float_from_f16(uint16_t code);
/* Values whose magnitude rounds to 65536 or more become infinity. */
uint16_t float_to_f16(float value);

/* bfloat16: the upper half of a float. */
float float_from_bf16(uint16_t code);
uint16_t float_to_bf16(float value);

/* FP8 E4M3 (the "fn" variant: no infinity, 0x7f and 0xff are NaN, largest 448). https://arxiv.org/abs/2209.05433 */
float float_from_e4m3(uint8_t code);

#endif
