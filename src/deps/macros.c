/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/macros.h"

#include <stdlib.h>
#include <string.h>

static void add(struct macros *macros, const struct macro *macro) {
    if (!macros->failed && macros->count == macros->capacity) {
        size_t capacity = macros->capacity ? 2 * macros->capacity : 256;
        struct macro *grown = realloc(macros->items, capacity * sizeof(*grown));

        macros->failed = !grown;
        if (grown) {
            macros->items = grown;
            macros->capacity = capacity;
        }
    }
    if (!macros->failed)
        macros->items[macros->count++] = *macro;
}

/* ---- Where they come from ---------------------------------------------------------------- */

/* A body that no one can read. */
static const char UNKNOWN[] = "\\";

static struct macro_text fixed(const char *text) {
    return (struct macro_text){text, text + strlen(text)};
}

/* A definition from its name on. Parameters follow the name without a blank. */
static struct macro read_macro(const char *name, size_t length, const char *end) {
    const char *rest = name + length, *close;
    struct macro macro = {.name = {name, rest}, .body = {rest, end}};

    if (rest == end || *rest != '(')
        return macro;
    close = memchr(rest, ')', (size_t)(end - rest));
    macro.parameters = (struct macro_text){rest + 1, close ? close : end};
    macro.body = close ? (struct macro_text){close + 1, end} : fixed(UNKNOWN);
    return macro;
}

struct collection {
    struct macros *macros;
    const struct scan_text *text;
};

static void on_definition(const char *name, size_t length, void *context) {
    const struct collection *collection = context;
    const char *end = collection->text->end;
    const char *newline = memchr(name, '\n', (size_t)(end - name));
    struct macro macro = read_macro(name, length, newline ? newline : end);

    add(collection->macros, &macro);
}

void macros_add_text(struct macros *macros, const struct scan_text *text) {
    struct collection collection = {macros, text};

    scan_definitions(text, on_definition, &collection);
}

/* "-D=NAME=BODY", "-D=NAME(X)=BODY", or "-D=NAME", which is 1. Others are refused by NVRTC. */
static void add_option(struct macros *macros, const char *text) {
    const char *end = text + strlen(text);
    struct macro macro = read_macro(text, (size_t)(scan_word_end(text, end) - text), end);

    if (macro.body.start < end && *macro.body.start == '=')
        macro.body.start++;
    else
        macro.body = fixed(macro.body.start == end && !macro.parameters.start ? "1" : UNKNOWN);
    add(macros, &macro);
}

void macros_add_options(struct macros *macros, const struct options *options) {
    for (size_t i = 0; i < options->count; i++) {
        if (strncmp(options->items[i].text, "-D=", 3) == 0)
            add_option(macros, options->items[i].text + 3);
    }
}

/* ---- Finding them ------------------------------------------------------------------------ */

static int compare_texts(const struct macro_text *left, const struct macro_text *right) {
    size_t left_length = (size_t)(left->end - left->start);
    size_t right_length = (size_t)(right->end - right->start);
    size_t common = left_length < right_length ? left_length : right_length;
    int order = memcmp(left->start, right->start, common);

    return order ? order : (left_length > right_length) - (left_length < right_length);
}

static int compare(const void *left, const void *right) {
    const struct macro *a = left, *b = right;
    int order = compare_texts(&a->name, &b->name);

    if (order == 0)
        order = (a->parameters.start != NULL) - (b->parameters.start != NULL);
    if (order == 0 && a->parameters.start && b->parameters.start)
        order = compare_texts(&a->parameters, &b->parameters);
    return order ? order : compare_texts(&a->body, &b->body);
}

void macros_sort(struct macros *macros) {
    size_t kept = 0;

    if (macros->count > 0)
        qsort(macros->items, macros->count, sizeof(*macros->items), compare);
    for (size_t i = 0; i < macros->count; i++) {
        if (kept == 0 || compare(&macros->items[kept - 1], &macros->items[i]) != 0)
            macros->items[kept++] = macros->items[i];
    }
    macros->count = kept;
}

const struct macro *macros_find(const struct macros *macros, const struct macro_text *name,
                                size_t *ret_count) {
    size_t low = 0, high = macros->count, behind;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_texts(&macros->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    behind = low;
    while (behind < macros->count && compare_texts(&macros->items[behind].name, name) == 0)
        behind++;
    *ret_count = behind - low;
    return *ret_count > 0 ? &macros->items[low] : NULL;
}

void macros_free(struct macros *macros) {
    free(macros->items);
    *macros = (struct macros)MACROS_INIT;
}
