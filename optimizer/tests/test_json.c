/* test_json.c - what is refused and where, what numbers come back as, and that no bytes crash the parser. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* Length given apart, so that a text may hold NUL. */
#define TEXT(literal) literal, sizeof(literal) - 1

static void refuses_what_is_not_json(void)
{
    static const struct {
        const char *text;
        size_t length;
        const char *message;
    } refused[] = {
        {TEXT(""), "t:1:1: not valid JSON: found the end of the file, expected a value"},
        {TEXT(" \n "), "t:2:2: not valid JSON: found the end"},
        {TEXT("{} {}"), "t:1:4: not valid JSON: found '{', expected nothing after the value"},
        {TEXT("{}\0"), "t:1:3: not valid JSON: found byte 0x00, expected nothing after"},
        {TEXT("\xef\xbb\xbf{}"), "t:1:1: not valid JSON: found byte 0xef"},
        {TEXT("{\"a\":1,}"), "t:1:8: not valid JSON: found '}', expected a key in double quotes"},
        {TEXT("[1,\n 2,\n]"), "t:3:1: not valid JSON: found ']', expected a value"},
        {TEXT("[1 2]"), "t:1:4: not valid JSON: found '2', expected ',' or ']'"},
        {TEXT("{\"a\" 1}"), "t:1:6: not valid JSON: found '1', expected ':'"},
        {TEXT("{a:1}"), "expected a key in double quotes"},
        {TEXT("{'a':1}"), "expected a key in double quotes"},
        {TEXT("[1"), "found the end of the file, expected ',' or ']'"},
        {TEXT("{\"a\":"), "found the end of the file, expected a value"},
        {TEXT("\"abc"), "expected a closing quote"},
        {TEXT("\"a\nb\""), "t:1:3: not valid JSON: found byte 0x0a, expected no control character in a string"},
        {TEXT("\"\\x41\""), "after a backslash"},
        {TEXT("\"\\"), "after a backslash"},
        {TEXT("\"\\u12g4\""), "expected four hexadecimal digits"},
        {TEXT("\"a\\u0000b\""), "expected no \\u0000"},
        {TEXT("\"\\ud800\""), "expected a low surrogate"},
        {TEXT("\"\\ud800\\n\""), "expected a low surrogate"},
        {TEXT("\"\\ud800\\u0041\""), "expected a low surrogate"},
        {TEXT("\"\\udc00\""), "expected a high surrogate"},
        {TEXT("\"\xff\""), "found byte 0xff, expected UTF-8"},
        {TEXT("\"\xc0\x80\""), "expected UTF-8"},         /* overlong NUL */
        {TEXT("\"\xed\xa0\x80\""), "expected UTF-8"},     /* a surrogate */
        {TEXT("\"\xf4\x90\x80\x80\""), "expected UTF-8"}, /* above U+10FFFF */
        {TEXT("\"\xe2\x82"), "expected UTF-8"},           /* cut short */
        {TEXT("01"), "expected a number without a leading zero"},
        {TEXT("-"), "expected a digit"},
        {TEXT("1."), "expected a digit"},
        {TEXT(".5"), "expected a value"},
        {TEXT("+1"), "expected a value"},
        {TEXT("1e"), "expected a digit"},
        {TEXT("1e+"), "expected a digit"},
        {TEXT("0x10"), "expected nothing after the value"},
        {TEXT("NaN"), "expected a value"},
        {TEXT("Infinity"), "expected a value"},
        {TEXT("-Infinity"), "expected a digit"},
        {TEXT("nul"), "expected a value"},
        {TEXT("True"), "expected a value"},
        {TEXT("[1] // no"), "expected nothing after the value"},
        {TEXT("1e999"), "t: number too large"},
        {TEXT("{\"a\":[1,{\"b\":-1e999}]}"), "t: a[1].b: number too large"},
        {TEXT("{\"a\":1,\"b\":2,\"a\":3}"), "t: key \"a\" appears twice"},
        {TEXT("{\"a\":1,\"\\u0061\":3}"), "t: key \"a\" appears twice"},
        {TEXT("{\"x\":[{},{\"k\":{\"a\":1,\"a\":1}}]}"), "t: x[1].k: key \"a\" appears twice"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        cJSON *tree = NULL;
        const ciuic_status status = json_parse(refused[i].text, refused[i].length, "t", &tree);
        CHECK(status == CIUIC_ERROR_INPUT && tree == NULL, "%s: status %d", refused[i].text, (int)status);
        CHECK(strstr(ciuic_last_error(), refused[i].message) != NULL, "%s: \"%s\" lacks \"%s\"", refused[i].text,
              ciuic_last_error(), refused[i].message);
    }
}

static void accepts_what_is(void)
{
    static const char *const accepted[] = {
        "0",
        "-0",
        "1e5",
        "1E-5",
        "-12.5e+3",
        "\"\"",
        "true",
        " null ",
        "[]",
        "{}",
        "[[],{},\"\\ud83d\\ude42\"]",
        "{\"a\":1,\"A\":2}", /* keys differ in case: not duplicates */
        "\"\xf0\x9f\x99\x82 \xe6\xb7\xb1 \x7f\"",
        "\t{\r\n\"a\" : [ 1 , 2 ] }\n",
    };
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        cJSON *tree = NULL;
        const ciuic_status status = json_parse(accepted[i], strlen(accepted[i]), "t", &tree);
        CHECK(status == CIUIC_OK && tree != NULL, "%s: %s", accepted[i], ciuic_last_error());
        cJSON_Delete(tree);
    }
}

