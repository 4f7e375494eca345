/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches elsewhere: handles that save themselves, streams, entries of caches. */
#include "runtime_help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/runtime_cache.h"

/* ---- Handles ----------------------------------------------------------------------------- */

/* Two on one path are two. */
START_TEST(test_equality_is_identity) {
    char *path = the_path();
    struct cubby_runtime_cache *one = live_on(path), *other = live_on(path);

    ck_assert_ptr_ne(one, other);
    insert(one, 1);
    ck_assert(has(one, 1));
    ck_assert(!has(other, 1));
    cubby_runtime_cache_unref(one);
    cubby_runtime_cache_unref(other);
    free(path);
}
END_TEST

START_TEST(test_options_that_do_not_go_together) {
    struct cubby_cache *store = open_spec("memory", scratch_dir());
    struct cubby_runtime_stream stream = {0};
    const struct cubby_runtime_identity broken = {"sm_90", "", 13000};
    const struct cubby_runtime_cache_options bad[] = {
        {.version = 0},
        {.version = 1, .path = ""},
        {.version = 1, .path = "folder/"},
        {.version = 1, .path = "a", .stream = &stream},
        {.version = 1, .path = "a", .cache = store, .engine = "e", .identity = &HERE},
        {.version = 1, .cache = store, .identity = &HERE},
        {.version = 1, .cache = store, .engine = "", .identity = &HERE},
        {.version = 1, .cache = store, .engine = "e"},
        {.version = 1, .cache = store, .engine = "e", .identity = &broken},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct cubby_runtime_cache *cache = NULL;

        ck_fails(cubby_runtime_cache_new(&bad[i], &cache, error), CUBBY_ERR_INVALID,
                 "runtime cache");
        ck_assert_ptr_null(cache);
    }
    cubby_cache_unref(store);
}
END_TEST

static struct cubby_runtime_cache *engines_on(const char *path) {
    struct cubby_runtime_cache *cache = NULL;
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(runtime_cache_of_engine(path, 0, &cache, &error), &error);
    cubby_runtime_cache_load(cache);
    materialise(cache);
    return cache;
}

START_TEST(test_handle_of_an_engine_saves_itself) {
    char *path = the_path();
    struct cubby_runtime_cache *cache = engines_on(path);

    insert(cache, 1);
    cubby_runtime_cache_unref(cubby_runtime_cache_ref(cache));
    ck_assert(!is_there(path));
    cubby_runtime_cache_unref(cache); /* the last one */
    ck_assert_uint_eq(found_in(path, 2), 1);
    free(path);
}
END_TEST

START_TEST(test_displaced_handle_saves_itself_once) {
    char *path = the_path();
    struct cubby_runtime_cache *cache = engines_on(path);

    insert(cache, 1);
    runtime_cache_retire(NULL);
    runtime_cache_retire(cache);
    ck_assert_uint_eq(stats_of(cache).saves, 1);
    insert(cache, 2);
    runtime_cache_retire(cache);
    ck_assert_uint_eq(stats_of(cache).saves, 1);
    cubby_runtime_cache_unref(cache);
    ck_assert_uint_eq(found_in(path, 3), 1);
    free(path);
}
END_TEST

START_TEST(test_nothing_new_is_not_saved) {
    char *path = the_path();
    struct cubby_runtime_cache *cache;

    fill(path, 1, 2);
    cache = engines_on(path);
    ck_assert(has(cache, 1));
    runtime_cache_retire(cache);
    ck_assert_uint_eq(stats_of(cache).saves, 0);
    cubby_runtime_cache_unref(cache);

    cache = engines_on(path);
    insert(cache, 3);
    save(cache);
    runtime_cache_retire(cache);
    ck_assert_uint_eq(stats_of(cache).saves, 1);
    cubby_runtime_cache_unref(cache);
    ck_assert_uint_eq(found_in(path, 4), 3);
    free(path);
}
END_TEST

