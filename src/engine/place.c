/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"

#undef place_error
#undef place_pass

#define MAX_PATH_TEXT 256

/* Text of a place, cut off where it is too long. */
struct path {
    char text[MAX_PATH_TEXT];
    size_t size;
};

static void path_add(struct path *path, char c) {
    if (path->size + 1 < sizeof(path->text))
        path->text[path->size++] = c;
}

/* A message is one line, and a pointer has two characters that stand for others. */
static void path_add_key(struct path *path, const char *key) {
    for (; *key; key++) {
        if (*key == '~' || *key == '/') {
            path_add(path, '~');
            path_add(path, *key == '~' ? '0' : '1');
        } else {
            path_add(path, (unsigned char)*key < ' ' || *key == 0x7f ? '?' : *key);
        }
    }
}

static void path_add_place(struct path *path, const struct place *place) {
    char number[24];

    if (!place)
        return;
    path_add_place(path, place->parent);
    path_add(path, '/');
    snprintf(number, sizeof(number), "%zu", place->index);
    path_add_key(path, place->key ? place->key : number);
}

/* A character that was cut through at the end is left out. */
static void path_end(struct path *path) {
    size_t size = path->size;

    while (size > 0 && ((unsigned char)path->text[size - 1] & 0xc0) == 0x80)
        size--;
    if (path->size + 1 == sizeof(path->text) && size > 0 &&
        (unsigned char)path->text[size - 1] >= 0xc0)
        path->size = size - 1;
    path->text[path->size] = '\0';
}

static void path_of(const struct place *place, struct path *ret_path) {
    ret_path->size = 0;
    path_add_place(ret_path, place);
    path_end(ret_path);
    if (!place)
        snprintf(ret_path->text, sizeof(ret_path->text), "the engine");
}

int place_error(const struct place *place, struct cubby_error *error, const char *format, ...) {
    char message[CUBBY_MESSAGE_SIZE];
    struct path path;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    path_of(place, &path);
    return error_set(error, CUBBY_ERR_INVALID, "%s: %s", path.text, message);
}

int place_pass(const struct place *place, struct cubby_error *error, struct cubby_error *from) {
    struct path path;
    int code = from->code;

    path_of(place, &path);
    if (error && error->code == CUBBY_OK) {
        error_set(error, code, "%s: %s", path.text, from->message);
        error->os_error = from->os_error;
    }
    cubby_error_clear(from);
    return code;
}
