/* fairness.c - one function per aspect that reads it from a file, one table that says what a difference could do. */
#include "harness/compare/fairness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/content_digest.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { TEXT = 160 };

static const char unknown[] = "not recorded";

static const char *text_or(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

/* ---- aspects of one file ---------------------------------------------------------------------------------------- */

static void read_suite(const result_set *r, char text[TEXT])
{
    plain_append(text, TEXT, "%.60s, sha256 %.12s", text_or(r->root, "suite", unknown),
                 text_or(r->root, "suite_sha256", unknown));
}

static void read_threads(const result_set *r, char text[TEXT])
{
    for (size_t g = 0; g < r->group_count; g++) {
        bool known = false;
        for (size_t h = 0; h < g; h++) known = known || r->groups[h].threads == r->groups[g].threads;
        if (!known) plain_append(text, TEXT, "%s%zu", text[0] != '\0' ? ", " : "", r->groups[g].threads);
    }
}

static void read_calibration(const result_set *r, char text[TEXT])
{
    static const char *const quantizers[] = {"clip", "awq", "gptq"};
    for (size_t q = 0; q < sizeof quantizers / sizeof quantizers[0]; q++) {
        bool used = false;
        for (size_t i = 0; i < r->case_count && !used; i++)
            used = strcmp(text_or(json_find(r->cases[i].json, "variant"), "quantizer", "rtn"), quantizers[q]) == 0;
        if (used) plain_append(text, TEXT, "%s%s", text[0] != '\0' ? ", " : "", quantizers[q]);
    }
    if (text[0] == '\0') plain_append(text, TEXT, "none");
}

static void read_seed(const result_set *r, char text[TEXT])
{
    const cJSON *seed = json_find(r->root, "seed");
    plain_append(text, TEXT, "%.0f", json_is_number(seed) ? seed->valuedouble : NAN);
}

static void read_machine(const result_set *r, char text[TEXT])
{
    const cJSON *machine = json_find(r->root, "machine"), *cores = json_find(machine, "cores");
    plain_append(text, TEXT, "%.80s, %.0f cores", text_or(machine, "cpu", unknown),
                 json_is_number(cores) ? cores->valuedouble : NAN);
}

static void read_isa(const result_set *r, char text[TEXT])
{
    const cJSON *list = json_find(json_find(r->root, "machine"), "isa");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL; item = item->next)
        plain_append(text, TEXT, "%s%.16s", text[0] != '\0' ? " " : "", cJSON_IsString(item) ? item->valuestring : "?");
    const char *override = text_or(r->root, "isa_override", "");
    if (override[0] != '\0') plain_append(text, TEXT, " (CIUIC_ISA=%.16s)", override);
}

static void read_program(const result_set *r, char text[TEXT])
{
    const cJSON *program = json_find(r->root, "program");
    plain_append(text, TEXT, "%.20s, revision %.40s", text_or(program, "version", unknown),
                 text_or(program, "git", unknown));
}

static void read_compiler(const result_set *r, char text[TEXT])
{
    const cJSON *program = json_find(r->root, "program");
    plain_append(text, TEXT, "%.40s, %.100s", text_or(program, "compiler", unknown),
                 text_or(program, "flags", "no flags"));
}

static void read_prefixes(const result_set *r, char text[TEXT])
{
    size_t cached = 0;
    double spared = 0, largest = 0;
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        if (!(c->prefix_cache > 0)) continue;
        cached++;
        largest = fmax(largest, c->prefix_cache);
        spared = fmax(spared, c->prefix_tokens);
    }
    if (cached == 0)
        plain_append(text, TEXT, "none");
    else
        plain_append(text, TEXT, "%zu cases, up to %.0f bytes, sparing up to %.0f tokens of a prompt", cached, largest,
                     spared);
}

static void read_packed(const result_set *r, char text[TEXT])
{
    size_t packed = 0;
    for (size_t i = 0; i < r->case_count; i++) packed += r->cases[i].packed;
    if (packed == 0)
        plain_append(text, TEXT, "none");
    else
        plain_append(text, TEXT, "%zu cases loaded from folders quantised before", packed);
}

