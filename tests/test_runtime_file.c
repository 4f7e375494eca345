/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches in files: loading, refusing, saving. */
#include "runtime_help.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry/checksum.h"
#include "os/time.h"

/* ---- Loading a file ---------------------------------------------------------------------- */

START_TEST(test_missing_file_is_no_failure) {
    char *path = the_path(), *below = path_in(path, "none/kernels.bin");
    struct cubby_runtime_cache *cache = handle_on(_i ? below : path);

    warnings();
    ck_assert(!cubby_runtime_cache_load(cache));
    materialise(cache);
    ck_assert_str_eq(warnings(), "");
    ck_assert_uint_eq(stats_of(cache).loads + stats_of(cache).rejects, 0);
    cubby_runtime_cache_unref(cache);
    free(below);
    free(path);
}
END_TEST

START_TEST(test_saved_kernels_are_loaded) {
    char *path = the_path();
    struct cubby_runtime_cache *cache;

    fill(path, 1, 5);
    cache = handle_on(path);
    ck_assert(cubby_runtime_cache_load(cache));
    ck_assert(!cubby_runtime_cache_has_cache(cache));
    materialise(cache);
    ck_assert_uint_eq(stats_of(cache).loads, 1);
    ck_assert_uint_eq(stats_of(cache).kernels, 5);
    ck_assert_uint_eq(count_below(cache, 10), 5);
    cubby_runtime_cache_unref(cache);

    cache = handle_on(path); /* the other way round */
    materialise(cache);
    insert(cache, 7);
    ck_assert(cubby_runtime_cache_load(cache));
    ck_assert_uint_eq(count_below(cache, 10), 6);
    cubby_runtime_cache_unref(cache);
    free(path);
}
END_TEST

static void make_damaged(const char *path) {
    size_t size;
    char *bytes = read_whole(path, &size);

    bytes[size / 2] ^= 1;
    write_file(path, bytes, size);
    free(bytes);
}

static void make_short(const char *path) {
    ck_assert_int_eq(truncate(path, 100), 0);
}

static void make_shorter(const char *path) {
    ck_assert_int_eq(truncate(path, 5), 0);
}

static void make_empty(const char *path) {
    ck_assert_int_eq(truncate(path, 0), 0);
}

static void make_for_another(const char *path) {
    const struct cubby_runtime_identity other = {"sm_80", HERE.toolchain, 13000};
    struct cubby_blob *blob = blob_with(&other, 1, 3);

    write_file(path, cubby_blob_data(blob), cubby_blob_size(blob));
    cubby_blob_unref(blob);
}

/* What cannot be used is replaced by the next save. */
static const struct {
    void (*make)(const char *path);
    const char *warning;
} USELESS[] = {{make_damaged, "checksum"},
               {make_short, "checksum"},
               {make_shorter, "shorter than its head"},
               {make_empty, ""},
               {make_for_another, "sm_80"}};

START_TEST(test_useless_file_is_no_failure) {
    char *path = the_path();
    struct cubby_runtime_cache *cache;
    const char *said;

    fill(path, 1, 3);
    USELESS[_i].make(path);
    warnings();
    cache = live_on(path);
    said = warnings();
    ck_assert_msg(strstr(said, USELESS[_i].warning) && (!*USELESS[_i].warning == !*said), "%s",
                  said);
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    insert(cache, 9);
    save(cache);
    said = warnings();
    ck_assert_msg(!*USELESS[_i].warning || strstr(said, "is replaced"), "%s", said);
    cubby_runtime_cache_unref(cache);
    ck_assert_uint_eq(found_in(path, 10), 1);
    free(path);
}
END_TEST

static void be_another(const char *path) {
    write_file(path, "a letter to the reader", 22);
}

/* Whole, but of a later version. */
static void be_newer(const char *path) {
    size_t size;
    char *bytes = read_whole(path, &size);

    bytes[8]++;
    checksum_of(bytes, size - CHECKSUM_SIZE, (unsigned char *)bytes + size - CHECKSUM_SIZE);
    write_file(path, bytes, size);
    free(bytes);
}

static void be_link(const char *path) {
    char *real = path_in(scratch_dir(), "real");

    fill(real, 1, 3);
    unlink(path);
    ck_assert_int_eq(symlink(real, path), 0);
    free(real);
}

static void be_dangling(const char *path) {
    unlink(path);
    ck_assert_int_eq(symlink("nowhere", path), 0);
}

static void be_writable(const char *path) {
    ck_assert_int_eq(chmod(path, 0666), 0);
}

