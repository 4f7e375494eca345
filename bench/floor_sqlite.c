/* SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#include "floor.h"

struct sqlite_floor {
    sqlite3 *db;
    sqlite3_stmt *get, *put;
    size_t size;
    unsigned next;
    unsigned char *bytes;
    struct cubby_key keys[BENCH_ENTRIES];
};

static int open_database(struct sqlite_floor *floor, const char *folder) {
    char path[512];

    snprintf(path, sizeof(path), "%s/floor.db", folder);
    if (sqlite3_open_v2(path, &floor->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(
            floor->db,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF;"
            "CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, data BLOB NOT NULL)",
            NULL, NULL, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_prepare_v3(floor->db, "SELECT data FROM entry WHERE key = ?1", -1,
                           SQLITE_PREPARE_PERSISTENT, &floor->get, NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(floor->db, "INSERT OR REPLACE INTO entry (key, data) VALUES (?1, ?2)",
                           -1, SQLITE_PREPARE_PERSISTENT, &floor->put, NULL) != SQLITE_OK)
        return -1;
    return 0;
}

static int get(void *context) {
    struct sqlite_floor *floor = context;
    const struct cubby_key *key = &floor->keys[floor->next++ % BENCH_ENTRIES];
    int result = -1;

    sqlite3_bind_blob(floor->get, 1, key->bytes, sizeof(key->bytes), SQLITE_STATIC);
    if (sqlite3_step(floor->get) == SQLITE_ROW && sqlite3_column_blob(floor->get, 0) &&
        (size_t)sqlite3_column_bytes(floor->get, 0) == floor->size)
        result = 0;
    sqlite3_reset(floor->get);
    return result;
}

static int put(void *context) {
    struct sqlite_floor *floor = context;
    const struct cubby_key *key = &floor->keys[floor->next++ % BENCH_ENTRIES];
    int code;

    sqlite3_bind_blob(floor->put, 1, key->bytes, sizeof(key->bytes), SQLITE_STATIC);
    sqlite3_bind_blob64(floor->put, 2, floor->bytes, floor->size, SQLITE_STATIC);
    code = sqlite3_step(floor->put);
    sqlite3_reset(floor->put);
    return code == SQLITE_DONE ? 0 : -1;
}

static void release(void *context) {
    struct sqlite_floor *floor = context;

    sqlite3_finalize(floor->get);
    sqlite3_finalize(floor->put);
    sqlite3_close(floor->db);
    free(floor->bytes);
    free(floor);
}

int sqlite_floor_open(struct floor *ret_floor, const char *folder, size_t size) {
    struct sqlite_floor *floor = calloc(1, sizeof(*floor));
    int result;

    if (!floor)
        return -1;
    *ret_floor = (struct floor){{"prepared SELECT", get, floor},
                                {"prepared INSERT OR REPLACE", put, floor},
                                floor,
                                release};
    floor->size = size;
    floor->bytes = malloc(size);
    result = floor->bytes ? open_database(floor, folder) : -1;
    if (result == 0)
        memset(floor->bytes, 'x', size);
    for (unsigned i = 0; i < BENCH_ENTRIES && result == 0; i++) {
        floor_key(i, &floor->keys[i]);
        floor->next = i;
        result = put(floor);
    }
    return result;
}
