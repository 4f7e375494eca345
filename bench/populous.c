/* SPDX-License-Identifier: Apache-2.0 */
#include "populous.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#include "entry/entry.h"
#include "floor.h"

#define PAYLOAD 100
#define TIMES 16 /* different times of last use among the entries */

static const unsigned char payload[PAYLOAD];

static struct cubby_blob *entry_of(const struct cubby_key *key) {
    struct cubby_blob *blob;

    return entry_encode(CUBBY_ENTRY_USER, key, payload, PAYLOAD, NULL, 0, &blob, NULL) < 0 ? NULL
                                                                                           : blob;
}

/* ---- Files ------------------------------------------------------------------------------- */

static int write_entry(int folder, const struct cubby_key *key, const struct cubby_blob *blob) {
    char hex[CUBBY_KEY_HEX_SIZE], path[CUBBY_KEY_HEX_SIZE + 1], fan_out[3];
    int fd, result = -1;

    cubby_key_format(key, hex);
    snprintf(fan_out, sizeof(fan_out), "%.2s", hex);
    snprintf(path, sizeof(path), "%s/%s", fan_out, hex + 2);
    fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && mkdirat(folder, fan_out, 0700) == 0)
        fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (write(fd, cubby_blob_data(blob), cubby_blob_size(blob)) == (ssize_t)cubby_blob_size(blob))
        result = 0;
    return close(fd) == 0 ? result : -1;
}

static int fill_files(const char *folder, unsigned entries) {
    char path[512];
    int fd, result;

    snprintf(path, sizeof(path), "%s/store/user", folder);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result = fd < 0 ? -1 : 0;
    for (unsigned i = 0; i < entries && result == 0; i++) {
        struct cubby_blob *blob;
        struct cubby_key key;

        floor_key(i, &key);
        blob = entry_of(&key);
        result = blob ? write_entry(fd, &key, blob) : -1;
        cubby_blob_unref(blob);
    }
    if (fd >= 0)
        close(fd);
    return result;
}

/* ---- Rows -------------------------------------------------------------------------------- */

#ifdef HAVE_SQLITE
static int insert_row(sqlite3_stmt *insert, unsigned number) {
    struct cubby_blob *blob;
    struct cubby_key key;
    int code;

    floor_key(number, &key);
    blob = entry_of(&key);
    if (!blob)
        return -1;
    sqlite3_bind_blob(insert, 1, key.bytes, sizeof(key.bytes), SQLITE_STATIC);
    sqlite3_bind_int(insert, 2, CUBBY_ENTRY_USER);
    sqlite3_bind_int64(insert, 3, 1000000 + number % TIMES);
    sqlite3_bind_int64(insert, 4, (sqlite3_int64)cubby_blob_size(blob));
    sqlite3_bind_blob64(insert, 5, cubby_blob_data(blob), cubby_blob_size(blob), SQLITE_STATIC);
    code = sqlite3_step(insert);
    sqlite3_reset(insert);
    cubby_blob_unref(blob);
    return code == SQLITE_DONE ? 0 : -1;
}

static int fill_rows(const char *folder, unsigned entries) {
    sqlite3_stmt *insert = NULL;
    sqlite3 *db = NULL;
    char path[512];
    int result = -1;

    snprintf(path, sizeof(path), "%s/store", folder);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db,
                           "INSERT INTO entry (key, kind, used_at, size, data) "
                           "VALUES (?1, ?2, ?3, ?4, ?5)",
                           -1, &insert, NULL) == SQLITE_OK)
        result = 0;
    for (unsigned i = 0; i < entries && result == 0; i++)
        result = insert_row(insert, i);
    sqlite3_finalize(insert);
    if (result == 0 &&
        sqlite3_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) != SQLITE_OK)
        result = -1;
    sqlite3_close(db);
    return result;
}
#endif

/* ---- Stores ------------------------------------------------------------------------------ */

/* Makes the store itself, which an open does. */
static int make_empty(const char *spec) {
    struct cubby_cache *cache;
    int result = cubby_cache_open(spec, &cache, NULL);

    if (result < 0)
        return -1;
    result = cubby_cache_tier_count(cache) == 1 ? 0 : -1;
    cubby_cache_unref(cache);
    return result;
}

/* The total of a file store comes from a walk, which a trim to the cap makes. */
static int settle(struct populous *store, uint64_t cap) {
    const struct cubby_trim_limits limits = {.max_size = cap};

    return cubby_cache_trim(store->cache, &limits, NULL, NULL);
}

int populous_open(struct populous *store, const char *kind, const char *folder, unsigned entries) {
    struct cubby_key key = {{0}};
    struct cubby_blob *blob = entry_of(&key);
    uint64_t cap = blob ? (uint64_t)cubby_blob_size(blob) * (entries > 0 ? entries : 1) : 0;
    int result;

    *store = (struct populous){
        .kind = kind, .entries = entries, .next = entries, .per_cycle = entries / 10};
    cubby_blob_unref(blob);
    if (asprintf(&store->spec, "%s:%s/store?max_size=%llu", kind, folder, (unsigned long long)cap) <
        0)
        store->spec = NULL;
    result = store->spec ? make_empty(store->spec) : -1;
    if (result == 0 && strcmp(kind, "file") == 0)
        result = fill_files(folder, entries);
#ifdef HAVE_SQLITE
    else if (result == 0)
        result = fill_rows(folder, entries);
#endif
    if (result == 0)
        result = cubby_cache_open(store->spec, &store->cache, NULL);
    return result == 0 ? settle(store, cap) : -1;
}

void populous_close(struct populous *store) {
    cubby_cache_unref(store->cache);
    free(store->spec);
}

/* ---- Works ------------------------------------------------------------------------------- */

static int get(struct populous *store, struct cubby_cache *cache) {
    struct cubby_object *object;
    struct cubby_key key;
    int result;

    /* Knuth's multiplier, a step of a linear congruential generator. */
    store->random = store->random * 6364136223846793005u + 1442695040888963407u;
    if (store->entries == 0)
        return 0;
    floor_key((unsigned)((store->random >> 33) % store->entries), &key);
    result = cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL);
    if (result == 0)
        cubby_object_unref(object);
    return result == 0 ? 0 : -1;
}

int populous_get(void *context) {
    struct populous *store = context;

    return get(store, store->cache);
}

int populous_reopen(void *context) {
    const struct populous *store = context;
    struct cubby_cache *cache;
    struct cubby_object *object;
    struct cubby_key key = {{0}};
    int result = cubby_cache_open(store->spec, &cache, NULL);

    if (result < 0)
        return -1;
    /* A miss in either: an open that only put work off would have to do it now. */
    if (cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL) == 0)
        cubby_object_unref(object);
    cubby_cache_unref(cache);
    return 0;
}

int populous_put(void *context) {
    struct populous *store = context;
    struct cubby_key key;

    floor_key(store->next++, &key);
    return cubby_cache_put(store->cache, &key, payload, PAYLOAD, NULL);
}

int populous_cycle(void *context) {
    const struct populous *store = context;

    for (unsigned i = 0; i < store->per_cycle; i++) {
        if (populous_put(context) < 0)
            return -1;
    }
    return 0;
}
