/* SPDX-License-Identifier: Apache-2.0 */
/* The look through a source finds what it looks for wherever it stands, block ends included. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "key/scan.h"

#define LENGTH 240

static void count_include(const char *spelling, const char *what, void *context) {
    (void)spelling;
    (void)what;
    ++*(unsigned *)context;
}

/* Scans filler with a word at an offset; in memory of its own, so that a sanitizer sees any byte
 * read behind it. */
static struct scan scan_word(const char *word, size_t offset, unsigned *ret_includes) {
    char *text = malloc(LENGTH);
    struct scan scan;

    ck_assert_ptr_nonnull(text);
    ck_assert_uint_le(offset + strlen(word), LENGTH);
    memset(text, 's', LENGTH);
    memcpy(text + offset, word, strlen(word));
    *ret_includes = 0;
    scan_text(text, LENGTH, &scan, count_include, ret_includes);
    free(text);
    return scan;
}

START_TEST(test_words_at_every_place) {
    static const struct {
        const char *word;
        bool uses_name;
        const char *volatile_macro;
        unsigned includes;
    } WORDS[] = {
        {"assert(", true, NULL, 0},
        {"source_location", true, NULL, 0},
        {"__FILE__", true, NULL, 0},
        {"FILE", true, NULL, 0},
        {"a##b", true, NULL, 0},
        {"__DATE__", false, "__DATE__", 0},
        {"__TIME__", false, "__TIME__", 0},
        {"#include <a>\n", false, NULL, 1},
        {"%: include <a>\n", false, NULL, 1},
        {"\n#inc\\\nlude <a>\n", false, NULL, 1},
        {"\n#inc?\?/ \nlude <a>\n", false, NULL, 1},
        {"asert class _l source_locatio", false, NULL, 0},
        {"__TIME_ _DATE__ FIL", false, NULL, 0},
    };

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        for (size_t offset = 0; offset + strlen(WORDS[i].word) <= LENGTH; offset++) {
            unsigned includes;
            struct scan scan = scan_word(WORDS[i].word, offset, &includes);

            ck_assert_msg(scan.uses_name == WORDS[i].uses_name, "%s at %zu", WORDS[i].word, offset);
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

START_TEST(test_utf8_at_every_place) {
    for (size_t offset = 0; offset + 3 <= LENGTH; offset++) {
        char text[LENGTH];
        size_t bad;

        memset(text, 'x', sizeof(text));
        memcpy(text + offset, "\xe2\x82\xac", 3);
        ck_assert(scan_utf8(text, sizeof(text), &bad));
        text[offset + 2] = 'x';
        ck_assert(!scan_utf8(text, sizeof(text), &bad));
        ck_assert_uint_eq(bad, offset);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scan");
    TCase *tcase = tcase_create("scan");

    tcase_add_test(tcase, test_words_at_every_place);
    tcase_add_test(tcase, test_utf8_at_every_place);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
