/* SPDX-License-Identifier: Apache-2.0 */
/* Making a database, checking that one is ours, setting a damaged one aside. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
 */
static int make_file(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0) {
        fchmod(fd, 0600);
        close(fd);
        return 0;
    }
    return errno == EEXIST
               ? 0
               : error_set_errno(error, errno, "cannot make the store %s", sqlite->path);
}

/* ---- The database -------------------------------------------------------------------------- */

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
    int code = pragma_number(db, "PRAGMA application_id", &application);

    if (code == SQLITE_OK)
        code = pragma_number(db, "PRAGMA user_version", &version);
    if (code == SQLITE_OK)
        code = pragma_number(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (code != SQLITE_OK)
        return sqlite_fail(sqlite, db, code, "open the store", error);
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

static int prepare_database(const struct sqlite_backend *sqlite, struct cubby_error *error) {
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
    if (result == 0 && sqlite->read_only && empty)
        result = error_set(error, CUBBY_ERR_INVALID, "%s is empty: there is nothing to read in it",
                           sqlite->path);
    if (result == 0 && empty) {
        sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL);
        result = enter_wal_mode(sqlite, db, error);
        if (result == 0)
            result = make_tables(sqlite, db, error);
    }
    sqlite3_close(db);
    return result;
}

/* ---- Damage ------------------------------------------------------------------------------------
 */

static void rename_with_suffix(const char *path, const char *suffix, const char *stamp) {
    char *from = NULL, *to = NULL;

    if (asprintf(&from, "%s%s", path, suffix) >= 0 &&
        asprintf(&to, "%s.corrupt-%s%s", path, stamp, suffix) >= 0)
        rename(from, to);
    free(from);
    free(to);
}

/* Moves the files of a damaged database out of the way, if no one uses it. */
static int set_aside(const struct sqlite_backend *sqlite, struct cubby_error *error) {
    int lock = open(sqlite->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    time_t now = time(NULL);
    struct tm parts;
    char stamp[32];

    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) {
        if (lock >= 0)
            close(lock);
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "the store %s is damaged, and another process uses it", sqlite->path);
    }
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts);
    rename_with_suffix(sqlite->path, "", stamp);
    rename_with_suffix(sqlite->path, "-wal", stamp);
    rename_with_suffix(sqlite->path, "-shm", stamp);
    close(lock);
    log_line(CUBBY_LOG_WARN,
             "the store %s was damaged: it is now %s.corrupt-%s, and a new one is "
             "begun",
             sqlite->path, sqlite->path, stamp);
    return 0;
}

int sqlite_prepare(struct sqlite_backend *sqlite, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = check_place(sqlite, error);

    if (result < 0)
        return result;
    result = prepare_database(sqlite, &problem);
    if (result == CUBBY_ERR_CORRUPT && !sqlite->read_only) {
        cubby_error_clear(&problem);
        result = set_aside(sqlite, &problem);
        if (result == 0)
            result = prepare_database(sqlite, &problem);
    }
    error_move(error, &problem);
    return result;
}