static void limits_nesting(void)
{
    char text[140];
    for (size_t depth = 63; depth <= 66; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cJSON *tree = NULL;
        const ciuic_status status = json_parse(text, 2 * depth, "t", &tree);
        CHECK((status == CIUIC_OK) == (depth <= 64), "depth %zu: status %d", depth, (int)status);
        cJSON_Delete(tree);
    }
}

typedef enum kind { SIZE, DOUBLE, BOOL, STRING, ARRAY, OBJECT } kind;

static ciuic_status get(kind what, const cJSON *object, const char *key)
{
    size_t size;
    double number;
    bool flag;
    const char *string;
    const cJSON *item;
    switch (what) {
    case SIZE:
        return json_get_size(object, "w", key, 2, 10, &size);
    case DOUBLE:
        return json_get_double(object, "w", key, -1, 1, &number);
    case BOOL:
        return json_get_bool(object, "w", key, &flag);
    case STRING:
        return json_get_string(object, "w", key, &string);
    case ARRAY:
        return json_get_array(object, "w", key, &item);
    case OBJECT:
        return json_get_object(object, "w", key, &item);
    }
    return CIUIC_ERROR_USAGE;
}

static void members_have_type_and_range(void)
{
    static const char text[] =
        "{\"n\":5,\"big\":11,\"half\":2.5,\"low\":1,\"minus\":-3,\"huge\":1e300,\"x\":0.5,\"t\":true,"
        "\"s\":\"five\",\"a\":[],\"o\":{},\"z\":null}";
    static const struct {
        kind what;
        const char *key, *message; /* NULL: found */
    } table[] = {
        {SIZE, "n", NULL},
        {SIZE, "big", "w: key \"big\" is 11; expected a whole number from 2 to 10"},
        {SIZE, "low", "is 1; expected a whole number from 2 to 10"},
        {SIZE, "half", "is 2.5; expected a whole number"},
        {SIZE, "minus", "is -3; expected"},
        {SIZE, "huge", "expected a whole number"},
        {SIZE, "s", "is \"five\"; expected a whole number"},
        {SIZE, "z", "w: key \"z\" is missing; expected a whole number"},
        {SIZE, "N", "w: key \"N\" is missing"}, /* keys have their case */
        {DOUBLE, "x", NULL},
        {DOUBLE, "n", "is 5; expected a number from -1 to 1"},
        {DOUBLE, "t", "is true; expected a number"},
        {BOOL, "t", NULL},
        {BOOL, "n", "expected true or false"},
        {STRING, "s", NULL},
        {STRING, "a", "is an array; expected a string"},
        {ARRAY, "a", NULL},
        {ARRAY, "o", "is an object; expected an array"},
        {OBJECT, "o", NULL},
        {OBJECT, "missing", "key \"missing\" is missing; expected an object"},
    };
    cJSON *object = NULL;
    CU_ASSERT_FATAL(json_parse(text, sizeof text - 1, "t", &object) == CIUIC_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const ciuic_status status = get(table[i].what, object, table[i].key);
        CHECK(status == (table[i].message == NULL ? CIUIC_OK : CIUIC_ERROR_INPUT), "%s: status %d", table[i].key,
              (int)status);
        if (table[i].message != NULL)
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
                  table[i].message);
    }
    cJSON_Delete(object);
}

