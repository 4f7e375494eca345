/* SPDX-License-Identifier: Apache-2.0 */
#include "key/fields.h"

#include <stdio.h>
#include <string.h>

#include "key/digest.h"
#include "key/key.h"

struct collection {
    struct buffer *fields;
    size_t start;       /* where the first field lies */
    struct digest rest; /* of the fields that found no room */
    size_t rest_count;
};

/* Adds a value that is too long to be kept: what it begins with, and what tells it from others. */
static void add_short(struct buffer *fields, const char *name, const char *value) {
    size_t size = strlen(value);
    char hex[CUBBY_KEY_HEX_SIZE], text[FIELDS_MAX_VALUE];
    struct cubby_key digest;

    digest_bytes(value, size, &digest);
    cubby_key_format(&digest, hex);
    snprintf(text, sizeof(text), "%.*s... (%zu bytes, digest %s)", FIELDS_MAX_VALUE - 128, value,
             size, hex);
    pairs_add(fields, name, text);
}

static void collect(const char *name, const char *value, void *context) {
    struct collection *collection = context;
    struct buffer *fields = collection->fields;

    if (collection->rest_count > 0 ||
        fields->size - collection->start > FIELDS_MAX_SIZE - FIELDS_MAX_VALUE) {
        digest_field(&collection->rest, 1, name, strlen(name));
        digest_field(&collection->rest, 2, value, strlen(value));
        collection->rest_count++;
    } else if (strlen(value) >= FIELDS_MAX_VALUE) {
        add_short(fields, name, value);
    } else {
        pairs_add(fields, name, value);
    }
}

void fields_collect(const struct cubby_program *program, const struct toolchain *toolchain,
                    struct buffer *fields) {
    struct collection collection = {.fields = fields, .start = fields->size};
    char hex[CUBBY_KEY_HEX_SIZE], text[128];
    struct cubby_key digest;

    digest_init(&collection.rest, "cubby fields v1");
    key_explain(program, toolchain, collect, &collection);
    if (collection.rest_count == 0)
        return;
    digest_result(&collection.rest, &digest);
    cubby_key_format(&digest, hex);
    snprintf(text, sizeof(text), "%zu, digest %s", collection.rest_count, hex);
    pairs_add(fields, FIELDS_REST, text);
}