START_TEST(test_failure_to_save_itself_is_logged) {
    char *path = the_path();
    struct cubby_runtime_cache *cache;

    ck_assert_int_eq(mkdir(path, 0700), 0);
    warnings();
    cache = engines_on(path);
    insert(cache, 1);
    warnings();
    cubby_runtime_cache_unref(cache);
    ck_assert(strstr(warnings(), "is not saved"));
    free(path);
}
END_TEST

START_TEST(test_handles_of_users_do_not_save_themselves) {
    char *path = the_path();
    struct cubby_runtime_cache *cache = live_on(path);

    insert(cache, 1);
    runtime_cache_retire(cache);
    cubby_runtime_cache_unref(cache);
    ck_assert(!is_there(path));
    free(path);
}
END_TEST

/* ---- Streams ----------------------------------------------------------------------------- */

/* A tape of bytes in memory. */
struct tape {
    unsigned char bytes[65536];
    size_t size, position;
    unsigned reads, writes;
    int error; /* a negative errno, once */
};

static ssize_t read_tape(void *context, void *data, size_t size) {
    struct tape *tape = context;
    int error = tape->error;

    tape->reads++;
    tape->error = 0;
    if (error)
        return error;
    if (size > 100)
        size = 100;
    if (size > tape->size - tape->position)
        size = tape->size - tape->position;
    memcpy(data, tape->bytes + tape->position, size);
    tape->position += size;
    return (ssize_t)size;
}

static int write_tape(void *context, const void *data, size_t size) {
    struct tape *tape = context;

    tape->writes++;
    if (tape->error)
        return tape->error;
    ck_assert_uint_le(size, sizeof(tape->bytes));
    memcpy(tape->bytes, data, size);
    tape->size = size;
    return 0;
}

static struct cubby_runtime_cache *handle_over(const struct cubby_runtime_stream *stream) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_runtime_cache *cache = NULL;

    options.stream = stream;
    ck_ok(cubby_runtime_cache_new(&options, &cache, &error), &error);
    return cache;
}

static struct cubby_runtime_cache *handle_over_tape(struct tape *tape) {
    const struct cubby_runtime_stream stream = {read_tape, tape, write_tape, tape};

    tape->position = tape->reads = tape->writes = 0;
    return handle_over(&stream);
}

START_TEST(test_stream_is_read_once_and_written_once) {
    struct tape *tape = calloc(1, sizeof(*tape));
    struct cubby_runtime_cache *cache = handle_over_tape(tape);

    ck_assert(!cubby_runtime_cache_load(cache)); /* nothing on it yet */
    materialise(cache);
    save(cache); /* nothing to write */
    ck_assert_uint_eq(tape->writes, 0);
    insert(cache, 1);
    save(cache);
    save(cache);
    ck_assert_uint_eq(tape->writes, 1);
    insert(cache, 2);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_INVALID, "written once");
    ck_assert_uint_eq(tape->writes, 1);
    cubby_runtime_cache_unref(cache);

    cache = handle_over_tape(tape);
    tape->error = -EINTR;
    ck_assert(cubby_runtime_cache_load(cache));
    ck_assert_uint_gt(tape->reads, 1);
    tape->reads = 0;
    ck_assert(!cubby_runtime_cache_load(cache));
    ck_assert_uint_eq(tape->reads, 0);
    materialise(cache);
    ck_assert_uint_eq(count_below(cache, 3), 1);
    cubby_runtime_cache_unref(cache);
    free(tape);
}
END_TEST

static ssize_t read_too_much(void *context, void *data, size_t size) {
    (void)context;
    (void)data;
    return (ssize_t)size + 1;
}

START_TEST(test_stream_that_fails) {
    struct tape *tape = calloc(1, sizeof(*tape));
    struct cubby_runtime_cache *cache = handle_over_tape(tape);
    const struct cubby_runtime_stream none = {0}, wrong = {.read = read_too_much};

    warnings();
    tape->error = -EIO;
    ck_assert(!cubby_runtime_cache_load(cache));
    ck_assert(strstr(warnings(), "cannot read the stream"));
    ck_assert_uint_eq(stats_of(cache).rejects, 1);
    materialise(cache);
    insert(cache, 1);
    tape->error = -ENOSPC;
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_IO, "cannot write the stream");
    cubby_runtime_cache_unref(cache);

    cache = handle_over(&none);
    ck_assert(!cubby_runtime_cache_load(cache));
    materialise(cache);
    insert(cache, 1);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_UNSUPPORTED, "cannot be written");
    cubby_runtime_cache_unref(cache);

    cache = handle_over(&wrong);
    ck_assert(!cubby_runtime_cache_load(cache));
    ck_assert(strstr(warnings(), "cannot read the stream"));
    cubby_runtime_cache_unref(cache);
    free(tape);
}
END_TEST

