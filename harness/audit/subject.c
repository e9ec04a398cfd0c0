/* subject.c - see subject.h. */
#include "harness/audit/subject.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/audit/temporary.h"
#include "harness/graph_setting.h"
#include "harness/measure/machine.h"
#include "harness/split_mix.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/variant_json.h"
#include "harness/worker/onednn.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/json.h"

const bench_variant audit_reference = {.options = {.isa = "c"}, .isa = KERNEL_ISA_C, .baseline = BASELINE_NAIVE};

size_t subject_draw(audit_subject *s, size_t n)
{
    return (size_t)(split_mix_next(&s->random) % n);
}

void subject_path(const audit_subject *s, const char *name, char path[AUDIT_PATH])
{
    snprintf(path, AUDIT_PATH, "%s/%s", s->folder, name);
}

/* ---- suite and checkpoints -------------------------------------------------------------------------------------- */

/* The name in the file is a stranger's: it is opened for reading, as a regular file only, and read as a suite or not at
 * all. */
static void find_suite(audit_subject *s)
{
    const char *named = json_text(s->results.root, "suite_file");
    const char *path = s->options->suite != NULL ? s->options->suite : named;
    if (path[0] == '\0') {
        snprintf(s->no_suite, sizeof s->no_suite, "the results name no suite file; give it with --suite");
        return;
    }
    if (suite_read(path, &s->suite) != CIUIC_OK) {
        s->suite = NULL;
        snprintf(s->no_suite, sizeof s->no_suite, "%s", ciuic_last_error());
    }
}

static void find_evaluation(audit_subject *s)
{
    const cJSON *said = json_find(s->results.root, "evaluation");
    if (said != NULL) {
        s->windows = (size_t)fmin(fmax(json_number(said, "windows"), 0), 1e6);
        s->window_tokens = (size_t)fmin(fmax(json_number(said, "window_tokens"), 0), 1e6);
    } else if (s->suite != NULL && strcmp(s->suite->sha256.text, json_text(s->results.root, "suite_sha256")) == 0) {
        s->windows = s->suite->accuracy_windows;
        s->window_tokens = s->suite->accuracy_tokens;
    }
}

/* One place where the checkpoint may be; taken when nothing better was found, or when its digest is the right one. */
static void try_place(audited_checkpoint *c, const char *path, const char *recorded)
{
    sha256_hex digest;
    if (path == NULL || c->same) return;
    if (checkpoint_digest_folder(path, &digest) != CIUIC_OK) {
        snprintf(c->why, sizeof c->why, "%s", ciuic_last_error());
        return;
    }
    c->same = strcmp(digest.text, recorded) == 0;
    if (c->same || c->path[0] == '\0') snprintf(c->path, sizeof c->path, "%s", path);
    if (!c->same)
        snprintf(c->why, sizeof c->why, "%.200s has sha256 %.12s..., the results were made with %.12s...", path,
                 digest.text, recorded);
}

static ciuic_status find_checkpoints(audit_subject *s)
{
    const cJSON *recorded = json_find(s->results.root, "checkpoints"), *item = NULL;
    const size_t count = (size_t)cJSON_GetArraySize(recorded);
    s->checkpoints = calloc(count + 1, sizeof *s->checkpoints);
    if (s->checkpoints == NULL) return ciuic_fail_memory("the checkpoints", count * sizeof *s->checkpoints);
    cJSON_ArrayForEach(item, recorded)
    {
        audited_checkpoint *c = &s->checkpoints[s->checkpoint_count++];
        const char *digest = json_text(item, "sha256");
        c->name = json_text(item, "name");
        try_place(c, s->options->checkpoint, digest);
        for (size_t i = 0; s->suite != NULL && i < s->suite->checkpoint_count; i++)
            if (strcmp(s->suite->checkpoints[i].name, c->name) == 0)
                try_place(c, s->suite->checkpoints[i].path, digest);
        if (c->path[0] == '\0' && c->why[0] == '\0')
            snprintf(c->why, sizeof c->why, "nothing here says where it is; say it with --checkpoint");
    }
    return CIUIC_OK;
}