static void read_finished(const result_set *r, char text[TEXT])
{
    size_t failed = 0;
    for (size_t i = 0; i < r->case_count; i++) failed += strcmp(r->cases[i].status, "failed") == 0 ? 1 : 0;
    plain_append(text, TEXT, "%s", cJSON_IsTrue(json_find(r->root, "complete")) ? "finished" : "interrupted");
    if (failed > 0) plain_append(text, TEXT, ", %zu cases failed", failed);
}

static void read_timed(const result_set *r, char text[TEXT])
{
    plain_append(text, TEXT, "%s", results_timed(r->root) ? "timed" : "not timed");
}

static void read_random(const result_set *r, char text[TEXT])
{
    bool random = false;
    for (size_t i = 0; i < r->case_count; i++)
        random = random || cJSON_IsTrue(json_find(r->cases[i].json, "random_weights"));
    plain_append(text, TEXT, "%s", random ? "random" : "trained");
}

static void read_digest(const result_set *r, char text[TEXT])
{
    const bool sealed = cJSON_IsString(json_find(r->root, CONTENT_DIGEST_KEY));
    plain_append(text, TEXT, "%s", sealed ? "as written" : "no digest of itself: not known to be as written");
}

typedef struct aspect {
    const char *name;
    void (*read)(const result_set *r, char text[TEXT]);
    unsigned breaks;
    const char *effect;
} aspect;

static const aspect aspects[] = {
    {"weights", read_random, FIGURE_ERROR, "Errors of random weights say nothing of a trained model's."},
    {"suite", read_suite, 0,
     "Other rounds, windows or variants: intervals of other width, errors over other positions."},
    {"threads", read_threads, 0,
     "More threads are faster up to the memory's bandwidth; ratios over a baseline shift, too. Compare per thread "
     "count."},
    {"calibration", read_calibration, 0,
     "Calibrated codes have less error at the same bits. It has to be on ids that are not evaluated; bench refuses "
     "others."},
    {"seed", read_seed, 0, "Another order of measurements; other token ids where the checkpoint brings none."},
    {"machine", read_machine, 0, "Times are the machine's as much as the program's: compare ratios, not times."},
    {"instruction sets", read_isa, 0, "Other kernels run: other times, and errors that differ by rounding."},
    {"program", read_program, 0, "Another version: whatever changed in between is part of every difference."},
    {"compiler", read_compiler, 0, "Portable C is as fast as its compiler makes it; naive above all."},
    {"run", read_finished, 0,
     "What was not measured, or failed, is missing from one side; what is left may be the easier part."},
    {"prefix cache", read_prefixes, 0,
     "A prompt whose beginning was kept computes fewer tokens: such a case is set beside such cases only."},
    {"packed folders", read_packed, 0,
     "What was quantised before needs less memory and time to load: such a case is set beside such cases only."},
    {"timing", read_timed, FIGURE_SPEED, "One side has no times."},
    {"content", read_digest, 0,
     "Whether the side without a digest was edited after it was measured cannot be told: every figure of it may be."},
};

/* ---- collecting ------------------------------------------------------------------------------------------------- */

