/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fields.h"

#include <stdlib.h>
#include <string.h>

#include "engine/types.h"
#include "util/buffer.h"
#include "util/error.h"

const char *field_noun(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_NULL:
        return "null";
    default:
        return "a truth value";
    }
}

int field_refuse(const json_t *value, const char *expected, const struct place *place,
                 struct cubby_error *error) {
    return place_error(place, error, "it is %s: expected %s", field_noun(value), expected);
}

static bool is_known(const char *key, const char *const *keys) {
    while (*keys && strcmp(*keys, key) != 0)
        keys++;
    return *keys != NULL;
}

static int refuse_key(const char *const *keys, const struct place *place,
                      struct cubby_error *error) {
    struct buffer known = BUFFER_INIT;
    char *text;
    int result;

    for (size_t i = 0; keys[i]; i++)
        buffer_format(&known, "%s%s", i > 0 ? ", " : "", keys[i]);
    text = buffer_steal_text(&known);
    if (!text)
        return error_no_memory(error);
    result = place_error(place, error, "this key is not known: expected one of %s", text);
    free(text);
    return result;
}

int field_object(const json_t *value, const char *const *keys, const struct place *place,
                 struct cubby_error *error) {
    void *member;

    if (!json_is_object(value))
        return field_refuse(value, "an object", place, error);
    for (member = json_object_iter((json_t *)value); member;
         member = json_object_iter_next((json_t *)value, member)) {
        const char *key = json_object_iter_key(member);

        if (!is_known(key, keys))
            return refuse_key(keys, PLACE_KEY(place, key), error);
    }
    return 0;
}

/* A member that is there; 0 with NULL for one that need not be. */
static int find(const json_t *object, const char *key, bool required, const char *expected,
                const struct place *place, const json_t **ret_value, struct cubby_error *error) {
    *ret_value = json_object_get(object, key);
    if (*ret_value || !required)
        return 0;
    return place_error(PLACE_KEY(place, key), error, "it is missing: expected %s", expected);
}

int field_text(const json_t *object, const char *key, bool required, const struct place *place,
               const char **ret_text, struct cubby_error *error) {
    const json_t *value;
    int result = find(object, key, required, "a string", place, &value, error);

    if (result == 0 && value && !json_is_string(value))
        result = field_refuse(value, "a string", PLACE_KEY(place, key), error);
    if (result == 0)
        *ret_text = value ? json_string_value(value) : NULL;
    return result;
}

int field_integer(const json_t *object, const char *key, const struct place *place,
                  int64_t *ret_value, struct cubby_error *error) {
    const json_t *value;
    int result = find(object, key, true, "an integer", place, &value, error);

    if (result == 0 && !json_is_integer(value))
        result = field_refuse(value, "an integer", PLACE_KEY(place, key), error);
    if (result == 0)
        *ret_value = json_integer_value(value);
    return result;
}

static int refuse_word(const char *given, const char *(*word)(int), const struct place *place,
                       struct cubby_error *error) {
    struct buffer known = BUFFER_INIT;
    char *text;
    int result;

    for (int i = 0; word(i); i++)
        buffer_format(&known, "%s%s", i > 0 ? ", " : "", word(i));
    text = buffer_steal_text(&known);
    if (!text)
        return error_no_memory(error);
    result = place_error(place, error, "\"%.80s\" is not known: expected one of %s", given, text);
    free(text);
    return result;
}

int field_word(const json_t *object, const char *key, bool required, const char *(*word)(int),
               const struct place *place, int *ret_value, struct cubby_error *error) {
    const char *text;
    int result = field_text(object, key, required, place, &text, error);

    if (result < 0 || !text || word_find(word, text, ret_value))
        return result;
    return refuse_word(text, word, PLACE_KEY(place, key), error);
}

int field_list(const json_t *object, const char *key, bool required, size_t max,
               const struct place *place, const json_t **ret_list, struct cubby_error *error) {
    const json_t *value;
    int result = find(object, key, required, "an array", place, &value, error);

    if (result == 0 && value && !json_is_array(value))
        result = field_refuse(value, "an array", PLACE_KEY(place, key), error);
    if (result == 0 && json_array_size(value) > max)
        result = place_error(PLACE_KEY(place, key), error, "it has %zu items: expected at most %zu",
                             json_array_size(value), max);
    if (result == 0)
        *ret_list = value;
    return result;
}
