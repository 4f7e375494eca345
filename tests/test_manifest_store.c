/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of manifests in stores, tiers and processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deps_help.h"
#include "harness.h"
#include "cache/cache.h"
#include "entry/entry.h"
#include "fake_backend.h"
#include "headers.h"
#include "store_tools.h"

/* ---- In stores --------------------------------------------------------------------------- */

static const struct cubby_key BASE = {{7}};

static struct cubby_cache *open_cache(const char *spec) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    return cache;
}

static struct cubby_program *any_program(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    ck_ok(cubby_program_new("", 0, NULL, &program, &error), &error);
    return program;
}

/* Gives n.h that content and records that it was compiled so. */
static void record(struct cubby_cache *cache, unsigned number) {
    struct cubby_program *program = any_program();
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(number);
    struct deps deps = DEPS_INIT;

    number_deps(&deps, number);
    ck_ok(headers_record(cache, program, &BASE, &deps, &key, &error), &error);
    deps_free(&deps);
    cubby_program_unref(program);
}

/* True if the set of that content is found while n.h has it. */
static bool finds(struct cubby_cache *cache, unsigned number) {
    struct cubby_program *program = any_program();
    struct cubby_key key = key_of(number), found;
    struct deps deps = DEPS_INIT;
    int result;

    number_deps(&deps, number);
    deps_free(&deps);
    result = headers_find(cache, program, &BASE, NULL, NULL, &found);
    cubby_program_unref(program);
    ck_assert(result == 0 || result == CUBBY_ERR_NOT_FOUND);
    ck_assert(result < 0 || same_key(&key, &found));
    return result == 0;
}

START_TEST(test_upper_tier_hides_nothing) {
    struct cubby_cache *tiers = open_cache("memory,file:store"), *shared;

    record(tiers, 1);
    shared = open_cache("file:store"); /* as another process has it */
    record(shared, 2);
    ck_assert(finds(tiers, 2)); /* memory knows only the first */
    ck_assert(finds(tiers, 1));
    cubby_cache_unref(tiers);
    cubby_cache_unref(shared);
}
END_TEST

START_TEST(test_upper_tier_overwrites_nothing) {
    struct cubby_cache *tiers = open_cache("memory,file:store"), *shared;

    record(tiers, 1);
    shared = open_cache("file:store");
    record(shared, 2);
    record(tiers, 3); /* memory does not know of the second */
    ck_assert(finds(shared, 1) && finds(shared, 2) && finds(shared, 3));
    ck_assert(finds(tiers, 2));
    cubby_cache_unref(tiers);
    cubby_cache_unref(shared);
}
END_TEST

/* A set that holds in memory, where its stamps are refreshed, while the file store has more. */
START_TEST(test_refreshing_overwrites_nothing) {
    struct cubby_cache *tiers = open_cache("memory,file:store"), *shared;
    struct cubby_program *program = any_program();
    struct cubby_key key = key_of(1), found;

    record(tiers, 1);
    shared = open_cache("file:store");
    record(shared, 2);
    write_text("n.h", "n1");
    ck_assert_int_eq(sleep(3), 0); /* now its stamps can be trusted */
    ck_assert_int_eq(headers_find(tiers, program, &BASE, NULL, NULL, &found), 0);
    ck_assert(same_key(&found, &key));
    ck_assert(finds(shared, 2));
    cubby_program_unref(program);
    cubby_cache_unref(tiers);
    cubby_cache_unref(shared);
}
END_TEST

START_TEST(test_damaged_manifest_is_healed) {
    struct fake_control control = {0};
    struct cubby_backend *backend = fake_backend_new(&control);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open_backends(&backend, 1, &cache, &error), &error);
    record(cache, 1);
    ck_assert(finds(cache, 1));
    control.corrupt_get = true;
    ck_assert(!finds(cache, 1));
    ck_assert_uint_eq(control.removes, 1);
    control.corrupt_get = false;
    ck_assert(!finds(cache, 1)); /* it was taken away */
    record(cache, 1);
    ck_assert(finds(cache, 1));
    cubby_cache_unref(cache);
}
END_TEST

