/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store from within: one database in WAL mode, shared by processes.
 *
 * SQLite before 3.51.3 (and 3.50.7, 3.44.6) can lose commits when a writer resets the WAL while
 * another connection runs a checkpoint (sqlite.org, "WAL-reset bug"). So SQLite never checkpoints
 * on its own here: a checkpoint runs only under an exclusive flock on PATH-cubby-lock, which every
 * writer holds shared for the time of its transaction.
 */
#ifndef CUBBY_BACKENDS_SQLITE_H
#define CUBBY_BACKENDS_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "backends/backends.h"
#include "backends/key_lock.h"
#include "os/fork.h"

/* Prepared once for each connection. */
enum statement {
    STATEMENT_GET,
    STATEMENT_DELETE,
    STATEMENT_DELETE_ROW,
    STATEMENT_INSERT,
    STATEMENT_TOTAL,
    STATEMENT_OLDEST,
    STATEMENT_TOUCH,
    STATEMENT_COUNT,
    STATEMENT_COUNT_OF,
};

/* One connection; used by one thread at a time. */
struct connection {
    struct connection *next;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT_OF];
    int lock;          /* descriptor of PATH-cubby-lock; -1 for a read-only store */
    int wal_pages;     /* length of the WAL after the last commit */
    int checkpoint_at; /* and the length at which it is worth a checkpoint */
};

#define MAX_TOUCHES 256

/* How long another's transaction is waited for. */
#define BUSY_MS 10000

struct sqlite_backend {
    struct cubby_backend backend;
    char *path;
    char *lock_path;
    char *uri;          /* of a database that no one can write; else NULL, and the path is used */
    char *flights_path; /* folder of the locks of those who make an entry, see key_lock.h */
    struct key_locks flights;
    uint64_t max_size;
    bool durable;
    bool read_only;

    /* Descriptor of PATH-cubby-lock, a byte of which every user of the database holds locked; -1
     * for a read-only store without such a file. Its size is 1 while damage is suspected, else 0.
     */
    int users;

    pthread_mutex_t lock; /* guards what follows, and is never held across I/O */
    struct connection *idle;
    unsigned in_use;        /* connections that were taken */
    bool forking;           /* a fork is waiting for them, and none is given out */
    pthread_cond_t changed; /* in_use came to 0, or forking ended */
    struct fork_guard guard;
    pid_t owner; /* whose connections these are: a forked child may not even close its parent's */
    sqlite3_int64 touches[MAX_TOUCHES]; /* rows that were used and whose time is to be noted */
    size_t touch_count;
    _Atomic uint64_t evictions; /* not yet in the counters table */
};

/* sqlite_connection.c: takes an idle connection or opens one. */
int connection_take(struct sqlite_backend *sqlite, struct connection **ret_connection,
                    struct cubby_error *error);

/* sqlite_connection.c: gives it back for others to use. */
void connection_give(struct sqlite_backend *sqlite, struct connection *connection);

/* sqlite_connection.c: has a fork wait until no thread is within SQLite, whose own locks the child
 * would inherit as they are; until the guard is removed. */
void connection_guard_add(struct sqlite_backend *sqlite);

/* sqlite_connection.c: closes all idle connections. */
void connection_close_all(struct sqlite_backend *sqlite);

/* sqlite_connection.c: begins and ends a write; a failed one is rolled back. commit: end with what
 * was done so far. */
int write_begin(struct sqlite_backend *sqlite, struct connection *connection,
                struct cubby_error *error);
int write_end(struct sqlite_backend *sqlite, struct connection *connection, bool commit,
              struct cubby_error *error);

/* sqlite_connection.c: a failure of SQLite as an error. */
int sqlite_fail(const struct sqlite_backend *sqlite, sqlite3 *db, int code, const char *what,
                struct cubby_error *error);

/* One step of a write, within its transaction. */
typedef int sqlite_write_step(struct sqlite_backend *sqlite, struct connection *connection,
                              void *context, struct cubby_error *error);

/* sqlite.c: a write made of one step, which is undone where that fails. */
int sqlite_write(struct sqlite_backend *sqlite, sqlite_write_step *step, void *context,
                 struct cubby_error *error);

/* sqlite_walk.c: runs a query with these numbers for its ?1 and so on, and gives each row to a
 * receiver, whose value other than 0 ends it and is returned. */
int sqlite_query(struct sqlite_backend *sqlite, const char *sql, const sqlite3_int64 *numbers,
                 size_t count, int (*receive)(sqlite3_stmt *row, void *context), void *context,
                 struct cubby_error *error);

/* sqlite_walk.c: see cubby_backend_ops.iterate. */
int sqlite_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                   struct cubby_error *error);

/* sqlite_inspect.c: see cubby_backend_ops.inspect. */
int sqlite_inspect(struct cubby_backend *backend, bool repair, cubby_finding_visitor visit,
                   void *context, struct cubby_error *error);

/* sqlite_open.c: makes or checks the database before the first connection is used. */
int sqlite_prepare(struct sqlite_backend *sqlite, struct cubby_error *error);

/* sqlite_locks.c: joins those who use the database, so that no one sets it aside meanwhile. */
int users_join(struct sqlite_backend *sqlite, struct cubby_error *error);

/* sqlite_locks.c: becomes the only user, if all others leave soon. Returns false where they do not;
 * either way users_rejoin() makes this one a user among others again. */
bool users_exclude(struct sqlite_backend *sqlite);
void users_rejoin(struct sqlite_backend *sqlite);

/* sqlite_locks.c: notes for the next who opens it that the database may be damaged, and asks. */
void users_suspect(const struct sqlite_backend *sqlite, bool suspect);
bool users_suspected(const struct sqlite_backend *sqlite);

/* sqlite_locks.c: one at a time makes a database. */
int makers_enter(const struct sqlite_backend *sqlite, struct cubby_error *error);
void makers_leave(const struct sqlite_backend *sqlite);

/* sqlite_locks.c: while a writer is within, no checkpoint runs. Returns 0, or -1 with errno. */
int writers_enter(const struct connection *connection);
void writers_leave(const struct connection *connection);

/* sqlite_locks.c: keeps writers out if none is within; if overdue, it asks those within to leave.
 */
bool checkpoint_enter(const struct connection *connection, bool overdue);
void checkpoint_leave(const struct connection *connection);

/* sqlite_connection.c: a bare connection with its settings, but without statements. */
int connection_open_db(const struct sqlite_backend *sqlite, sqlite3 **ret_db,
                       struct cubby_error *error);

#endif
