/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime caches where they are kept: files, streams, entries of caches; handles that save
 * themselves. */
#include "runtime_help.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/checksum.h"
#include "runtime/runtime_cache.h"

static char *the_path(void) {
    return path_in(scratch_dir(), "kernels.bin");
}

static bool is_there(const char *path) {
    struct stat status;

    return lstat(path, &status) == 0;
}

/* A file with the kernels of these numbers. */
static void fill(const char *path, unsigned first, unsigned last) {
    struct cubby_runtime_cache *cache = live_on(path);

    for (unsigned i = first; i <= last; i++)
        insert(cache, i);
    save(cache);
    cubby_runtime_cache_unref(cache);
}

/* How many of the kernels of the numbers below that a new run finds in the file. */
static unsigned found_in(const char *path, unsigned end) {
    struct cubby_runtime_cache *cache = live_on(path);
    unsigned count = count_below(cache, end);

    cubby_runtime_cache_unref(cache);
    return count;
}

static unsigned files_beside(const char *path) {
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(entries);
    while ((entry = readdir(entries)))
        count += entry->d_name[0] != '.';
    closedir(entries);
    free(folder);
    return count;
}

/* ---- Loading a file -------------------------------------------------------------------------- */

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

/* ---- Saving to a file ------------------------------------------------------------------------ */

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

/* ---- Handles --------------------------------------------------------------------------------- */

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

/* ---- Streams --------------------------------------------------------------------------------- */

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

/* ---- Entries of a cache ---------------------------------------------------------------------- */

static struct cubby_runtime_cache *handle_in(struct cubby_cache *store, const char *engine,
                                             const struct cubby_runtime_identity *identity) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_runtime_cache *cache = NULL;

    options.cache = store;
    options.engine = engine;
    options.identity = identity;
    ck_ok(cubby_runtime_cache_new(&options, &cache, &error), &error);
    cubby_runtime_cache_load(cache);
    ck_ok(cubby_runtime_cache_materialise(cache, identity, &error), &error);
    return cache;
}

static const char *const SPECS[] = {"memory", "file:@/store", "sqlite:@/store.db",
                                    "memory,file:@/store"};

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

/* ---- Many at once ---------------------------------------------------------------------------- */

#define PROCESSES 4
#define ROUNDS 5

/* Each adds kernels of its own, one save after the other. */
static _Noreturn void add_in_child(const char *path, struct cubby_cache *store, unsigned me) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cubby_runtime_cache *cache = store ? handle_in(store, "unet", &HERE) : live_on(path);

        insert(cache, me * ROUNDS + round);
        if (cubby_runtime_cache_save(cache, NULL) < 0)
            _exit(1);
        cubby_runtime_cache_unref(cache);
    }
    _exit(0);
}

static void add_in_children(const char *path, struct cubby_cache *store) {
    pid_t children[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            add_in_child(path, store, i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}

START_TEST(test_processes_add_to_one_file) {
    char *path = the_path();

    add_in_children(path, NULL);
    ck_assert_uint_eq(found_in(path, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
    ck_assert_uint_eq(files_beside(path), 2);
    free(path);
}
END_TEST

START_TEST(test_processes_add_to_one_entry) {
    struct cubby_cache *store = open_spec_or_less(SPECS[_i], scratch_dir());
    struct cubby_runtime_cache *cache;

    if (cubby_cache_tier_count(store) > 0) {
        add_in_children(NULL, store);
        cache = handle_in(store, "unet", &HERE);
        ck_assert_uint_eq(count_below(cache, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
        cubby_runtime_cache_unref(cache);
    }
    cubby_cache_unref(store);
}
END_TEST

struct savers {
    struct cubby_runtime_cache *cache;
    atomic_uint next, problems;
};

static void *insert_and_save(void *context) {
    struct savers *savers = context;
    unsigned me = atomic_fetch_add(&savers->next, 1);

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cubby_object *kernel = kernel_of(me * ROUNDS + round);
        const struct cubby_key key = key_of(me * ROUNDS + round);

        if (cubby_runtime_cache_insert(savers->cache, &key, kernel, NULL) < 0 ||
            cubby_runtime_cache_save(savers->cache, NULL) < 0)
            atomic_fetch_add(&savers->problems, 1);
        cubby_runtime_cache_load(savers->cache);
        cubby_object_unref(kernel);
    }
    return NULL;
}

START_TEST(test_threads_save_one_handle) {
    char *path = the_path();
    struct savers savers = {.cache = live_on(path)};
    pthread_t threads[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, insert_and_save, &savers), 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(savers.problems, 0);
    cubby_runtime_cache_unref(savers.cache);
    ck_assert_uint_eq(found_in(path, PROCESSES * ROUNDS), PROCESSES * ROUNDS);
    free(path);
}
END_TEST

static void on_alarm(int number) {
    (void)number;
}

/* Calls of the system that a signal ends are made again. */
START_TEST(test_signals_do_not_end_a_save) {
    const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm};
    char *path = the_path();

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < 20; i++)
        fill(path, i, i);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_uint_eq(found_in(path, 20), 20);
    free(path);
}
END_TEST

/* ---- All of them ----------------------------------------------------------------------------- */

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    return tests;
}

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
    tcase_add_test(tests, test_save_without_a_place);
    tcase_add_test(tests, test_explicit_save_raises_errors);
}

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

static void add_crowds(Suite *suite) {
    TCase *tests = add_case(suite, "many at once");

    tcase_add_test(tests, test_processes_add_to_one_file);
    tcase_add_loop_test(tests, test_processes_add_to_one_entry, 1, 4);
    tcase_add_test(tests, test_threads_save_one_handle);
    tcase_add_test(tests, test_signals_do_not_end_a_save);
}

int main(void) {
    Suite *suite = suite_create("saved runtime caches");

    add_files(suite);
    add_handles(suite);
    add_places(suite);
    add_crowds(suite);
    return run_suite(suite);
}