static ciuic_status add(fairness *out, size_t file, const aspect *a, const char *first, const char *other)
{
    difference *grown = reallocarray(out->list, out->count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("differences", (out->count + 1) * sizeof *grown);
    out->list = grown;
    difference *d = &out->list[out->count++];
    *d = (difference){.file = file, .aspect = a->name, .effect = a->effect, .breaks = a->breaks};
    snprintf(d->first, sizeof d->first, "%s", first);
    snprintf(d->other, sizeof d->other, "%s", other);
    plain_text(d->first);
    plain_text(d->other);
    out->broken |= a->breaks;
    return CIUIC_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

static const cJSON *checkpoint_files(const result_set *r, const char *name)
{
    const cJSON *list = json_find(r->root, "checkpoints");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL; item = item->next)
        if (strcmp(text_or(item, "name", ""), name) == 0) return json_find(item, "files");
    return NULL;
}

/* "config.json 0123456789ab, ..." of what is the model (or the token ids); whether only headers were read. */
static bool describe_files(const cJSON *files, bool ids, char text[TEXT])
{
    bool headers = false;
    for (const cJSON *item = cJSON_IsArray(files) ? files->child : NULL; item != NULL; item = item->next) {
        const char *file = text_or(item, "file", "?");
        if ((strcmp(file, "streams.safetensors") == 0) != ids) continue;
        headers = headers || strcmp(text_or(item, "covers", "file"), "header") == 0;
        plain_append(text, TEXT, "%s%.24s %.8s", text[0] != '\0' ? ", " : "", file, text_or(item, "sha256", unknown));
    }
    if (text[0] == '\0') plain_append(text, TEXT, "%s", unknown);
    return headers;
}

static bool same_files(const cJSON *a, const cJSON *b, bool ids)
{
    for (int side = 0; side < 2; side++) {
        const cJSON *own = side == 0 ? a : b, *others = side == 0 ? b : a;
        for (const cJSON *item = cJSON_IsArray(own) ? own->child : NULL; item != NULL; item = item->next) {
            const char *file = text_or(item, "file", "?"), *digest = text_or(item, "sha256", "");
            if ((strcmp(file, "streams.safetensors") == 0) != ids) continue;
            bool met = false;
            for (const cJSON *o = cJSON_IsArray(others) ? others->child : NULL; o != NULL && !met; o = o->next)
                met = strcmp(text_or(o, "file", ""), file) == 0 && strcmp(text_or(o, "sha256", "-"), digest) == 0;
            if (!met) return false;
        }
    }
    return true;
}

/* Of a checkpoint that brings no ids of its own. */
static ciuic_status check_drawn_ids(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect drawn = {"inputs", NULL, FIGURE_ERROR,
                                 "The checkpoint brings no token ids, and other ones were drawn: errors are over other "
                                 "inputs, and experts chosen differ."};
    char first[TEXT] = "drawn from seed ", other[TEXT] = "drawn from seed ";
    read_seed(a, first);
    read_seed(b, other);
    return strcmp(first, other) != 0 ? add(out, file, &drawn, first, other) : CIUIC_OK;
}

static ciuic_status check_checkpoint(const result_set *a, const result_set *b, const char *name, size_t file,
                                     fairness *out)
{
    static const aspect model = {"checkpoint", NULL, FIGURE_ALL,
                                 "Another model under the same name: no figure of the two "
                                 "is about the same thing."};
    static const aspect ids = {
        "inputs", NULL, FIGURE_ERROR,
        "Other token ids: errors and perplexity are of another text; experts chosen differ, too."};
    static const aspect unread = {
        "checkpoint", NULL, 0, "Of a file above 1 GiB only the header was read: other weights would not be noticed."};
    const cJSON *first = checkpoint_files(a, name), *other = checkpoint_files(b, name);
    for (int part = 0; part < 2; part++) {
        char mine[TEXT] = "", theirs[TEXT] = "";
        const bool is_ids = part == 1;
        bool headers = describe_files(first, is_ids, mine);
        headers = describe_files(other, is_ids, theirs) || headers;
        const bool missing = first == NULL || other == NULL;
        if ((missing && !is_ids) || !same_files(first, other, is_ids))
            CIUIC_TRY(add(out, file, is_ids ? &ids : &model, mine, theirs));
        else if (headers && !is_ids)
            CIUIC_TRY(add(out, file, &unread, mine, theirs));
        else if (is_ids && !missing && strcmp(mine, unknown) == 0)
            CIUIC_TRY(check_drawn_ids(a, b, file, out));
    }
    return CIUIC_OK;
}

static ciuic_status check_checkpoints(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    for (size_t g = 0; g < a->group_count; g++) {
        bool seen = false, shared = false;
        for (size_t h = 0; h < g; h++) seen = seen || strcmp(a->groups[h].checkpoint, a->groups[g].checkpoint) == 0;
        for (size_t h = 0; h < b->group_count; h++)
            shared = shared || strcmp(b->groups[h].checkpoint, a->groups[g].checkpoint) == 0;
        if (!seen && shared) CIUIC_TRY(check_checkpoint(a, b, a->groups[g].checkpoint, file, out));
    }
    return CIUIC_OK;
}

/* ---- workloads -------------------------------------------------------------------------------------------------- */

static void describe_workloads(const result_set *r, char text[TEXT])
{
    for (size_t g = 0; g < r->group_count; g++)
        plain_append(text, TEXT, "%s%.24s %s%zu@%zu b%zu", g > 0 ? ", " : "", r->groups[g].checkpoint,
                     r->groups[g].phase, r->groups[g].tokens, r->groups[g].depth, r->groups[g].batch);
    if (text[0] == '\0') plain_append(text, TEXT, "no cases");
}

static ciuic_status check_workloads(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect none = {
        "workloads", NULL, FIGURE_ALL,
        "No checkpoint, phase, length, depth and batch in common: there is nothing to compare."};
    static const aspect some = {"workloads", NULL, 0, "Only the common ones are set side by side."};
    size_t common = 0, others = 0;
    for (size_t g = 0; g < a->group_count; g++) common += same_workload(b, &a->groups[g]) != NULL ? 1 : 0;
    for (size_t g = 0; g < b->group_count; g++) others += same_workload(a, &b->groups[g]) == NULL ? 1 : 0;
    if (common > 0 && common == a->group_count && others == 0) return CIUIC_OK;
    char first[TEXT] = "", other[TEXT] = "";
    describe_workloads(a, first);
    describe_workloads(b, other);
    return add(out, file, common == 0 ? &none : &some, first, other);
}

/* ---- baselines -------------------------------------------------------------------------------------------------- */

static void describe_baselines(const result_group *group, char text[TEXT])
{
    static const char *const names[] = {"naive", "tuned", "openblas", "onednn"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const result_case *base = group_baseline(group, names[i]);
        if (base != NULL)
            plain_append(text, TEXT, "%s%s = %.40s", text[0] != '\0' ? "; " : "", names[i], case_variant_name(base));
    }
    if (text[0] == '\0') plain_append(text, TEXT, "none");
}

/* Of every workload that both have, not of the first alone: it is named where they differ first. */
static ciuic_status check_baselines(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect baselines = {
        "baselines", NULL, 0,
        "A ratio over another baseline is another ratio: a weaker one makes the same speed look better."};
    for (size_t g = 0; g < a->group_count; g++) {
        const result_group *group = same_workload(b, &a->groups[g]);
        char first[TEXT] = "", other[TEXT] = "";
        if (group == NULL) continue;
        describe_baselines(&a->groups[g], first);
        describe_baselines(group, other);
        if (strcmp(first, other) != 0) return add(out, file, &baselines, first, other);
    }
    return CIUIC_OK;
}

/* ---- how errors were measured ----------------------------------------------------------------------------------- */

/* Windows of the evaluation ids, each alone, beside the timed positions. Without windows their length does not matter. */
static void describe_evaluation(const result_set *r, char text[TEXT])
{
    const cJSON *said = json_find(r->root, "evaluation");
    const double windows = json_number(said, "windows"), tokens = json_number(said, "window_tokens");
    if (isnan(windows) || isnan(tokens))
        plain_append(text, TEXT, "%s", unknown);
    else if (windows == 0)
        plain_append(text, TEXT, "the timed positions alone");
    else
        plain_append(text, TEXT, "the timed positions and %.0f windows of %.0f tokens", windows, tokens);
}

static ciuic_status check_evaluation(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect evaluation = {"evaluation", NULL, FIGURE_ERROR,
                                      "Errors are means over other positions. In shorter windows a position has less "
                                      "text before it, which raises NLL and "
                                      "perplexity and moves every error with them; other windows are other text."};
    static const aspect undisclosed = {
        "evaluation", NULL, 0,
        "One side does not say which windows its errors are means over: that they are the same is not known."};
    char first[TEXT] = "", other[TEXT] = "";
    describe_evaluation(a, first);
    describe_evaluation(b, other);
    if (strcmp(first, other) == 0) return CIUIC_OK;
    const bool known = strcmp(first, unknown) != 0 && strcmp(other, unknown) != 0;
    return add(out, file, known ? &evaluation : &undisclosed, first, other);
}

/* The digest of the reference's logits on a workload; NULL when there is none. */
static const char *reference_digest(const result_set *r, const cJSON *workload)
{
    const cJSON *list = json_find(r->root, "references");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL; item = item->next)
        if (cJSON_Compare(json_find(item, "workload"), workload, true))
            return cJSON_GetStringValue(json_find(item, "sha256"));
    return NULL;
}

