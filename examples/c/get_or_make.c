/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiler of one's own behind the cache: a key made of fields of one's choice, and a callback
 * that makes the bytes on a miss. Needs no CUDA.
 *
 *     get_or_make EXPRESSION      a sum in postfix form, such as "2 3 + 4 *"
 *
 * The compiler here makes one byte of each operator, and the byte '#' with a byte for the value of
 * each number from 0 to 255. Its result is printed with how it was come by.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

/* What decides the result, all of it, belongs into the key: the version too. */
#define COMPILER_VERSION "1"

static int refuse(struct cubby_error *error, const char *at) {
    if (error) {
        error->code = CUBBY_ERR_COMPILE;
        snprintf(error->message, sizeof(error->message),
                 "at \"%.20s\": expected a number from 0 to 255, +, -, * or /", at);
    }
    return CUBBY_ERR_COMPILE;
}

/* A cubby_make_function: only called on a miss. What it refuses is not stored. */
static int compile(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    const char *at = context;
    struct cubby_blob *blob = cubby_blob_new(2 * strlen(at)); /* never more than that */
    char *code = blob ? cubby_blob_writable(blob) : NULL;
    size_t size = 0;

    if (!blob)
        return CUBBY_ERR_NO_MEMORY;
    while (*(at += strspn(at, " "))) {
        char *end = NULL;
        unsigned long value = *at >= '0' && *at <= '9' ? strtoul(at, &end, 10) : 0;

        if ((end && value > 255) || (!end && !strchr("+-*/", *at))) {
            cubby_blob_unref(blob);
            return refuse(error, at);
        }
        if (!end) {
            code[size++] = *at++;
            continue;
        }
        code[size++] = '#';
        code[size++] = (char)value;
        at = end;
    }
    cubby_blob_truncate(blob, size);
    *ret_blob = blob;
    return 0;
}

static int make_key(const char *text, struct cubby_key *ret_key) {
    struct cubby_key_builder *builder = cubby_key_builder_new("example postfix compiler");

    if (!builder)
        return CUBBY_ERR_NO_MEMORY;
    cubby_key_builder_add(builder, "version", COMPILER_VERSION, strlen(COMPILER_VERSION));
    cubby_key_builder_add(builder, "text", text, strlen(text));
    cubby_key_builder_finish(builder, ret_key);
    cubby_key_builder_free(builder);
    return 0;
}

static void print_code(const struct cubby_object *object, const struct cubby_outcome *outcome) {
    const unsigned char *code = cubby_object_data(object);

    printf("%s, %zu bytes:", cubby_outcome_name(outcome->kind), cubby_object_size(object));
    for (size_t i = 0; i < cubby_object_size(object); i++)
        printf(" %02x", code[i]);
    putchar('\n');
}

int main(int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    struct cubby_cache *cache = NULL;
    struct cubby_outcome outcome;
    struct cubby_key key;
    int result;

    if (argc != 2) {
        fprintf(stderr, "usage: get_or_make EXPRESSION, such as \"2 3 + 4 *\"\n");
        return 2;
    }
    result = cubby_cache_open(NULL, &cache, &error);
    if (result == 0)
        result = make_key(argv[1], &key);
    if (result == 0)
        result = cubby_cache_get_or_make(cache, &key, compile, argv[1], &object, &outcome, &error);
    if (result == 0)
        print_code(object, &outcome);
    else
        fprintf(stderr, "get_or_make: %s\n", *error.message ? error.message : "out of memory");
    cubby_object_unref(object);
    cubby_cache_unref(cache);
    cubby_error_clear(&error);
    return result == 0 ? 0 : 1;
}
