/* SPDX-License-Identifier: Apache-2.0 */
/* What is around the entries of a database: its structure, rows that are none, the totals. */
#include <stdio.h>
#include <string.h>

#include "backends/sqlite.h"

struct inspection {
    struct sqlite_backend *sqlite;
    bool repair;
    cubby_finding_visitor visit;
    void *context;
};

/* ---- Structure --------------------------------------------------------------------------- */

/* It cannot be mended row by row. Who opens the database next, alone, sets it aside. */
static int report_structure(sqlite3_stmt *row, void *context) {
    const struct inspection *inspection = context;
    const char *fault = (const char *)sqlite3_column_text(row, 0);
    struct cubby_finding finding = {.damage = true};
    char problem[CUBBY_MESSAGE_SIZE];

    if (fault && strcmp(fault, "ok") == 0)
        return 0;
    users_suspect(inspection->sqlite, true);
    snprintf(problem, sizeof(problem),
             "%s: %s; it is set aside when it is opened the next time and no one else uses it",
             inspection->sqlite->path, fault ? fault : "its structure is damaged");
    finding.problem = problem;
    return inspection->visit(&finding, inspection->context);
}

/* ---- Rows -------------------------------------------------------------------------------- */

#define BAD_ROWS                                                                                   \
    "SELECT id, kind, key FROM entry WHERE typeof(key) <> 'blob' OR length(key) <> 32 OR "         \
    "typeof(kind) <> 'integer' OR kind NOT BETWEEN 0 AND 4 OR typeof(data) <> 'blob' OR "          \
    "size <> length(data)"

_Static_assert(CUBBY_ENTRY_KINDS == 5, "the statements here name the kinds");

static int delete_row(struct sqlite_backend *sqlite, struct connection *connection, void *context,
                      struct cubby_error *error) {
    sqlite3_stmt *statement = connection->statements[STATEMENT_DELETE_ROW];
    int code;

    sqlite3_bind_int64(statement, 1, *(sqlite3_int64 *)context);
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE
               ? 0
               : sqlite_fail(sqlite, connection->db, code, "write to the store", error);
}

static int report_row(sqlite3_stmt *row, void *context) {
    const struct inspection *inspection = context;
    sqlite3_int64 id = sqlite3_column_int64(row, 0);
    int kind = sqlite3_column_int(row, 1);
    struct cubby_finding finding = {.damage = true};
    char problem[CUBBY_MESSAGE_SIZE];

    if (kind >= 0 && kind < CUBBY_ENTRY_KINDS && sqlite3_column_bytes(row, 2) == CUBBY_KEY_SIZE) {
        finding.has_key = true;
        finding.kind = (enum cubby_entry_kind)kind;
        memcpy(&finding.key, sqlite3_column_blob(row, 2), CUBBY_KEY_SIZE);
    }
    snprintf(problem, sizeof(problem), "%s: row %lld is not of the form of an entry",
             inspection->sqlite->path, (long long)id);
    finding.problem = problem;
    finding.repaired =
        inspection->repair && sqlite_write(inspection->sqlite, delete_row, &id, NULL) == 0;
    return inspection->visit(&finding, inspection->context);
}

/* ---- Totals ------------------------------------------------------------------------------ */

/* What each kind has by the rows themselves. */
#define TRUTH                                                                                      \
    "WITH every (kind) AS (VALUES (0), (1), (2), (3), (4)), truth AS (SELECT every.kind, "         \
    "coalesce(sum(n), 0) AS n, coalesce(sum(s), 0) AS s FROM every LEFT JOIN (SELECT kind, "       \
    "count(*) AS n, sum(size) AS s FROM entry GROUP BY kind) USING (kind) GROUP BY every.kind) "

static int rewrite_totals(struct sqlite_backend *sqlite, struct connection *connection,
                          void *context, struct cubby_error *error) {
    static const char REWRITE[] =
        "DELETE FROM total; " TRUTH "INSERT INTO total SELECT kind, n, s FROM truth";
    int code = sqlite3_exec(connection->db, REWRITE, NULL, NULL, NULL);

    (void)context;
    return code == SQLITE_OK
               ? 0
               : sqlite_fail(sqlite, connection->db, code, "write to the store", error);
}

static int report_total(sqlite3_stmt *row, void *context) {
    const struct inspection *inspection = context;
    struct cubby_finding finding = {.damage = true};
    char problem[CUBBY_MESSAGE_SIZE];

    snprintf(problem, sizeof(problem),
             "%s: the totals say %lld entries of %lld bytes of kind %d, and there are %lld of %lld",
             inspection->sqlite->path, (long long)sqlite3_column_int64(row, 1),
             (long long)sqlite3_column_int64(row, 2), sqlite3_column_int(row, 0),
             (long long)sqlite3_column_int64(row, 3), (long long)sqlite3_column_int64(row, 4));
    finding.problem = problem;
    finding.repaired =
        inspection->repair && sqlite_write(inspection->sqlite, rewrite_totals, NULL, NULL) == 0;
    return inspection->visit(&finding, inspection->context);
}

int sqlite_inspect(struct cubby_backend *backend, bool repair, cubby_finding_visitor visit,
                   void *context, struct cubby_error *error) {
    struct sqlite_backend *sqlite = (struct sqlite_backend *)backend;
    struct inspection inspection = {sqlite, repair && !sqlite->read_only, visit, context};
    int result = sqlite_query(sqlite, "PRAGMA integrity_check(16)", NULL, 0, report_structure,
                              &inspection, error);

    if (result == 0)
        result = sqlite_query(sqlite, BAD_ROWS, NULL, 0, report_row, &inspection, error);
    if (result == 0)
        result = sqlite_query(sqlite,
                              TRUTH "SELECT truth.kind, entries, bytes, n, s FROM truth LEFT JOIN "
                                    "total USING (kind) WHERE entries IS NOT n OR bytes IS NOT s",
                              NULL, 0, report_total, &inspection, error);
    return result;
}
