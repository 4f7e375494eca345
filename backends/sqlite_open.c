/* SPDX-License-Identifier: Apache-2.0 */
/* Making a database, checking that one is ours, setting a damaged one aside. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/sqlite.h"
#include "os/trust.h"
#include "util/error.h"
#include "util/log.h"

#define APPLICATION_ID 0x43756262 /* "Cubb" */
#define SCHEMA_VERSION 1

static const char SCHEMA[] =
    "CREATE TABLE entry ("
    "  id INTEGER PRIMARY KEY, key BLOB NOT NULL, kind INTEGER NOT NULL,"
    "  used_at INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE UNIQUE INDEX entry_by_key ON entry (key, kind);"
    "CREATE INDEX entry_by_use ON entry (used_at, id, size);"
    "CREATE TABLE total (kind INTEGER PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT "
    "NULL);"
    "INSERT INTO total VALUES (0,0,0), (1,0,0), (2,0,0), (3,0,0), (4,0,0);"
    "CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN"
    "  UPDATE total SET entries = entries + 1, bytes = bytes + new.size WHERE kind = new.kind;"
    "END;"
    "CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN"
    "  UPDATE total SET entries = entries - 1, bytes = bytes - old.size WHERE kind = old.kind;"
    "END;"
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/* ---- The place --------------------------------------------------------------------------- */

/* The folder is made where it is missing; what is there must be trusted. */
static int check_place(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    char *copy = strdup(sqlite->path);
    struct stat status;
    int result = 0;
    char *folder;

    if (!copy)
        return error_no_memory(error);
    folder = dirname(copy);
    if (!sqlite->read_only && make_folders(folder) < 0)
        result =
            error_set_errno(error, errno, "cannot make the folder of the store %s", sqlite->path);
    else if (stat(folder, &status) < 0)
        result =
            error_set_errno(error, errno, "cannot open the folder of the store %s", sqlite->path);
    else
        result = trust_check(folder, &status, error);
    free(copy);
    if (result < 0)
        return result;
    if (lstat(sqlite->path, &status) < 0)
        return errno == ENOENT && !sqlite->read_only
                   ? 0
                   : error_set_errno(error, errno, "cannot open the store %s", sqlite->path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is not a regular file: a SQLite store needs one, and follows no link",
                         sqlite->path);
    return trust_check(sqlite->path, &status, error);
}

/* Made before SQLite sees it, so that its mode does not hang on the umask; the WAL gets the same.
 * Never opened here: closing it again would drop the locks of another thread's connection. */
static int make_file(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    if (mknod(sqlite->path, S_IFREG | 0600, 0) == 0 || errno == EEXIST)
        return 0;
    return error_set_errno(error, errno, "cannot make the store %s", sqlite->path);
}

/* Where the path is part of a URI, what has a meaning there is escaped. */
static char *uri_of(const char *path) {
    char *uri = malloc(3 * strlen(path) + sizeof("file:?immutable=1")), *at;

    if (!uri)
        return NULL;
    at = stpcpy(uri, "file:");
    for (; *path; path++) {
        if (strchr("?#%", *path))
            at += sprintf(at, "%%%02X", (unsigned char)*path);
        else
            *at++ = *path;
    }
    stpcpy(at, "?immutable=1");
    return uri;
}

static bool has_wal(const struct sqlite_backend *sqlite) {
    char *wal;
    bool there;

    if (asprintf(&wal, "%s-wal", sqlite->path) < 0)
        return true;
    there = access(wal, F_OK) == 0;
    free(wal);
    return there;
}

/* A database of its own in a folder that cannot be written, such as a read-only medium: SQLite
 * would want to make files beside it to keep writers off, and there are none. */
