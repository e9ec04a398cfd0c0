/* test_error.c - the last error is one line of valid UTF-8, whatever hostile names were put into it. */
#include "optimizer/error.h"

#include <string.h>

#include "optimizer/json_syntax.h"
#include "optimizer/tests/runner.h"

typedef struct line {
    const char *given, *kept;
} line;
static const line lines[] = {
    {"plain words", "plain words"},
    {"two\nlines\r\x1b[31m\x7f", "two?lines??[31m?"},
    {"caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
    {"latin caf\xe9!", "latin caf?!"},
    {"cut \xe2\x82", "cut ??"},
    {"overlong \xc0\xaf", "overlong ??"},
};

static void test_lines(void)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        CU_ASSERT_EQUAL(ciuic_fail(CIUIC_ERROR_INPUT, "%s", lines[i].given), CIUIC_ERROR_INPUT);
        CHECK(strcmp(ciuic_last_error(), lines[i].kept) == 0, "line %zu became \"%s\"", i, ciuic_last_error());
    }
}

/* A name of two-byte characters, cut wherever the buffer ends. */
static void test_cut(void)
{
    char name[2048];
    for (size_t shift = 0; shift < 2; shift++) {
        memset(name, 'x', sizeof name);
        for (size_t i = shift; i + 2 < sizeof name; i += 2) memcpy(name + i, "\xc3\xa9", 2);
        name[sizeof name - 1] = '\0';
        ciuic_fail(CIUIC_ERROR_INPUT, "%s", name);
        const char *text = ciuic_last_error();
        const size_t length = strlen(text);
        CU_ASSERT_EQUAL(length, 1023);
        for (size_t i = 0; i < length;) {
            const size_t step = (unsigned char)text[i] < 0x80 ? 1 : json_utf8_length(text + i, length - i);
            CHECK(step > 0, "invalid UTF-8 at byte %zu", i);
            i += step > 0 ? step : 1;
        }
    }
}

/* An error may quote the error before it. */
static void test_nested(void)
{
    ciuic_fail(CIUIC_ERROR_INPUT, "inner");
    ciuic_fail(CIUIC_ERROR_INPUT, "outer: %s", ciuic_last_error());
    CU_ASSERT_STRING_EQUAL(ciuic_last_error(), "outer: inner");
}

static const test_case cases[] = {{"hostile names", test_lines}, {"cut lines", test_cut}, {"nested", test_nested}};
TEST_SUITE(error, cases);
