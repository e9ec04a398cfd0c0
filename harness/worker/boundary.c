/* boundary.c - see boundary.h. Values are turned into hardness: 0 is the easiest. */
#include "harness/worker/boundary.h"

#include "optimizer/error.h"

static size_t value_of(const boundary *b, size_t hardness)
{
    return b->upwards ? b->least + hardness : b->most - hardness;
}

static size_t first_hardness(const boundary *b)
{
    const size_t start = b->start < b->least ? b->least : b->start > b->most ? b->most : b->start;
    return b->upwards ? start - b->least : b->most - start;
}

/* What is known: all up to `good` works, all from `bad` on does not. */
typedef struct known {
    bool any_good, any_bad;
    size_t good, bad, step;
} known;

/* The hardness to try next; false when enough is known. */
static bool next(const boundary *b, known *k, size_t *hardness)
{
    const size_t last = b->most - b->least;
    if (k->any_good && k->any_bad) {
        *hardness = k->good + (k->bad - k->good) / 2;
        return k->bad - k->good > b->granularity;
    }
    const size_t step = k->step;
    k->step = step < last ? 2 * step : step;
    if (k->any_good) {
        *hardness = last - k->good > step ? k->good + step : last;
        return k->good < last;
    }
    *hardness = k->bad > step ? k->bad - step : 0;
    return k->bad > 0;
}

ciuic_status boundary_search(const boundary *b, boundary_trial *trial, void *context, boundary_found *found)
{
    known k = {.step = b->granularity};
    boundary_found f = {0};
    size_t hardness = first_hardness(b);
    do {
        bool works = false;
        CIUIC_TRY(trial(context, value_of(b, hardness), &works));
        f.trials++;
        if (works)
            k.any_good = true, k.good = hardness;
        else
            k.any_bad = true, k.bad = hardness;
    } while (next(b, &k, &hardness));
    f.worked = k.any_good;
    f.failed = k.any_bad;
    if (f.worked) f.found = value_of(b, k.good);
    if (f.failed) f.nearest_bad = value_of(b, k.bad);
    *found = f;
    return CIUIC_OK;
}
