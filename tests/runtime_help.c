/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_help.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "entry/meta.h"
#include "object.h"
#include "util/pairs.h"

const struct cubby_runtime_identity HERE = {"sm_90", "NVRTC 13.0 of the tests", 13000};

#define EXPRESSION "scale<float>"

static size_t size_of(unsigned number) {
    return 500 + number % 100;
}

struct cubby_object *kernel_of(unsigned number) {
    struct buffer meta = BUFFER_INIT, names = BUFFER_INIT;
    const struct cubby_key key = key_of(number);
    struct cubby_blob *payload = blob_of(number, size_of(number)), *entry = NULL;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    char lowered[32];

    snprintf(lowered, sizeof(lowered), "_Z5scale%u", number);
    pairs_add(&names, EXPRESSION, lowered);
    meta_add(&meta, META_START, NULL, 0);
    meta_add_text(&meta, META_ARCH, HERE.arch);
    meta_add(&meta, META_NAME, names.data, names.size);
    ck_ok(entry_encode(CUBBY_ENTRY_OBJECT, &key, cubby_blob_data(payload), cubby_blob_size(payload),
                       meta.data, meta.size, &entry, &error),
          &error);
    ck_ok(object_from_blob(entry, CUBBY_ENTRY_OBJECT, &key, true, &object, &error), &error);
    cubby_blob_unref(entry);
    cubby_blob_unref(payload);
    buffer_free(&names);
    buffer_free(&meta);
    return object;
}

void give(struct cubby_runtime_cache *cache, const struct cubby_blob *blob) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_runtime_cache_deserialise(cache, cubby_blob_data(blob), cubby_blob_size(blob),
                                          &error),
          &error);
}

static struct cubby_runtime_cache *handle(const char *path) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_runtime_cache *cache = NULL;

    options.path = path;
    ck_ok(cubby_runtime_cache_new(&options, &cache, &error), &error);
    return cache;
}

struct cubby_runtime_cache *handle_new(void) {
    return handle(NULL);
}

struct cubby_runtime_cache *handle_on(const char *path) {
    return handle(path);
}

struct cubby_runtime_cache *live_on(const char *path) {
    struct cubby_runtime_cache *cache = handle(path);

    cubby_runtime_cache_load(cache);
    materialise(cache);
    return cache;
}

void materialise(struct cubby_runtime_cache *cache) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_runtime_cache_materialise(cache, &HERE, &error), &error);
}

void insert(struct cubby_runtime_cache *cache, unsigned number) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = kernel_of(number);
    const struct cubby_key key = key_of(number);

    ck_ok(cubby_runtime_cache_insert(cache, &key, object, &error), &error);
    cubby_object_unref(object);
}

void save(struct cubby_runtime_cache *cache) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_runtime_cache_save(cache, &error), &error);
}

bool has(struct cubby_runtime_cache *cache, unsigned number) {
    const struct cubby_key key = key_of(number);
    struct cubby_object *object = NULL;
    char lowered[32];

    if (cubby_runtime_cache_find(cache, &key, &object) != 0)
        return false;
    snprintf(lowered, sizeof(lowered), "_Z5scale%u", number);
    ck_assert_uint_eq(cubby_object_size(object), size_of(number));
    ck_assert(is_blob_of(cubby_object_data(object), cubby_object_size(object), number));
    ck_assert_str_eq(cubby_object_lowered_name(object, EXPRESSION), lowered);
    cubby_object_unref(object);
    return true;
}

unsigned count_below(struct cubby_runtime_cache *cache, unsigned end) {
    unsigned count = 0;

    for (unsigned i = 0; i < end; i++)
        count += has(cache, i);
    return count;
}

struct cubby_runtime_cache_stats stats_of(struct cubby_runtime_cache *cache) {
    struct cubby_runtime_cache_stats stats;

    cubby_runtime_cache_stats(cache, &stats);
    return stats;
}

struct cubby_blob *blob_with(const struct cubby_runtime_identity *identity, unsigned first,
                             unsigned last) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_runtime_cache *cache = handle_new();
    struct cubby_blob *blob = NULL;

    ck_ok(cubby_runtime_cache_materialise(cache, identity, &error), &error);
    for (unsigned i = first; i <= last; i++)
        insert(cache, i);
    ck_ok(cubby_runtime_cache_serialise(cache, &blob, &error), &error);
    cubby_runtime_cache_unref(cache);
    return blob;
}

/* ---- Files and stores -------------------------------------------------------------------- */

char *the_path(void) {
    return path_in(scratch_dir(), "kernels.bin");
}

bool is_there(const char *path) {
    struct stat status;

    return lstat(path, &status) == 0;
}

void fill(const char *path, unsigned first, unsigned last) {
    struct cubby_runtime_cache *cache = live_on(path);

    for (unsigned i = first; i <= last; i++)
        insert(cache, i);
    save(cache);
    cubby_runtime_cache_unref(cache);
}

unsigned found_in(const char *path, unsigned end) {
    struct cubby_runtime_cache *cache = live_on(path);
    unsigned count = count_below(cache, end);

    cubby_runtime_cache_unref(cache);
    return count;
}

unsigned files_beside(const char *path) {
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

struct cubby_runtime_cache *handle_in(struct cubby_cache *store, const char *engine,
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

const char *const SPECS[SPEC_COUNT] = {"memory", "file:@/store", "sqlite:@/store.db",
                                       "memory,file:@/store"};

TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    return tests;
}

/* ---- The log ----------------------------------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char heard[8192], told[8192];

static void hear(enum cubby_log_level level, const char *line, void *context) {
    size_t length;

    (void)level;
    (void)context;
    pthread_mutex_lock(&log_lock);
    length = strlen(heard);
    snprintf(heard + length, sizeof(heard) - length, "%s\n", line);
    pthread_mutex_unlock(&log_lock);
}

const char *warnings(void) {
    cubby_log_set(hear, CUBBY_LOG_WARN, NULL);
    pthread_mutex_lock(&log_lock);
    memcpy(told, heard, sizeof(told));
    heard[0] = '\0';
    pthread_mutex_unlock(&log_lock);
    return told;
}
