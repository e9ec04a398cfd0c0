/* mixed.c - see mixed.h. */
#include "optimizer/quantize/mixed.h"

#include <stdlib.h>

#include "optimizer/error.h"

const quantize_setting mixed_settings[] = {
    {.quantised = true, .format = KERNEL_INT4, .group = 128},
    {.quantised = true, .format = KERNEL_INT4, .group = 64},
    {.quantised = true, .format = KERNEL_INT4, .group = 32},
    {.quantised = true, .format = KERNEL_INT4, .group = 64, .minimums = true},
    {.quantised = true, .format = KERNEL_INT4, .group = 32, .minimums = true},
    {.quantised = true, .format = KERNEL_INT5, .group = 64},
    {.quantised = true, .format = KERNEL_INT5, .group = 32},
    {.quantised = true, .format = KERNEL_INT6, .group = 64},
    {.quantised = true, .format = KERNEL_INT8, .group = 128},
    {.quantised = true, .format = KERNEL_INT8, .group = 32},
};
const size_t mixed_setting_count = sizeof mixed_settings / sizeof mixed_settings[0];
const size_t mixed_anchor =
    2; /* int4 in groups of 32: errors large enough to measure, small enough to stay in proportion */

size_t mixed_fixed_bytes(const checkpoint *source, const allocation_unit *units, size_t count)
{
    size_t parameters = checkpoint_parameters(source);
    for (size_t i = 0; i < count; i++) parameters -= units[i].parameters;
    return parameters * sizeof(float);
}

size_t mixed_budget(const checkpoint *source, double bits, size_t bytes)
{
    const double by_bits = bits * (double)checkpoint_parameters(source) / 8;
    if (bits == 0 || (bytes != 0 && (double)bytes < by_bits)) return bytes;
    return (size_t)by_bits;
}

ciuic_status mixed_check_budget(const checkpoint *source, size_t budget)
{
    const sensitivity_request request = {.source = source, .settings = mixed_settings, .count = mixed_setting_count};
    allocation_unit *units = NULL;
    size_t count = 0;
    allocation smallest;
    CIUIC_TRY(sensitivity_units(&request, &units, &count));
    const size_t fixed = mixed_fixed_bytes(source, units, count);
    const ciuic_status status = allocate_bits(units, count, budget, fixed, checkpoint_parameters(source), &smallest);
    free(units);
    return status;
}

ciuic_status mixed_choose(const checkpoint *source, allocation_unit *units, size_t count, size_t budget,
                          allocation *result, recipe *r)
{
    const size_t fixed = mixed_fixed_bytes(source, units, count), parameters = checkpoint_parameters(source);
    CIUIC_TRY(allocate_bits(units, count, budget, fixed, parameters, result));
    for (size_t i = 0; i < count; i++)
        CIUIC_TRY(recipe_set(r, units[i].unit, units[i].choices[units[i].chosen].setting));
    return CIUIC_OK;
}
