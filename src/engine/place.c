/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/utf8.h"

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

/* A pointer has two characters that stand for others. */
static void path_add_key(struct path *path, const char *key) {
    for (; *key; key++) {
        if (*key == '~' || *key == '/') {
            path_add(path, '~');
            path_add(path, *key == '~' ? '0' : '1');
        } else {
            path_add(path, *key);
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

static void path_of(const struct place *place, struct path *ret_path) {
    ret_path->size = 0;
    path_add_place(ret_path, place);
    ret_path->text[ret_path->size] = '\0';
    if (!place)
        snprintf(ret_path->text, sizeof(ret_path->text), "the engine");
}

/* A message is one line of UTF-8, whatever it repeats of the engine, and wherever that was cut. */
static void make_line(char *message) {
    size_t size = strlen(message), offset;

    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    while (!utf8_is_valid(message, size, &offset))
        message[offset] = '?';
}

int place_error(const struct place *place, struct cubby_error *error, const char *format, ...) {
    char message[CUBBY_MESSAGE_SIZE];
    struct path path;
    va_list arguments;

    if (!error || error->code != CUBBY_OK)
        return CUBBY_ERR_INVALID;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    path_of(place, &path);
    error_set(error, CUBBY_ERR_INVALID, "%s: %s", path.text, message);
    make_line(error->message);
    return CUBBY_ERR_INVALID;
}

int place_pass(const struct place *place, struct cubby_error *error, struct cubby_error *from) {
    struct path path;
    int code = from->code;

    path_of(place, &path);
    if (error && error->code == CUBBY_OK) {
        error_set(error, code, "%s: %s", path.text, from->message);
        make_line(error->message);
        error->os_error = from->os_error;
    }
    cubby_error_clear(from);
    return code;
}