static void be_group_writable(const char *path) {
    ck_assert_int_eq(chmod(path, 0620), 0);
}

static void be_fifo(const char *path) {
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void be_folder(const char *path) {
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

/* As an ordinary user cannot give a file away, it is writable then. */
static void be_foreign(const char *path) {
    if (chown(path, 12345, 12345) < 0)
        be_writable(path);
}

/* What is not ours to read or to replace stays, and an explicit save says so. */
static const struct {
    void (*make)(const char *path);
    const char *said;
    int code;
} REFUSED[] = {{be_another, "it is no runtime cache", CUBBY_ERR_INVALID},
               {be_newer, "version 2", CUBBY_ERR_UNSUPPORTED},
               {be_link, "is a symbolic link", CUBBY_ERR_INVALID},
               {be_dangling, "is a symbolic link", CUBBY_ERR_INVALID},
               {be_writable, "can be written by others", CUBBY_ERR_INVALID},
               {be_group_writable, "can be written by others", CUBBY_ERR_INVALID},
               {be_fifo, "is no regular file", CUBBY_ERR_INVALID},
               {be_folder, "is no regular file", CUBBY_ERR_INVALID},
               {be_foreign, "what a store holds is code", CUBBY_ERR_INVALID}};

START_TEST(test_refused_file_stays) {
    char *path = the_path();
    struct cubby_runtime_cache *cache;
    struct stat before, after;
    const char *said;

    fill(path, 1, 3);
    REFUSED[_i].make(path);
    ck_assert_int_eq(lstat(path, &before), 0);
    warnings();
    cache = live_on(path);
    said = warnings();
    ck_assert_msg(strstr(said, REFUSED[_i].said), "%s", said);
    ck_assert_uint_eq(stats_of(cache).kernels, 0);
    ck_assert_uint_eq(stats_of(cache).rejects, 1);
    insert(cache, 9);
    ck_fails(cubby_runtime_cache_save(cache, error), REFUSED[_i].code, REFUSED[_i].said);
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    ck_assert_uint_eq(stats_of(cache).saves, 0);
    cubby_runtime_cache_unref(cache);
    free(path);
}
END_TEST

/* ---- Saving to a file -------------------------------------------------------------------- */

START_TEST(test_save_adds_to_what_is_there) {
    char *path = the_path();
    struct cubby_runtime_cache *first = live_on(path), *second = live_on(path);

    insert(first, 1);
    insert(second, 2);
    save(first);
    save(second); /* who never saw what the first one saved */
    save(first);
    cubby_runtime_cache_unref(first);
    cubby_runtime_cache_unref(second);
    ck_assert_uint_eq(found_in(path, 5), 2);
    ck_assert_uint_eq(files_beside(path), 2); /* it and its lock */
    free(path);
}
END_TEST

START_TEST(test_saved_file_is_its_owners) {
    char *folder = path_in(scratch_dir(), "made/for/it"), *path = path_in(folder, "kernels.bin");
    struct stat status;

    umask(0);
    fill(path, 1, 2);
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_int_eq(lstat(folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    ck_assert_uint_eq(found_in(path, 5), 2);
    free(path);
    free(folder);
}
END_TEST

START_TEST(test_nothing_to_write_is_no_file) {
    char *path = the_path();
    struct cubby_runtime_cache *cache = handle_on(path);

    save(cache); /* pending */
    materialise(cache);
    save(cache);
    ck_assert_uint_eq(files_beside(path), 0);
    ck_assert_uint_eq(stats_of(cache).saves, 0);
    cubby_runtime_cache_unref(cache);
    free(path);
}
END_TEST

START_TEST(test_pending_handle_saves_its_stash) {
    char *path = the_path();
    struct cubby_blob *blob = blob_with(&HERE, 1, 2);
    struct cubby_runtime_cache *cache = handle_on(path);

    fill(path, 3, 3);
    ck_assert_int_eq(
        cubby_runtime_cache_deserialise(cache, cubby_blob_data(blob), cubby_blob_size(blob), NULL),
        0);
    save(cache);
    ck_assert(!cubby_runtime_cache_has_cache(cache));
    ck_assert_uint_eq(found_in(path, 5), 3);
    ck_assert_int_eq(cubby_runtime_cache_deserialise(cache, "CUBBYRT", 7, NULL), 0);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_CORRUPT, "damaged");
    ck_assert_uint_eq(found_in(path, 5), 3);
    cubby_runtime_cache_unref(cache);
    cubby_blob_unref(blob);
    free(path);
}
END_TEST

/* A file that holds all is not written again. */
START_TEST(test_same_kernels_are_not_written_twice) {
    char *path = the_path();
    struct cubby_runtime_cache *cache = live_on(path);
    struct stat before, after;

    insert(cache, 1);
    save(cache);
    ck_assert_int_eq(lstat(path, &before), 0);
    save(cache);
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert_int_eq(unlink(path), 0);
    save(cache);
    ck_assert(is_there(path));
    cubby_runtime_cache_unref(cache);
    free(path);
}
END_TEST

START_TEST(test_file_keeps_what_was_used_last) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_blob *four = blob_with(&HERE, 1, 4);
    struct cubby_runtime_cache *cache = NULL;
    char *path = the_path();
    struct stat status;

    fill(path, 1, 4);
    options.path = path;
    options.max_size = cubby_blob_size(four);
    ck_assert_int_eq(cubby_runtime_cache_new(&options, &cache, NULL), 0);
    ck_assert(cubby_runtime_cache_load(cache));
    materialise(cache);
    ck_assert(has(cache, 1));
    insert(cache, 0);
    save(cache);
    cubby_runtime_cache_unref(cache);
    cache = live_on(path);
    ck_assert(has(cache, 0) && has(cache, 1) && !has(cache, 2) && has(cache, 3) && has(cache, 4));
    cubby_runtime_cache_unref(cache);
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_uint_le((uint64_t)status.st_size, options.max_size);

    ck_assert_int_eq(cubby_runtime_cache_new(&options, &cache, NULL), 0); /* never loaded */
    materialise(cache);
    insert(cache, 5);
    save(cache);
    ck_assert_uint_eq(stats_of(cache).drops, 1); /* of those in the file */
    cubby_runtime_cache_unref(cache);
    ck_assert_uint_eq(found_in(path, 6), 4);
    cubby_blob_unref(four);
    free(path);
}
END_TEST

/* What another used after this one did is not what was unused for longest. */
START_TEST(test_use_by_another_counts) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_blob *four = blob_with(&HERE, 1, 4);
    struct cubby_runtime_cache *caches[2] = {NULL, NULL};
    char *path = the_path();

    fill(path, 1, 2);
    options.path = path;
    options.max_size = cubby_blob_size(four);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(cubby_runtime_cache_new(&options, &caches[i], NULL), 0);
        ck_assert(cubby_runtime_cache_load(caches[i]));
        materialise(caches[i]);
    }
    ck_assert(has(caches[1], 1));
    insert(caches[1], 3);
    insert(caches[1], 4);
    save(caches[1]);
    insert(caches[0], 0); /* and knows 1 as used before 2 */
    save(caches[0]);
    cubby_runtime_cache_unref(caches[0]);
    cubby_runtime_cache_unref(caches[1]);
    caches[0] = live_on(path);
    ck_assert(has(caches[0], 1) && !has(caches[0], 2) && has(caches[0], 3));
    cubby_runtime_cache_unref(caches[0]);
    cubby_blob_unref(four);
    free(path);
}
END_TEST

