/* SPDX-License-Identifier: Apache-2.0 */
/* Deriving keys: of a new program, and of the same source with another option. */
#include <blake2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#include "bench.h"

/* A source of about that size, its program, and as many bytes to be hashed bare. */
struct subject {
    char *source;
    size_t size;
    struct cubby_program *program;
    unsigned next;
    size_t field_bytes; /* that the key is a digest of */
};

/* ---- The source -------------------------------------------------------------------------- */

/* Kernels under different names until the size is reached; the last is cut by a comment's end. */
static char *make_source(size_t size) {
    char *source = malloc(size + 1);
    size_t filled = 0;

    for (unsigned i = 0; source && filled < size; i++) {
        char kernel[256];
        int length = snprintf(kernel, sizeof(kernel),
                              "// step %u of the pipeline\n"
                              "extern \"C\" __global__ void step_%u(const float *in, float *out, "
                              "int n) {\n"
                              "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                              "    if (i < n)\n        out[i] = in[i] * %u.5f + out[i];\n}\n",
                              i, i, i);
        size_t part = size - filled < (size_t)length ? size - filled : (size_t)length;

        if (part == (size_t)length)
            memcpy(source + filled, kernel, part);
        else
            memset(source + filled, '\n', part);
        filled += part;
    }
    if (source)
        source[size] = '\0';
    return source;
}

/* ---- The works --------------------------------------------------------------------------- */

static int hash_bytes(const void *data, size_t size) {
    unsigned char digest[CUBBY_KEY_SIZE];
    blake2b_state state;

    if (blake2b_init(&state, sizeof(digest)) < 0)
        return -1;
    blake2b_update(&state, data, size);
    return blake2b_final(&state, digest, sizeof(digest));
}

static int hash_source(void *context) {
    const struct subject *subject = context;

    return hash_bytes(subject->source, subject->size);
}

static int hash_fields(void *context) {
    const struct subject *subject = context;

    return hash_bytes(subject->source, subject->field_bytes);
}

static int derive(struct cubby_program *program) {
    struct cubby_key key;

    return cubby_program_key(NULL, program, &key, NULL);
}

static int derive_first(void *context) {
    struct subject *subject = context;
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    int result;

    options.arch = "sm_90";
    if (cubby_program_new(subject->source, subject->size, &options, &program, NULL) < 0)
        return -1;
    result = derive(program);
    cubby_program_unref(program);
    return result;
}

static int derive_other(void *context) {
    static const char *const OPTIONS[] = {"-DWIDTH=1", "-DWIDTH=2", "-DWIDTH=3", "-DWIDTH=4"};
    struct subject *subject = context;
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    int result;

    options.arch = "sm_90";
    options.options = &OPTIONS[subject->next++ % 4];
    options.option_count = 1;
    if (cubby_program_vary(subject->program, &options, &program, NULL) < 0)
        return -1;
    result = derive(program);
    cubby_program_unref(program);
    return result;
}

/* ---- The rows ---------------------------------------------------------------------------- */

/* Adds up what is hashed of a field: tag, length, and the text, or the digest that it shows. */
static void add_field(const char *name, const char *value, void *context) {
    size_t length = strlen(value);

    *(size_t *)context += 9 + (strstr(name, "digest") ? length / 2 : length);
}

static int subject_make(struct subject *subject, size_t size, struct cubby_error *error) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    int result;

    *subject = (struct subject){.source = make_source(size), .size = size};
    if (!subject->source)
        return CUBBY_ERR_NO_MEMORY;
    options.arch = "sm_90";
    result = cubby_program_new(subject->source, size, &options, &subject->program, error);
    if (result == 0)
        result =
            cubby_program_explain(NULL, subject->program, add_field, &subject->field_bytes, error);
    return result;
}

static void subject_clear(struct subject *subject) {
    cubby_program_unref(subject->program);
    free(subject->source);
}

static void first_row(struct row *row, struct subject *subject) {
    row->floor = (struct work){"BLAKE2b of the source", hash_source, subject};
    row->subject = (struct work){"cubby_program_new and _key", derive_first, subject};
    row->goal = GOAL_RATIO;
    row->limit = 1.1;
}

static void other_row(struct row *row, struct subject *subject) {
    row->floor = (struct work){"BLAKE2b of the key's fields", hash_fields, subject};
    row->subject = (struct work){"cubby_program_vary and _key", derive_other, subject};
    row->goal = GOAL_MICROSECONDS;
    row->limit = 1.5;
}

static void measure(struct bench *bench, struct row *row, size_t size,
                    void (*fill)(struct row *row, struct subject *subject)) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct subject subject;
    int result = subject_make(&subject, size, &error);

    if (result == 0) {
        fill(row, &subject);
        bench_measure(bench, row);
    } else if (result == CUBBY_ERR_NO_TOOLCHAIN) {
        bench_skip(bench, row, "no NVRTC on this machine");
    } else {
        bench_fail(bench, row, "%.140s", *error.message ? error.message : "out of memory");
    }
    subject_clear(&subject);
    cubby_error_clear(&error);
}

void key_rows(struct bench *bench) {
    static const size_t SIZES[] = BENCH_SIZES;
    struct row row;

    for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
        if (bench_begin(bench, &row, "key/first", SIZES[i]))
            measure(bench, &row, SIZES[i], first_row);
    }
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
        if (bench_begin(bench, &row, "key/other-option", SIZES[i]))
            measure(bench, &row, SIZES[i], other_row);
    }
}
