/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of the CUDA driver's linker: the "cubin" is the list of the options and inputs it was
 * given. Its version is FAKE_CULINK_VERSION (13000 where unset); with FAKE_CULINK_STUB set it is
 * the toolkit's stub, which answers 34 to everything. What is done with contexts goes to the file
 * FAKE_CULINK_TRACE. FAKE_CULINK_CURRENT: the thread has a context already. FAKE_ERROR_n in an
 * input makes the link fail with error n.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB_LIBRARY 34

struct link_state {
    char *text;
    size_t size;
    FILE *out;
    char *error_log;
    char *info_log;
    int error;
};

int cuInit(unsigned flags);
int cuDriverGetVersion(int *ret);
int cuDeviceGet(int *ret, int ordinal);
int cuCtxGetCurrent(void **ret);
int cuCtxPushCurrent_v2(void *context);
int cuCtxPopCurrent_v2(void **ret);
int cuDevicePrimaryCtxRetain(void **ret, int device);
int cuDevicePrimaryCtxRelease_v2(int device);
int cuLinkCreate_v2(unsigned count, int *options, void **values, struct link_state **ret);
int cuLinkAddData_v2(struct link_state *state, int kind, void *data, size_t size, const char *name,
                     unsigned count, int *options, void **values);
int cuLinkComplete(struct link_state *state, void **ret_cubin, size_t *ret_size);
int cuLinkDestroy(struct link_state *state);

static void trace(const char *word) {
    const char *path = getenv("FAKE_CULINK_TRACE");
    FILE *file = path ? fopen(path, "a") : NULL;

    if (file) {
        fprintf(file, "%s ", word);
        fclose(file);
    }
}

int cuDriverGetVersion(int *ret) {
    const char *version = getenv("FAKE_CULINK_VERSION");

    if (getenv("FAKE_CULINK_STUB"))
        return STUB_LIBRARY;
    *ret = version ? atoi(version) : 13000;
    return 0;
}

int cuInit(unsigned flags) {
    return getenv("FAKE_CULINK_STUB") ? STUB_LIBRARY : (int)flags;
}

int cuDeviceGet(int *ret, int ordinal) {
    *ret = ordinal;
    return 0;
}

int cuCtxGetCurrent(void **ret) {
    *ret = getenv("FAKE_CULINK_CURRENT") ? ret : NULL;
    return 0;
}

int cuCtxPushCurrent_v2(void *context) {
    trace("push");
    return context ? 0 : 201;
}

int cuCtxPopCurrent_v2(void **ret) {
    trace("pop");
    *ret = NULL;
    return 0;
}

int cuDevicePrimaryCtxRetain(void **ret, int device) {
    static int context;

    (void)device;
    trace("retain");
    *ret = &context;
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    trace("release");
    return 0;
}

int cuLinkCreate_v2(unsigned count, int *options, void **values, struct link_state **ret) {
    struct link_state *state = calloc(1, sizeof(*state));

    trace("create");
    state->out = open_memstream(&state->text, &state->size);
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == 3)
            state->info_log = values[i];
        else if (options[i] == 5)
            state->error_log = values[i];
        else if (options[i] != 4 && options[i] != 6)
            fprintf(state->out, "option %d=%lu;", options[i], (unsigned long)(uintptr_t)values[i]);
    }
    *ret = state;
    return 0;
}

int cuLinkAddData_v2(struct link_state *state, int kind, void *data, size_t size, const char *name,
                     unsigned count, int *options, void **values) {
    const char *error = memmem(data, size, "FAKE_ERROR_", 11);

    (void)name;
    (void)options;
    (void)values;
    fprintf(state->out, "input %d %zu %u;", kind, size, count);
    if (error)
        state->error = atoi(error + 11);
    return 0;
}

int cuLinkComplete(struct link_state *state, void **ret_cubin, size_t *ret_size) {
    fflush(state->out);
    if (state->error) {
        strcpy(state->error_log, "fake driver error log\n");
        return state->error;
    }
    strcpy(state->info_log, "fake driver info log\n");
    *ret_cubin = state->text;
    *ret_size = state->size;
    return 0;
}

int cuLinkDestroy(struct link_state *state) {
    trace("destroy");
    fclose(state->out);
    free(state->text);
    free(state);
    return 0;
}
