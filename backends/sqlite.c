/* SPDX-License-Identifier: Apache-2.0 */
/* Entries as rows of one SQLite database. Sizes are kept by triggers in the same transaction. */
#include "backends/sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/process.h"
#include "os/time.h"
#include "util/error.h"

#define TOUCH_SECONDS 60 /* recency is noted at most so often */
#define EVICT_ROWS 1024  /* that go in one write, about: some 20 milliseconds */

static struct sqlite_backend *sqlite_of(struct cubby_backend *backend) {
    return (struct sqlite_backend *)backend;
}

static int refuse_read_only(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_UNSUPPORTED, "the store %s is opened read-only",
                     sqlite->path);
}

static sqlite3_stmt *bind_key(struct connection *connection, enum statement which,
                              enum cubby_entry_kind kind, const struct cubby_key *key) {
    sqlite3_stmt *statement = connection->statements[which];

    sqlite3_bind_blob(statement, 1, key->bytes, sizeof(key->bytes), SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, (int)kind);
    return statement;
}

/* Runs a statement that gives no rows. */
static int run(const struct sqlite_backend *sqlite, struct connection *connection,
               sqlite3_stmt *statement, struct cubby_error *error) {
    int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE
               ? 0
               : sqlite_fail(sqlite, connection->db, code, "write to the store", error);
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* Remembers a use; it is written with the next put. When the list is full, uses are forgotten. */
static void remember_use(struct sqlite_backend *sqlite, sqlite3_int64 row, int64_t used_at) {
    if (sqlite->max_size == 0 || sqlite->read_only || used_at + TOUCH_SECONDS >= wall_seconds())
        return;
    pthread_mutex_lock(&sqlite->lock);
    if (sqlite->touch_count < MAX_TOUCHES)
        sqlite->touches[sqlite->touch_count++] = row;
    pthread_mutex_unlock(&sqlite->lock);
}

static int read_row(struct sqlite_backend *sqlite, struct connection *connection,
                    sqlite3_stmt *statement, bool is_use, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    int code = sqlite3_step(statement);
    struct cubby_blob *blob;

    if (code == SQLITE_DONE)
        return CUBBY_ERR_NOT_FOUND;
    if (code != SQLITE_ROW)
        return sqlite_fail(sqlite, connection->db, code, "read from the store", error);
    blob = cubby_blob_copy(sqlite3_column_blob(statement, 0),
                           (size_t)sqlite3_column_bytes(statement, 0));
    if (!blob)
        return error_no_memory(error);
    if (is_use)
        remember_use(sqlite, sqlite3_column_int64(statement, 1),
                     sqlite3_column_int64(statement, 2));
    *ret_blob = blob;
    return 0;
}

static int find_row(struct sqlite_backend *sqlite, enum cubby_entry_kind kind,
                    const struct cubby_key *key, bool is_use, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    struct connection *connection;
    sqlite3_stmt *statement;
    int result = connection_take(sqlite, &connection, error);

    if (result < 0)
        return result;
    statement = bind_key(connection, STATEMENT_GET, kind, key);
    result = read_row(sqlite, connection, statement, is_use, ret_blob, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    connection_give(sqlite, connection);
    return result;
}

static int sqlite_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob **ret_blob,
                      struct cubby_error *error) {
    return find_row(sqlite_of(backend), kind, key, true, ret_blob, error);
}

static int sqlite_peek(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_blob **ret_blob,
                       struct cubby_error *error) {
    return find_row(sqlite_of(backend), kind, key, false, ret_blob, error);
}

/* ---- Keeping within the cap -------------------------------------------------------------- */

static uint64_t total_bytes(struct connection *connection) {
    sqlite3_stmt *statement = connection->statements[STATEMENT_TOTAL];
    uint64_t total = 0;

    if (sqlite3_step(statement) == SQLITE_ROW)
        total = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return total;
}

/* The oldest rows, as many as fit a batch. */
struct batch {
    struct {
        sqlite3_int64 id;
        uint64_t size;
        int64_t used_at;
        bool keep;
    } rows[64];
    size_t count;
};

static void read_batch(struct connection *connection, const struct cubby_key *keep,
                       struct batch *batch) {
    sqlite3_stmt *statement = connection->statements[STATEMENT_OLDEST];

    batch->count = 0;
    while (batch->count < 64 && sqlite3_step(statement) == SQLITE_ROW) {
        size_t i = batch->count++;

        batch->rows[i].id = sqlite3_column_int64(statement, 0);
        batch->rows[i].size = (uint64_t)sqlite3_column_int64(statement, 1);
        batch->rows[i].used_at = sqlite3_column_int64(statement, 2);
        batch->rows[i].keep = keep && sqlite3_column_bytes(statement, 3) == CUBBY_KEY_SIZE &&
                              memcmp(sqlite3_column_blob(statement, 3), keep, CUBBY_KEY_SIZE) == 0;
    }
    sqlite3_reset(statement);
}

/* Removes rows, oldest first, until the limits hold; within a write. It ends before that, and
 * ret_more is true, where many rows went and the total is at most enough: other writers wait. */
static int remove_oldest(struct sqlite_backend *sqlite, struct connection *connection,
                         const struct cubby_trim_limits *limits, uint64_t enough,
                         const struct cubby_key *keep, struct cubby_trimmed *trimmed,
                         bool *ret_more, struct cubby_error *error) {
    uint64_t total = total_bytes(connection);
    size_t removed, all = 0;

    do {
        struct batch batch;

        read_batch(connection, keep, &batch);
        removed = 0;
        for (size_t i = 0; i < batch.count; i++) {
            bool too_old = limits->used_before && batch.rows[i].used_at < limits->used_before;
            bool too_much = limits->max_size && total > limits->max_size;
            sqlite3_stmt *statement = connection->statements[STATEMENT_DELETE_ROW];
            int result;

            if (batch.rows[i].keep || (!too_old && !too_much))
                continue;
            sqlite3_bind_int64(statement, 1, batch.rows[i].id);
            result = run(sqlite, connection, statement, error);
            if (result < 0)
                return result;
            total -= batch.rows[i].size < total ? batch.rows[i].size : total;
            trimmed->entries++;
            trimmed->bytes += batch.rows[i].size;
            atomic_fetch_add(&sqlite->evictions, 1);
            removed++;
        }
        all += removed;
    } while (removed > 0 && (all < EVICT_ROWS || total > enough));
    *ret_more = removed > 0;
    return 0;
}

/* Gives what was freed back to the file system, a bounded part at a time; within a write. What is
 * not given back is used again, so it fails only where SQLite has undone the whole write. */
static int shrink(const struct sqlite_backend *sqlite, struct connection *connection,
                  struct cubby_error *error) {
    int code = sqlite3_exec(connection->db, "PRAGMA incremental_vacuum(256)", NULL, NULL, NULL);

    return code == SQLITE_OK || !sqlite3_get_autocommit(connection->db)
               ? 0
               : sqlite_fail(sqlite, connection->db, code, "write to the store", error);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static void write_uses(struct sqlite_backend *sqlite, struct connection *connection) {
    sqlite3_stmt *statement = connection->statements[STATEMENT_TOUCH];
    sqlite3_int64 rows[MAX_TOUCHES];
    size_t count;

    pthread_mutex_lock(&sqlite->lock);
    count = sqlite->touch_count;
    memcpy(rows, sqlite->touches, count * sizeof(*rows));
    sqlite->touch_count = 0;
    pthread_mutex_unlock(&sqlite->lock);
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(statement, 1, rows[i]);
        sqlite3_bind_int64(statement, 2, wall_seconds());
        run(sqlite, connection, statement, NULL);
    }
}

static int insert(struct sqlite_backend *sqlite, struct connection *connection,
                  enum cubby_entry_kind kind, const struct cubby_key *key,
                  const struct cubby_blob *blob, struct cubby_error *error) {
    sqlite3_stmt *statement = bind_key(connection, STATEMENT_DELETE, kind, key);
    int result = run(sqlite, connection, statement, error);
    size_t size = cubby_blob_size(blob);

    if (result < 0)
        return result;
    statement = bind_key(connection, STATEMENT_INSERT, kind, key);
    sqlite3_bind_int64(statement, 3, wall_seconds());
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)size);
    sqlite3_bind_blob64(statement, 5, cubby_blob_data(blob), size, SQLITE_STATIC);
    return run(sqlite, connection, statement, error);
}