static int choose_immutable(struct sqlite_backend *sqlite, struct cubby_error *error) {
    char *copy = strdup(sqlite->path);
    bool writable = copy && access(dirname(copy), W_OK) == 0;

    free(copy);
    if (!copy)
        return error_no_memory(error);
    if (writable || has_wal(sqlite))
        return 0;
    sqlite->uri = uri_of(sqlite->path);
    return sqlite->uri ? 0 : error_no_memory(error);
}

/* ---- The database ------------------------------------------------------------------------ */

static int pragma_number(sqlite3 *db, const char *sql, sqlite3_int64 *ret_number) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

static int enter_wal_mode(const struct sqlite_backend *sqlite, sqlite3 *db,
                          struct cubby_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    int result = 0;

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        result = sqlite_fail(sqlite, db, code, "open the store", error);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
        result = error_set(error, CUBBY_ERR_UNSUPPORTED,
                           "%s: SQLite refused its write-ahead log, which a shared store needs; a "
                           "network file system has none: use file:PATH there",
                           sqlite->path);
    sqlite3_finalize(statement);
    return result;
}

static int create_schema(const struct sqlite_backend *sqlite, sqlite3 *db,
                         struct cubby_error *error) {
    char pragmas[96];
    int code = sqlite3_exec(db, SCHEMA, NULL, NULL, NULL);

    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, SCHEMA_VERSION);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_fail(sqlite, db, code, "make the store", error);
}

/* Looks at whose database it is; *ret_empty: nobody's yet. */
static int identify(const struct sqlite_backend *sqlite, sqlite3 *db, bool *ret_empty,
                    struct cubby_error *error) {
    sqlite3_int64 application = 0, version = 0, tables = 0;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    bool alone = sqlite3_get_autocommit(db);
    int code = SQLITE_OK;

    /* All from one state: another process may be making the tables just now. */
    if (alone)
        code = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = pragma_number(db, "PRAGMA application_id", &application);
    if (code == SQLITE_OK)
        code = pragma_number(db, "PRAGMA user_version", &version);
    if (code == SQLITE_OK)
        code = pragma_number(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (code != SQLITE_OK)
        sqlite_fail(sqlite, db, code, "open the store", &problem);
    if (alone && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (problem.code < 0) {
        code = problem.code;
        error_move(error, &problem);
        return code;
    }
    *ret_empty = tables == 0 && application == 0;
    if (*ret_empty)
        return 0;
    if (application != APPLICATION_ID)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is a database of another program: it is left alone; choose another "
                         "path",
                         sqlite->path);
    if (version > SCHEMA_VERSION)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "%s was made by a newer Cubby (schema %lld, this one knows %d): use that, "
                         "or another path",
                         sqlite->path, (long long)version, SCHEMA_VERSION);
    return 0;
}

/* Makes the tables in one transaction; another process may be doing the same. */
static int make_tables(const struct sqlite_backend *sqlite, sqlite3 *db,
                       struct cubby_error *error) {
    bool empty = false;
    int result = 0;
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return sqlite_fail(sqlite, db, code, "make the store", error);
    result = identify(sqlite, db, &empty, error);
    if (result == 0 && empty)
        result = create_schema(sqlite, db, error);
    code = sqlite3_exec(db, result == 0 ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    if (result == 0 && code != SQLITE_OK)
        result = sqlite_fail(sqlite, db, code, "make the store", error);
    return result;
}

/* Reads the whole structure of a database that gave errors; one without fault is cleared. SQLite's
 * quick_check would not do: an index that lacks a row passes it, and fails puts and evictions. */
static int check_suspect(const struct sqlite_backend *sqlite, sqlite3 *db,
                         struct cubby_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    int result = 0;

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        result = sqlite_fail(sqlite, db, code, "check the store", error);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        result = error_set(error, CUBBY_ERR_CORRUPT, "the store %s is damaged: %s", sqlite->path,
                           (const char *)sqlite3_column_text(statement, 0));
    else
        users_suspect(sqlite, false);
    sqlite3_finalize(statement);
    return result;
}

/* Makers wait for each other: two who change the journal's mode at once are told BUSY at once. */
static int begin_database(struct sqlite_backend *sqlite, sqlite3 *db, struct cubby_error *error) {
    bool empty = false;
    int result = makers_enter(sqlite, error);

    if (result < 0)
        return result;
    result = identify(sqlite, db, &empty, error);
    if (result == 0 && empty) {
        sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL);
        result = enter_wal_mode(sqlite, db, error);
        if (result == 0)
            result = make_tables(sqlite, db, error);
    }
    makers_leave(sqlite);
    return result;
}

