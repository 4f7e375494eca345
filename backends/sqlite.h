/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store from within: one database in WAL mode, shared by processes.
 *
 * SQLite before 3.51.3 (and 3.50.7, 3.44.6) can lose commits when a writer resets the WAL while
 * another connection runs a checkpoint (sqlite.org, "WAL-reset bug"). So SQLite never checkpoints
 * on its own here: a checkpoint runs only under an exclusive flock on PATH-cubby-lock, which every
 * writer holds shared for the time of its transaction.
 *
 * SQLite remembers for the whole process which files it has open and locked, and a child would
 * believe what it inherits of that, though the locks stayed with its parent. So before a fork every
 * connection is closed, and no thread is within SQLite; both sides open new ones.
 */
#ifndef CUBBY_BACKENDS_SQLITE_H
#define CUBBY_BACKENDS_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "backends/backends.h"
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
    int lock;      /* descriptor of PATH-cubby-lock; -1 for a read-only store */
    int wal_pages; /* length of the WAL after the last commit */
};

#define MAX_TOUCHES 256

struct sqlite_backend {
    struct cubby_backend backend;
    char *path;
    char *lock_path;
    uint64_t max_size;
    bool durable;
    bool read_only;

    pthread_mutex_t lock; /* guards what follows, and is never held across I/O */
    struct connection *idle;
    pid_t owner; /* whose connections these are: a forked child may not even close its parent's */
    sqlite3_int64 touches[MAX_TOUCHES]; /* rows that were used and whose time is to be noted */
    size_t touch_count;
    struct fork_guard guard;    /* closes the connections */
    _Atomic uint64_t evictions; /* not yet in the counters table */
};

/* sqlite_connection.c: around every use of SQLite; connection_take and connection_give contain
 * them. A thread holds it once. */
void sqlite_enter(void);
void sqlite_leave(void);

/* sqlite_connection.c: has the connections closed before each fork, until the guard is removed. */
void connection_guard_add(struct sqlite_backend *sqlite);

/* sqlite_connection.c: takes an idle connection or opens one. */
int connection_take(struct sqlite_backend *sqlite, struct connection **ret_connection,
                    struct cubby_error *error);

/* sqlite_connection.c: gives it back for others to use. */
void connection_give(struct sqlite_backend *sqlite, struct connection *connection);

/* sqlite_connection.c: closes all idle connections. */
void connection_close_all(struct sqlite_backend *sqlite);

/* sqlite_connection.c: begins and ends a write; a failed one is rolled back. commit: end with what
 * was done so far. */
int write_begin(struct sqlite_backend *sqlite, struct connection *connection,
                struct cubby_error *error);
int write_end(struct sqlite_backend *sqlite, struct connection *connection, bool commit,
              struct cubby_error *error);

/* sqlite_connection.c: brings the WAL into the database if no writer is at work. */
void checkpoint(struct connection *connection);

/* sqlite_connection.c: a failure of SQLite as an error. */
int sqlite_fail(const struct sqlite_backend *sqlite, sqlite3 *db, int code, const char *what,
                struct cubby_error *error);

/* sqlite_open.c: makes or checks the database before the first connection is used. */
int sqlite_prepare(struct sqlite_backend *sqlite, struct cubby_error *error);

/* sqlite_connection.c: a bare connection with its settings, but without statements. */
int connection_open_db(const struct sqlite_backend *sqlite, sqlite3 **ret_db,
                       struct cubby_error *error);

#endif
