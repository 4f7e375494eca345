/* SPDX-License-Identifier: Apache-2.0 */
/* Cache specs: what they mean, and that errors point at the part that is wrong. */
#include <stdlib.h>
#include <string.h>

#include "cache/spec.h"
#include "harness.h"
#include "util/units.h"

static struct spec parse(const char *text) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct spec spec;

    ck_ok(spec_parse(text, &spec, &error), &error);
    return spec;
}

START_TEST(test_stores) {
    struct spec spec = parse("memory,file:/a/b,sqlite:c.db,/d:e,f");

    ck_assert_uint_eq(spec.count, 5);
    ck_assert_int_eq(spec.tiers[0].store, SPEC_MEMORY);
    ck_assert_ptr_null(spec.tiers[0].path);
    ck_assert_int_eq(spec.tiers[1].store, SPEC_FILE);
    ck_assert_str_eq(spec.tiers[1].path, "/a/b");
    ck_assert_int_eq(spec.tiers[2].store, SPEC_SQLITE);
    ck_assert_str_eq(spec.tiers[2].path, "c.db");
    ck_assert_int_eq(spec.tiers[3].store, SPEC_FILE);
    ck_assert_str_eq(spec.tiers[3].path, "/d:e");
    ck_assert_str_eq(spec.tiers[4].path, "f");
    spec_clear(&spec);
}
END_TEST

START_TEST(test_parameters) {
    struct spec spec = parse("memory?max_size=64M,file:/a?max_size=5G&durable=1&read_only=0&"
                             "flight_timeout=30");

    ck_assert_uint_eq(spec.tiers[0].params.max_size, 64u << 20);
    ck_assert_uint_eq(spec.tiers[1].params.max_size, (uint64_t)5 << 30);
    ck_assert(spec.tiers[1].params.durable);
    ck_assert(!spec.tiers[1].params.read_only);
    ck_assert(!spec.tiers[0].names_flight_timeout);
    ck_assert(spec.tiers[1].names_flight_timeout);
    ck_assert_uint_eq(spec.tiers[1].flight_timeout, 30);
    spec_clear(&spec);
}
END_TEST

START_TEST(test_forms) {
    struct spec spec;

    setenv("HOME", "/home/me", 1);
    spec = parse("file:/a?compress=zstd&secret_file=~/s%26t,sqlite:/b?compress=zstd:19,"
                 "file:/c?shared=group&compress=zstd:1&secret_file=x&secret_file=y");
    ck_assert_int_eq(spec.tiers[0].level, 3);
    ck_assert_str_eq(spec.tiers[0].secret_file, "/home/me/s&t");
    ck_assert(!spec.tiers[0].params.shared);
    ck_assert_int_eq(spec.tiers[1].level, 19);
    ck_assert_ptr_null(spec.tiers[1].secret_file);
    ck_assert_int_eq(spec.tiers[2].level, 1);
    ck_assert_str_eq(spec.tiers[2].secret_file, "y");
    ck_assert(spec.tiers[2].params.shared);
    spec_clear(&spec);
}
END_TEST

START_TEST(test_escapes_and_home) {
    struct spec spec;

    setenv("HOME", "/home/me", 1);
    spec = parse("file:/a%2Cb%3Fc%25,~/x,file:~,~x");
    ck_assert_str_eq(spec.tiers[0].path, "/a,b?c%");
    ck_assert_str_eq(spec.tiers[1].path, "/home/me/x");
    ck_assert_str_eq(spec.tiers[2].path, "/home/me");
    ck_assert_str_eq(spec.tiers[3].path, "~x");
    spec_clear(&spec);
}
END_TEST

START_TEST(test_sizes) {
    static const struct {
        const char *text;
        uint64_t size;
    } GOOD[] = {{"0", 0},
                {"10", 10},
                {"1K", 1024},
                {"2m", 2u << 20},
                {"1GiB", 1u << 30},
                {"3GB", (uint64_t)3 << 30},
                {"1T", (uint64_t)1 << 40}};
    static const char *const BAD[] = {
        "", "x", "-1", "1X", "1.5G", "1KK", "99999999999999999999", "18446744073709551615K", " 1"};
    uint64_t size;

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(*GOOD); i++) {
        ck_assert(units_size(GOOD[i].text, &size));
        ck_assert_uint_eq(size, GOOD[i].size);
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++)
        ck_assert_msg(!units_size(BAD[i], &size), "%s", BAD[i]);
}
END_TEST

