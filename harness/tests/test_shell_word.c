/* test_shell_word.c - names as words of a command line: what they become, and that a shell reads them back as they were. */
#include <stdio.h>
#include <string.h>

#include "harness/shell_word.h"
#include "optimizer/tests/runner.h"

static const struct {
    const char *word, *shown;
} rows[] = {
    {"build/results.json", "build/results.json"},
    {"-_.,:@%+9", "-_.,:@%+9"},
    {"", "''"},
    {"two words.json", "'two words.json'"},
    {"$(id)`id`$HOME\\", "'$(id)`id`$HOME\\'"},
    {"it's", "'it'\\''s'"},
    {"'", "''\\'''"},
    {"a;b&c|d<e>f", "'a;b&c|d<e>f'"},
    {"*?[a]{b}", "'*?[a]{b}'"},
    {"~/x", "'~/x'"},
    {"A=b", "'A=b'"},
    {"#x", "'#x'"},
    {"h\xc3\xa9.json", "'h\xc3\xa9.json'"},
};

static void words_are_quoted_where_they_must(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64] = "ciuic ";
        CHECK(shell_word(text, sizeof text, rows[i].word), "%s does not fit", rows[i].word);
        CHECK(strncmp(text, "ciuic ", 6) == 0 && strcmp(text + 6, rows[i].shown) == 0, "%s: %s", rows[i].word, text);
    }
}

static void a_shell_reads_them_back(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char command[128] = "printf %s ", read_back[128] = "";
        CHECK(shell_word(command, sizeof command, rows[i].word), "%s does not fit", rows[i].word);
        FILE *shell = popen(command, "r"); /* which is sh -c */
        CU_ASSERT_PTR_NOT_NULL_FATAL(shell);
        const size_t length = fread(read_back, 1, sizeof read_back - 1, shell);
        read_back[length] = '\0';
        CHECK(pclose(shell) == 0 && strcmp(read_back, rows[i].word) == 0, "%s: %s", command, read_back);
    }
}

static void nothing_moves_a_cursor(void)
{
    char text[64] = "";
    CHECK(shell_word(text, sizeof text, "a\nb\x1b[2J\x9b") && strcmp(text, "'a?b?[2J?'") == 0, "%s", text);
}

/* The last size that is too small and the first that is not, quoted and as it is. */
static void half_a_word_is_none(void)
{
    static const struct {
        const char *word, *shown;
    } words[] = {{"abc", "xabc"}, {"a'c", "x'a'\\''c'"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t needed = strlen(words[i].shown) + 1;
        char text[16] = "x";
        CHECK(!shell_word(text, needed - 1, words[i].word) && strcmp(text, "x") == 0, "%s", text);
        CHECK(shell_word(text, needed, words[i].word) && strcmp(text, words[i].shown) == 0, "%s", text);
    }
}

static const test_case cases[] = {
    {"words are quoted where they must be", words_are_quoted_where_they_must},
    {"a shell reads them back", a_shell_reads_them_back},
    {"nothing moves a cursor", nothing_moves_a_cursor},
    {"half a word is none", half_a_word_is_none},
};
TEST_SUITE(shell_word, cases);
