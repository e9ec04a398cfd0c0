/* finite_weights.c - see finite_weights.h. */
#include "optimizer/checkpoint/finite_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/error.h"

/* Bytes that are looked through at once; whole values of every dtype. */
enum { PIECE = 1 << 20 };

/* Whether one of n values has all these bits, which those that are not finite have: a compiler makes vectors of it. */
static bool any_of_16(const unsigned char *data, size_t n, uint16_t bits)
{
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t value;
        memcpy(&value, data + i * sizeof value, sizeof value);
        found |= (value & bits) == bits;
    }
    return found != 0;
}

static bool any_of_32(const unsigned char *data, size_t n, uint32_t bits)
{
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t value;
        memcpy(&value, data + i * sizeof value, sizeof value);
        found |= (value & bits) == bits;
    }
    return found != 0;
}

static bool any_of_8(const unsigned char *data, size_t n, unsigned char bits)
{
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) found |= (data[i] & bits) == bits;
    return found != 0;
}

/* E4M3 has NaN, and no infinities. Other dtypes hold codes, of which every one is a number. */
static bool any_not_finite(tensor_dtype dtype, const unsigned char *data, size_t n)
{
    switch (dtype) {
    case TENSOR_F32:
        return any_of_32(data, n, 0x7f800000);
    case TENSOR_F16:
        return any_of_16(data, n, 0x7c00);
    case TENSOR_BF16:
        return any_of_16(data, n, 0x7f80);
    case TENSOR_F8_E4M3:
        return any_of_8(data, n, 0x7f);
    default:
        return false;
    }
}

/* It is one of the n values from `first` on. */
static ciuic_status refuse(const checkpoint *c, const tensor *t, size_t first, size_t n)
{
    float value = 0;
    size_t at = first;
    for (; at < first + n; at++) {
        CIUIC_TRY(tensor_to_f32(t, at, 1, &value));
        if (!isfinite(value)) break;
    }
    char place[64];
    const size_t columns = t->dims == 2 ? t->shape[1] : 1;
    if (t->dims == 2)
        snprintf(place, sizeof place, "[%zu][%zu]", at / columns, at % columns);
    else
        snprintf(place, sizeof place, "[%zu]", at);
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: tensor %s: value %s is %s; expected a finite one: nothing can be made of such weights",
                      checkpoint_path(c), t->name, place,
                      isnan(value) ? "NaN"
                      : value > 0  ? "inf"
                                   : "-inf");
}

static ciuic_status check_tensor(const checkpoint *c, const tensor *t)
{
    const size_t size = tensor_dtype_bytes(t->dtype), most = PIECE / size;
    for (size_t first = 0; first < t->count; first += most) {
        const size_t n = t->count - first < most ? t->count - first : most;
        tensor piece = *t;
        piece.data = (const unsigned char *)t->data + first * size;
        piece.bytes = n * size;
        if (any_not_finite(t->dtype, piece.data, n)) return refuse(c, t, first, n);
        tensor_drop_pages(&piece);
    }
    return CIUIC_OK;
}

ciuic_status finite_weights_check(const checkpoint *c)
{
    for (size_t i = 0; i < checkpoint_count(c); i++)
        if (checkpoint_uses(c, i)) CIUIC_TRY(check_tensor(c, checkpoint_at(c, i)));
    return CIUIC_OK;
}
