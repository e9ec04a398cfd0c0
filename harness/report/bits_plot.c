/* bits_plot.c - see bits_plot.h. Labels are placed here, because gnuplot would print them over each other. */
#include "harness/report/bits_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/draw.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* Pixels, as reports/bits.gnuplot lays a panel out. */
enum { PANEL_WIDTH = 770, PANEL_HEIGHT = 350, LINE = 13, MARK = 4, APART = 8 };

static const double letter = 6.5; /* of its font of 11: from 6 to 6.5 in what browsers call sans-serif */

/* ---- points ----------------------------------------------------------------------------------------------------- */

static int compare_points(const void *x, const void *y)
{
    const bits_point *a = x, *b = y;
    if (a->bits != b->bits) return a->bits < b->bits ? -1 : 1;
    if (a->kl != b->kl) return a->kl < b->kl ? -1 : 1;
    return strcmp(a->c->id, b->c->id); /* the same order every time */
}

static bool read_point(const result_case *c, bits_point *p)
{
    const double error = case_number(c, "accuracy", "kl_error"), spread = error > 0 ? 1.96 * error : 0;
    *p = (bits_point){.c = c, .bits = case_number(c, "bits_per_weight", NULL), .kl = case_number(c, "accuracy", "kl")};
    p->low = p->kl - spread;
    p->high = p->kl + spread;
    return isfinite(p->bits) && p->bits > 0 && isfinite(p->kl) && p->kl > 0; /* a logarithmic axis */
}

ciuic_status bits_points(const result_set *r, size_t group, bits_point **points, size_t *n)
{
    *n = 0;
    *points = calloc(r->case_count + 1, sizeof **points);
    if (*points == NULL) return ciuic_fail_memory("plot data", r->case_count * sizeof **points);
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        bits_point p;
        if (c->group != group || c->twin || c->baseline != NULL || !case_ok(c) || strcmp(c->quantize, "none") == 0 ||
            !read_point(c, &p))
            continue;
        size_t known = 0;
        while (known < *n && !same_weights((*points)[known].c, c)) known++;
        if (known == *n)
            (*n)++;
        else if (!is_all_on(r, c) || is_all_on(r, (*points)[known].c))
            continue;
        (*points)[known] = p;
    }
    qsort(*points, *n, sizeof **points, compare_points);
    return CIUIC_OK;
}

static size_t different_bits(const bits_point *points, size_t n)
{
    size_t different = n > 0;
    for (size_t i = 1; i < n; i++) different += points[i].bits > points[i - 1].bits + 0.005;
    return different;
}

/* How well a group serves as its checkpoint's panel: 0 not at all. */
static ciuic_status worth(const result_set *r, size_t group, double *value)
{
    bits_point *points = NULL;
    size_t n = 0;
    CIUIC_TRY(bits_points(r, group, &points, &n));
    const double positions = n > 0 ? case_number(points[0].c, "accuracy", "positions") : 0;
    *value = different_bits(points, n) < 3 ? 0 : (double)n + (positions > 0 ? positions / (positions + 1) : 0);
    free(points);
    return CIUIC_OK;
}

ciuic_status bits_groups(const result_set *r, size_t *groups, size_t *n)
{
    *n = 0;
    for (size_t g = 0; g < r->group_count; g++) {
        double mine = 0, theirs = 0;
        size_t known = 0;
        CIUIC_TRY(worth(r, g, &mine));
        if (mine == 0) continue;
        while (known < *n && strcmp(r->groups[groups[known]].checkpoint, r->groups[g].checkpoint) != 0) known++;
        if (known < *n) CIUIC_TRY(worth(r, groups[known], &theirs));
        if (known == *n) (*n)++;
        if (mine > theirs) groups[known] = g;
    }
    return CIUIC_OK;
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *colour;
} methods[] = {{"rtn", "#8a8f98"},  {"clip", "#d9730d"},   {"awq", "#9a6bd6"},
               {"gptq", "#3b82c4"}, {"affine", "#d1495b"}, {"mixed", "#2e9e6b"}};
