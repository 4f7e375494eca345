/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of nvJitLink: what it "links" is the list of the options and inputs it was given. Its
 * version is FAKE_NVJITLINK_VERSION ("13.0" where unset). FAKE_ERROR_n in an input makes the link
 * fail with error n and a log; FAKE_SILENT_n does so without.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct link_state {
    char *text;
    size_t size;
    FILE *out;
    int error;
    const char *error_log;
};

int nvJitLinkVersion(unsigned *major, unsigned *minor);
int nvJitLinkCreate(struct link_state **ret, uint32_t count, const char *const *options);
int nvJitLinkDestroy(struct link_state **state);
int nvJitLinkAddData(struct link_state *state, int kind, const void *data, size_t size,
                     const char *name);
int nvJitLinkComplete(struct link_state *state);
int nvJitLinkGetLinkedCubinSize(struct link_state *state, size_t *ret);
int nvJitLinkGetLinkedCubin(struct link_state *state, void *ret);
int nvJitLinkGetLinkedPtxSize(struct link_state *state, size_t *ret);
int nvJitLinkGetLinkedPtx(struct link_state *state, char *ret);
int nvJitLinkGetErrorLogSize(struct link_state *state, size_t *ret);
int nvJitLinkGetErrorLog(struct link_state *state, char *ret);
int nvJitLinkGetInfoLogSize(struct link_state *state, size_t *ret);
int nvJitLinkGetInfoLog(struct link_state *state, char *ret);

int nvJitLinkVersion(unsigned *major, unsigned *minor) {
    const char *version = getenv("FAKE_NVJITLINK_VERSION");

    return sscanf(version ? version : "13.0", "%u.%u", major, minor) == 2 ? 0 : 3;
}

int nvJitLinkCreate(struct link_state **ret, uint32_t count, const char *const *options) {
    struct link_state *state = calloc(1, sizeof(*state));

    if (!state)
        return 6; /* an internal error: it has none for memory */
    state->error_log = "";
    state->out = open_memstream(&state->text, &state->size);
    if (!state->out) {
        free(state);
        return 6;
    }
    for (uint32_t i = 0; i < count; i++)
        fprintf(state->out, "%s;", options[i]);
    *ret = state;
    return 0;
}

int nvJitLinkDestroy(struct link_state **state) {
    fclose((*state)->out);
    free((*state)->text);
    free(*state);
    *state = NULL;
    return 0;
}

int nvJitLinkAddData(struct link_state *state, int kind, const void *data, size_t size,
                     const char *name) {
    const char *error = memmem(data, size, "FAKE_ERROR_", 11);
    const char *silent = memmem(data, size, "FAKE_SILENT_", 12);

    fprintf(state->out, "input %d %zu;", kind, size);
    if (error)
        state->error_log = "fake linker error log\n";
    if (error || silent)
        state->error = atoi(error ? error + 11 : silent + 12);
    return name && strcmp(name, "refused") == 0 ? 8 : 0;
}

int nvJitLinkComplete(struct link_state *state) {
    fflush(state->out);
    return state->error;
}

int nvJitLinkGetLinkedCubinSize(struct link_state *state, size_t *ret) {
    *ret = state->size;
    return 0;
}

int nvJitLinkGetLinkedCubin(struct link_state *state, void *ret) {
    memcpy(ret, state->text, state->size);
    return 0;
}

int nvJitLinkGetLinkedPtxSize(struct link_state *state, size_t *ret) {
    *ret = state->size + 1;
    return 0;
}

int nvJitLinkGetLinkedPtx(struct link_state *state, char *ret) {
    memcpy(ret, state->text, state->size + 1);
    return 0;
}

int nvJitLinkGetErrorLogSize(struct link_state *state, size_t *ret) {
    *ret = strlen(state->error_log) + 1;
    return 0;
}

int nvJitLinkGetErrorLog(struct link_state *state, char *ret) {
    strcpy(ret, state->error_log);
    return 0;
}

int nvJitLinkGetInfoLogSize(struct link_state *state, size_t *ret) {
    *ret = state->error ? 0 : sizeof("fake info\n");
    return 0;
}

int nvJitLinkGetInfoLog(struct link_state *state, char *ret) {
    (void)state;
    strcpy(ret, "fake info\n");
    return 0;
}