START_TEST(test_errors_point) {
    static const struct {
        const char *spec, *where, *what;
    } BAD[] = {
        {"", "character 1", "expected a store"},
        {"memory,", "character 8", "expected a store"},
        {",memory", "character 1", "expected a store"},
        {"redis:host", "\"redis\"", "not a known store"},
        {"memory:x", "\"memory\"", "not a known store"},
        {"file:", "character 6", "expected a path"},
        {"sqlite:?durable=1", "character 8", "expected a path"},
        {"file:/a?", "character 9", "name=value"},
        {"file:/a?durable", "\"durable\"", "name=value"},
        {"file:/a?durable=2", "\"durable=2\"", "0 or 1"},
        {"file:/a?read_only=", "character 9", "0 or 1"},
        {"file:/a?max_size=big", "\"max_size=big\"", "a size"},
        {"file:/a?durable=1&max_sze=1", "character 19", "known are max_size"},
        {"file:/a?compress=gzip", "\"compress=gzip\"", "zstd:LEVEL from 1 to 19"},
        {"file:/a?compress=zstd:", "\"compress=zstd:\"", "1 to 19"},
        {"file:/a?compress=zstd:0", "\"compress=zstd:0\"", "1 to 19"},
        {"file:/a?compress=zstd:20", "\"compress=zstd:20\"", "1 to 19"},
        {"file:/a?compress=zstd:-1", "\"compress=zstd:-1\"", "1 to 19"},
        {"file:/a?compress=zstd:003", "\"compress=zstd:003\"", "1 to 19"},
        {"memory?compress=zstd", "character 8", "file or SQLite store"},
        {"file:/a?secret_file=", "\"secret_file=\"", "path of a file"},
        {"memory?secret_file=/s", "character 8", "file or SQLite store"},
        {"file:/a?shared=all", "\"shared=all\"", "expected group"},
        {"memory?shared=group", "character 8", "a file store is what a group can share"},
        {"sqlite:/a?shared=group", "\"shared=group\"", "file:PATH?shared=group"},
        {"file:/a?flight_timeout=", "character 9", "expected seconds"},
        {"file:/a?flight_timeout=2s", "\"flight_timeout=2s\"", "expected seconds"},
        {"file:/a?flight_timeout=1000001", "1000001", "expected seconds"},
        {"file:/a?flight_timeout=4294967297", "4294967297", "expected seconds"},
        {"file:/a%2", "\"%2\"", "hexadecimal"},
        {"file:/a%zz", "\"%zz\"", "hexadecimal"},
        {"file:/a%00", "\"%00\"", "hexadecimal"},
    };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct spec spec;

        ck_assert_msg(spec_parse(BAD[i].spec, &spec, &error) == CUBBY_ERR_INVALID, "taken: %s",
                      BAD[i].spec);
        ck_assert_msg(strstr(error.message, BAD[i].where) && strstr(error.message, BAD[i].what),
                      "%s: %s", BAD[i].spec, error.message);
    }
}
END_TEST

START_TEST(test_home_unset) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct spec spec;

    unsetenv("HOME");
    ck_assert_int_eq(spec_parse("~/x", &spec, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "HOME"));
}
END_TEST

static void expect_default(const char *wanted) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *text;

    ck_ok(spec_default(&text, &error), &error);
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(test_default) {
    char *text;

    unsetenv("CUBBY_CACHE");
    unsetenv("CUBBY_DISABLE");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/a,b", 1);
    expect_default("file:/home/a%2Cb/.cache/cubby?max_size=5G");
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    expect_default("file:/xdg/cubby?max_size=5G");
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "/h", 1);
    expect_default("file:/h/.cache/cubby?max_size=5G");
    setenv("CUBBY_CACHE", "memory", 1);
    expect_default("memory");
    setenv("CUBBY_DISABLE", "0", 1);
    expect_default("memory");
    setenv("CUBBY_DISABLE", "1", 1);
    expect_default("");
    unsetenv("CUBBY_DISABLE");
    unsetenv("CUBBY_CACHE");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ck_assert_int_eq(spec_default(&text, NULL), CUBBY_ERR_INVALID);
}
END_TEST

/* No place is as a store that cannot be opened: there is a cache, and it says what is wrong. */
START_TEST(test_nowhere) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    unsetenv("CUBBY_CACHE");
    unsetenv("CUBBY_DISABLE");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ck_ok(cubby_cache_open(NULL, &cache, &error), &error);
    ck_assert_uint_eq(cubby_cache_tier_count(cache), 0);
    ck_assert_ptr_nonnull(cubby_cache_problem(cache, 0));
    ck_assert_ptr_nonnull(strstr(cubby_cache_problem(cache, 0)->message, "XDG_CACHE_HOME"));
    cubby_cache_unref(cache);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("spec");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, test_stores);
    tcase_add_test(tcase, test_parameters);
    tcase_add_test(tcase, test_forms);
    tcase_add_test(tcase, test_escapes_and_home);
    tcase_add_test(tcase, test_sizes);
    tcase_add_test(tcase, test_errors_point);
    tcase_add_test(tcase, test_home_unset);
    tcase_add_test(tcase, test_default);
    tcase_add_test(tcase, test_nowhere);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