/* An entry in good order whose payload is no manifest, as of another version. */
START_TEST(test_strange_manifest_is_healed) {
    struct cubby_cache *cache = open_cache("memory,file:store"), *shared = open_cache("file:store");
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_blob *blob;

    record(shared, 1);
    ck_ok(entry_encode(CUBBY_ENTRY_MANIFEST, &BASE, "strange", 7, NULL, 0, &blob, &error), &error);
    ck_assert(finds(cache, 1)); /* promotes it */
    cubby_cache_unref(cache);
    cache = open_cache("memory,file:store");
    ck_ok(cache_store(shared, CUBBY_ENTRY_MANIFEST, &BASE, blob, &error), &error);
    cubby_blob_unref(blob);
    ck_assert(!finds(cache, 1));
    record(cache, 2);
    ck_assert(finds(shared, 2));
    cubby_cache_unref(cache);
    cubby_cache_unref(shared);
}
END_TEST

/* ---- Two processes ----------------------------------------------------------------------- */

/* A set whose file bears the number of the key, in a file that only this process writes. */
static void add_many(void *context) {
    unsigned first = *(unsigned *)context;
    struct cubby_cache *cache = open_cache("file:store");
    struct cubby_program *program = any_program();
    struct cubby_error error = CUBBY_ERROR_INIT;

    for (unsigned i = first; i < first + 10; i++) {
        struct cubby_key key = key_of(i);
        struct deps deps = DEPS_INIT;
        char path[16];

        snprintf(path, sizeof(path), "p%u.h", i);
        write_text(path, path);
        dep_add_file(&deps, path);
        ck_ok(headers_record(cache, program, &BASE, &deps, &key, &error), &error);
        deps_free(&deps);
    }
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}

static void check_sets(struct cubby_object *object, unsigned *ret_last_of_one,
                       unsigned *ret_last_of_other) {
    struct manifest manifest;

    ck_assert_int_eq(
        manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest), 0);
    ck_assert_uint_le(manifest.set_count, MANIFEST_MAX_SETS);
    for (uint32_t s = 0; s < manifest.set_count; s++) {
        const struct manifest_set *set = &manifest.sets[s];
        unsigned number;

        ck_assert_uint_eq(set->file_count, 1);
        ck_assert_int_eq(
            sscanf(manifest.paths[manifest.files[set->files[0]].path], "p%u.h", &number), 1);
        ck_assert(same_key(&set->key, &(struct cubby_key[]){key_of(number)}[0]));
        *(number < 50 ? ret_last_of_one : ret_last_of_other) += 1;
    }
    manifest_free(&manifest);
}

START_TEST(test_two_processes) {
    unsigned firsts[] = {0, 50}, one = 0, other = 0;
    struct cubby_cache *cache = open_cache("file:store");
    struct cubby_object *object;
    const char *tier;
    pid_t children[2];

    for (int i = 0; i < 2; i++)
        children[i] = start_child(add_many, &firsts[i]);
    for (int i = 0; i < 2; i++)
        end_child(children[i]);
    ck_assert_int_eq(cache_lookup(cache, CUBBY_ENTRY_MANIFEST, &BASE, &object, &tier), 0);
    check_sets(object, &one, &other);
    cubby_object_unref(object);
    ck_assert_uint_gt(one + other, 0);
    /* What was lost in the race is there once it is added again. */
    add_many(&firsts[0]);
    add_many(&firsts[1]);
    one = other = 0;
    ck_assert_int_eq(cache_lookup(cache, CUBBY_ENTRY_MANIFEST, &BASE, &object, &tier), 0);
    check_sets(object, &one, &other);
    ck_assert_uint_eq(one, 10);
    ck_assert_uint_eq(other, 10);
    cubby_object_unref(object);
    cubby_cache_unref(cache);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("manifest_store");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, enter_scratch, NULL);
    tcase_add_test(tcase, test_upper_tier_hides_nothing);
    tcase_add_test(tcase, test_upper_tier_overwrites_nothing);
    tcase_add_test(tcase, test_refreshing_overwrites_nothing);
    tcase_add_test(tcase, test_damaged_manifest_is_healed);
    tcase_add_test(tcase, test_strange_manifest_is_healed);
    tcase_add_test(tcase, test_two_processes);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