int sqlite_write(struct sqlite_backend *sqlite, sqlite_write_step *step, void *context,
                 struct cubby_error *error) {
    struct connection *connection;
    int result;

    if (sqlite->read_only)
        return refuse_read_only(sqlite, error);
    result = connection_take(sqlite, &connection, error);
    if (result < 0)
        return result;
    result = write_begin(sqlite, connection, error);
    if (result == 0) {
        int ended;

        result = step(sqlite, connection, context, error);
        ended = write_end(sqlite, connection, result == 0, error);
        result = result < 0 ? result : ended;
    }
    connection_give(sqlite, connection);
    return result;
}

/* What a put or a remove is about. */
struct subject {
    enum cubby_entry_kind kind;
    const struct cubby_key *key;
    const struct cubby_blob *blob;
};

static int put_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                    struct cubby_error *error) {
    struct cubby_trim_limits limits = {.max_size = sqlite->max_size - sqlite->max_size / 10};
    struct cubby_trimmed trimmed = {0};
    const struct subject *put = context;
    bool more; /* for later puts */
    int result;

    write_uses(sqlite, connection);
    if (sqlite->max_size > 0 && cubby_blob_size(put->blob) > sqlite->max_size)
        /* It would push out everything else and still not fit; but what it was to replace is out
         * of date. */
        return run(sqlite, connection, bind_key(connection, STATEMENT_DELETE, put->kind, put->key),
                   error);
    result = insert(sqlite, connection, put->kind, put->key, put->blob, error);
    if (result < 0 || sqlite->max_size == 0 || total_bytes(connection) <= sqlite->max_size)
        return result;
    result = remove_oldest(sqlite, connection, &limits, sqlite->max_size, put->key, &trimmed, &more,
                           error);
    return result == 0 ? shrink(sqlite, connection, error) : result;
}

