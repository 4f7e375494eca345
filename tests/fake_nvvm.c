/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of libNVVM: what it "compiles" is the list of the modules and options it was given.
 * FAKE_ERROR_n in a module makes verifying fail with error n and a log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
    char *text;
    size_t size;
    FILE *out;
    int error;
    const char *log;
};

int nvvmVersion(int *major, int *minor);
int nvvmCreateProgram(struct program **ret);
int nvvmDestroyProgram(struct program **program);
int nvvmAddModuleToProgram(struct program *program, const char *data, size_t size,
                           const char *name);
int nvvmLazyAddModuleToProgram(struct program *program, const char *data, size_t size,
                               const char *name);
int nvvmVerifyProgram(struct program *program, int count, const char *const *options);
int nvvmCompileProgram(struct program *program, int count, const char *const *options);
int nvvmGetCompiledResultSize(struct program *program, size_t *ret);
int nvvmGetCompiledResult(struct program *program, char *ret);
int nvvmGetProgramLogSize(struct program *program, size_t *ret);
int nvvmGetProgramLog(struct program *program, char *ret);

int nvvmVersion(int *major, int *minor) {
    *major = 2;
    *minor = 0;
    return 0;
}

int nvvmCreateProgram(struct program **ret) {
    struct program *program = calloc(1, sizeof(*program));

    if (!program)
        return 1;
    program->log = "";
    program->out = open_memstream(&program->text, &program->size);
    *ret = program;
    if (program->out)
        return 0;
    free(program);
    return 1;
}

int nvvmDestroyProgram(struct program **program) {
    fclose((*program)->out);
    free((*program)->text);
    free(*program);
    *program = NULL;
    return 0;
}

static int add(struct program *program, const char *how, const char *data, size_t size,
               const char *name) {
    const char *error = memmem(data, size, "FAKE_ERROR_", 11);

    if (error) {
        program->error = atoi(error + 11);
        program->log = "fake nvvm log\n";
    }
    fprintf(program->out, "%s %s %zu;", how, name ? name : "-", size);
    return 0;
}

int nvvmAddModuleToProgram(struct program *program, const char *data, size_t size,
                           const char *name) {
    return add(program, "module", data, size, name);
}

int nvvmLazyAddModuleToProgram(struct program *program, const char *data, size_t size,
                               const char *name) {
    return add(program, "lazy", data, size, name);
}

int nvvmVerifyProgram(struct program *program, int count, const char *const *options) {
    (void)count;
    (void)options;
    fputs("verified;", program->out);
    return program->error;
}

int nvvmCompileProgram(struct program *program, int count, const char *const *options) {
    for (int i = 0; i < count; i++)
        fprintf(program->out, "%s;", options[i]);
    fflush(program->out);
    return 0;
}

int nvvmGetCompiledResultSize(struct program *program, size_t *ret) {
    *ret = program->size + 1;
    return 0;
}

int nvvmGetCompiledResult(struct program *program, char *ret) {
    memcpy(ret, program->text, program->size + 1);
    return 0;
}

int nvvmGetProgramLogSize(struct program *program, size_t *ret) {
    *ret = strlen(program->log) + 1;
    return 0;
}

int nvvmGetProgramLog(struct program *program, char *ret) {
    strcpy(ret, program->log);
    return 0;
}
