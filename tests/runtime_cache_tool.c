/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime cache for test-runtime-cache.py. Says one line, and ends with 0 only for the first.
 *
 *     save PATH NUMBER...    loads, inserts the kernels of these numbers, saves: "saved", or the
 *                            error
 *     list PATH              loads: the numbers of the kernels that are there, each with the bytes
 *                            that belong to it; "wrong NUMBER" otherwise
 *
 * PATH may be store:SPEC for an entry of the cache that the spec names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#define NUMBERS 64
#define KERNEL_SIZE 2000

static const struct cubby_runtime_identity HERE = {"sm_90", "the tests' own", 13000};

static struct cubby_key key_of(unsigned number) {
    struct cubby_key key = {{(unsigned char)(number * 41), (unsigned char)number}};

    return key;
}

static void fill(unsigned char bytes[KERNEL_SIZE], unsigned number) {
    for (unsigned i = 0; i < KERNEL_SIZE; i++)
        bytes[i] = (unsigned char)(number * 7 + i * (number + 3) + i / 256);
}

/* A kernel comes out of a cache in memory. */
static int insert(struct cubby_runtime_cache *kernels, unsigned number, struct cubby_error *error) {
    const struct cubby_key key = key_of(number);
    unsigned char bytes[KERNEL_SIZE];
    struct cubby_object *object = NULL;
    struct cubby_cache *memory = NULL;
    int result = cubby_cache_open("memory", &memory, error);

    if (result < 0)
        return result;
    fill(bytes, number);
    result = cubby_cache_put(memory, &key, bytes, sizeof(bytes), error);
    if (result == 0)
        result = cubby_cache_get(memory, CUBBY_ENTRY_USER, &key, &object, NULL, error);
    if (result == 0)
        result = cubby_runtime_cache_insert(kernels, &key, object, error);
    cubby_object_unref(object);
    cubby_cache_unref(memory);
    return result;
}

static int open_handle(const char *path, struct cubby_runtime_cache **ret_kernels,
                       struct cubby_error *error) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    int result;

    if (strncmp(path, "store:", 6) == 0) {
        result = cubby_cache_open(path + 6, &options.cache, error);
        if (result < 0)
            return result;
        options.engine = "an engine of the tests";
        options.identity = &HERE;
    } else {
        options.path = path;
    }
    result = cubby_runtime_cache_new(&options, ret_kernels, error);
    cubby_cache_unref(options.cache);
    return result;
}

static int open_live(const char *path, struct cubby_runtime_cache **ret_kernels,
                     struct cubby_error *error) {
    int result = open_handle(path, ret_kernels, error);

    if (result < 0)
        return result;
    cubby_runtime_cache_load(*ret_kernels);
    return cubby_runtime_cache_materialise(*ret_kernels, &HERE, error);
}

static int save(const char *path, char **numbers, struct cubby_error *error) {
    struct cubby_runtime_cache *kernels = NULL;
    int result = open_live(path, &kernels, error);

    for (; result == 0 && *numbers; numbers++)
        result = insert(kernels, (unsigned)strtoul(*numbers, NULL, 10), error);
    if (result == 0)
        result = cubby_runtime_cache_save(kernels, error);
    cubby_runtime_cache_unref(kernels);
    puts(result == 0 ? "saved" : error->message);
    return result == 0 ? 0 : 1;
}

static int list(const char *path, struct cubby_error *error) {
    struct cubby_runtime_cache *kernels = NULL;
    unsigned char bytes[KERNEL_SIZE];
    int result = open_live(path, &kernels, error);

    if (result < 0)
        puts(error->message);
    for (unsigned number = 0; number < NUMBERS && result == 0; number++) {
        const struct cubby_key key = key_of(number);
        struct cubby_object *object = NULL;

        if (cubby_runtime_cache_find(kernels, &key, &object) < 0)
            continue;
        fill(bytes, number);
        if (cubby_object_size(object) != sizeof(bytes) ||
            memcmp(cubby_object_data(object), bytes, sizeof(bytes)) != 0)
            result = printf("wrong ");
        printf("%u ", number);
        cubby_object_unref(object);
    }
    puts("");
    cubby_runtime_cache_unref(kernels);
    return result == 0 ? 0 : 1;
}

static void complain(enum cubby_log_level level, const char *line, void *context) {
    (void)level;
    (void)context;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = 2;

    cubby_log_set(complain, CUBBY_LOG_WARN, NULL);
    if (argc > 3 && strcmp(argv[1], "save") == 0)
        status = save(argv[2], argv + 3, &error);
    else if (argc == 3 && strcmp(argv[1], "list") == 0)
        status = list(argv[2], &error);
    else
        fprintf(stderr, "usage: runtime_cache_tool save PATH NUMBER... | list PATH\n");
    cubby_error_clear(&error);
    return status;
}