static int sqlite_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                      const struct cubby_key *key, struct cubby_blob *blob,
                      struct cubby_error *error) {
    struct subject put = {kind, key, blob};

    return sqlite_write(sqlite_of(backend), put_step, &put, error);
}

static int remove_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                       struct cubby_error *error) {
    const struct subject *subject = context;
    int result = run(sqlite, connection,
                     bind_key(connection, STATEMENT_DELETE, subject->kind, subject->key), error);

    if (result == 0 && sqlite3_changes(connection->db) == 0)
        result =
            error_set(error, CUBBY_ERR_NOT_FOUND, "the store %s holds no such entry", sqlite->path);
    return result;
}

static int sqlite_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                         const struct cubby_key *key, struct cubby_error *error) {
    struct subject subject = {kind, key, NULL};

    return sqlite_write(sqlite_of(backend), remove_step, &subject, error);
}

static int clear_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                      struct cubby_error *error) {
    int code = sqlite3_exec(connection->db, "DELETE FROM entry", NULL, NULL, NULL);

    (void)context;
    return code == SQLITE_OK ? 0
                             : sqlite_fail(sqlite, connection->db, code, "clear the store", error);
}

static int give_back_step(struct sqlite_backend *sqlite, struct connection *connection,
                          void *context, struct cubby_error *error) {
    int code = sqlite3_exec(connection->db, "PRAGMA incremental_vacuum", NULL, NULL, NULL);

    (void)context;
    return code == SQLITE_OK ? 0 : sqlite_fail(sqlite, connection->db, code, "shrink", error);
}

/* All entries in one transaction, so that all are there or none. The file shrinks in another: a
 * disk that is full may have no room for that, and is to be cleared all the same. */
static int sqlite_clear(struct cubby_backend *backend, struct cubby_error *error) {
    struct sqlite_backend *sqlite = sqlite_of(backend);
    int result = sqlite_write(sqlite, clear_step, NULL, error);

    if (result == 0)
        sqlite_write(sqlite, give_back_step, NULL, NULL);
    return result;
}

struct trim {
    const struct cubby_trim_limits *limits;
    struct cubby_trimmed trimmed;
    bool more;
};

static int trim_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                     struct cubby_error *error) {
    struct trim *trim = context;
    int result = remove_oldest(sqlite, connection, trim->limits, UINT64_MAX, NULL, &trim->trimmed,
                               &trim->more, error);

    return result == 0 ? shrink(sqlite, connection, error) : result;
}

