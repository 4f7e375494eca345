/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of NVRTC that compiles nothing: the "object" is a digest-like line of what it was given.
 * It counts its compiles in the file FAKE_NVRTC_COUNT, and obeys words in the source:
 *
 *     FAKE_ERROR_n     the compile fails with NVRTC's error n
 *     FAKE_WARNING     the log holds a warning that names the program
 *     FAKE_LONG_LOG    the log is 3 MB long
 *     FAKE_NO_CUBIN    the cubin is empty, as for a virtual architecture
 *     FAKE_LINE_x      the object changes with whatever x is
 *     FAKE_CRASH       the process ends in the middle of the compile
 *     FAKE_SLEEP_n     the compile takes n milliseconds
 *     FAKE_GATE        it does not end while the file FAKE_NVRTC_GATE is there
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef FAKE_MINOR
#define FAKE_MINOR 90
#endif

struct program {
    char *text;
    char *name;
    char *output;
    char *log;
    char *names[16];
    char *lowered[16];
    int name_count;
};

int nvrtcVersion(int *major, int *minor);
int nvrtcCreateProgram(struct program **ret, const char *source, const char *name, int headers,
                       const char *const *texts, const char *const *include_names);
int nvrtcDestroyProgram(struct program **program);
int nvrtcCompileProgram(struct program *program, int count, const char *const *options);
int nvrtcAddNameExpression(struct program *program, const char *name);
int nvrtcGetLoweredName(struct program *program, const char *name, const char **ret);
int nvrtcGetProgramLogSize(struct program *program, size_t *ret);
int nvrtcGetProgramLog(struct program *program, char *ret);
int nvrtcGetPTXSize(struct program *program, size_t *ret);
int nvrtcGetPTX(struct program *program, char *ret);
int nvrtcGetCUBINSize(struct program *program, size_t *ret);
int nvrtcGetCUBIN(struct program *program, char *ret);
int nvrtcGetLTOIRSize(struct program *program, size_t *ret);
int nvrtcGetLTOIR(struct program *program, char *ret);

int nvrtcVersion(int *major, int *minor) {
    *major = 13;
    *minor = FAKE_MINOR;
    return 0;
}

int nvrtcCreateProgram(struct program **ret, const char *source, const char *name, int headers,
                       const char *const *texts, const char *const *include_names) {
    struct program *program = calloc(1, sizeof(*program));

    (void)texts;
    (void)include_names;
    if (!program)
        return 1;
    *ret = program; /* the caller destroys it, also half made */
    program->text = strdup(source);
    program->name = strdup(name);
    if (asprintf(&program->output, "headers %d;", headers) < 0)
        program->output = NULL;
    return program->text && program->name && program->output ? 0 : 1;
}

int nvrtcDestroyProgram(struct program **program) {
    struct program *p = *program;

    for (int i = 0; i < p->name_count; i++) {
        free(p->names[i]);
        free(p->lowered[i]);
    }
    free(p->text);
    free(p->name);
    free(p->output);
    free(p->log);
    free(p);
    *program = NULL;
    return 0;
}

static void count_compile(void) {
    const char *path = getenv("FAKE_NVRTC_COUNT");
    FILE *file = path ? fopen(path, "a") : NULL;

    if (file) {
        fputc('x', file);
        fclose(file);
    }
}

static void pass_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void take_time(const char *text) {
    const char *sleep = strstr(text, "FAKE_SLEEP_"), *gate = getenv("FAKE_NVRTC_GATE");

    if (sleep)
        pass_ms(atoi(sleep + strlen("FAKE_SLEEP_")));
    while (gate && strstr(text, "FAKE_GATE") && access(gate, F_OK) == 0)
        pass_ms(1);
}

int nvrtcCompileProgram(struct program *program, int count, const char *const *options) {
    const char *error = strstr(program->text, "FAKE_ERROR_");
    char *all = NULL;
    size_t size;
    FILE *out;
    bool failed;

    for (int i = 0; i < count; i++) {
        if (strcmp(options[i], "--fdevice-syntax-only") == 0)
            return 0; /* the front end alone: no compile */
    }
    count_compile();
    if (strstr(program->text, "FAKE_CRASH"))
        _exit(86);
    take_time(program->text);
    out = open_memstream(&all, &size);
    if (!out)
        return 1;
    fputs(program->output, out);
    for (int i = 0; i < count; i++)
        fprintf(out, "%s;", options[i]);
    fputs(program->text, out);
    failed = ferror(out); /* closing does not tell of an earlier shortage of memory */
    if (fclose(out) != 0 || failed || !all) {
        free(all);
        return 1;
    }
    free(program->output);
    program->output = all;
    if (strstr(program->text, "FAKE_WARNING") &&
        asprintf(&program->log, "%s(1): warning: as you wish\n", program->name) < 0)
        return 1;
    if (strstr(program->text, "FAKE_LONG_LOG")) {
        program->log = calloc(1, 3000001);
        if (!program->log)
            return 1;
        memset(program->log, 'l', 3000000);
    }
    if (error) {
        char *warning = strstr(program->text, "FAKE_WARNING") ? program->log : NULL;

        if (asprintf(&program->log, "%sfake error log\n", warning ? warning : "") < 0)
            return 1;
        free(warning);
        return atoi(error + strlen("FAKE_ERROR_"));
    }
    return 0;
}

int nvrtcAddNameExpression(struct program *program, const char *name) {
    int i = program->name_count++;

    program->names[i] = strdup(name);
    if (asprintf(&program->lowered[i], "_Z_%s", name) < 0)
        program->lowered[i] = NULL;
    return program->names[i] && program->lowered[i] ? 0 : 1;
}

int nvrtcGetLoweredName(struct program *program, const char *name, const char **ret) {
    for (int i = 0; i < program->name_count; i++) {
        if (strcmp(program->names[i], name) == 0) {
            *ret = program->lowered[i];
            return 0;
        }
    }
    return 10;
}

int nvrtcGetProgramLogSize(struct program *program, size_t *ret) {
    *ret = program->log ? strlen(program->log) + 1 : 1;
    return 0;
}

int nvrtcGetProgramLog(struct program *program, char *ret) {
    strcpy(ret, program->log ? program->log : "");
    return 0;
}

int nvrtcGetPTXSize(struct program *program, size_t *ret) {
    *ret = strlen(program->output) + 1;
    return 0;
}

int nvrtcGetPTX(struct program *program, char *ret) {
    strcpy(ret, program->output);
    return 0;
}

int nvrtcGetCUBINSize(struct program *program, size_t *ret) {
    *ret = strstr(program->text, "FAKE_NO_CUBIN") ? 0 : strlen(program->output);
    return 0;
}

int nvrtcGetCUBIN(struct program *program, char *ret) {
    memcpy(ret, program->output, strlen(program->output));
    return 0;
}

int nvrtcGetLTOIRSize(struct program *program, size_t *ret) {
    return nvrtcGetCUBINSize(program, ret);
}

int nvrtcGetLTOIR(struct program *program, char *ret) {
    return nvrtcGetCUBIN(program, ret);
}
