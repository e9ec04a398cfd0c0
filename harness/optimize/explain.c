/* explain.c - see explain.h. */
#include "harness/optimize/explain.h"

#include <stdio.h>
#include <string.h>

#include "optimizer/json.h"

static const allocation_choice *chosen(const allocation_unit *u)
{
    return &u->choices[u->chosen];
}

static const allocation_choice *measured(const allocation_unit *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->choices[i].measured) return &u->choices[i];
    return NULL;
}

static double bits_of(const allocation_unit *u, const allocation_choice *c)
{
    return u->parameters > 0 ? 8.0 * (double)c->bytes / (double)u->parameters : 0;
}

/* The better choice that saves most nats a byte; NULL when there is no better one. */
static const allocation_choice *next_better(const allocation_unit *u, double *per_mb)
{
    const allocation_choice *best = NULL;
    *per_mb = 0;
    for (size_t i = 0; i < u->count; i++) {
        const allocation_choice *c = &u->choices[i];
        if (c->bytes <= chosen(u)->bytes || !(c->kl < chosen(u)->kl)) continue;
        const double value = (chosen(u)->kl - c->kl) / (double)(c->bytes - chosen(u)->bytes) * 1e6;
        if (value > *per_mb) *per_mb = value, best = c;
    }
    return best;
}

/* "3.mlp.experts.*.up_proj": the words that all names share go without saying. */
static const char *short_name(const char *unit)
{
    static const char *const prefixes[] = {"model.layers.", "model."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(unit, prefixes[i], strlen(prefixes[i])) == 0) return unit + strlen(prefixes[i]);
    return unit;
}

static void print_unit(const allocation_unit *u)
{
    char name[SETTING_NAME], next[SETTING_NAME];
    double per_mb;
    const allocation_choice *c = chosen(u), *m = measured(u), *better = next_better(u, &per_mb);
    printf("  %-33.33s %9zu  %-14s %5.2f  %9.2g %9.2g  ", short_name(u->unit), u->parameters,
           quantize_setting_name(&c->setting, name), bits_of(u, c), m != NULL ? m->kl : 0.0, c->kl);
    if (better != NULL)
        printf("%-14s %8.2g\n", quantize_setting_name(&better->setting, next), per_mb);
    else
        printf("%-14s\n", "-");
}

void explain_print(const explanation *e)
{
    char anchor[SETTING_NAME] = "";
    const allocation_choice *m = e->count > 0 ? measured(&e->units[0]) : NULL;
    const char *as = m != NULL ? quantize_setting_name(&m->setting, anchor) : "-";
    const size_t bytes = e->result.bytes + e->fixed_bytes;
    printf("  %-33s %9s  %-14s %5s  %9s %9s  %-14s %8s\n", "unit", "weights", "gets", "bits", "alone at", "alone as",
           "next better", "would");
    printf("  %-33s %9s  %-14s %5s  %9s %9s  %-14s %8s\n", "", "", "", "", as, "it is", "", "buy");
    for (size_t i = 0; i < e->count; i++) print_unit(&e->units[i]);
    printf("  %-33s %9zu  %-14s %5.2f\n\n", "norms, biases, router", e->fixed_bytes / sizeof(float), "f32", 32.0);
    printf("Losses are the KL divergence of the whole model, in nats, with that unit alone quantised; measured\n"
           "at %s on calibration ids with experts held, elsewhere in the ratio of squared output errors.\n"
           "\"would buy\": nats a megabyte of the next upgrade that would pay most. Upgrades were taken in the order\n"
           "of what they buy while they fitted into what was left of the budget%s",
           as, e->result.price > 0 ? ";\n" : ".\n");
    if (e->result.price > 0)
        printf("the last bought %.2g nats a megabyte. One that bought more and is still listed was too large.\n",
               e->result.price);
    printf("Together %zu bytes, %.3f bits a weight (budget %.3f); sum of the losses %.3g nats:\n"
           "each alone, on calibration ids. What they come to together is measured, below, on other ids.\n",
           bytes, 8.0 * (double)bytes / (double)e->parameters, 8.0 * (double)e->budget / (double)e->parameters,
           e->result.kl);
}

static cJSON *choice_json(const allocation_unit *u, const allocation_choice *c)
{
    char name[SETTING_NAME];
    cJSON *o = cJSON_CreateObject();
    const bool good = o != NULL && cJSON_AddStringToObject(o, "setting", quantize_setting_name(&c->setting, name)) &&
                      json_add_double(o, "bits", bits_of(u, c)) && json_add_size(o, "bytes", c->bytes) &&
                      json_add_double(o, "kl", c->kl) && cJSON_AddBoolToObject(o, "measured", c->measured) != NULL;
    if (good) return o;
    cJSON_Delete(o);
    return NULL;
}

static bool fill_unit(cJSON *o, const allocation_unit *u)
{
    char name[SETTING_NAME], anchor[SETTING_NAME];
    const allocation_choice *c = chosen(u), *m = measured(u);
    cJSON *choices = NULL;
    bool good =
        cJSON_AddStringToObject(o, "unit", u->unit) && json_add_size(o, "parameters", u->parameters) &&
        json_add_size(o, "matrices", u->matrices) &&
        cJSON_AddStringToObject(o, "chosen", quantize_setting_name(&c->setting, name)) &&
        json_add_double(o, "bits", bits_of(u, c)) && json_add_double(o, "kl_chosen", c->kl) &&
        json_add_double(o, "kl_int4", m != NULL ? m->kl : 0) && json_add_double(o, "kl_error", u->kl_error) &&
        cJSON_AddStringToObject(o, "measured_at", m != NULL ? quantize_setting_name(&m->setting, anchor) : "") &&
        (choices = cJSON_AddArrayToObject(o, "choices")) != NULL;
    for (size_t i = 0; i < u->count && good; i++) {
        cJSON *choice = choice_json(u, &u->choices[i]);
        good = choice != NULL && cJSON_AddItemToArray(choices, choice);
    }
    return good;
}

cJSON *explain_json(const explanation *e)
{
    cJSON *o = cJSON_CreateObject(), *units = o != NULL ? cJSON_AddArrayToObject(o, "units") : NULL;
    const size_t bytes = e->result.bytes + e->fixed_bytes;
    bool good = units != NULL && json_add_size(o, "bytes", bytes) && json_add_size(o, "budget_bytes", e->budget) &&
                json_add_double(o, "bits_per_weight", 8.0 * (double)bytes / (double)e->parameters) &&
                json_add_size(o, "fixed_bytes", e->fixed_bytes) && json_add_double(o, "kl_sum", e->result.kl) &&
                json_add_double(o, "price_nats_per_mb", e->result.price);
    for (size_t i = 0; i < e->count && good; i++) {
        cJSON *unit = cJSON_CreateObject();
        good = unit != NULL && fill_unit(unit, &e->units[i]) && cJSON_AddItemToArray(units, unit);
    }
    if (good) return o;
    cJSON_Delete(o);
    return NULL;
}
