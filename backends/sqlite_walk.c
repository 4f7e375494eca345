/* SPDX-License-Identifier: Apache-2.0 */
/* Queries, and the entries one after the other. */
#include <string.h>

#include "backends/sqlite.h"

#define PAGE 256 /* entries that are read at a time */

int sqlite_query(struct sqlite_backend *sqlite, const char *sql, const sqlite3_int64 *numbers,
                 size_t count, int (*receive)(sqlite3_stmt *row, void *context), void *context,
                 struct cubby_error *error) {
    struct connection *connection;
    sqlite3_stmt *statement = NULL;
    int result = connection_take(sqlite, &connection, error);
    int code;

    if (result < 0)
        return result;
    code = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    for (size_t i = 0; i < count && code == SQLITE_OK; i++)
        code = sqlite3_bind_int64(statement, (int)i + 1, numbers[i]);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && (result = receive(statement, context)) != 0)
            break;
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        result = sqlite_fail(sqlite, connection->db, code, "read from the store", error);
    sqlite3_finalize(statement);
    connection_give(sqlite, connection);
    return result;
}

static int receive_number(sqlite3_stmt *row, void *context) {
    *(sqlite3_int64 *)context = sqlite3_column_int64(row, 0);
    return 0;
}

struct page {
    struct cubby_entry_info infos[PAGE];
    size_t count, rows;
    sqlite3_int64 last; /* row */
};

static int add_info(sqlite3_stmt *row, void *context) {
    struct page *page = context;
    struct cubby_entry_info *info = &page->infos[page->count];
    int kind = sqlite3_column_int(row, 1);

    page->last = sqlite3_column_int64(row, 0);
    page->rows++;
    if (sqlite3_column_bytes(row, 2) != CUBBY_KEY_SIZE || kind < 0 || kind >= CUBBY_ENTRY_KINDS)
        return 0; /* damaged: sqlite_inspect() tells */
    info->kind = (enum cubby_entry_kind)kind;
    memcpy(&info->key, sqlite3_column_blob(row, 2), CUBBY_KEY_SIZE);
    info->size = (uint64_t)sqlite3_column_int64(row, 3);
    info->used_at = sqlite3_column_int64(row, 4);
    page->count++;
    return 0;
}

/* Page by page, so that memory is bounded and the visitor may write; rows that were added since the
 * walk began have higher numbers and are not seen, so that it ends. */
int sqlite_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                   struct cubby_error *error) {
    struct sqlite_backend *sqlite = (struct sqlite_backend *)backend;
    sqlite3_int64 bounds[2] = {0, 0}; /* rows above this one, up to that */
    int result = sqlite_query(sqlite, "SELECT max(id) FROM entry", NULL, 0, receive_number,
                              &bounds[1], error);
    struct page page = {.rows = PAGE};

    while (result == 0 && page.rows == PAGE) {
        page.count = page.rows = 0;
        result = sqlite_query(sqlite,
                              "SELECT id, kind, key, size, used_at FROM entry "
                              "WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT 256",
                              bounds, 2, add_info, &page, error);
        bounds[0] = page.last;
        for (size_t i = 0; i < page.count && result == 0; i++)
            result = visit(&page.infos[i], context);
    }
    return result;
}
