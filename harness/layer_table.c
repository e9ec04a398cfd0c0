/* layer_table.c - see layer_table.h. */
#include "harness/layer_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "harness/commands.h"
#include "optimizer/json.h"

enum { NAME = 32, WORDS = NAME + 8 };

/* As in JSON. */
static const char *name_of(size_t part, size_t layers, char name[NAME])
{
    if (part == 0)
        snprintf(name, NAME, "embedding");
    else if (part == layers + 1)
        snprintf(name, NAME, "head");
    else
        snprintf(name, NAME, "layer %zu", part - 1);
    return name;
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

static void in_words(size_t part, size_t layers, char words[WORDS])
{
    char plain[NAME];
    name_of(part, layers, plain);
    snprintf(words, WORDS, "%s%s", part == 0 || part > layers ? "the " : "", plain);
}

static void print_distance(const ciuic_distance *d)
{
    printf(" %8.3g +- %-7.2g %6.4f %7.2g", d->relative_l2, d->relative_l2_error, d->cosine, d->mean_abs_error);
}

/* The part of the largest own error besides `but`; a NaN is larger than everything. */
static size_t largest(const ciuic_layer_error *errors, size_t parts, size_t but)
{
    size_t found = but == 0 ? 1 : 0;
    for (size_t i = 0; i < parts; i++) {
        const double value = errors[i].own.relative_l2, best = errors[found].own.relative_l2;
        if (i != but && !isnan(best) && !(value <= best)) found = i;
    }
    return found;
}

static void print_meaning(const ciuic_layer_error *errors, size_t layers)
{
    const size_t parts = layers + 2, first = largest(errors, parts, parts), second = largest(errors, parts, first);
    const ciuic_distance *a = &errors[first].own, *b = &errors[second].own;
    char names[2][WORDS], text[512];
    in_words(first, layers, names[0]);
    names[0][0] = (char)toupper(names[0][0]);
    in_words(second, layers, names[1]);
    if (isnan(a->relative_l2))
        snprintf(text, sizeof text, "%s puts out a NaN or an infinity.", names[0]);
    else if (a->relative_l2 == 0)
        snprintf(text, sizeof text, "No part adds an error: its weights are the reference's.");
    else
        snprintf(text, sizeof text,
                 "%s adds most: given the reference's input, its output is off by %.3g of its length (+- %.2g); %s "
                 "follows with %.3g (+- %.2g). All parts together put the logits off by %.3g.",
                 names[0], a->relative_l2, a->relative_l2_error, names[1], b->relative_l2, b->relative_l2_error,
                 errors[parts - 1].accumulated.relative_l2);
    putchar('\n');
    command_print_wrapped("", text);
}

void layer_table_print(const ciuic_layer_error *errors, size_t layers)
{
    static const char columns[] = " relative L2 +- s.e. cosine   error";
    putchar('\n');
    command_print_wrapped("", "Hidden states after each part, weights only (activations stay FP32 here): relative L2 "
                              "and its standard error, cosine, mean absolute error.");
    printf("\n%-10s%-36s%s\n  %-7s%s %s\n", "", "own: on the reference's input", "accumulated: with all before it",
           "part", columns, columns);
    for (size_t i = 0; i < layers + 2; i++) {
        char name[NAME];
        printf("  %-7s", i == 0 ? "embed" : name_of(i, layers, name) + (i <= layers ? 6 : 0));
        print_distance(&errors[i].own);
        putchar(' ');
        print_distance(&errors[i].accumulated);
        putchar('\n');
    }
    print_meaning(errors, layers);
}

/* ---- for programs ----------------------------------------------------------------------------------------------- */

static bool add_distance(cJSON *object, const char *key, const ciuic_distance *d)
{
    cJSON *o = cJSON_AddObjectToObject(object, key);
    return o != NULL && json_add_double(o, "relative_l2", d->relative_l2) &&
           json_add_double(o, "relative_l2_error", d->relative_l2_error) && json_add_double(o, "cosine", d->cosine) &&
           json_add_double(o, "cosine_error", d->cosine_error) &&
           json_add_double(o, "mean_abs_error", d->mean_abs_error) &&
           json_add_double(o, "mean_abs_error_error", d->mean_abs_error_error);
}

static bool fill_part(cJSON *object, const char *name, const ciuic_layer_error *error)
{
    return cJSON_AddStringToObject(object, "part", name) != NULL && add_distance(object, "own", &error->own) &&
           add_distance(object, "accumulated", &error->accumulated);
}

bool layer_table_json(cJSON *object, const ciuic_layer_error *errors, size_t layers)
{
    char name[NAME];
    cJSON *embedding = cJSON_AddObjectToObject(object, "embedding");
    bool ok = cJSON_AddStringToObject(object, "layers_measure", "weights only: activations stay FP32") != NULL &&
              embedding != NULL && fill_part(embedding, name_of(0, layers, name), &errors[0]);
    cJSON *array = cJSON_AddArrayToObject(object, "layers");
    for (size_t i = 1; ok && array != NULL && i < layers + 2; i++) {
        cJSON *part = cJSON_CreateObject();
        ok = part != NULL && cJSON_AddItemToArray(array, part) && fill_part(part, name_of(i, layers, name), &errors[i]);
    }
    return ok && array != NULL;
}