static void unknown_keys_get_the_nearest_suggestion(void)
{
    static const char *const keys[] = {"workloads", "variants", "baselines", "claims", "seed"};
    static const struct {
        const char *text, *message;
    } table[] = {
        {"{\"seed\":1,\"claims\":[]}", NULL},
        {"{\"variant\":1}", "w: unknown key \"variant\"; did you mean \"variants\"?"},
        {"{\"Seed\":1}", "did you mean \"seed\"?"},
        {"{\"wrokloads\":1}", "did you mean \"workloads\"?"},
        {"{\"colour\":1}", "unknown key \"colour\"; expected one of workloads, variants, baselines, claims, seed"},
        {"{\"\":1}", "unknown key \"\"; expected one of"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *object = NULL;
        CU_ASSERT_FATAL(json_parse(table[i].text, strlen(table[i].text), "t", &object) == CIUIC_OK);
        const ciuic_status status = json_only_keys(object, "w", keys, sizeof keys / sizeof keys[0]);
        CHECK((status == CIUIC_OK) == (table[i].message == NULL), "%s: status %d", table[i].text, (int)status);
        if (table[i].message != NULL)
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
                  table[i].message);
        cJSON_Delete(object);
    }
}

/* What is read back from the printed text; NaN when it is no number there. */
static double through_text(double value)
{
    cJSON *item = json_double(value), *back = NULL;
    char *text = cJSON_PrintUnformatted(item);
    double read = NAN;
    if (json_parse(text, strlen(text), "t", &back) == CIUIC_OK && cJSON_IsNumber(back)) read = back->valuedouble;
    cJSON_Delete(item);
    cJSON_Delete(back);
    free(text);
    return read;
}

static void doubles_come_back_bit_for_bit(void)
{
    static const double edges[] = {0.0,    -0.0,       0.1,  1.0 / 3, DBL_MAX, -DBL_MAX,         DBL_MIN,
                                   5e-324, 2147483648, 1e15, 1e22,    1e23,    9007199254740992, 0.1 + 0.2};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        const double back = through_text(edges[i]);
        CHECK(memcmp(&back, &edges[i], sizeof back) == 0, "%.17g came back as %.17g", edges[i], back);
    }
    unsigned long long state = test_seed();
    for (int i = 0; i < 20000; i++) {
        const unsigned long long bits = random_next(&state);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        const double back = through_text(value);
        if (memcmp(&back, &value, sizeof back) != 0) CHECK(false, "%.17g came back as %.17g", value, back);
    }
    CHECK(isnan(through_text(NAN)) && isnan(through_text(INFINITY)), "NaN and infinity must become null");
}

static void numbers_made_here_can_be_read_before_printing(void)
{
    cJSON *object = cJSON_CreateObject();
    CHECK(json_add_double(object, "third", 1.0 / 3) && json_add_size(object, "five", 5) &&
              json_add_size(object, "all", SIZE_MAX) && json_add_double(object, "nan", NAN),
          "adding failed");
    double third = 0;
    size_t five = 0, all = 0;
    CHECK(json_get_double(object, "w", "third", 0, 1, &third) == CIUIC_OK && third == 1.0 / 3, "third %.17g", third);
    CHECK(json_get_size(object, "w", "five", 0, 9, &five) == CIUIC_OK && five == 5, "five %zu", five);
    CHECK(json_get_size(object, "w", "all", 0, SIZE_MAX, &all) == CIUIC_ERROR_INPUT,
          "2^64 - 1 is not exact in a double");
    CHECK(json_find(object, "nan") == NULL && cJSON_HasObjectItem(object, "nan"), "NaN is null, and null is absent");
    char *text = cJSON_PrintUnformatted(object);
    CHECK(strcmp(text, "{\"third\":0.3333333333333333,\"five\":5,\"all\":18446744073709551615,\"nan\":null}") == 0,
          "%s", text);
    free(text);
    cJSON_Delete(object);
}

