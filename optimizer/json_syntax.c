/* json_syntax.c - a scanner for the grammar of RFC 8259; it builds nothing. */
#include "optimizer/json_syntax.h"

#include <string.h>

typedef struct scanner {
    const char *text;
    size_t length, at;
    const char *expected; /* set by whatever fails first */
} scanner;

static int peek(const scanner *s)
{
    return s->at < s->length ? (unsigned char)s->text[s->at] : -1;
}

static bool expect(scanner *s, const char *what)
{
    s->expected = what;
    return false;
}

static void skip_space(scanner *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r') s->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool scan_digits(scanner *s)
{
    if (!is_digit(peek(s))) return expect(s, "a digit");
    while (is_digit(peek(s))) s->at++;
    return true;
}

static bool scan_number(scanner *s)
{
    if (peek(s) == '-') s->at++;
    if (peek(s) == '0') {
        s->at++;
        if (is_digit(peek(s))) return expect(s, "a number without a leading zero");
    } else if (!scan_digits(s)) {
        return false;
    }
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s)) return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') s->at++;
        if (!scan_digits(s)) return false;
    }
    return true;
}

size_t json_utf8_length(const char *text, size_t length)
{
    /* Lead byte ranges, their length, and the range of the second byte: Unicode 15, table 3-7. */
    static const struct {
        unsigned char first, last, bytes, low, high;
    } forms[] = {
        {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    if (length == 0) return 0;
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (bytes[0] < forms[i].first || bytes[0] > forms[i].last) continue;
        if (forms[i].bytes == 1) return 1;
        if (length < forms[i].bytes || bytes[1] < forms[i].low || bytes[1] > forms[i].high) return 0;
        for (size_t j = 2; j < forms[i].bytes; j++)
            if ((bytes[j] & 0xc0) != 0x80) return 0;
        return forms[i].bytes;
    }
    return 0;
}

static bool scan_hex4(scanner *s, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        const int c = peek(s);
        if (is_digit(c))
            *value = *value * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *value = *value * 16 + (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            *value = *value * 16 + (unsigned)(c - 'A' + 10);
        else
            return expect(s, "four hexadecimal digits");
    }
    return true;
}

/* After the backslash. */
static bool scan_escape(scanner *s)
{
    const int c = peek(s);
    if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == 0) return expect(s, "one of \"\\/bfnrtu after a backslash");
    s->at++;
    if (c != 'u') return true;
    unsigned unit = 0, low = 0;
    if (!scan_hex4(s, &unit)) return false;
    if (unit == 0) return expect(s, "no \\u0000 in a string");
    if (unit >= 0xdc00 && unit <= 0xdfff) return expect(s, "a high surrogate before a low one");
    if (unit < 0xd800 || unit > 0xdbff) return true;
    if (peek(s) != '\\') return expect(s, "a low surrogate");
    s->at++;
    if (peek(s) != 'u') return expect(s, "a low surrogate");
    s->at++;
    if (!scan_hex4(s, &low)) return false;
    return low >= 0xdc00 && low <= 0xdfff ? true : expect(s, "a low surrogate");
}

static bool scan_string(scanner *s)
{
    s->at++; /* the quote */
    for (;;) {
        const int c = peek(s);
        if (c < 0) return expect(s, "a closing quote");
        if (c < 0x20) return expect(s, "no control character in a string");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s)) return false;
            continue;
        }
        if (c < 0x80) { /* by far the most */
            s->at++;
            continue;
        }
        const size_t bytes = json_utf8_length(s->text + s->at, s->length - s->at);
        if (bytes == 0) return expect(s, "UTF-8");
        s->at += bytes;
    }
}

static bool scan_word(scanner *s, const char *word)
{
    const size_t n = strlen(word);
    if (s->length - s->at < n || memcmp(s->text + s->at, word, n) != 0) return expect(s, "a value");
    s->at += n;
    return true;
}

static bool scan_value(scanner *s, int depth);

/* The members of an object or the elements of an array, after the opening bracket. */
static bool scan_members(scanner *s, bool object, int depth)
{
    const char close = object ? '}' : ']';
    s->at++;
    skip_space(s);
    if (peek(s) == close) {
        s->at++;
        return true;
    }
    for (;;) {
        if (object) {
            skip_space(s);
            if (peek(s) != '"') return expect(s, "a key in double quotes");
            if (!scan_string(s)) return false;
            skip_space(s);
            if (peek(s) != ':') return expect(s, "':'");
            s->at++;
        }
        if (!scan_value(s, depth)) return false;
        skip_space(s);
        if (peek(s) == close) {
            s->at++;
            return true;
        }
        if (peek(s) != ',') return expect(s, object ? "',' or '}'" : "',' or ']'");
        s->at++;
    }
}

static bool scan_value(scanner *s, int depth)
{
    skip_space(s);
    const int c = peek(s);
    if (c == '{' || c == '[')
        return depth < JSON_MAX_DEPTH ? scan_members(s, c == '{', depth + 1) : expect(s, "nesting of at most 64");
    if (c == '"') return scan_string(s);
    if (c == 't') return scan_word(s, "true");
    if (c == 'f') return scan_word(s, "false");
    if (c == 'n') return scan_word(s, "null");
    if (c == '-' || is_digit(c)) return scan_number(s);
    return expect(s, "a value");
}

bool json_syntax_check(const char *text, size_t length, json_syntax_error *error)
{
    scanner s = {.text = text, .length = length};
    bool good = scan_value(&s, 0);
    if (good) {
        skip_space(&s);
        if (s.at < s.length) good = expect(&s, "nothing after the value");
    }
    if (good) return true;
    *error = (json_syntax_error){.line = 1, .column = 1, .expected = s.expected, .found = peek(&s)};
    for (size_t i = 0; i < s.at; i++) {
        error->column++;
        if (text[i] == '\n') {
            error->line++;
            error->column = 1;
        }
    }
    return false;
}