START_TEST(test_damaged_stream_is_no_failure) {
    struct tape *tape = calloc(1, sizeof(*tape));
    struct cubby_runtime_cache *cache = handle_over_tape(tape);

    materialise(cache);
    insert(cache, 1);
    save(cache);
    cubby_runtime_cache_unref(cache);
    tape->bytes[100] ^= 4;
    cache = handle_over_tape(tape);
    warnings();
    ck_assert(!cubby_runtime_cache_load(cache));
    ck_assert(strstr(warnings(), "its stream is not used: the runtime cache is damaged"));
    materialise(cache);
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    cubby_runtime_cache_unref(cache);
    free(tape);
}
END_TEST

/* A file of the C library: read and replaced. */
START_TEST(test_stream_of_files) {
    char *path = the_path();
    struct cubby_runtime_stream stream;

    for (unsigned run = 0; run < 3; run++) {
        FILE *file = fopen(path, run == 0 ? "w+b" : "r+b");
        struct cubby_runtime_cache *cache;

        ck_assert_ptr_nonnull(file);
        cubby_runtime_stream_files(file, file, &stream);
        cache = handle_over(&stream);
        ck_assert_int_eq(cubby_runtime_cache_load(cache), run > 0);
        materialise(cache);
        ck_assert_uint_eq(count_below(cache, 5), run);
        insert(cache, run);
        save(cache);
        cubby_runtime_cache_unref(cache);
        fclose(file);
    }
    chmod(path, 0600);
    ck_assert_uint_eq(found_in(path, 5), 3); /* it is the same blob as that of a path */
    free(path);
}
END_TEST

START_TEST(test_stream_of_a_pipe) {
    struct cubby_runtime_stream stream;
    struct cubby_runtime_cache *cache;
    FILE *in, *out;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    in = fdopen(ends[0], "rb");
    out = fdopen(ends[1], "wb");
    cubby_runtime_stream_files(NULL, out, &stream);
    cache = handle_over(&stream);
    materialise(cache);
    insert(cache, 1);
    save(cache);
    cubby_runtime_cache_unref(cache);
    fclose(out);
    cubby_runtime_stream_files(in, NULL, &stream);
    cache = handle_over(&stream);
    ck_assert(cubby_runtime_cache_load(cache));
    materialise(cache);
    ck_assert(has(cache, 1));
    cubby_runtime_cache_unref(cache);
    fclose(in);
}
END_TEST

/* ---- Entries of a cache ------------------------------------------------------------------ */

START_TEST(test_entry_of_a_cache) {
    struct cubby_cache *store = open_spec_or_less(SPECS[_i], scratch_dir());
    struct cubby_runtime_cache *cache, *other;
    struct cubby_verify_result sound;

    if (cubby_cache_tier_count(store) == 0) { /* a build without it */
        cubby_cache_unref(store);
        return;
    }
    cache = handle_in(store, "unet", &HERE);
    other = handle_in(store, "unet", &HERE);
    insert(cache, 1);
    insert(other, 2);
    save(cache);
    save(other);
    cubby_runtime_cache_unref(cache);
    cubby_runtime_cache_unref(other);
    cache = handle_in(store, "unet", &HERE);
    ck_assert_uint_eq(stats_of(cache).loads, 1);
    ck_assert_uint_eq(count_below(cache, 5), 2);
    cubby_runtime_cache_unref(cache);
    ck_assert_int_eq(cubby_cache_verify(store, 0, NULL, NULL, &sound, NULL), 0);
    ck_assert_uint_ge(sound.entries, 1);
    ck_assert_uint_eq(sound.damaged, 0);
    cubby_cache_unref(store);
}
END_TEST

