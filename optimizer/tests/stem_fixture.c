/* stem_fixture.c - see stem_fixture.h. */
#include "optimizer/tests/stem_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const tensor *stem_tensor(const safetensors *file, const char *name, const char *part)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return safetensors_find(file, full);
}

const float *stem_golden_part(void *context, const char *name, stem_part part, size_t count)
{
    static const char *const parts[] = {"weight", "bias", "gamma", "beta", "running_mean", "running_var"};
    const tensor *t = stem_tensor(context, name, parts[part]);
    return t != NULL && t->dtype == TENSOR_F32 && t->count == count ? t->data : NULL;
}

bool stem_golden_layer(const safetensors *file, const char *name, stem_layer *layer, stem_config *config)
{
    const tensor *x = stem_tensor(file, name, "x"), *w = stem_tensor(file, name, "weight"),
                 *c = stem_tensor(file, name, "conv");
    if (!x || !w || !c || x->dims != 4 || w->dims != 4 || c->count != 4) return false;
    const int32_t *words = c->data; /* stride, padding, dilation, groups */
    const size_t stride = (size_t)words[0], padding = (size_t)words[1], dilation = (size_t)words[2];
    *layer = (stem_layer){.conv = name,
                          .norm = name,
                          .bias = stem_tensor(file, name, "bias") != NULL,
                          .out_channels = w->shape[0],
                          .groups = (size_t)words[3],
                          .kernel = {w->shape[2], w->shape[3]},
                          .stride = {stride, stride},
                          .padding = {padding, padding},
                          .dilation = {dilation, dilation},
                          .eps = 1e-5};
    *config = (stem_config){
        .channels = x->shape[1], .height = x->shape[2], .width = x->shape[3], .layers = layer, .layer_count = 1};
    return true;
}

/* What rounding may add to any output, at most: sums of t products of magnitudes as large as the largest there are, here and
 * there, (t + 1) u each, and 8 roundings of normalising (test_conv2d.c derives it element by element); folding adds one
 * rounding of each filter and bias, u of the same magnitudes. */
double stem_allowed_error(const safetensors *file, const stem_layer *l, const stem_config *c)
{
    const tensor *x = stem_tensor(file, l->conv, "x");
    const size_t taps = c->channels / l->groups * l->kernel[0] * l->kernel[1];
    const float *filters = stem_tensor(file, l->conv, "weight")->data, *images = x->data;
    const tensor *bias = stem_tensor(file, l->conv, "bias");
    double largest = 0, worst = 0;
    for (size_t i = 0; i < x->count; i++) largest = fmax(largest, fabs((double)images[i]));
    for (size_t o = 0; o < l->out_channels; o++) {
        const double variance = (double)((const float *)stem_tensor(file, l->conv, "running_var")->data)[o];
        const double factor =
            fabs((double)((const float *)stem_tensor(file, l->conv, "gamma")->data)[o]) / sqrt(variance + l->eps);
        double sum = bias != NULL ? fabs((double)((const float *)bias->data)[o]) : 0;
        for (size_t i = 0; i < taps; i++) sum += fabs((double)filters[o * taps + i]) * largest;
        const double mean = fabs((double)((const float *)stem_tensor(file, l->conv, "running_mean")->data)[o]);
        const double shift = fabs((double)((const float *)stem_tensor(file, l->conv, "beta")->data)[o]);
        worst = fmax(worst, (2.0 * (double)(taps + 1) + 9) * ((sum + mean) * factor + shift));
    }
    return worst * 0x1p-24;
}

void stem_transpose(const float *x, size_t images, size_t channels, size_t plane, bool to_last, float *y)
{
    for (size_t n = 0; n < images * channels * plane; n++) {
        const size_t image = n / (channels * plane), c = n / plane % channels, i = n % plane;
        const size_t last = (image * plane + i) * channels + c;
        y[to_last ? last : n] = x[to_last ? n : last];
    }
}

int stem_count_ops(const graph *g, graph_op_kind kind)
{
    int count = 0;
    for (int i = 0; i < g->op_count; i++) count += g->ops[i].kind == kind ? 1 : 0;
    return count;
}

const float *stem_made_part(void *context, const char *name, stem_part part, size_t count)
{
    static float all[6][65536]; /* a stem is made of one name at a time */
    float *numbers = all[part];
    unsigned state = (unsigned)part + 1;
    const bool both_signs = strncmp(name, "signed", 6) == 0 && part <= STEM_BIAS;
    const float shift = part == STEM_VARIANCE ? 0.5f : both_signs ? -0.5f : 0;
    (void)context;
    if (count > sizeof all[0] / sizeof all[0][0]) return NULL;
    for (const char *c = name; *c != '\0'; c++) state = state * 31 + (unsigned char)*c;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        numbers[i] = (float)(state >> 8) * 0x1p-24f + shift;
    }
    return strncmp(name, "lost", 4) == 0 ? NULL : numbers;
}
