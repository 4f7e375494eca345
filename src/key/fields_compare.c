/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists of fields, side by side. What both have in the same order belongs together (the longest
 * common subsequence); of what is left over, a field that only has another value is paired with
 * what it was, and the rest came or went.
 */
#include <stdlib.h>
#include <string.h>

#include "key/fields.h"

#define MAX_CELLS                                                                                  \
    (1u << 20) /* of the table below: beyond it, common fields are paired one by one */

struct item {
    const char *field;
    const char *name; /* which one, where there may be several; else NULL */
    const char *value;
    struct item *partner; /* in the other list; NULL for none */
    bool in_order;        /* the partner is the same, and the order is too */
};

struct items {
    struct item *list;
    size_t count;
};

/* ---- From fields to items ---------------------------------------------------------------- */

static size_t count_pairs(struct pairs pairs) {
    const char *first, *second;
    size_t count = 0;

    while (pairs_next(&pairs, &first, &second))
        count++;
    return count;
}

/* Fields that say of which file, header or input the next one is the digest. */
static bool takes_digest(const char *field) {
    return strcmp(field, "header") == 0 || strcmp(field, "input") == 0;
}

/* Fields that belong to the one before become one item with it. */
static bool join(struct items *items, const char *field, const char *value) {
    struct item *last = items->count > 0 ? &items->list[items->count - 1] : NULL;
    size_t length = last ? strlen(last->field) : 0;

    if (!last || last->name || !takes_digest(last->field) ||
        strncmp(field, last->field, length) != 0 || strcmp(field + length, " digest") != 0)
        return false;
    last->name = last->value;
    last->value = value;
    return true;
}

static bool parse(struct pairs pairs, struct items *ret_items) {
    struct items items = {calloc(count_pairs(pairs) + 1, sizeof(*items.list)), 0};
    const char *field, *value, *source = NULL;

    while (items.list && pairs_next(&pairs, &field, &value)) {
        if (join(&items, field, value))
            continue;
        items.list[items.count++] =
            (struct item){.field = field,
                          .name = strcmp(field, "source stamp") == 0 ? source : NULL,
                          .value = value};
        if (strcmp(field, "source name") == 0)
            source = value;
    }
    *ret_items = items;
    return items.list != NULL;
}

/* ---- What belongs together --------------------------------------------------------------- */

static bool same_name(const struct item *a, const struct item *b) {
    return strcmp(a->field, b->field) == 0 && !a->name == !b->name &&
           (!a->name || strcmp(a->name, b->name) == 0);
}

static bool equal(const struct item *a, const struct item *b) {
    return same_name(a, b) && strcmp(a->value, b->value) == 0;
}

/* What an option is about: its name, or the macro that it defines or undefines. */
static const char *subject(const char *option, size_t *ret_length) {
    bool macro = strncmp(option, "-D=", 3) == 0 || strncmp(option, "-U=", 3) == 0;
    const char *text = macro ? option + 3 : option;

    *ret_length = strcspn(text, "=");
    return text;
}

/* True if one is what became of the other. */
static bool kin(const struct item *a, const struct item *b) {
    const char *about_a, *about_b;
    size_t length_a, length_b;

    if (!same_name(a, b))
        return false;
    if (strcmp(a->field, "option") != 0 && strcmp(a->field, "environment") != 0)
        return strcmp(a->field, "name expression") != 0;
    about_a = subject(a->value, &length_a);
    about_b = subject(b->value, &length_b);
    return length_a == length_b && memcmp(about_a, about_b, length_a) == 0 &&
           (about_a == a->value) == (about_b == b->value);
}

static void pair(struct item *a, struct item *b, bool in_order) {
    a->partner = b;
    b->partner = a;
    a->in_order = b->in_order = in_order;
}

/* Pairs what both have in the same order, from first to last, through a table of lengths. */
static bool pair_common(struct item *a, size_t rows, struct item *b, size_t columns) {
    size_t width = columns + 1;
    unsigned short *table = calloc((rows + 1) * width, sizeof(*table));

    if (!table)
        return false;
    for (size_t i = rows; i-- > 0;) {
        for (size_t j = columns; j-- > 0;) {
            unsigned short down = table[(i + 1) * width + j], right = table[i * width + j + 1];

            table[i * width + j] = equal(&a[i], &b[j]) ? table[(i + 1) * width + j + 1] + 1
                                   : down > right      ? down
                                                       : right;
        }
    }
    for (size_t i = 0, j = 0; i < rows && j < columns;) {
        if (equal(&a[i], &b[j]))
            pair(&a[i++], &b[j++], true);
        else if (table[(i + 1) * width + j] >= table[i * width + j + 1])
            i++;
        else
            j++;
    }
    free(table);
    return true;
}

/* What is the same at both ends needs no table. */
static bool pair_in_order(struct items *then, struct items *now) {
    size_t start = 0, then_end = then->count, now_end = now->count, rows, columns;

    while (start < then_end && start < now_end && equal(&then->list[start], &now->list[start])) {
        pair(&then->list[start], &now->list[start], true);
        start++;
    }
    while (then_end > start && now_end > start &&
           equal(&then->list[then_end - 1], &now->list[now_end - 1]))
        pair(&then->list[--then_end], &now->list[--now_end], true);
    rows = then_end - start;
    columns = now_end - start;
    if (rows == 0 || columns == 0 || (rows + 1) * (columns + 1) > MAX_CELLS)
        return true;
    return pair_common(then->list + start, rows, now->list + start, columns);
}

static void pair_rest(struct items *then, struct items *now,
                      bool (*belong)(const struct item *, const struct item *)) {
    for (size_t i = 0; i < then->count; i++) {
        for (size_t j = 0; j < now->count && !then->list[i].partner; j++) {
            if (!now->list[j].partner && belong(&then->list[i], &now->list[j]))
                pair(&then->list[i], &now->list[j], false);
        }
    }
}

/* ---- Telling ----------------------------------------------------------------------------- */

struct telling {
    cubby_difference_visitor visit;
    void *context;
    size_t count;
};

static void tell(struct telling *telling, const struct item *then, const struct item *now) {
    const struct item *any = then ? then : now;
    struct cubby_difference difference = {
        .field = any->field,
        .name = any->name,
        .then = then ? then->value : NULL,
        .now = now ? now->value : NULL,
    };

    telling->count++;
    if (telling->visit)
        telling->visit(&difference, telling->context);
}

static void tell_all(const struct items *then, const struct items *now, struct telling *telling) {
    size_t i = 0, j = 0;

    while (i < then->count || j < now->count) {
        while (i < then->count && !then->list[i].in_order) {
            tell(telling, &then->list[i], then->list[i].partner);
            i++;
        }
        while (j < now->count && !now->list[j].in_order) {
            if (!now->list[j].partner)
                tell(telling, NULL, &now->list[j]);
            j++;
        }
        if (i < then->count)
            i++;
        if (j < now->count)
            j++;
    }
}

int fields_compare(const struct pairs *then, const struct pairs *now,
                   cubby_difference_visitor visit, void *context, size_t *ret_count) {
    struct telling telling = {visit, context, 0};
    struct items old = {0}, new = {0};
    int result = CUBBY_ERR_NO_MEMORY;

    if (parse(*then, &old) && parse(*now, &new) && pair_in_order(&old, &new)) {
        pair_rest(&old, &new, equal);
        pair_rest(&old, &new, kin);
        tell_all(&old, &new, &telling);
        *ret_count = telling.count;
        result = 0;
    }
    free(old.list);
    free(new.list);
    return result;
}