START_TEST(test_temporaries_of_the_dead_go) {
    char *folder = path_in(scratch_dir(), "k"), *path, *dead, *alike;

    ck_assert_int_eq(mkdir(folder, 0700), 0);
    path = path_in(folder, "kernels.bin");
    dead = path_in(folder, "kernels.bin.0123456789abcdef0123456789abcdef.tmp");
    alike = path_in(folder, "kernels.bin.0123456789abcdef0123456789abcdeX.tmp");
    write_file(dead, "x", 1);
    write_file(alike, "x", 1);
    fill(path, 1, 1);
    ck_assert(!is_there(dead));
    ck_assert(is_there(alike));
    free(alike);
    free(dead);
    free(path);
    free(folder);
}
END_TEST

START_TEST(test_path_is_fixed_when_the_handle_is_made) {
    char *folder = path_in(scratch_dir(), "here"), *path = path_in(folder, "kernels.bin");
    struct cubby_runtime_cache *cache;

    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert_int_eq(chdir(folder), 0);
    cache = live_on("kernels.bin");
    ck_assert_int_eq(chdir("/"), 0);
    insert(cache, 1);
    save(cache);
    cubby_runtime_cache_unref(cache);
    ck_assert_uint_eq(found_in(path, 2), 1);
    free(path);
    free(folder);
}
END_TEST

static void *release_later(void *context) {
    usleep(300000);
    cubby_file_lock_release(context);
    return NULL;
}

