/* disclosure.c - how an entry came about: what results.json knows is written down, what it cannot know is asked for. */
#include <math.h>
#include <string.h>

#include "harness/compare/comparison.h"
#include "harness/report/page.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

static const page_column facts[] = {{"what", false}, {"answer", false}};

static void fact(page *p, const char *what, const char *answer)
{
    page_cell(p, TONE_PLAIN, "%s", what);
    page_cell(p, TONE_PLAIN, "%s", answer);
}

static void write_program(page *p, const cJSON *root)
{
    const cJSON *program = json_find(root, "program");
    char line[4096], seed[40];
    view_plain("%.0f", view_number(root, "seed"), seed, sizeof seed);
    page_section(p, "program", "What ran");
    page_table_begin(p, "program", facts, 2, false);
    fact(p, "program", view_text(program, "version", "not recorded"));
    fact(p, "revision", view_text(program, "git", "not recorded"));
    fact(p, "program's sha256", view_text(program, "sha256", "not recorded"));
    fact(p, "compiler", view_text(program, "compiler", "not recorded"));
    fact(p, "flags", view_text(program, "flags", "not recorded"));
    fact(p, "command", view_command(root, line, sizeof line) ? line : "not recorded, or too long to be shown");
    fact(p, "suite", view_text(root, "suite", "not recorded"));
    fact(p, "suite's sha256", view_text(root, "suite_sha256", "not recorded"));
    fact(p, "seed", seed);
    fact(p, "CIUIC_ISA", view_text(root, "isa_override", "not set"));
    fact(p, "started", view_text(root, "started", "not recorded"));
    fact(p, "finished",
         cJSON_IsTrue(json_find(root, "complete")) ? view_text(root, "finished", "not recorded") : "interrupted");
    page_table_end(p);
}

static void write_model(page *p, const cJSON *root)
{
    static const page_column columns[] = {{"checkpoint", false}, {"file", false}, {"sha256", false}, {"of", false}};
    const cJSON *list = json_find(root, "checkpoints");
    page_section(p, "model", "What it ran on");
    if (!cJSON_IsArray(list) || list->child == NULL) {
        page_alert(p, "No digests of checkpoints were recorded.");
        return;
    }
    page_table_begin(p, "digests", columns, 4, false);
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const cJSON *files = json_find(item, "files");
        for (const cJSON *file = cJSON_IsArray(files) ? files->child : NULL; file != NULL; file = file->next) {
            page_cell(p, TONE_PLAIN, "%s", view_text(item, "name", "?"));
            page_cell(p, TONE_PLAIN, "%s", view_text(file, "file", "?"));
            page_cell(p, TONE_CODE, "%s", view_text(file, "sha256", "?"));
            page_cell(p, TONE_PLAIN, "the %s", view_text(file, "covers", "file"));
        }
    }
    page_table_end(p);
}

static void write_machine(page *p, const cJSON *root)
{
    const cJSON *machine = json_find(root, "machine"), *warnings = json_find(machine, "warnings");
    char cores[40], memory[40];
    view_plain("%.0f", view_number(machine, "cores"), cores, sizeof cores);
    view_bytes(view_number(machine, "memory_bytes"), memory, sizeof memory);
    page_section(p, "machine", "Where");
    page_table_begin(p, "machine", facts, 2, false);
    fact(p, "CPU", view_text(machine, "cpu", "not recorded"));
    fact(p, "cores", cores);
    fact(p, "memory", memory);
    fact(p, "kernel", view_text(machine, "kernel", "not recorded"));
    fact(p, "hypervisor", view_text(machine, "hypervisor", "none seen"));
    fact(p, "governor", view_text(machine, "governor", "not recorded"));
    fact(p, "huge pages", view_text(machine, "hugepages", "not recorded"));
    fact(p, "threads bound", view_text(machine, "thread_binding", "not recorded"));
    page_table_end(p);
    for (const cJSON *item = cJSON_IsArray(warnings) ? warnings->child : NULL; item != NULL; item = item->next)
        if (cJSON_IsString(item)) page_alert(p, "%s", item->valuestring);
}

