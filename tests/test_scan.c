/* SPDX-License-Identifier: Apache-2.0 */
/* The look through a source finds what it looks for wherever it stands, block ends included. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key/scan.h"
#include "util/utf8.h"

#define LENGTH 240

static void count_include(const struct scan_reference *reference, void *context) {
    (void)reference;
    ++*(unsigned *)context;
}

/* Scans filler with a word at an offset; in memory of its own, so that a sanitizer sees any byte
 * read behind it. */
static struct scan_words scan_word(const char *word, size_t offset, unsigned *ret_includes) {
    char *text = malloc(LENGTH);
    struct scan_text scan;
    struct scan_words words;

    ck_assert_ptr_nonnull(text);
    ck_assert_uint_le(offset + strlen(word), LENGTH);
    memset(text, 's', LENGTH);
    memcpy(text + offset, word, strlen(word));
    *ret_includes = 0;
    ck_assert_int_eq(scan_open(text, LENGTH, &scan), 0);
    scan_includes(&scan, count_include, ret_includes);
    scan_words(&scan, &words);
    scan_close(&scan);
    free(text);
    return words;
}

START_TEST(test_words_at_every_place) {
    static const struct {
        const char *word;
        bool uses_name;
        const char *volatile_macro;
        unsigned includes;
        bool probes;
    } WORDS[] = {
        {"assert(", true, NULL, 0, false},
        {"source_location", true, NULL, 0, false},
        {"__FILE__", true, NULL, 0, false},
        {"FILE", true, NULL, 0, false},
        {"a##b", true, NULL, 0, false},
        {"__DATE__", false, "__DATE__", 0, false},
        {"__TIME__", false, "__TIME__", 0, false},
        {"#include <a>\n", false, NULL, 1, false},
        {"%: include <a>\n", false, NULL, 1, false},
        {"\n#inc\\\nlude <a>\n", false, NULL, 1, false},
        {"\n#inc?\?/ \nlude <a>\n", false, NULL, 1, false},
        {"asert class _l source_locatio", false, NULL, 0, false},
        {"__TIME_ _DATE__ FIL", false, NULL, 0, false},
        {"__has_include(", false, NULL, 0, true},
        {"__has_embed", false, NULL, 0, true},
        {"as_ _has_ __ha", false, NULL, 0, false},
        {"%:%:", true, NULL, 0, false},
        {"?\?=?\?=", true, NULL, 0, false},
    };

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        for (size_t offset = 0; offset + strlen(WORDS[i].word) <= LENGTH; offset++) {
            unsigned includes;
            struct scan_words scan = scan_word(WORDS[i].word, offset, &includes);

            ck_assert_msg(scan.uses_name == WORDS[i].uses_name, "%s at %zu", WORDS[i].word, offset);
            ck_assert_msg(scan.probes == WORDS[i].probes, "%s at %zu", WORDS[i].word, offset);
            if (WORDS[i].volatile_macro)
                ck_assert_str_eq(scan.volatile_macro, WORDS[i].volatile_macro);
            else
                ck_assert_ptr_null(scan.volatile_macro);
            ck_assert_msg(includes == WORDS[i].includes, "%s at %zu: %u", WORDS[i].word, offset,
                          includes);
        }
    }
}
END_TEST

/* What a text refers to, as words: "include<a>", "probe\"b\"", "probe?" ... */
static void list_reference(const struct scan_reference *reference, void *context) {
    static const char *const KINDS[] = {"include", "next", "probe", "probe-next", "other"};
    char *list = context;

    sprintf(list + strlen(list), "%s%s", *list ? " " : "", KINDS[reference->kind]);
    if (reference->spelling)
        sprintf(list + strlen(list), reference->quoted ? "\"%.*s\"" : "<%.*s>",
                (int)reference->length, reference->spelling);
    else
        strcat(list, "?");
}