static int count_runtime(const char *tier, const struct cubby_entry_info *info, void *context) {
    (void)tier;
    *(unsigned *)context += info->kind == CUBBY_ENTRY_RUNTIME;
    return 0;
}

/* Each engine, architecture and toolchain has an entry of its own, of the right kind. */
START_TEST(test_entries_are_told_apart) {
    struct cubby_cache *store = open_spec("memory", scratch_dir());
    const struct cubby_runtime_identity ids[] = {
        HERE, HERE, {"sm_80", HERE.toolchain, 13000}, {HERE.arch, "another", 13000}};
    static const char *const ENGINES[] = {"unet", "vae", "unet", "unet"};
    struct cubby_runtime_cache *cache;
    unsigned entries = 0;

    for (unsigned i = 0; i < 4; i++) {
        cache = handle_in(store, ENGINES[i], &ids[i]);
        ck_assert_uint_eq(stats_of(cache).kernels, 0);
        insert(cache, i);
        save(cache);
        cubby_runtime_cache_unref(cache);
    }
    ck_assert_int_eq(cubby_cache_iterate(store, count_runtime, &entries, NULL), 0);
    ck_assert_uint_eq(entries, 4);
    cache = handle_in(store, "vae", &HERE);
    ck_assert(has(cache, 1));
    ck_assert_uint_eq(stats_of(cache).kernels, 1);
    cubby_runtime_cache_unref(cache);
    cubby_cache_unref(store);
}
END_TEST

START_TEST(test_entry_is_for_its_identity) {
    struct cubby_cache *store = open_spec("memory", scratch_dir());
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    const struct cubby_runtime_identity other = {"sm_80", HERE.toolchain, 13000};
    struct cubby_runtime_cache *cache = NULL;
    struct cubby_blob *blob = blob_with(&other, 1, 1);

    options.cache = store;
    options.engine = "unet";
    options.identity = &HERE;
    ck_assert_int_eq(cubby_runtime_cache_new(&options, &cache, NULL), 0);
    ck_fails(cubby_runtime_cache_materialise(cache, &other, error), CUBBY_ERR_INVALID, "sm_80");
    ck_assert(!cubby_runtime_cache_has_cache(cache));
    ck_assert_int_eq(
        cubby_runtime_cache_deserialise(cache, cubby_blob_data(blob), cubby_blob_size(blob), NULL),
        0);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_INVALID, "sm_80");
    cubby_runtime_cache_unref(cache);
    cubby_blob_unref(blob);
    cubby_cache_unref(store);
}
END_TEST

/* ---- All of them ------------------------------------------------------------------------- */

static void add_handles(Suite *suite) {
    TCase *tests = add_case(suite, "handles");

    tcase_add_test(tests, test_equality_is_identity);
    tcase_add_test(tests, test_options_that_do_not_go_together);
    tcase_add_test(tests, test_handle_of_an_engine_saves_itself);
    tcase_add_test(tests, test_displaced_handle_saves_itself_once);
    tcase_add_test(tests, test_nothing_new_is_not_saved);
    tcase_add_test(tests, test_failure_to_save_itself_is_logged);
    tcase_add_test(tests, test_handles_of_users_do_not_save_themselves);
}

static void add_places(Suite *suite) {
    TCase *tests = add_case(suite, "streams and entries");

    tcase_add_test(tests, test_stream_is_read_once_and_written_once);
    tcase_add_test(tests, test_stream_that_fails);
    tcase_add_test(tests, test_damaged_stream_is_no_failure);
    tcase_add_test(tests, test_stream_of_files);
    tcase_add_test(tests, test_stream_of_a_pipe);
    tcase_add_loop_test(tests, test_entry_of_a_cache, 0, 4);
    tcase_add_test(tests, test_entries_are_told_apart);
    tcase_add_test(tests, test_entry_is_for_its_identity);
}

int main(void) {
    Suite *suite = suite_create("runtime caches elsewhere");

    add_handles(suite);
    add_places(suite);
    return run_suite(suite);
}