static const char *calibration_of(const result_case *c)
{
    const char *quantizer = view_text(json_find(c->json, "variant"), "quantizer", "rtn");
    if (strcmp(c->quantize, "none") == 0) return "none";
    return strcmp(quantizer, "rtn") == 0 ? "none" : quantizer;
}

static void write_cases(page *p, const result_set *r)
{
    static const page_column columns[] = {{"case", false},        {"division", false},    {"why", false},
                                          {"calibration", false}, {"loaded from", false}, {"KL", true},
                                          {"same top", true},     {"cache", true}};
    page_section(p, "divisions", "What it claims to compute");
    page_text(p, "Equivalent: 16-bit weights as they are and logits within 2^-10 of the reference's (relative L2), "
                 "which is what "
                 "rounding to half precision explains. Open: everything else, with its loss. The reference is FP16 "
                 "weights, FP32 "
                 "activations and accumulation, portable C, every stage off.");
    page_table_begin(p, "cases", columns, sizeof columns / sizeof columns[0], false);
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        char kl[40], top[40], cache[40];
        if (c->twin) continue;
        view_plain("%.3g", case_number(c, "accuracy", "kl"), kl, sizeof kl);
        view_plain("%.2f%%", 100.0 * case_number(c, "accuracy", "top1_agreement"), top, sizeof top);
        view_bytes(case_number(c, "memory_bytes", "kv_cache"), cache, sizeof cache);
        page_cell(p, TONE_PLAIN, "%s", c->id);
        page_cell(p, TONE_PLAIN, "%s", !case_ok(c) ? c->status : division_reason(c)[0] == '\0' ? "equivalent" : "open");
        page_cell(p, TONE_PLAIN, "%s", case_ok(c) ? division_reason(c) : c->reason);
        page_cell(p, TONE_PLAIN, "%s", calibration_of(c));
        page_cell(p, TONE_PLAIN, "%s", c->packed ? "a folder quantised before" : "the checkpoint");
        page_cell(p, TONE_PLAIN, "%s", kl);
        page_cell(p, TONE_PLAIN, "%s", top);
        page_cell(p, TONE_PLAIN, "%s", cache);
    }
    page_table_end(p);
}

static void write_method(page *p, const result_set *r)
{
    double worst = NAN;
    size_t rounds = 0;
    for (size_t b = 0; b < r->block_count; b++) {
        const double n = view_number(r->blocks[b].json, "rounds");
        worst = fmax(worst, r->blocks[b].noise_floor);
        if (n > 0.0 && (rounds == 0 || n < (double)rounds)) rounds = (size_t)n;
    }
    page_section(p, "method", "How it was timed");
    if (!results_timed(r->root)) {
        page_text(p, "Nothing was timed.");
        return;
    }
    page_text(p,
              "One process for each variant, asked in turn; ratios are taken within a round, %zu rounds in the "
              "shortest block. "
              "The tuned baseline ran twice in every round: the worst noise floor is %.1f%%.",
              rounds, 100.0 * worst);
    page_text(p, "Outputs of the timed runs were held against those that errors were measured on; where they differ, "
                 "the case has "
                 "failed.");
}

static void write_questions(page *p)
{
    static const char *const questions[] = {
        "Who measured, and who may be asked:",
        "What else ran on the machine, and what limited power, frequency or memory:",
        "Whether anything of inputs or outputs was kept between repetitions (a cache of responses or prefixes):",
        "What data was used for calibration, tuning or choosing variants, and whether evaluated text was among it:",
        "What was changed by hand in these results (expected: nothing):",
        "How many runs were made, and why this one was chosen:",
    };
    page_section(p, "questions", "What only the submitter knows");
    page_list_begin(p);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        page_item(p, "%s (to be answered)", questions[i]);
    page_list_end(p);
}

ciuic_status disclosure_write(FILE *stream, const results_file *file)
{
    page p = page_begin(stream, PAGE_MARKDOWN);
    fputs("# Disclosure\n\n", stream);
    page_text(&p, "Of the entry %s.", file->path);
    write_program(&p, file->root);
    write_model(&p, file->root);
    write_machine(&p, file->root);
    write_cases(&p, &file->set);
    write_method(&p, &file->set);
    write_questions(&p);
    return page_end(&p);
}