/* An NLL is a mean, and hides a reference that is a little coarser; its logits' digest hides nothing, but another CPU or
 * compiler changes it, too. */
static ciuic_status check_reference_logits(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect logits = {
        "reference's logits", NULL, 0,
        "They differ in some bits, as another CPU, compiler or library of mathematics makes them, or a reference of "
        "another "
        "precision. Its NLL is the same to 0.001, and errors as small as that may be its own."};
    for (size_t g = 0; g < a->group_count; g++) {
        const result_group *group = same_workload(b, &a->groups[g]);
        const char *mine = reference_digest(a, a->groups[g].workload);
        const char *theirs = group != NULL ? reference_digest(b, group->workload) : NULL;
        if (mine == NULL || theirs == NULL || strcmp(mine, theirs) == 0) continue;
        char first[TEXT] = "", other[TEXT] = "";
        plain_append(first, TEXT, "sha256 %.12s in %.16s%zu", mine, a->groups[g].phase, a->groups[g].tokens);
        plain_append(other, TEXT, "sha256 %.12s", theirs);
        return add(out, file, &logits, first, other);
    }
    return CIUIC_OK;
}

/* ---- what figures give away ------------------------------------------------------------------------------------- */

/* The reference is portable C in FP32: over the same ids it gives the same NLL everywhere but for the order of a few sums
 * and the last bit of expf, which stays below 1e-4 nats. Ten times that is another reference. */