START_TEST(test_save_waits_for_the_lock) {
    char *path = the_path(), *lock_path = NULL;
    struct cubby_runtime_cache *cache = live_on(path);
    struct cubby_file_lock *lock = NULL;
    pthread_t thread;

    ck_assert_int_ge(asprintf(&lock_path, "%s.lock", path), 0);
    ck_assert_int_eq(cubby_file_lock_new(lock_path, &lock, NULL), 0);
    ck_assert_int_eq(cubby_file_lock_try(lock, CUBBY_LOCK_EXCLUSIVE, 0, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, release_later, lock), 0);
    insert(cache, 1);
    save(cache);
    ck_assert(!cubby_file_lock_is_held(lock));
    pthread_join(thread, NULL);
    ck_assert_uint_eq(found_in(path, 2), 1);
    cubby_file_lock_free(lock);
    cubby_runtime_cache_unref(cache);
    free(lock_path);
    free(path);
}
END_TEST

START_TEST(test_save_gives_up_after_ten_seconds) {
    char *path = the_path(), *lock_path = NULL;
    struct cubby_runtime_cache *cache = live_on(path);
    struct cubby_file_lock *lock = NULL;
    uint64_t start = monotonic_ns();

    ck_assert_int_ge(asprintf(&lock_path, "%s.lock", path), 0);
    ck_assert_int_eq(cubby_file_lock_new(lock_path, &lock, NULL), 0);
    ck_assert_int_eq(cubby_file_lock_try(lock, CUBBY_LOCK_SHARED, 0, NULL), 0);
    insert(cache, 1);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_BUSY, "still holds it after 10 s");
    ck_assert_uint_ge(monotonic_ns() - start, CUBBY_FILE_LOCK_TIMEOUT_NS);
    ck_assert(!is_there(path));
    cubby_file_lock_release(lock);
    save(cache);
    ck_assert(is_there(path));
    cubby_file_lock_free(lock);
    cubby_runtime_cache_unref(cache);
    free(lock_path);
    free(path);
}
END_TEST

START_TEST(test_save_without_a_place) {
    struct cubby_runtime_cache *cache = handle_new();

    ck_assert(!cubby_runtime_cache_load(cache));
    materialise(cache);
    insert(cache, 1);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_INVALID, "nowhere to be saved");
    cubby_runtime_cache_unref(cache);
}
END_TEST

START_TEST(test_explicit_save_raises_errors) {
    char *file = the_path(), *path;
    struct cubby_runtime_cache *cache;

    write_file(file, "x", 1);
    path = path_in(file, "kernels.bin"); /* below a file */
    cache = live_on(path);
    insert(cache, 1);
    ck_fails(cubby_runtime_cache_save(cache, error), CUBBY_ERR_IO, "kernels.bin.lock");
    cubby_runtime_cache_unref(cache);
    free(path);
    free(file);
}
END_TEST

/* ---- All of them ------------------------------------------------------------------------- */

static void add_files(Suite *suite) {
    TCase *tests = add_case(suite, "files");

    tcase_add_loop_test(tests, test_missing_file_is_no_failure, 0, 2);
    tcase_add_test(tests, test_saved_kernels_are_loaded);
    tcase_add_loop_test(tests, test_useless_file_is_no_failure, 0,
                        sizeof(USELESS) / sizeof(*USELESS));
    tcase_add_loop_test(tests, test_refused_file_stays, 0, sizeof(REFUSED) / sizeof(*REFUSED));
    tcase_add_test(tests, test_save_adds_to_what_is_there);
    tcase_add_test(tests, test_saved_file_is_its_owners);
    tcase_add_test(tests, test_nothing_to_write_is_no_file);
    tcase_add_test(tests, test_pending_handle_saves_its_stash);
    tcase_add_test(tests, test_same_kernels_are_not_written_twice);
    tcase_add_test(tests, test_file_keeps_what_was_used_last);
    tcase_add_test(tests, test_use_by_another_counts);
    tcase_add_test(tests, test_temporaries_of_the_dead_go);
    tcase_add_test(tests, test_path_is_fixed_when_the_handle_is_made);
    tcase_add_test(tests, test_save_waits_for_the_lock);
    tcase_add_test(tests, test_save_gives_up_after_ten_seconds);
    tcase_add_test(tests, test_save_without_a_place);
    tcase_add_test(tests, test_explicit_save_raises_errors);
}

int main(void) {
    Suite *suite = suite_create("runtime caches in files");

    add_files(suite);
    return run_suite(suite);
}