/* ---- the sample ------------------------------------------------------------------------------------------------- */

ciuic_status subject_variant(const audit_subject *s, const result_case *c, bench_variant *v)
{
    const cJSON *settings = json_find(c->json, "variant");
    const result_group *g = &s->results.set.groups[c->group];
    char id[CASE_ID_MAX];
    *v = (bench_variant){.baseline = BASELINE_NONE};
    CIUIC_TRY(graph_setting_read(settings, c->id, &v->options));
    if (!ciuic_quantize_parse(c->quantize, &v->options.quantize) ||
        !ciuic_memory_parse(c->memory, &v->options.memory) || !kernel_isa_parse(c->kernels, &v->isa))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%.200s: quantize, memory or kernels: no setting of this program", c->id);
    CIUIC_TRY(variant_json_read(settings, c->id, &v->options));
    v->options.isa = kernel_isa_name(v->isa);
    for (suite_baseline b = BASELINE_NAIVE; b < BASELINE_COUNT; b++)
        if (c->baseline != NULL && strcmp(c->baseline, suite_baseline_name(b)) == 0) v->baseline = b;
    if (json_find(settings, "prefix_cache_bytes") != NULL)
        CIUIC_TRY(json_get_size(settings, c->id, "prefix_cache_bytes", 1, (size_t)1 << 46, &v->prefix_cache));
    v->packed = c->packed;
    variant_set_name(v);
    snprintf(id, sizeof id, "%s/%s%zu@%zu/b%zu/t%zu/%s", g->checkpoint, g->phase, g->tokens, g->depth, g->batch,
             g->threads, v->name);
    const size_t length = strlen(id);
    if (strncmp(id, c->id, length) == 0 && (c->id[length] == '\0' || c->twin)) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "a case is called \"%.150s\", its settings are those of \"%.150s\"", c->id,
                      id);
}

/* Whether the case can be run here; otherwise `why`. */
static bool runnable(const audit_subject *s, const audited_case *a, char why[AUDIT_REASON])
{
    const char *id = a->result->id;
    why[0] = '\0';
    if (a->variant.packed)
        snprintf(why, AUDIT_REASON, "%.150s: is loaded from a packed folder, which an audit does not make", id);
    else if (a->variant.prefix_cache > 0)
        snprintf(why, AUDIT_REASON, "%.150s: keeps beginnings of prompts, which an audit does not do", id);
    else if (a->checkpoint == NULL || a->checkpoint->path[0] == '\0')
        snprintf(why, AUDIT_REASON, "%.150s: its checkpoint: %.300s", id,
                 a->checkpoint != NULL ? a->checkpoint->why : "the results do not describe it");
    else if (!a->checkpoint->same)
        snprintf(why, AUDIT_REASON, "%.150s: another checkpoint would give other figures", id);
    else if (!kernel_isa_available(a->variant.isa))
        snprintf(why, AUDIT_REASON, "%.150s: this machine cannot run %s", id, kernel_isa_name(a->variant.isa));
    else if (a->variant.baseline == BASELINE_ONEDNN && !onednn_available())
        snprintf(why, AUDIT_REASON, "%.150s: no oneDNN here", id);
    else if (a->group->threads > (size_t)machine_threads())
        snprintf(why, AUDIT_REASON, "%.150s: %zu threads, this process may use %d cores", id, a->group->threads,
                 machine_threads());
    else if (a->group->batch != 1 || s->window_tokens == 0)
        snprintf(why, AUDIT_REASON, "%.150s: nothing here says what its errors were measured on; give --suite", id);
    return why[0] == '\0';
}