static const double reference_tolerance = 1e-3;

/* The first case of the group with errors; NULL when there is none. */
static const result_case *scored_case(const result_set *r, const result_group *group)
{
    for (size_t i = 0; i < r->case_count; i++)
        if (&r->groups[r->cases[i].group] == group && !isnan(case_number(&r->cases[i], "accuracy", "reference_nll")))
            return &r->cases[i];
    return NULL;
}

static ciuic_status check_reference(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect positions = {"evaluated positions", NULL, FIGURE_ERROR,
                                     "Errors are means over other positions of the text."};
    static const aspect reference = {
        "reference", NULL, FIGURE_ERROR,
        "Its own NLL differs: errors are measured against other logits, or on other text."};
    for (size_t g = 0; g < a->group_count; g++) {
        const result_group *group = same_workload(b, &a->groups[g]);
        const result_case *x = scored_case(a, &a->groups[g]), *y = group != NULL ? scored_case(b, group) : NULL;
        if (x == NULL || y == NULL) continue;
        char first[TEXT] = "", other[TEXT] = "";
        const double n = case_number(x, "accuracy", "positions"), m = case_number(y, "accuracy", "positions");
        const double nll = case_number(x, "accuracy", "reference_nll");
        const double theirs = case_number(y, "accuracy", "reference_nll");
        if (n != m) {
            plain_append(first, TEXT, "%.0f in %s%zu", n, a->groups[g].phase, a->groups[g].tokens);
            plain_append(other, TEXT, "%.0f", m);
            return add(out, file, &positions, first, other);
        }
        if (fabs(nll - theirs) <= reference_tolerance) continue; /* the digests say whether it is the very same */
        plain_append(first, TEXT, "NLL %.6f in %s%zu", nll, a->groups[g].phase, a->groups[g].tokens);
        plain_append(other, TEXT, "NLL %.6f", theirs);
        return add(out, file, &reference, first, other);
    }
    return check_reference_logits(a, b, file, out);
}