static int sqlite_trim(struct cubby_backend *backend, const struct cubby_trim_limits *limits,
                       struct cubby_trimmed *ret_trimmed, struct cubby_error *error) {
    struct trim trim = {limits, {0}, true};
    int result = 0;

    while (result == 0 && trim.more)
        result = sqlite_write(sqlite_of(backend), trim_step, &trim, error);
    if (result == 0 && ret_trimmed)
        *ret_trimmed = trim.trimmed;
    return result;
}

/* ---- Counters ---------------------------------------------------------------------------- */

/* Each counter's name in its table, and where it lies. */
static const struct {
    const char *name;
    size_t offset;
} COUNTERS[] = {
    {"hits", offsetof(struct cubby_counters, hits)},
    {"misses", offsetof(struct cubby_counters, misses)},
    {"compiles", offsetof(struct cubby_counters, compiles)},
    {"waits", offsetof(struct cubby_counters, waits)},
    {"puts", offsetof(struct cubby_counters, puts)},
    {"evictions", offsetof(struct cubby_counters, evictions)},
    {"corrupt", offsetof(struct cubby_counters, corrupt)},
    {"dropped", offsetof(struct cubby_counters, dropped)},
    {"errors", offsetof(struct cubby_counters, errors)},
    {"compile_ns", offsetof(struct cubby_counters, compile_ns)},
    {"saved_ns", offsetof(struct cubby_counters, saved_ns)},
};

static uint64_t *counter_at(struct cubby_counters *counters, size_t i) {
    return (uint64_t *)((char *)counters + COUNTERS[i].offset);
}

static int count_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                      struct cubby_error *error) {
    struct cubby_counters delta = *(const struct cubby_counters *)context;
    int result = 0;

    write_uses(sqlite, connection);
    for (size_t i = 0; i < sizeof(COUNTERS) / sizeof(*COUNTERS) && result == 0; i++) {
        uint64_t value = *counter_at(&delta, i);
        sqlite3_stmt *statement = connection->statements[STATEMENT_COUNT];

        if (value == 0)
            continue;
        sqlite3_bind_text(statement, 1, COUNTERS[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)value);
        result = run(sqlite, connection, statement, error);
    }
    return result;
}

static int sqlite_count(struct cubby_backend *backend, const struct cubby_counters *delta,
                        struct cubby_error *error) {
    struct sqlite_backend *sqlite = sqlite_of(backend);
    struct cubby_counters all = *delta;

    if (sqlite->read_only)
        return 0;
    all.evictions += atomic_exchange(&sqlite->evictions, 0);
    return sqlite_write(sqlite, count_step, &all, error);
}

static int zero_step(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                     struct cubby_error *error) {
    int code = sqlite3_exec(connection->db, "DELETE FROM counter", NULL, NULL, NULL);

    (void)context;
    atomic_store(&sqlite->evictions, 0);
    return code == SQLITE_OK ? 0 : sqlite_fail(sqlite, connection->db, code, "count in", error);
}

static int sqlite_zero(struct cubby_backend *backend, struct cubby_error *error) {
    return sqlite_write(sqlite_of(backend), zero_step, NULL, error);
}

static int sqlite_flush(struct cubby_backend *backend, struct cubby_error *error) {
    static const struct cubby_counters NONE;
    struct sqlite_backend *sqlite = sqlite_of(backend);
    bool pending;

    pthread_mutex_lock(&sqlite->lock);
    pending = sqlite->owner == process_id() &&
              (sqlite->touch_count > 0 || atomic_load(&sqlite->evictions) > 0);
    pthread_mutex_unlock(&sqlite->lock);
    return pending ? sqlite_count(backend, &NONE, error) : 0;
}

/* ---- Statistics -------------------------------------------------------------------------- */

static int add_total(sqlite3_stmt *row, void *context) {
    struct cubby_store_stats *stats = context;
    int kind = sqlite3_column_int(row, 0);

    if (kind >= 0 && kind < CUBBY_ENTRY_KINDS)
        stats->entries[kind] = (uint64_t)sqlite3_column_int64(row, 1);
    stats->bytes += (uint64_t)sqlite3_column_int64(row, 2);
    return 0;
}

static int add_counter(sqlite3_stmt *row, void *context) {
    struct cubby_store_stats *stats = context;
    const char *name = (const char *)sqlite3_column_text(row, 0);

    for (size_t i = 0; name && i < sizeof(COUNTERS) / sizeof(*COUNTERS); i++) {
        if (strcmp(name, COUNTERS[i].name) == 0)
            *counter_at(&stats->counters, i) = (uint64_t)sqlite3_column_int64(row, 1);
    }
    return 0;
}

