/* allocate.c - see allocate.h. */
#include "optimizer/quantize/allocate.h"

#include "optimizer/error.h"

/* Nats that a byte saves in going from the present choice to `to`; 0 when that is no upgrade. */
static double worth(const allocation_unit *u, size_t to)
{
    const allocation_choice *now = &u->choices[u->chosen], *then = &u->choices[to];
    if (then->bytes <= now->bytes || !(then->kl < now->kl)) return 0;
    return (now->kl - then->kl) / (double)(then->bytes - now->bytes);
}

/* The smallest choice; among equals the one that loses least. */
static void choose_smallest(allocation_unit *u)
{
    u->chosen = 0;
    for (size_t i = 1; i < u->count; i++) {
        const allocation_choice *a = &u->choices[i], *best = &u->choices[u->chosen];
        if (a->bytes < best->bytes || (a->bytes == best->bytes && a->kl < best->kl)) u->chosen = i;
    }
}

/* A choice of the same bytes or fewer that loses less costs nothing. */
static void take_what_is_free(allocation_unit *u)
{
    for (size_t i = 0; i < u->count; i++) {
        const allocation_choice *a = &u->choices[i], *now = &u->choices[u->chosen];
        if (a->bytes <= now->bytes && a->kl < now->kl) u->chosen = i;
    }
}

static size_t bytes_of(const allocation_unit *units, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += units[i].choices[units[i].chosen].bytes;
    return bytes;
}

/* The upgrade that is worth most among those of at most `room` bytes; false when there is none. The steepest step from a
 * point of the lower convex hull is the hull's next edge. */
static bool best_upgrade(const allocation_unit *units, size_t n, size_t room, size_t *unit, size_t *to, double *best)
{
    *best = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < units[i].count; j++) {
            const double value = worth(&units[i], j);
            const size_t more = units[i].choices[j].bytes - units[i].choices[units[i].chosen].bytes;
            if (value <= *best || more > room) continue;
            *best = value;
            *unit = i;
            *to = j;
        }
    return *best > 0;
}

ciuic_status allocate_bits(allocation_unit *units, size_t n, size_t budget, size_t fixed, size_t parameters,
                           allocation *result)
{
    *result = (allocation){0};
    for (size_t i = 0; i < n; i++) {
        choose_smallest(&units[i]);
        take_what_is_free(&units[i]);
    }
    size_t bytes = result->least_bytes = bytes_of(units, n);
    if (bytes + fixed > budget)
        return ciuic_fail(CIUIC_ERROR_LIMIT,
                          "the budget is %.4g bits a weight (%zu bytes); of the settings that it chooses from the "
                          "smallest possible is %.4g "
                          "(%zu bytes): raise it",
                          8.0 * (double)budget / (double)parameters, budget,
                          8.0 * (double)(bytes + fixed) / (double)parameters, bytes + fixed);
    size_t unit = 0, to = 0;
    double value = 0;
    while (best_upgrade(units, n, budget - fixed - bytes, &unit, &to, &value)) {
        units[unit].chosen = to;
        bytes = bytes_of(units, n);
        result->price = value * 1e6;
    }
    if (!best_upgrade(units, n, SIZE_MAX, &unit, &to, &value)) result->price = 0; /* nothing is left to buy */
    for (size_t i = 0; i < n; i++) {
        take_what_is_free(&units[i]);
        result->kl += units[i].choices[units[i].chosen].kl;
    }
    result->bytes = bytes_of(units, n);
    return CIUIC_OK;
}