static void fill_case(const audit_subject *s, const result_case *c, audited_case *a)
{
    *a = (audited_case){.result = c, .group = &s->results.set.groups[c->group]};
    for (size_t i = 0; i < s->checkpoint_count; i++)
        if (strcmp(s->checkpoints[i].name, a->group->checkpoint) == 0) a->checkpoint = &s->checkpoints[i];
    const double seed = json_number(s->results.root, "seed");
    a->order = (load_order){.checkpoint = a->checkpoint != NULL ? a->checkpoint->path : "",
                            .phase = strcmp(a->group->phase, "decode") == 0 ? PHASE_DECODE : PHASE_PREFILL,
                            .tokens = a->group->tokens,
                            .depth = a->group->depth,
                            .windows = s->windows,
                            .window_tokens = s->window_tokens,
                            .seed = seed >= 0 && seed < 0x1p53 ? (uint64_t)seed : 0,
                            .threads = (int)(a->group->threads < 4096 ? a->group->threads : 4096)};
}

/* Every case that can be run, shuffled; then the first ones, of which one at least is no baseline where there is one: a
 * baseline alone has no speed-up. */
static ciuic_status sample_cases(audit_subject *s)
{
    const result_set *r = &s->results.set;
    s->cases = calloc(r->case_count + 1, sizeof *s->cases);
    if (s->cases == NULL) return ciuic_fail_memory("the sample", r->case_count * sizeof *s->cases);
    size_t n = 0;
    for (size_t i = 0; i < r->case_count; i++) {
        audited_case a;
        if (!case_ok(&r->cases[i]) || r->cases[i].twin) continue;
        fill_case(s, &r->cases[i], &a);
        if (subject_variant(s, a.result, &a.variant) != CIUIC_OK) continue;
        s->left_packed += a.variant.packed;
        s->left_cached += !a.variant.packed && a.variant.prefix_cache > 0;
        if (runnable(s, &a, s->no_case)) s->cases[n++] = a;
    }
    for (size_t i = n; i > 1; i--) {
        const size_t j = subject_draw(s, i);
        const audited_case kept = s->cases[j];
        s->cases[j] = s->cases[i - 1];
        s->cases[i - 1] = kept;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->cases[i].result->baseline != NULL) continue;
        const audited_case first = s->cases[i];
        s->cases[i] = s->cases[0];
        s->cases[0] = first;
        break;
    }
    s->case_count = n < s->options->cases ? n : s->options->cases;
    return CIUIC_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static ciuic_status identify(audit_subject *s)
{
    struct stat status;
    const char *program = s->options->binary != NULL ? s->options->binary : "/proc/self/exe";
    if (stat(program, &status) != 0 || !S_ISREG(status.st_mode))
        return ciuic_fail(CIUIC_ERROR_USAGE, "audit: --binary '%s': expected a program", program);
    CIUIC_TRY(sha256_file(program, &s->program));
    s->same_program = strcmp(s->program.text, json_text(json_find(s->results.root, "program"), "sha256")) == 0;
    cJSON *machine = machine_describe();
    const char *here = json_text(machine, "cpu"), *there = json_text(json_find(s->results.root, "machine"), "cpu");
    s->same_cpu = here[0] != '\0' && strcmp(here, there) == 0;
    cJSON_Delete(machine);
    return CIUIC_OK;
}

ciuic_status subject_read(const audit_options *options, audit_subject *s)
{
    char *path = NULL;
    cJSON *root = NULL;
    *s = (audit_subject){.options = options, .random = options->seed};
    CIUIC_TRY(results_file_load(options->results, &path, &root));
    s->written = cJSON_Duplicate(root, 1);
    ciuic_status status = results_file_take_any(root, path, &s->results);
    free(path);
    if (status == CIUIC_OK && s->written == NULL) status = ciuic_fail_memory("the results", 0);
    if (status == CIUIC_OK && s->results.set.case_count == 0)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: holds no case; expected one to audit", s->results.path);
    CIUIC_TRY(status);
    CIUIC_TRY(identify(s));
    find_suite(s);
    find_evaluation(s);
    CIUIC_TRY(find_checkpoints(s));
    CIUIC_TRY(sample_cases(s));
    return temporary_make(&s->folder);
}

void subject_free(audit_subject *s)
{
    temporary_remove(s->folder);
    suite_free(s->suite);
    free(s->cases);
    free(s->checkpoints);
    cJSON_Delete(s->written);
    results_file_free(&s->results);
    *s = (audit_subject){0};
}
