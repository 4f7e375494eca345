/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles a source through a cache and prints what the manifest then covers, one "KIND PATH" a
 * line, for test-headers-truth.py to hold against what the compiler did. With CACHE "-" there is no
 * cache, and two looks for the file MARK stand before and behind what the compiler does.
 *
 *     headers_truth CACHE NAME SOURCE [-HNAME=FILE]... [OPTION]...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cubby/cubby.h>

#define MAX 64
#define MARK "/headers-truth-mark"

static void print_field(const char *name, const char *value, void *context) {
    (void)context;
    printf("%s\t%s\n", name, value);
}

/* A whole file with a NUL behind; ends the program where it cannot be read. */
static char *read_all(const char *path, size_t *ret_size) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    if (!file || !text) {
        perror(path);
        exit(2);
    }
    *ret_size = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

/* "-HNAME=FILE" as an in-memory header. */
static struct cubby_header read_header(char *argument) {
    char *file = strchr(argument, '=');
    struct cubby_header header = {.name = argument + 2};

    *file++ = '\0';
    header.data = read_all(file, &header.size);
    return header;
}

static void leave_mark(void) {
    struct stat status;

    if (stat(MARK, &status) == 0)
        exit(2);
}

/* Compiles between two marks, with the compiler loaded before. */
static int compile_marked(struct cubby_program *program, struct cubby_error *error) {
    struct cubby_toolchain toolchain;
    struct cubby_object *object = NULL;
    struct cubby_outcome outcome;
    int result = cubby_toolchain_find(NULL, &toolchain, error);

    if (result < 0)
        return result;
    leave_mark();
    result = cubby_compile(NULL, program, 0, &object, &outcome, error);
    leave_mark();
    cubby_object_unref(object);
    cubby_toolchain_clear(&toolchain);
    return result;
}

static int compile_through(const char *spec, struct cubby_program *program,
                           struct cubby_error *error) {
    struct cubby_outcome outcome = {0};
    struct cubby_object *object = NULL;
    struct cubby_cache *cache = NULL;
    int result = cubby_cache_open(spec, &cache, error);

    if (result == 0)
        result = cubby_compile(cache, program, 0, &object, &outcome, error);
    if (result == 0) {
        printf("outcome\t%s\nreason\t%s\n", cubby_outcome_name(outcome.kind), outcome.reason);
        result = cubby_program_explain(cache, program, print_field, NULL, error);
    }
    cubby_object_unref(object);
    cubby_cache_unref(cache);
    return result;
}

int main(int argc, char **argv) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_header headers[MAX];
    const char *strings[MAX];
    struct cubby_program *program = NULL;
    char *source;
    size_t size;
    int result;

    if (argc < 4 || argc > MAX)
        return 2;
    source = read_all(argv[3], &size);
    options.name = argv[2];
    options.arch = "sm_90";
    options.target = CUBBY_TARGET_PTX;
    options.headers = headers;
    options.options = strings;
    for (int i = 4; i < argc; i++) {
        if (strncmp(argv[i], "-H", 2) == 0)
            headers[options.header_count++] = read_header(argv[i]);
        else
            strings[options.option_count++] = argv[i];
    }
    result = cubby_program_new(source, size, &options, &program, &error);
    if (result == 0)
        result = strcmp(argv[1], "-") == 0 ? compile_marked(program, &error)
                                           : compile_through(argv[1], program, &error);
    if (result < 0)
        fprintf(stderr, "%s\n%s\n", error.message, error.log ? error.log : "");
    cubby_program_unref(program);
    return result < 0 ? 1 : 0;
}
