/* embedded.c - the assembler includes the files as they are; compile from the root. The Makefile lists them as
 * prerequisites of this object. */
#include "harness/report/embedded.h"

#include <string.h>

#define EMBED(name, path)                                                                                              \
    __asm__(".section .rodata\n"                                                                                       \
            "embedded_" #name "_begin:\n"                                                                              \
            ".incbin \"" path "\"\n"                                                                                   \
            "embedded_" #name "_end:\n"                                                                                \
            ".byte 0\n"                                                                                                \
            ".previous\n");                                                                                            \
    extern const char embedded_##name##_begin[], embedded_##name##_end[];                                              \
    static embedded_file name##_file(void)                                                                             \
    {                                                                                                                  \
        return (embedded_file){embedded_##name##_begin, (size_t)(embedded_##name##_end - embedded_##name##_begin)};    \
    }

EMBED(template, "reports/report.html.in")
EMBED(schema, "reports/results.schema.json")
EMBED(style, "reports/style.gnuplot")
EMBED(speedup, "reports/speedup.gnuplot")
EMBED(stages, "reports/stages.gnuplot")
EMBED(memory, "reports/memory.gnuplot")
EMBED(error, "reports/error.gnuplot")
EMBED(roofline, "reports/roofline.gnuplot")
EMBED(tradeoff, "reports/tradeoff.gnuplot")
EMBED(bits, "reports/bits.gnuplot")
EMBED(sensitivity, "reports/sensitivity.gnuplot")
EMBED(attribution, "reports/attribution.gnuplot")

embedded_file embedded_template(void)
{
    return template_file();
}

embedded_file embedded_schema(void)
{
    return schema_file();
}

embedded_file embedded_style(void)
{
    return style_file();
}

embedded_file embedded_plot(const char *name)
{
    static const struct {
        const char *name;
        embedded_file (*file)(void);
    } plots[] = {{"speedup", speedup_file},         {"stages", stages_file},
                 {"memory", memory_file},           {"error", error_file},
                 {"tradeoff", tradeoff_file},       {"bits", bits_file},
                 {"sensitivity", sensitivity_file}, {"attribution", attribution_file},
                 {"roofline", roofline_file}};
    for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++)
        if (strcmp(plots[i].name, name) == 0) return plots[i].file();
    return (embedded_file){NULL, 0};
}