static int sqlite_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                        struct cubby_error *error) {
    struct sqlite_backend *sqlite = sqlite_of(backend);
    struct cubby_store_stats stats = {.max_size = sqlite->max_size};
    int result = sqlite_query(sqlite, "SELECT kind, entries, bytes FROM total", NULL, 0, add_total,
                              &stats, error);

    if (result == 0)
        result = sqlite_query(sqlite, "SELECT name, value FROM counter", NULL, 0, add_counter,
                              &stats, error);
    if (result < 0)
        return result;
    stats.counters.evictions += atomic_load(&sqlite->evictions);
    *ret_stats = stats;
    return 0;
}

/* ---- Flights ----------------------------------------------------------------------------- */

static int sqlite_lock_key(struct cubby_backend *backend, enum cubby_entry_kind kind,
                           const struct cubby_key *key, uint64_t timeout_ns,
                           struct cubby_key_lock **ret_lock, struct cubby_error *error) {
    struct sqlite_backend *sqlite = sqlite_of(backend);

    return sqlite->read_only
               ? refuse_read_only(sqlite, error)
               : key_lock_take(&sqlite->flights, kind, key, timeout_ns, ret_lock, error);
}

static void sqlite_unlock_key(struct cubby_backend *backend, struct cubby_key_lock *lock) {
    (void)backend;
    key_lock_give(lock);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static void sqlite_free(struct sqlite_backend *sqlite) {
    pthread_cond_destroy(&sqlite->changed);
    pthread_mutex_destroy(&sqlite->lock);
    if (sqlite->users >= 0)
        close(sqlite->users);
    free(sqlite->uri);
    free(sqlite->lock_path);
    free(sqlite->flights_path);
    free(sqlite->path);
    free(sqlite);
}

static void sqlite_close_backend(struct cubby_backend *backend) {
    struct sqlite_backend *sqlite = sqlite_of(backend);

    sqlite_flush(backend, NULL);
    fork_guard_remove(&sqlite->guard);
    connection_close_all(sqlite);
    sqlite_free(sqlite);
}

static const struct cubby_backend_ops SQLITE_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .name = "sqlite",
    .get = sqlite_get,
    .peek = sqlite_peek,
    .inspect = sqlite_inspect,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .iterate = sqlite_iterate,
    .stats = sqlite_stats,
    .clear = sqlite_clear,
    .trim = sqlite_trim,
    .count = sqlite_count,
    .zero = sqlite_zero,
    .flush = sqlite_flush,
    .close = sqlite_close_backend,
    .lock_key = sqlite_lock_key,
    .unlock_key = sqlite_unlock_key,
};

int sqlite_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                        struct cubby_error *error) {
    struct sqlite_backend *sqlite = calloc(1, sizeof(*sqlite));
    struct connection *connection;
    int result;

    if (!sqlite)
        return error_no_memory(error);
    sqlite->backend.ops = &SQLITE_OPS;
    pthread_mutex_init(&sqlite->lock, NULL);
    pthread_cond_init(&sqlite->changed, NULL);
    sqlite->path = strdup(params->path);
    if (asprintf(&sqlite->lock_path, "%s-cubby-lock", params->path) < 0)
        sqlite->lock_path = NULL;
    if (asprintf(&sqlite->flights_path, "%s-cubby-flights", params->path) < 0)
        sqlite->flights_path = NULL;
    sqlite->max_size = params->max_size;
    sqlite->durable = params->durable;
    sqlite->read_only = params->read_only;
    sqlite->owner = process_id();
    sqlite->users = -1;
    sqlite->flights = (struct key_locks){.file_mode = 0600,
                                         .folder_mode = 0700,
                                         .base = AT_FDCWD,
                                         .folder = sqlite->flights_path,
                                         .store = sqlite->path};
    result = sqlite->path && sqlite->lock_path && sqlite->flights_path
                 ? sqlite_prepare(sqlite, error)
                 : error_no_memory(error);
    if (result == 0)
        result = connection_take(sqlite, &connection, error);
    if (result != 0) {
        sqlite_free(sqlite);
        return result;
    }
    connection_give(sqlite, connection);
    connection_guard_add(sqlite);
    *ret_backend = &sqlite->backend;
    return 0;
}
