/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the database, one for each thread that needs one at a time, and their writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/sqlite.h"
#include "os/process.h"
#include "util/error.h"

#define CHECKPOINT_BUSY_MS 100
#define WAL_PAGES 1024 /* of 4 KB: a WAL longer than that is worth a checkpoint */

static const char *const SQL[STATEMENT_COUNT_OF] = {
    [STATEMENT_GET] = "SELECT data, id, used_at FROM entry WHERE key = ?1 AND kind = ?2",
    [STATEMENT_DELETE] = "DELETE FROM entry WHERE key = ?1 AND kind = ?2",
    [STATEMENT_DELETE_ROW] = "DELETE FROM entry WHERE id = ?1",
    [STATEMENT_INSERT] = "INSERT INTO entry (key, kind, used_at, size, data) "
                         "VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_TOTAL] = "SELECT sum(bytes) FROM total",
    [STATEMENT_OLDEST] = "SELECT id, size, used_at, key FROM entry ORDER BY used_at, id LIMIT 64",
    [STATEMENT_TOUCH] = "UPDATE entry SET used_at = ?2 WHERE id = ?1",
    [STATEMENT_COUNT] = "INSERT INTO counter (name, value) VALUES (?1, ?2) "
                        "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
};

int sqlite_fail(const struct sqlite_backend *sqlite, sqlite3 *db, int code, const char *what,
                struct cubby_error *error) {
    const char *message = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, CUBBY_ERR_BUSY, "cannot %s %s: another process holds it for long",
                         what, sqlite->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        users_suspect(sqlite, true);
        return error_set(error, CUBBY_ERR_CORRUPT, "cannot %s %s: %s", what, sqlite->path, message);
    case SQLITE_NOMEM:
        return error_no_memory(error);
    default:
        return error_set(error, CUBBY_ERR_IO, "cannot %s %s: %s", what, sqlite->path, message);
    }
}

/* ---- Opening ----------------------------------------------------------------------------- */

static int note_wal_size(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((struct connection *)context)->wal_pages = pages;
    return SQLITE_OK;
}