enum { METHODS = sizeof methods / sizeof methods[0] };

static const char *setting(const result_case *c, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_find(json_find(c->json, "variant"), key));
    return text != NULL ? text : otherwise;
}

static size_t method_of(const result_case *c)
{
    const char *name = strncmp(c->quantize, "affine", 6) == 0 ? "affine"
                       : strcmp(c->quantize, "mixed") == 0    ? "mixed"
                                                              : setting(c, "quantizer", "rtn");
    for (size_t m = 0; m < METHODS; m++)
        if (strcmp(name, methods[m].name) == 0) return m;
    return 0;
}

/* Affine weights are multiplied by FP32 activations; results from before there was a choice say nothing, and were int8. */
static bool weights_only(const result_case *c)
{
    return strncmp(c->quantize, "affine", 6) == 0 || strcmp(setting(c, "activations", "int8"), "none") == 0;
}

/* ---- one panel -------------------------------------------------------------------------------------------------- */

typedef struct panel {
    const bits_point *points;
    size_t n;
    double left, right, bottom, top; /* of the axes */
    bool *hull;                      /* [n] */
} panel;

static double across(const panel *k, double bits)
{
    return PANEL_WIDTH * (bits - k->left) / (k->right - k->left);
}

static double up(const panel *k, double kl)
{
    return PANEL_HEIGHT * log(kl / k->bottom) / log(k->top / k->bottom);
}

static void set_axes(panel *k)
{
    k->left = k->points[0].bits;
    k->right = k->points[k->n - 1].bits;
    k->bottom = INFINITY;
    k->top = 0;
    for (size_t i = 0; i < k->n; i++) {
        const bits_point *p = &k->points[i];
        k->bottom = fmin(k->bottom, p->low > p->kl / 4 ? p->low : p->kl / 4); /* a bar may reach to zero */
        k->top = fmax(k->top, p->high);
    }
    const double span = k->right - k->left; /* more than nothing: there are three different ones */
    k->left -= 0.1 * span;                  /* room for half of the first label and for the last one */
    k->right += 0.14 * span;
    k->bottom /= 1.5;
    k->top *= 1.5;
}

/* Each bit more divides the error by about four, so that log KL over bits is nearly a straight line, and its hull means
 * something. The lower convex hull of what is drawn, up to the lowest point: nothing lies below or left of this line. */