static ciuic_status check_cache(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect cache = {
        "cache use", NULL, 0,
        "The same variant keeps another amount of keys and values: less is less to read, and may be a "
        "shorter or a coarser memory."};
    for (size_t i = 0; i < a->case_count; i++) {
        const result_case *x = &a->cases[i];
        const result_group *group = same_workload(b, &a->groups[x->group]);
        for (size_t j = 0; j < b->case_count && group != NULL; j++) {
            const result_case *y = &b->cases[j];
            if (&b->groups[y->group] != group || !same_variant(a, x, b, y)) continue;
            const double mine = case_number(x, "memory_bytes", "kv_cache");
            const double theirs = case_number(y, "memory_bytes", "kv_cache");
            if (isnan(mine) || isnan(theirs) || mine == theirs) continue;
            char first[TEXT] = "", other[TEXT] = "";
            plain_append(first, TEXT, "%.0f bytes in %.100s", mine, case_variant_name(x));
            plain_append(other, TEXT, "%.0f bytes", theirs);
            return add(out, file, &cache, first, other);
        }
    }
    return CIUIC_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static bool measured(const result_case *c)
{
    return case_ok(c) && !c->twin;
}

/* Whether any case of a stands beside one of b. */
static bool share_row(const result_set *a, const result_set *b)
{
    for (size_t i = 0; i < a->case_count; i++) {
        const result_case *x = &a->cases[i];
        const result_group *group = measured(x) ? same_workload(b, &a->groups[x->group]) : NULL;
        for (size_t j = 0; j < b->case_count && group != NULL; j++) {
            const result_case *y = &b->cases[j];
            if (measured(y) && &b->groups[y->group] == group && same_variant(a, x, b, y)) return true;
        }
    }
    return false;
}

static size_t count_measured(const result_set *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->case_count; i++) count += measured(&r->cases[i]) ? 1 : 0;
    return count;
}

static ciuic_status check_rows(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    static const aspect cases = {"cases", NULL, FIGURE_ALL,
                                 "No case was measured in both: there is nothing to set side by side."};
    if (share_row(a, b)) return CIUIC_OK;
    char first[TEXT] = "", other[TEXT] = "";
    plain_append(first, TEXT, "%zu measured", count_measured(a));
    plain_append(other, TEXT, "%zu measured, none of them in the first", count_measured(b));
    return add(out, file, &cases, first, other);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static ciuic_status check_aspects(const result_set *a, const result_set *b, size_t file, fairness *out)
{
    for (size_t i = 0; i < sizeof aspects / sizeof aspects[0]; i++) {
        char first[TEXT] = "", other[TEXT] = "";
        aspects[i].read(a, first);
        aspects[i].read(b, other);
        if (first[0] == '\0') plain_append(first, TEXT, "%s", unknown);
        if (other[0] == '\0') plain_append(other, TEXT, "%s", unknown);
        if (strcmp(first, other) != 0) CIUIC_TRY(add(out, file, &aspects[i], first, other));
    }
    return CIUIC_OK;
}

ciuic_status fairness_check(const results_file *files, size_t n, fairness *out)
{
    *out = (fairness){0};
    for (size_t i = 1; i < n; i++) {
        const result_set *a = &files[0].set, *b = &files[i].set;
        CIUIC_TRY(check_checkpoints(a, b, i, out));
        CIUIC_TRY(check_workloads(a, b, i, out));
        CIUIC_TRY(check_rows(a, b, i, out));
        CIUIC_TRY(check_baselines(a, b, i, out));
        CIUIC_TRY(check_evaluation(a, b, i, out));
        CIUIC_TRY(check_reference(a, b, i, out));
        CIUIC_TRY(check_cache(a, b, i, out));
        CIUIC_TRY(check_aspects(a, b, i, out));
    }
    return CIUIC_OK;
}

void fairness_free(fairness *f)
{
    free(f->list);
    *f = (fairness){0};
}

const char *fairness_verdict(const fairness *f)
{
    if (f->broken != 0) return "not comparable";
    return f->count > 0 ? "comparable, with the differences below" : "comparable";
}

const char *figure_names(unsigned figures)
{
    static const char *const names[] = {"none",   "speed",         "error",         "speed, error",
                                        "memory", "speed, memory", "error, memory", "speed, error, memory"};
    return names[figures & FIGURE_ALL];
}
