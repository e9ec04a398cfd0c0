/* sensitivity_plot.c - see sensitivity_plot.h. Units stay in the order of the model: which layer is sensitive is the question. */
#include "harness/report/sensitivity_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

enum { SETTINGS_MAX = 8, UNITS_MAX = 4096 };

typedef struct unit {
    const char *name, *chosen;
    double kl_int4, error, kl_chosen, bits;
    size_t setting; /* index into settings */
} unit;

typedef struct setting {
    const char *name;
    double bits; /* of the first unit that has it */
} setting;

typedef struct table {
    unit *units;
    size_t n;
    setting settings[SETTINGS_MAX]; /* fewest bits first */
    size_t setting_count;
} table;

static ciuic_status read_unit(const cJSON *item, size_t index, unit *u)
{
    char where[64];
    snprintf(where, sizeof where, "explained: units[%zu]", index);
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", where);
    CIUIC_TRY(json_get_string(item, where, "unit", &u->name));
    CIUIC_TRY(json_get_string(item, where, "chosen", &u->chosen));
    /* An estimate of a divergence that is next to nothing may come out below zero. */
    CIUIC_TRY(json_get_double(item, where, "kl_int4", -1e6, 1e6, &u->kl_int4));
    CIUIC_TRY(json_get_double(item, where, "kl_chosen", -1e6, 1e6, &u->kl_chosen));
    CIUIC_TRY(json_get_double(item, where, "bits", 0, 64, &u->bits));
    u->error = 0;
    return json_find(item, "kl_error") == NULL ? CIUIC_OK : json_get_double(item, where, "kl_error", 0, 1e6, &u->error);
}

static ciuic_status add_setting(table *t, const unit *u)
{
    size_t at = 0;
    while (at < t->setting_count && strcmp(t->settings[at].name, u->chosen) != 0) at++;
    if (at < t->setting_count) return CIUIC_OK;
    if (at == SETTINGS_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT, "explained: more than %d different settings chosen; expected fewer",
                          SETTINGS_MAX);
    t->setting_count++;
    for (; at > 0 && t->settings[at - 1].bits > u->bits; at--) t->settings[at] = t->settings[at - 1];
    t->settings[at] = (setting){u->chosen, u->bits};
    return CIUIC_OK;
}

static ciuic_status read_table(const cJSON *explained, table *t)
{
    const cJSON *list = NULL, *item = NULL;
    CIUIC_TRY(json_get_array(explained, "explained", "units", &list));
    const size_t count = (size_t)cJSON_GetArraySize(list);
    if (count == 0 || count > UNITS_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT, "explained: units: found %zu, expected 1 to %d", count, UNITS_MAX);
    t->units = calloc(count, sizeof *t->units);
    if (t->units == NULL) return ciuic_fail_memory("plot data", count * sizeof *t->units);
    cJSON_ArrayForEach(item, list)
    {
        CIUIC_TRY(read_unit(item, t->n, &t->units[t->n]));
        CIUIC_TRY(add_setting(t, &t->units[t->n]));
        t->n++;
    }
    for (size_t i = 0; i < t->n; i++)
        while (strcmp(t->settings[t->units[i].setting].name, t->units[i].chosen) != 0) t->units[i].setting++;
    return CIUIC_OK;
}

/* The left edge: below every figure that is above zero, and where those that are not are drawn. */
static double left_edge(const table *t)
{
    double least = INFINITY;
    for (size_t i = 0; i < t->n; i++) {
        if (t->units[i].kl_int4 > 0) least = fmin(least, t->units[i].kl_int4);
        if (t->units[i].kl_chosen > 0) least = fmin(least, t->units[i].kl_chosen);
    }
    return isfinite(least) ? least / 2 : 1e-9;
}

static void put_rows(const table *t, double left, FILE *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const unit *u = &t->units[i];
        const char *name = strncmp(u->name, "model.", 6) == 0 ? u->name + 6 : u->name;
        fprintf(out, "%zu\t", i);
        draw_label(out, name, 48);
        fprintf(out, "\t%.6g\t%.6g\t%.6g\t%.6g\t%.4g\t%zu\t", fmax(u->kl_int4, left),
                fmax(u->kl_int4 - 1.96 * u->error, left), fmax(u->kl_int4 + 1.96 * u->error, left),
                fmax(u->kl_chosen, left), u->bits, u->setting);
        draw_label(out, u->chosen, 24);
        fputc('\n', out);
    }
}

static void put_variables(const table *t, double left, FILE *out)
{
    size_t longest = 10;
    for (size_t i = 0; i < t->n; i++) longest = strlen(t->units[i].name) > longest ? strlen(t->units[i].name) : longest;
    fprintf(out, "rows = %zu\nleft = %.6g\nlongest = %zu\nsettings = %zu\nnames = '", t->n, left,
            longest < 48 ? longest : (size_t)48, t->setting_count);
    for (size_t i = 0; i < t->setting_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.24s", t->settings[i].name);
        for (char *c = name; *c != '\0'; c++)
            if (*c == ' ') *c = '_'; /* gnuplot takes the words apart at blanks */
        draw_label(out, name, sizeof name);
        fputc(' ', out);
    }
    fputs("'\n", out);
}

ciuic_status sensitivity_plot(const cJSON *explained, const char *folder, char problem[DRAW_PROBLEM])
{
    table t = {0};
    char *data = NULL, *variables = NULL;
    size_t data_bytes = 0, variables_bytes = 0;
    problem[0] = '\0';
    ciuic_status status = read_table(explained, &t);
    if (status != CIUIC_OK) goto cleanup;
    FILE *rows = open_memstream(&data, &data_bytes), *settings = open_memstream(&variables, &variables_bytes);
    if (rows != NULL) put_rows(&t, left_edge(&t), rows);
    if (settings != NULL) put_variables(&t, left_edge(&t), settings);
    const bool made = rows != NULL && settings != NULL;
    const bool closed = (rows == NULL || fclose(rows) == 0) && (settings == NULL || fclose(settings) == 0);
    if (!made || !closed) {
        status = ciuic_fail_memory("plot data", t.n * sizeof *t.units);
        goto cleanup;
    }
    const drawing d = {.kind = "sensitivity",
                       .folder = folder,
                       .slug = "sensitivity",
                       .title = "KL of the model with one unit alone in int4",
                       .variables = variables,
                       .data = data,
                       .bytes = data_bytes};
    status = draw_plot(&d, problem);

cleanup:
    free(t.units);
    free(data);
    free(variables);
    return status;
}