static void find_hull(panel *k, size_t *chain)
{
    size_t length = 0;
    for (size_t i = 0; i < k->n; i++) {
        const double x = across(k, k->points[i].bits), y = up(k, k->points[i].kl);
        if (length > 0 && k->points[chain[length - 1]].kl <= k->points[i].kl) continue; /* more bits, no less error */
        while (length >= 2) {
            const bits_point *a = &k->points[chain[length - 2]], *b = &k->points[chain[length - 1]];
            const double ax = across(k, a->bits), ay = up(k, a->kl), bx = across(k, b->bits), by = up(k, b->kl);
            if ((bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0) break;
            length--;
        }
        chain[length++] = i;
    }
    for (size_t i = 0; i < length; i++) k->hull[chain[i]] = true;
}

typedef struct box {
    double left, right, bottom, top;
} box;

static bool overlap(const box *a, const box *b)
{
    return a->left < b->right && b->left < a->right && a->bottom < b->top && b->bottom < a->top;
}

/* Whether the label of point `own` may lie there: inside of the panel, over no bar or other label, and not so near to another
 * point that it could be taken for its name. */
static bool is_free(const panel *k, size_t own, const box *b, const box *taken, size_t n)
{
    if (b->left < 0 || b->right > PANEL_WIDTH || b->bottom < 0 || b->top > PANEL_HEIGHT) return false;
    for (size_t i = 0; i < k->n; i++) {
        const bits_point *p = &k->points[i];
        const double x = across(k, p->bits), y = up(k, p->kl), room = i == own ? MARK : APART;
        const double low = p->low > k->bottom ? up(k, p->low) : 0;
        const box mark = {x - room, x + room, y - room, y + room}, bar = {x - 1, x + 1, low, up(k, p->high)};
        if (overlap(b, &mark) || overlap(b, &bar)) return false;
    }
    for (size_t i = 0; i < n; i++)
        if (overlap(b, &taken[i])) return false;
    return true;
}

/* Row kinds of bits.gnuplot. */
enum { ROW_POINT = 0, ROW_LABEL_RIGHT = 1, ROW_LABEL_LEFT = 2, ROW_LABEL_MIDDLE = 3, ROW_HULL = 4, ROW_TITLE = 5 };

static void put_row(FILE *out, size_t panel_index, int kind, double x, double y, double low, double high, size_t method,
                    bool ring, const char *text, size_t text_length)
{
    char label[64];
    snprintf(label, sizeof label, "%.*s", (int)(text_length < 60 ? text_length : 60), text);
    fprintf(out, "%zu\t%d\t%.6g\t%.6g\t%.6g\t%.6g\t%zu\t%d\t", panel_index, kind, x, y, low, high, method, ring);
    draw_label(out, label, sizeof label);
    fputc('\n', out);
}

/* Beside, above or below its point, where there is room; otherwise nowhere: colour and the table say what it is. */
static bool place_label(const panel *k, size_t i, FILE *out, size_t index, box *taken, size_t *n)
{
    static const struct {
        int kind;
        double x, y; /* from the point to the label's end or middle */
    } places[] = {{ROW_LABEL_RIGHT, 8, 0},   {ROW_LABEL_LEFT, -8, 0},   {ROW_LABEL_RIGHT, 7, 9},
                  {ROW_LABEL_RIGHT, 7, -9},  {ROW_LABEL_LEFT, -7, 9},   {ROW_LABEL_LEFT, -7, -9},
                  {ROW_LABEL_MIDDLE, 0, 13}, {ROW_LABEL_MIDDLE, 0, -13}};
    const bits_point *p = &k->points[i];
    const double width = letter * (double)p->c->weights_length;
    for (size_t a = 0; a < sizeof places / sizeof places[0]; a++) {
        const double x = across(k, p->bits) + places[a].x, y = up(k, p->kl) + places[a].y;
        const double left = places[a].kind == ROW_LABEL_RIGHT  ? x
                            : places[a].kind == ROW_LABEL_LEFT ? x - width
                                                               : x - width / 2;
        const box b = {left, left + width, y - LINE / 2.0, y + LINE / 2.0};
        if (!is_free(k, i, &b, taken, *n)) continue;
        taken[(*n)++] = b;
        put_row(out, index, places[a].kind, k->left + (k->right - k->left) * x / PANEL_WIDTH,
                k->bottom * pow(k->top / k->bottom, y / PANEL_HEIGHT), 0, 0, 0, false, p->c->weights,
                p->c->weights_length);
        return true;
    }
    return false;
}

/* Those on the hull first, since they are what one would choose; then from the lowest error up. */
static void put_labels(const panel *k, FILE *out, size_t index, box *taken, size_t *order)
{
    size_t n = 0, placed = 0;
    for (size_t i = 0; i < k->n; i++) {
        size_t at = n++;
        for (; at > 0; at--) {
            const size_t before = order[at - 1];
            if (k->hull[before] != k->hull[i] ? k->hull[before] : k->points[before].kl <= k->points[i].kl) break;
            order[at] = before;
        }
        order[at] = i;
    }
    for (size_t i = 0; i < n; i++) place_label(k, order[i], out, index, taken, &placed);
}

static void put_points(const panel *k, FILE *out, size_t index, const size_t *chosen_methods)
{
    for (size_t i = 0; i < k->n; i++) {
        const bits_point *p = &k->points[i];
        put_row(out, index, ROW_POINT, p->bits, p->kl, p->low > k->bottom ? p->low : k->bottom, p->high,
                chosen_methods[method_of(p->c)], !weights_only(p->c), p->c->weights, p->c->weights_length);
    }
    for (size_t i = 0; i < k->n; i++)
        if (k->hull[i]) put_row(out, index, ROW_HULL, k->points[i].bits, k->points[i].kl, 0, 0, 0, false, "-", 1);
}

static ciuic_status put_panel(const result_set *r, size_t group, size_t index, const size_t *chosen_methods, FILE *out,
                              char axes[96])
{
    bits_point *points = NULL;
    panel k = {0};
    CIUIC_TRY(bits_points(r, group, &points, &k.n));
    k.points = points;
    k.hull = calloc(k.n, sizeof *k.hull);
    size_t *order = calloc(k.n, sizeof *order);
    box *taken = calloc(k.n, sizeof *taken);
    ciuic_status status = CIUIC_OK;
    if (k.hull == NULL || order == NULL || taken == NULL) {
        status = ciuic_fail_memory("plot data", k.n * sizeof *taken);
    } else {
        char title[160];
        const result_group *g = &r->groups[group];
        set_axes(&k);
        find_hull(&k, order);
        put_points(&k, out, index, chosen_methods);
        put_labels(&k, out, index, taken, order);
        snprintf(title, sizeof title, "%.50s", g->checkpoint);
        put_row(out, index, ROW_TITLE, k.left, k.top, 0, 0, 0, false, title, strlen(title));
        snprintf(axes, 96, "%.6g %.6g %.6g %.6g ", k.left, k.right, k.bottom, k.top);
    }
    free(points);
    free(k.hull);
    free(order);
    free(taken);
    return status;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

/* Which methods there are; `positions` maps all methods to those. */
static ciuic_status list_methods(const result_set *r, const size_t *groups, size_t n, size_t positions[METHODS],
                                 FILE *variables)
{
    bool present[METHODS] = {false};
    for (size_t g = 0; g < n; g++) {
        bits_point *points = NULL;
        size_t count = 0;
        CIUIC_TRY(bits_points(r, groups[g], &points, &count));
        for (size_t i = 0; i < count; i++) present[method_of(points[i].c)] = true;
        free(points);
    }
    size_t used = 0;
    for (size_t m = 0; m < METHODS; m++) positions[m] = present[m] ? used++ : 0;
    fputs("names = '", variables);
    for (size_t m = 0; m < METHODS; m++)
        if (present[m]) fprintf(variables, "%s ", methods[m].name);
    fputs("'\ncolours = '", variables);
    for (size_t m = 0; m < METHODS; m++)
        if (present[m]) fprintf(variables, "%s ", methods[m].colour);
    fprintf(variables, "'\nmethods = %zu\n", used);
    return CIUIC_OK;
}

ciuic_status bits_plot_data(const result_set *r, FILE *out, FILE *variables, size_t *panels)
{
    size_t positions[METHODS], n = 0;
    *panels = 0;
    size_t *groups = calloc(r->group_count + 1, sizeof *groups);
    if (groups == NULL) return ciuic_fail_memory("plot data", r->group_count * sizeof *groups);
    ciuic_status status = bits_groups(r, groups, &n);
    if (status == CIUIC_OK && n > 0) status = list_methods(r, groups, n, positions, variables);
    if (n > 0) fprintf(variables, "panels = %zu\naxes = '", n);
    for (size_t g = 0; g < n && status == CIUIC_OK; g++) {
        char axes[96] = "";
        status = put_panel(r, groups[g], g, positions, out, axes);
        fputs(axes, variables);
    }
    if (n > 0) fputs("'\n", variables);
    if (status == CIUIC_OK) *panels = n;
    free(groups);
    return status;
}