static int prepare_database(struct sqlite_backend *sqlite, struct cubby_error *error) {
    bool empty = false;
    sqlite3 *db = NULL;
    int result;

    if (!sqlite->read_only) {
        result = make_file(sqlite, error);
        if (result < 0)
            return result;
    }
    result = connection_open_db(sqlite, &db, error);
    if (result == 0)
        result = identify(sqlite, db, &empty, error);
    if (result == 0 && !sqlite->read_only && users_suspected(sqlite))
        result = check_suspect(sqlite, db, error);
    if (result == 0 && sqlite->read_only && empty)
        result = error_set(error, CUBBY_ERR_INVALID, "%s is empty: there is nothing to read in it",
                           sqlite->path);
    if (result == 0 && empty)
        result = begin_database(sqlite, db, error);
    sqlite3_close(db);
    return result;
}

/* ---- Damage ------------------------------------------------------------------------------ */

static void rename_with_suffix(const char *path, const char *suffix, const char *stamp) {
    char *from = NULL, *to = NULL;

    if (asprintf(&from, "%s%s", path, suffix) >= 0 &&
        asprintf(&to, "%s.corrupt-%s%s", path, stamp, suffix) >= 0)
        rename(from, to);
    free(from);
    free(to);
}

/* Moves the files of a damaged database out of the way; no one else has it open. */
static void set_aside(const struct sqlite_backend *sqlite) {
    time_t now = time(NULL);
    struct tm parts;
    char stamp[32];

    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts);
    rename_with_suffix(sqlite->path, "", stamp);
    rename_with_suffix(sqlite->path, "-wal", stamp);
    rename_with_suffix(sqlite->path, "-shm", stamp);
    users_suspect(sqlite, false);
    log_line(CUBBY_LOG_WARN,
             "the store %s was damaged: it is now %s.corrupt-%s, and a new one is "
             "begun",
             sqlite->path, sqlite->path, stamp);
}

/* Sets a damaged database aside and begins a new one, unless others have it open. */
static int replace_database(struct sqlite_backend *sqlite, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    bool alone = users_exclude(sqlite);
    int result = prepare_database(sqlite, &problem); /* another may have replaced it meanwhile */

    if (result == CUBBY_ERR_CORRUPT && alone) {
        cubby_error_clear(&problem);
        set_aside(sqlite);
        result = prepare_database(sqlite, &problem);
    } else if (result == CUBBY_ERR_CORRUPT) {
        cubby_error_clear(&problem);
        error_set(&problem, CUBBY_ERR_CORRUPT,
                  "the store %s is damaged, and another process uses it: it is set aside when the "
                  "last one has closed it",
                  sqlite->path);
    }
    users_rejoin(sqlite);
    error_move(error, &problem);
    return result;
}

int sqlite_prepare(struct sqlite_backend *sqlite, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = check_place(sqlite, error);

    if (result == 0)
        result = users_join(sqlite, error);
    if (result == 0 && sqlite->read_only)
        result = choose_immutable(sqlite, error);
    if (result < 0)
        return result;
    result = prepare_database(sqlite, &problem);
    if (result == CUBBY_ERR_CORRUPT && !sqlite->read_only) {
        cubby_error_clear(&problem);
        result = replace_database(sqlite, &problem);
    }
    error_move(error, &problem);
    return result;
}
