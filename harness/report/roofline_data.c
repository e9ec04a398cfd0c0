/* roofline_data.c - the roofs of a machine and the cases of a group under them (Williams, Waterman and Patterson, "Roofline",
 * CACM 52(4), 2009). A case's x is its operations over the bytes that it has to read, both as its ceiling counts them; its y,
 * operations a second. A roof rises with a bandwidth as far as a peak, and stays there. */
#include <math.h>
#include <stdlib.h>

#include "harness/report/draw.h"
#include "harness/report/plot_data.h"
#include "optimizer/json.h"

typedef enum mark {
    MARK_VARIANT,
    MARK_ALL_ON,
    MARK_BASELINE,
    MARK_ROOF,
    MARK_ROOF_OF_ONE,
    MARK_NAME,
    MARK_SLOPE_NAME
} mark;

/* The part of the plane that is drawn: x from `left` to `right`. */
typedef struct frame {
    FILE *out;
    double left, right;
    double last_name; /* y of the name that was written last */
    size_t rows;
} frame;

double roofline_intensity(const result_case *c)
{
    const double bytes = case_number(c, "ceiling", "bytes_per_token");
    return bytes > 0.0 ? case_number(c, "ceiling", "flops_per_token") / bytes : NAN;
}

double roofline_operations_per_s(const result_case *c)
{
    return case_number(c, "ceiling", "flops_per_token") * case_number(c, "tokens_per_s", NULL);
}

static bool drawn(const result_case *c, size_t group)
{
    return c->group == group && !c->twin && case_ok(c) && roofline_intensity(c) > 0.0 &&
           roofline_operations_per_s(c) > 0.0 && isfinite(roofline_intensity(c)) &&
           isfinite(roofline_operations_per_s(c));
}

static void put_row(frame *f, mark m, const char *label, double x, double y)
{
    fprintf(f->out, "%d\t", (int)m);
    draw_label(f->out, label, 60);
    fprintf(f->out, "\t%.9g\t%.9g\t?\t?\n", x, y / 1e9);
    f->rows++;
}

static void put_slope_name(frame *f, const char *what, double bandwidth)
{
    char name[64];
    snprintf(name, sizeof name, "%s, %.3g GB/s", what, bandwidth / 1e9);
    put_row(f, MARK_SLOPE_NAME, name, f->left, bandwidth * f->left);
}

static void put_line(frame *f, mark m, double x, double y, double to_x, double to_y)
{
    if (!(to_x > x)) return;
    fprintf(f->out, "%d\t-\t%.9g\t%.9g\t%.9g\t%.9g\n", (int)m, x, y / 1e9, to_x - x, (to_y - y) / 1e9);
    f->rows++;
}

static void put_roof(frame *f, mark m, double bandwidth, double peak)
{
    const double ridge = peak / bandwidth;
    put_line(f, m, f->left, bandwidth * f->left, ridge < f->right ? ridge : f->right,
             ridge < f->right ? peak : bandwidth * f->right);
    put_line(f, m, ridge > f->left ? ridge : f->left, peak, f->right, peak);
}

/* ---- the machine's figures -------------------------------------------------------------------------------------- */

static double by_threads(const cJSON *figures, size_t threads)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", threads);
    const cJSON *item = json_find(figures, key);
    return json_is_number(item) && item->valuedouble > 0.0 ? item->valuedouble : NAN;
}

typedef struct roof {
    double peak;
    char name[48];
} roof;

enum { ROOFS_MAX = 24 };

static int by_peak(const void *a, const void *b)
{
    const double x = ((const roof *)a)->peak, y = ((const roof *)b)->peak;
    return x < y ? -1 : x > y;
}

