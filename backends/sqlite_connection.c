/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the database, one for each thread that needs one at a time, and their writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/sqlite.h"
#include "util/error.h"

#define BUSY_MS 10000
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
        return error_set(error, CUBBY_ERR_CORRUPT, "cannot %s %s: %s", what, sqlite->path, message);
    case SQLITE_NOMEM:
        return error_no_memory(error);
    default:
        return error_set(error, CUBBY_ERR_IO, "cannot %s %s: %s", what, sqlite->path, message);
    }
}

/* ---- Forks ---------------------------------------------------------------------------------- */

/* Held shared by every thread that is within SQLite, once: a waiting fork goes before new ones, or
 * its turn might never come. */
static pthread_rwlock_t inside = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_once_t guarded = PTHREAD_ONCE_INIT;

void sqlite_enter(void) {
    pthread_rwlock_rdlock(&inside);
}

void sqlite_leave(void) {
    pthread_rwlock_unlock(&inside);
}

static void hold_inside(void *context) {
    pthread_rwlock_wrlock(context);
}

/* To the child, whose thread has another number, the lock seems to be held by someone else. */
static void release_inside(void *context, bool in_child) {
    static const pthread_rwlock_t FREE = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

    if (in_child)
        *(pthread_rwlock_t *)context = FREE;
    else
        pthread_rwlock_unlock(context);
}

static void guard_inside(void) {
    static struct fork_guard guard = {hold_inside, release_inside, &inside, FORK_LEVEL_LIBRARY,
                                      NULL};

    fork_guard_add(&guard);
}

static void hold_connections(void *context) {
    struct sqlite_backend *sqlite = context;

    pthread_mutex_lock(&sqlite->lock);
    connection_close_all(sqlite);
}

static void release_connections(void *context, bool in_child) {
    (void)in_child;
    pthread_mutex_unlock(&((struct sqlite_backend *)context)->lock);
}

void connection_guard_add(struct sqlite_backend *sqlite) {
    pthread_once(&guarded, guard_inside);
    sqlite->guard =
        (struct fork_guard){hold_connections, release_connections, sqlite, FORK_LEVEL_STORE, NULL};
    fork_guard_add(&sqlite->guard);
}

/* ---- Opening ---------------------------------------------------------------------------- */

static int note_wal_size(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((struct connection *)context)->wal_pages = pages;
    return SQLITE_OK;
}

int connection_open_db(const struct sqlite_backend *sqlite, sqlite3 **ret_db,
                       struct cubby_error *error) {
    int flags =
        (sqlite->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(sqlite->path, &db, flags, NULL);
    int result;

    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(db, BUSY_MS);
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = sqlite3_exec(
            db, sqlite->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL,
            NULL, NULL);
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

/* ---- Sharing out -------------------------------------------------------------------------- */

int connection_take(struct sqlite_backend *sqlite, struct connection **ret_connection,
                    struct cubby_error *error) {
    struct connection *connection;
    int result = 0;

    sqlite_enter();
    pthread_mutex_lock(&sqlite->lock);
    if (sqlite->owner != getpid()) {
        /* After a fork that our guard did not see (a bare clone): what the parent opened may be
         * neither used nor closed. */
        sqlite->owner = getpid();
        sqlite->idle = NULL;
        sqlite->touch_count = 0;
    }
    connection = sqlite->idle;
    if (connection)
        sqlite->idle = connection->next;
    pthread_mutex_unlock(&sqlite->lock);
    if (!connection)
        result = connection_open(sqlite, &connection, error);
    if (result < 0)
        sqlite_leave();
    else
        *ret_connection = connection;
    return result;
}

void connection_give(struct sqlite_backend *sqlite, struct connection *connection) {
    pthread_mutex_lock(&sqlite->lock);
    connection->next = sqlite->idle;
    sqlite->idle = connection;
    pthread_mutex_unlock(&sqlite->lock);
    sqlite_leave();
}

void connection_close_all(struct sqlite_backend *sqlite) {
    struct connection *connection = sqlite->owner == getpid() ? sqlite->idle : NULL;

    sqlite->idle = NULL;
    while (connection) {
        struct connection *next = connection->next;

        connection_close(connection);
        connection = next;
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int lock_shared(const struct connection *connection) {
    int result;

    while ((result = flock(connection->lock, LOCK_SH)) < 0 && errno == EINTR)
        ;
    return result;
}

int write_begin(struct sqlite_backend *sqlite, struct connection *connection,
                struct cubby_error *error) {
    int code;

    if (lock_shared(connection) < 0)
        return error_set_errno(error, errno, "cannot lock %s", sqlite->lock_path);
    code = sqlite3_exec(connection->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return 0;
    flock(connection->lock, LOCK_UN);
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
    flock(connection->lock, LOCK_UN);
    if (connection->wal_pages > WAL_PAGES)
        checkpoint(connection);
    return result;
}

void checkpoint(struct connection *connection) {
    if (connection->lock < 0 || flock(connection->lock, LOCK_EX | LOCK_NB) < 0)
        return; /* a writer is at work, or another checkpoint: a later one will do */
    sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    flock(connection->lock, LOCK_UN);
    connection->wal_pages = 0;
}
