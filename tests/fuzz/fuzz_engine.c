/* SPDX-License-Identifier: Apache-2.0 */
/* An engine file that is read; one that is sound is written, read again and evaluated. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/engine.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and read again, as it was. */
static void write_again(const struct cubby_engine_plan *plan) {
    struct cubby_engine_plan *again;
    struct cubby_key key, key_again;
    char *text;

    if (cubby_engine_plan_to_json(plan, &text, NULL) < 0)
        abort();
    if (cubby_engine_plan_parse(text, strlen(text), "/nonexistent", &again, NULL) < 0)
        abort();
    cubby_engine_plan_identity(plan, &key);
    cubby_engine_plan_identity(again, &key_again);
    if (memcmp(&key, &key_again, sizeof(key)) != 0)
        abort();
    cubby_engine_plan_unref(again);
    free(text);
}

static int64_t at_min(const struct cubby_engine_dim *dim) {
    return dim->min;
}

static int64_t at_max(const struct cubby_engine_dim *dim) {
    return dim->max;
}

/* A plan promises that all is positive and within what CUDA takes. */
static void evaluate(const struct cubby_engine_plan *plan,
                     int64_t (*value)(const struct cubby_engine_dim *)) {
    struct cubby_engine_geometry *geometry;
    int64_t dims[64];
    size_t count = 0;

    for (; cubby_engine_plan_dim(plan, count); count++)
        dims[count] = value(cubby_engine_plan_dim(plan, count));
    if (cubby_engine_plan_evaluate(plan, dims, count, &geometry, NULL) < 0)
        abort();
    for (size_t i = 0; i < geometry->tensor_count; i++) {
        if (geometry->tensors[i].bytes == 0 || geometry->tensors[i].bytes > INT64_MAX)
            abort();
    }
    for (size_t i = 0; i < geometry->launch_count; i++) {
        const struct cubby_launch_geometry *launch = &geometry->launches[i];

        if (launch->grid[0] == 0 || launch->grid[1] - 1 > 65534 || launch->grid[2] - 1 > 65534 ||
            launch->block[0] * launch->block[1] * launch->block[2] - 1 > 1023)
            abort();
    }
    cubby_engine_geometry_free(geometry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_engine_plan *plan;

    if (cubby_engine_plan_parse((const char *)data, size, "/nonexistent", &plan, &error) < 0) {
        if (!error.message[0] || error.code >= 0)
            abort();
        cubby_error_clear(&error);
        return 0;
    }
    write_again(plan);
    evaluate(plan, at_min);
    evaluate(plan, at_max);
    cubby_engine_plan_unref(plan);
    return 0;
}