int connection_open_db(const struct sqlite_backend *sqlite, sqlite3 **ret_db,
                       struct cubby_error *error) {
    /* Without SQLITE_OPEN_CREATE: a database that was deleted under us is not to come back empty.
     */
    int flags = (sqlite->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                (sqlite->uri ? SQLITE_OPEN_URI : 0) | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(sqlite->uri ? sqlite->uri : sqlite->path, &db, flags, NULL);
    int result;

    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(db, BUSY_MS);
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        /* Some builds write zeros over all that is removed, which costs as much as to store it. */
        code = sqlite3_exec(db,
                            sqlite->durable
                                ? "PRAGMA secure_delete = OFF; PRAGMA synchronous = FULL"
                                : "PRAGMA secure_delete = OFF; PRAGMA synchronous = NORMAL",
                            NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        sqlite3_wal_autocheckpoint(db, 0);
        *ret_db = db;
        return 0;
    }
    result = sqlite_fail(sqlite, db, code, "open the store", error);
    sqlite3_close(db);
    return result;
}

static void connection_close(struct connection *connection) {
    for (size_t i = 0; i < STATEMENT_COUNT_OF; i++)
        sqlite3_finalize(connection->statements[i]);
    sqlite3_close(connection->db);
    if (connection->lock >= 0)
        close(connection->lock);
    free(connection);
}

static int connection_open(struct sqlite_backend *sqlite, struct connection **ret_connection,
                           struct cubby_error *error) {
    struct connection *connection = calloc(1, sizeof(*connection));
    int result;

    if (!connection)
        return error_no_memory(error);
    connection->lock = -1;
    connection->checkpoint_at = WAL_PAGES;
    result = connection_open_db(sqlite, &connection->db, error);
    for (size_t i = 0; i < STATEMENT_COUNT_OF && result == 0; i++) {
        int code = sqlite3_prepare_v3(connection->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &connection->statements[i], NULL);

        if (code != SQLITE_OK)
            result = sqlite_fail(sqlite, connection->db, code, "use the store", error);
    }
    if (result == 0 && !sqlite->read_only) {
        sqlite3_wal_hook(connection->db, note_wal_size, connection);
        connection->lock = open(sqlite->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (connection->lock < 0)
            result = error_set_errno(error, errno, "cannot open %s", sqlite->lock_path);
    }
    if (result == 0)
        *ret_connection = connection;
    else
        connection_close(connection);
    return result;
}

/* ---- Sharing out ------------------------------------------------------------------------- */

static void close_list(struct connection *connection) {
    while (connection) {
        struct connection *next = connection->next;

        connection_close(connection);
        connection = next;
    }
}

/*
 * After a fork, the lock held: the child must not use what the parent opened, and it may not leave
 * it open either. SQLite keeps one record of locks for all connections of a process to one file;
 * the child's copy of it says that locks are held which only the parent holds, so the child's own
 * connections would go without. Closing the idle ones clears the record. In WAL mode, with no
 * transaction and no checkpoint on close, this writes nothing, and the parent's locks are its own.
 */
static void leave_parent(struct sqlite_backend *sqlite) {
    if (sqlite->owner == process_id())
        return;
    close_list(sqlite->idle);
    sqlite->owner = process_id();
    sqlite->idle = NULL;
    sqlite->touch_count = 0;
    atomic_store(&sqlite->evictions, 0);
}

static void end_use(struct sqlite_backend *sqlite) {
    if (--sqlite->in_use == 0)
        pthread_cond_broadcast(&sqlite->changed);
}

int connection_take(struct sqlite_backend *sqlite, struct connection **ret_connection,
                    struct cubby_error *error) {
    struct connection *connection;
    int result = 0;

    pthread_mutex_lock(&sqlite->lock);
    while (sqlite->forking)
        pthread_cond_wait(&sqlite->changed, &sqlite->lock);
    leave_parent(sqlite);
    sqlite->in_use++;
    connection = sqlite->idle;
    if (connection)
        sqlite->idle = connection->next;
    pthread_mutex_unlock(&sqlite->lock);
    if (!connection)
        result = connection_open(sqlite, &connection, error);
    if (result == 0) {
        *ret_connection = connection;
        return 0;
    }
    pthread_mutex_lock(&sqlite->lock);
    end_use(sqlite);
    pthread_mutex_unlock(&sqlite->lock);
    return result;
}

void connection_give(struct sqlite_backend *sqlite, struct connection *connection) {
    pthread_mutex_lock(&sqlite->lock);
    connection->next = sqlite->idle;
    sqlite->idle = connection;
    end_use(sqlite);
    pthread_mutex_unlock(&sqlite->lock);
}

static void hold_for_fork(void *context) {
    struct sqlite_backend *sqlite = context;

    pthread_mutex_lock(&sqlite->lock);
    sqlite->forking = true;
    while (sqlite->in_use > 0)
        pthread_cond_wait(&sqlite->changed, &sqlite->lock);
}

static void release_after_fork(void *context, bool in_child) {
    struct sqlite_backend *sqlite = context;

    if (in_child) /* those who wait did not come along */
        pthread_cond_init(&sqlite->changed, NULL);
    sqlite->forking = false;
    pthread_cond_broadcast(&sqlite->changed);
    pthread_mutex_unlock(&sqlite->lock);
}

void connection_guard_add(struct sqlite_backend *sqlite) {
    sqlite->guard =
        (struct fork_guard){hold_for_fork, release_after_fork, sqlite, FORK_LEVEL_STORE, NULL};
    fork_guard_add(&sqlite->guard);
}

void connection_close_all(struct sqlite_backend *sqlite) {
    close_list(sqlite->idle);
    sqlite->idle = NULL;
}

/* ---- Writing ----------------------------------------------------------------------------- */

/* Brings the WAL into the database, if no writer is at work. */
static void checkpoint(struct connection *connection) {
    int overdue = connection->checkpoint_at + WAL_PAGES, code;

    if (!checkpoint_enter(connection, connection->wal_pages > overdue))
        return;
    /* All writers wait meanwhile, so a slow reader is not waited for as long as elsewhere. */
    sqlite3_busy_timeout(connection->db, CHECKPOINT_BUSY_MS);
    code = sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(connection->db, BUSY_MS);
    checkpoint_leave(connection);
    /* In vain because of a reader: not again for every write, but once it has grown. */
    connection->checkpoint_at = WAL_PAGES + (code == SQLITE_OK ? 0 : connection->wal_pages);
    connection->wal_pages = 0;
}

int write_begin(struct sqlite_backend *sqlite, struct connection *connection,
                struct cubby_error *error) {
    int code;

    if (writers_enter(connection) < 0)
        return errno == EAGAIN ? sqlite_fail(sqlite, NULL, SQLITE_BUSY, "write to the store", error)
                               : error_set_errno(error, errno, "cannot lock %s", sqlite->lock_path);
    code = sqlite3_exec(connection->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return 0;
    writers_leave(connection);
    return sqlite_fail(sqlite, connection->db, code, "write to the store", error);
}

int write_end(struct sqlite_backend *sqlite, struct connection *connection, bool commit,
              struct cubby_error *error) {
    int result = 0;
    int code = commit ? sqlite3_exec(connection->db, "COMMIT", NULL, NULL, NULL) : SQLITE_OK;

    if (code != SQLITE_OK)
        result = sqlite_fail(sqlite, connection->db, code, "write to the store", error);
    if (!sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    writers_leave(connection);
    if (connection->wal_pages > connection->checkpoint_at)
        checkpoint(connection);
    return result;
}
