/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way: open a cache, make a program, compile it, use the object.
 *
 *     minimal [ARCH]      ARCH such as sm_90, which is also the default
 *
 * The first run says "compiled", every later one "hit". The cache is the user's own; CUBBY_CACHE
 * names another.
 */
#include <stdio.h>
#include <string.h>

#include <cubby/cubby.h>

static const char SOURCE[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n)\n"
    "        y[i] = a * x[i] + y[i];\n"
    "}\n";

static void use_object(const struct cubby_object *object, const struct cubby_outcome *outcome) {
    /* A program with a GPU would call cuModuleLoadData(&module, cubby_object_data(object)) here. */
    printf("saxpy: %s%s%s, %zu bytes, %.2f ms\n", cubby_outcome_name(outcome->kind),
           *outcome->tier ? " from " : "", outcome->tier, cubby_object_size(object),
           (double)outcome->elapsed_ns / 1e6);
}

int main(int argc, char **argv) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = NULL;
    struct cubby_program *program = NULL;
    struct cubby_object *object = NULL;
    struct cubby_outcome outcome;
    int result;

    options.name = "saxpy.cu"; /* what the compiler's messages call the source */
    options.arch = argc > 1 ? argv[1] : "sm_90";

    result = cubby_cache_open(NULL, &cache, &error);
    if (result == 0)
        result = cubby_program_new(SOURCE, strlen(SOURCE), &options, &program, &error);
    if (result == 0)
        result = cubby_compile(cache, program, 0, &object, &outcome, &error);
    if (result == 0)
        use_object(object, &outcome);
    else
        fprintf(stderr, "minimal: %s\n%s", error.message, error.log ? error.log : "");

    cubby_object_unref(object); /* NULL is fine for each of these */
    cubby_program_unref(program);
    cubby_cache_unref(cache);
    cubby_error_clear(&error);
    return result == 0 ? 0 : 1;
}
