/* commands.c - what all subcommands do alike: reading options, failing in one line, suggesting, stopping on Ctrl-C. */
#include "harness/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- suggestions ------------------------------------------------------------------------------------------------ */

enum { NAME_MAX_LENGTH = 32 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance with swapped neighbours counted as one mistake ("evla" is one away from "eval"). */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_LENGTH + 1];
    const size_t n = strlen(b);
    if (n > NAME_MAX_LENGTH || strlen(a) > NAME_MAX_LENGTH) return SIZE_MAX;
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++) above[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *const oldest = before;
        before = above, above = row, row = oldest;
    }
    return above[n];
}

/* Half of it wrong is no typo. */
static size_t most_mistakes(const char *text)
{
    const size_t length = strlen(text);
    return length < 4 ? 1 : length / 2;
}

const char *nearest_name(const char *typed, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = most_mistakes(typed) + 1; /* exclusive */
    for (size_t i = 0; i < n; i++) {
        if (names[i] == NULL) continue;
        const size_t distance = edit_distance(typed, names[i]);
        if (distance > most_mistakes(names[i]))
            continue; /* as far from a short name as it is long: two words, not one */
        if (distance < best_distance) best = names[i], best_distance = distance;
    }
    return best;
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

enum { OPTIONS_MAX = 32 };

static ciuic_status unknown_option(const char *command, const char *typed, const command_option *options, size_t n)
{
    const char *names[OPTIONS_MAX + 1] = {"--help"};
    for (size_t i = 0; i < n; i++) names[i + 1] = options[i].name;
    const char *nearest = nearest_name(typed, names, n + 1);
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: unknown option '%s'%s%s%s; 'ciuic %s --help' lists them", command, typed,
                      nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "", command);
}

static ciuic_status set_option(const char *command, const command_option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_SWITCH:
        *(bool *)option->value = true;
        return CIUIC_OK;
    case OPTION_TEXT:
        *(const char **)option->value = text;
        return CIUIC_OK;
    case OPTION_SIZE:
        break;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < option->min || number > option->max)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s '%s': expected a whole number from %zu to %zu", command,
                          option->name, text, option->min, option->max);
    *(size_t *)option->value = (size_t)number;
    return CIUIC_OK;
}

/* Whether `argument` is `option`, with *text set to what follows the '=' or NULL. */
static bool is_option(const char *argument, const command_option *option, const char **text)
{
    *text = NULL;
    if (option->letter != NULL && strcmp(argument, option->letter) == 0) return true;
    const size_t length = strlen(option->name);
    if (strncmp(argument, option->name, length) != 0) return false;
    if (argument[length] == '=') *text = argument + length + 1;
    return argument[length] == '\0' || argument[length] == '=';
}

/* Reads the option at argv[*i], moving *i on to its argument when that stands apart. */
static ciuic_status read_option(int argc, char **argv, int *i, const command_option *options, size_t n, bool *seen)
{
    const char *const command = argv[0], *const typed = argv[*i], *text = NULL;
    size_t k = 0;
    while (k < n && !is_option(typed, &options[k], &text)) k++;
    if (k == n) return unknown_option(command, typed, options, n);
    const char *const name = options[k].name;
    if (seen[k]) return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s is given twice; once is enough", command, name);
    seen[k] = true;
    if (options[k].kind == OPTION_SWITCH && text != NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s takes no argument, found '%s'", command, name, text);
    if (options[k].kind != OPTION_SWITCH && text == NULL) {
        if (*i + 1 >= argc)
            return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s needs an argument; see 'ciuic %s --help'", command, name,
                              command);
        text = argv[++*i];
    }
    return set_option(command, &options[k], text);
}

ciuic_status command_parse(int argc, char **argv, const char *help, const command_option *options, size_t n,
                           size_t min_operands, size_t max_operands, command_operands *operands)
{
    bool seen[OPTIONS_MAX] = {false}, options_ended = false;
    *operands = (command_operands){0};
    if (n > OPTIONS_MAX) return ciuic_fail(CIUIC_ERROR_USAGE, "%s: more than %d options", argv[0], OPTIONS_MAX);
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (options_ended || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[1 + count++] = argv[i]; /* count < i: never a place still to be read */
        } else if (strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            operands->help = true;
            return CIUIC_OK;
        } else {
            CIUIC_TRY(read_option(argc, argv, &i, options, n, seen));
        }
    }
    operands->names = (const char **)argv + 1;
    operands->count = (size_t)count;
    if (operands->count < min_operands)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: an argument is missing; 'ciuic %s --help' shows how it is used",
                          argv[0], argv[0]);
    if (operands->count > max_operands)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "%s: '%s' is one argument too many; 'ciuic %s --help' shows how it is used", argv[0],
                          operands->names[max_operands], argv[0]);
    return CIUIC_OK;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

int command_exit(ciuic_status status)
{
    if (status != CIUIC_OK) fprintf(stderr, "ciuic: %s\n", ciuic_last_error());
    return (int)status;
}

ciuic_status command_print_json(cJSON *object, bool complete)
{
    char *text = complete ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    if (text == NULL) return ciuic_fail_memory("the JSON output", 4096);
    puts(text);
    cJSON_free(text);
    return CIUIC_OK;
}

void command_print_wrapped(const char *title, const char *text)
{
    enum { WIDTH = 78 };
    const int indent = (int)strlen(title);
    int column = printf("%s", title);
    for (const char *word = text; *word != '\0';) {
        const int length = (int)strcspn(word, " ");
        if (column > indent && column + 1 + length > WIDTH) column = printf("\n%*s", indent, "") - 1;
        column += printf("%s%.*s", column > indent ? " " : "", length, word);
        word += length;
        word += strspn(word, " ");
    }
    putchar('\n');
}

/* ---- interruption ----------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static struct timespec interrupted_at;

/* timeout(1) signals both its child and its group, so that one interruption can arrive twice: only a signal that comes a
 * second after the first is a second one. */
static void on_interrupt(int signal_number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupted == 0) {
        interrupted_at = now;
        interrupted = 1;
    } else if (now.tv_sec - interrupted_at.tv_sec > 1) {
        signal(signal_number, SIG_DFL); /* for a process that does not come to a tidy place */
        raise(signal_number);
    }
}

void command_catch_interrupts(void)
{
    struct sigaction action = {0};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool command_interrupted(void)
{
    return interrupted != 0;
}