static void files_are_read_whole_or_refused(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    char good[TEST_PATH], empty[TEST_PATH], pipe[TEST_PATH], missing[TEST_PATH];
    write_bytes(temporary_path(&folder, "good.json", good), "{\"a\":1}", 7);
    write_bytes(temporary_path(&folder, "empty.json", empty), "", 0);
    mkfifo(temporary_path(&folder, "pipe", pipe), 0600);
    temporary_path(&folder, "missing.json", missing);
    const struct {
        const char *path;
        size_t max;
        const char *message;
    } table[] = {
        {good, 7, NULL},
        {good, 6, "has 7 bytes; expected at most 6"},
        {empty, 10, ":1:1: not valid JSON: found the end of the file"},
        {pipe, 10, "is a device, pipe or socket; expected a JSON file"}, /* and does not wait for a writer */
        {folder.path, 10, "is a folder; expected a JSON file"},
        {missing, 10, "cannot be opened: No such file"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *tree = NULL;
        const ciuic_status status = json_read_file(table[i].path, table[i].max, &tree);
        CHECK(status == (table[i].message == NULL ? CIUIC_OK : CIUIC_ERROR_INPUT), "%s: status %d", table[i].path,
              (int)status);
        if (table[i].message != NULL)
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL &&
                      strncmp(ciuic_last_error(), table[i].path, strlen(table[i].path)) == 0,
                  "\"%s\" lacks \"%s\"", ciuic_last_error(), table[i].message);
        cJSON_Delete(tree);
    }
    cJSON *object = cJSON_CreateObject(), *back = NULL;
    json_add_size(object, "n", 7);
    char written[TEST_PATH];
    CHECK(json_write_file(temporary_path(&folder, "out.json", written), object) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(json_read_file(written, 100, &back) == CIUIC_OK && json_find(back, "n")->valuedouble == 7, "%s",
          ciuic_last_error());
    cJSON_Delete(object);
    cJSON_Delete(back);
    temporary_folder_remove(&folder);
}

/* Bytes of a valid text are overwritten at random; whatever comes of it is a tree or one line that begins with the name. */
static void damaged_texts_never_crash(void)
{
    static const char text[] = "{\"suite\":\"quick\",\"n\":[1,2.5e-3,-0,{\"k\":\"\\u00e9\\ud83d\\ude42\"}],\"t\":true,"
                               "\"deep\":[[[[{\"a\":[null,false]}]]]]}";
    unsigned long long state = test_seed();
    for (int i = 0; i < 50000; i++) {
        char damaged[sizeof text];
        memcpy(damaged, text, sizeof text);
        const size_t edits = 1 + random_next(&state) % 4;
        for (size_t j = 0; j < edits; j++) {
            const unsigned long long r = random_next(&state);
            damaged[r % (sizeof text - 1)] = r >> 60 < 8 ? "{}[]\",:\\0"[r >> 32 & 7] : (char)(r >> 40);
        }
        cJSON *tree = NULL;
        const ciuic_status status = json_parse(damaged, random_next(&state) % sizeof text, "name", &tree);
        const bool good = status == CIUIC_OK ? tree != NULL
                                             : status == CIUIC_ERROR_INPUT && tree == NULL &&
                                                   strncmp(ciuic_last_error(), "name:", 5) == 0;
        if (!good) CHECK(false, "%s: status %d", damaged, (int)status);
        cJSON_Delete(tree);
    }
    CHECK(state != 0, "ran");
}

static const test_case cases[] = {
    {"refuses what is not JSON", refuses_what_is_not_json},
    {"accepts what is", accepts_what_is},
    {"limits nesting", limits_nesting},
    {"members have type and range", members_have_type_and_range},
    {"unknown keys get the nearest suggestion", unknown_keys_get_the_nearest_suggestion},
    {"doubles come back bit for bit", doubles_come_back_bit_for_bit},
    {"numbers made here can be read before printing", numbers_made_here_can_be_read_before_printing},
    {"files are read whole or refused", files_are_read_whole_or_refused},
    {"damaged texts never crash", damaged_texts_never_crash},
};
TEST_SUITE(json, cases);