/* Every rung's peaks with this number of threads, the lowest first. */
static size_t find_roofs(const cJSON *machine, size_t threads, roof roofs[ROOFS_MAX])
{
    static const char *const kinds[][2] = {
        {"peak_flops_per_s", "FP32"}, {"peak_bf16_ops_per_s", "bf16"}, {"peak_int8_ops_per_s", "int8"}};
    size_t n = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const cJSON *isa = NULL;
        cJSON_ArrayForEach(isa, json_find(machine, kinds[k][0]))
        {
            const double peak = by_threads(isa, threads);
            if (n == ROOFS_MAX || isnan(peak)) continue;
            roofs[n].peak = peak;
            snprintf(roofs[n++].name, sizeof roofs->name, "%.16s %s", isa->string, kinds[k][1]);
        }
    }
    qsort(roofs, n, sizeof *roofs, by_peak);
    return n;
}

/* Roofs as high as each other share a line: the name is that of all, and stands where it covers no other. */
static void put_roofs(frame *f, const cJSON *machine, size_t threads, double bandwidth, mark m)
{
    roof roofs[ROOFS_MAX];
    const size_t n = find_roofs(machine, threads, roofs);
    if (isnan(bandwidth)) return;
    for (size_t i = 0, next = 1; i < n; i = next) {
        char name[128];
        int used = snprintf(name, sizeof name, "%s", roofs[i].name);
        for (next = i + 1; next < n && roofs[next].peak < 1.02 * roofs[i].peak; next++)
            if (used > 0 && used < (int)sizeof name)
                used += snprintf(name + used, sizeof name - (size_t)used, ", %s", roofs[next].name);
        put_roof(f, m, bandwidth, roofs[i].peak);
        if (m == MARK_ROOF_OF_ONE || roofs[i].peak < 1.25 * f->last_name) continue;
        f->last_name = roofs[i].peak;
        put_row(f, MARK_NAME, name, f->right, roofs[i].peak);
    }
}

/* The slope alone, as far as the highest peak: a cache that holds what a case reads. */
static void put_cache(frame *f, double bandwidth, double peak)
{
    const double ridge = peak / bandwidth;
    if (!(ridge > f->left)) return;
    put_line(f, MARK_ROOF, f->left, bandwidth * f->left, ridge, peak);
    put_slope_name(f, "a cache", bandwidth);
}

/* ---- the plot --------------------------------------------------------------------------------------------------- */

size_t plot_data_roofline(const result_set *r, size_t group, FILE *out)
{
    const cJSON *machine = json_find(r->root, "machine");
    const size_t threads = r->groups[group].threads;
    const double memory = by_threads(json_find(machine, "bandwidth_bytes_per_s"), threads);
    frame f = {.out = out, .left = INFINITY};
    double cache = NAN, peak = NAN;
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        if (!drawn(c, group)) continue;
        f.left = fmin(f.left, roofline_intensity(c));
        f.right = fmax(f.right, roofline_intensity(c));
        cache = fmax(cache, case_number(c, "ceiling", "bandwidth_bytes_per_s"));
        peak = fmax(peak, case_number(c, "ceiling", "peak_ops_per_s"));
    }
    if (!isfinite(f.left)) return 0;
    roof roofs[ROOFS_MAX];
    const size_t n = find_roofs(machine, threads, roofs);
    if (n > 0) peak = fmax(peak, roofs[n - 1].peak);
    f.left /= 8.0; /* room for the names of the rising lines */
    f.right *= 4.0;
    if (peak / memory * 2.0 > f.right) f.right = peak / memory * 2.0;
    put_roofs(&f, machine, threads, memory, MARK_ROOF);
    if (peak / memory > f.left) put_slope_name(&f, "memory", memory);
    if (threads > 1)
        put_roofs(&f, machine, 1, by_threads(json_find(machine, "bandwidth_bytes_per_s"), 1), MARK_ROOF_OF_ONE);
    if (cache > 1.05 * memory && peak > 0.0) put_cache(&f, cache, peak);
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        if (!drawn(c, group)) continue;
        put_row(&f,
                c->baseline != NULL ? MARK_BASELINE
                : is_all_on(r, c)   ? MARK_ALL_ON
                                    : MARK_VARIANT,
                case_variant_name(c), roofline_intensity(c), roofline_operations_per_s(c));
    }
    return f.rows;
}