START_TEST(test_references) {
    static const struct {
        const char *text;
        const char *references;
    } CASES[] = {
        {"#include <a>\n#include \"b/c.h\" // d\n", "include<a> include\"b/c.h\""},
        {"#include M\n", "include?"},
        {"#include_next <a>\n#import <b>", "next<a> other<b>"},
        {"#include /* x\n */ <a>", "include<a>"},
        {"#include <a\n>", "include?"},
        {"#if __has_include(<a>) && __has_include ( \"b\" )\n#endif", "probe<a> probe\"b\""},
        {"#if /*\n*/ __has_include(<a>)\n#endif", "probe<a>"},
        {"#if 0 || \\\n __has_include(<a>)\n#endif", "probe<a>"},
        {"#ifdef __has_include\n#endif\n#if defined(__has_include)\n#endif", ""},
        {"#if __has_include(M)\n#endif", "probe?"},
        {"#if __has_include_next(<a>)\n#endif", "probe-next<a>"},
        {"#define HAS(x) __has_include(x)\n#if HAS(<a>)\n#endif", "probe-next<a>"},
        {"#if HAS(<a>)\n#endif\n#define HAS __has_include\n", "probe-next<a>"},
        {"#define A(x) B(x)\n#define B(x) __has_include(x)\n#if A(<a>)\n#endif", "probe-next<a>"},
        {"#define HAS(x) __has_include(x)\n#if HAS(M)\n#endif", "probe-next?"},
        {"#define HAS(x) 0\n#if HAS(<a>)\n#endif", ""},
        {"// __has_include(x)\n * __has_include(y)\n", ""},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        struct names macros = NAMES_INIT;
        struct scan_text scan;
        char list[400] = "";
        size_t before;

        ck_assert_int_eq(scan_open(CASES[i].text, strlen(CASES[i].text), &scan), 0);
        scan_includes(&scan, list_reference, list);
        do {
            before = macros.count;
            scan_probe_macros(&scan, &macros);
        } while (macros.count > before);
        scan_probes(&scan, &macros, list_reference, list);
        ck_assert_msg(strcmp(list, CASES[i].references) == 0, "%s: %s, expected %s", CASES[i].text,
                      list, CASES[i].references);
        names_free(&macros);
        scan_close(&scan);
    }
}
END_TEST

static void list_definition(const char *name, size_t length, void *context) {
    char *list = context;

    snprintf(list + strlen(list), 100, "%.*s ", (int)length, name);
}

START_TEST(test_definitions) {
    static const char TEXT[] =
        "#define A 1\n  # define B(x) x\n%:define C\n/* #define D */\n"
        "# /* over\nlines */ define E\n#def\\\nine F\\\nG\n#undef H\ndefine I\n";
    struct scan_text scan;
    char list[800] = "";

    ck_assert_int_eq(scan_open(TEXT, strlen(TEXT), &scan), 0);
    scan_definitions(&scan, list_definition, list);
    ck_assert_str_eq(list, "A B D E FG C ");
    scan_close(&scan);
}
END_TEST

/* Compilers are at odds about lines that end in a backslash and blanks. */
START_TEST(test_joined_lines) {
    static const struct {
        const char *text;
        bool guessed;
        size_t line; /* of the x */
    } CASES[] = {
        {"\nx", false, 2},          {"a\\\nb\n\nx", false, 4}, {"a\\\r\nb\r\nx", false, 3},
        {"a\\ \nb\nx", true, 3},    {"a\\\t\r\nx", true, 2},   {"a?\?/\nb\nx", true, 3},
        {"a\\b?\?/c\nx", false, 2}, {"\\\n\\\n\nx", false, 4}, {"x\\\n", false, 1},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        size_t size = strlen(CASES[i].text);
        struct scan_text scan;
        const char *at;

        ck_assert_int_eq(scan_open(CASES[i].text, size, &scan), 0);
        at = memchr(scan.start, 'x', (size_t)(scan.end - scan.start));
        ck_assert_msg(scan.guessed == CASES[i].guessed, "%s", CASES[i].text);
        ck_assert_msg(scan_line_number(&scan, CASES[i].text, size, at) == CASES[i].line, "%s",
                      CASES[i].text);
        scan_close(&scan);
    }
}
END_TEST

START_TEST(test_utf8_at_every_place) {
    for (size_t offset = 0; offset + 3 <= LENGTH; offset++) {
        char text[LENGTH];
        size_t bad;

        memset(text, 'x', sizeof(text));
        memcpy(text + offset, "\xe2\x82\xac", 3);
        ck_assert(utf8_is_valid(text, sizeof(text), &bad));
        text[offset + 2] = 'x';
        ck_assert(!utf8_is_valid(text, sizeof(text), &bad));
        ck_assert_uint_eq(bad, offset);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scan");
    TCase *tcase = tcase_create("scan");

    tcase_add_test(tcase, test_words_at_every_place);
    tcase_add_test(tcase, test_references);
    tcase_add_test(tcase, test_definitions);
    tcase_add_test(tcase, test_joined_lines);
    tcase_add_test(tcase, test_utf8_at_every_place);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
