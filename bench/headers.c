/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that read header files: finding out that none of them changed, beside a bare stat() of
 * each path that this depends on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cubby/cubby.h>

#include "bench.h"
#include "scratch.h"

/* Headers whose stamps are younger than two seconds are read at each look. */
static const struct timespec UNTIL_TRUSTED = {2, 100000000};

#define REASON_SIZE 256

/* A program that was compiled once, and the paths that its headers' manifest speaks of. */
struct subject {
    struct cubby_cache *cache;
    struct cubby_program *program;
    char **paths;
    size_t path_count;
    bool failed; /* memory was short */
};

/* ---- The works --------------------------------------------------------------------------- */

static int stat_paths(void *context) {
    const struct subject *subject = context;
    struct stat status;
    int there = 0;

    for (size_t i = 0; i < subject->path_count; i++)
        there += stat(subject->paths[i], &status) == 0;
    return there > 0 ? 0 : -1;
}

static int derive_key(void *context) {
    const struct subject *subject = context;
    struct cubby_key key;

    return cubby_program_key(subject->cache, subject->program, &key, NULL);
}

static int hit(void *context) {
    const struct subject *subject = context;
    struct cubby_outcome outcome;
    struct cubby_object *object;

    if (cubby_compile(subject->cache, subject->program, 0, &object, &outcome, NULL) < 0)
        return -1;
    cubby_object_unref(object);
    return outcome.kind == CUBBY_OUTCOME_HIT ? 0 : -1;
}

/* ---- The subject ------------------------------------------------------------------------- */

static void add_path(const char *name, const char *value, void *context) {
    static const char *const NAMES[] = {"header file", "file there", "nothing there",
                                        "no file there"};
    struct subject *subject = context;
    char **grown;

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        if (strcmp(name, NAMES[i]) != 0)
            continue;
        grown = realloc(subject->paths, (subject->path_count + 1) * sizeof(*grown));
        if (grown) {
            subject->paths = grown;
            grown[subject->path_count] = strdup(value);
        }
        if (!grown || !grown[subject->path_count++])
            subject->failed = true;
    }
}

/* Compiles, so that the manifest is in the cache, and learns the paths from it. */
static int compile_once(struct subject *subject, char reason[REASON_SIZE],
                        struct cubby_error *error) {
    struct cubby_outcome outcome;
    struct cubby_object *object;
    int result = cubby_compile(subject->cache, subject->program, 0, &object, &outcome, error);

    if (result < 0)
        return result;
    cubby_object_unref(object);
    snprintf(reason, REASON_SIZE, "%s", outcome.reason);
    return cubby_program_explain(subject->cache, subject->program, add_path, subject, error);
}

static int subject_make(struct subject *subject, const char *source, const char *const *folders,
                        size_t folder_count, char reason[REASON_SIZE], struct cubby_error *error) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    int result;

    *subject = (struct subject){0};
    options.arch = "sm_90";
    options.target = CUBBY_TARGET_PTX;
    options.options = folders;
    options.option_count = folder_count;
    result = cubby_cache_open("memory", &subject->cache, error);
    if (result == 0)
        result = cubby_program_new(source, strlen(source), &options, &subject->program, error);
    if (result == 0)
        result = compile_once(subject, reason, error);
    return result == 0 && subject->failed ? CUBBY_ERR_NO_MEMORY : result;
}

static void subject_clear(struct subject *subject) {
    cubby_program_unref(subject->program);
    cubby_cache_unref(subject->cache);
    for (size_t i = 0; i < subject->path_count; i++)
        free(subject->paths[i]);
    free(subject->paths);
}

static void measure(struct bench *bench, struct row *row, const char *source,
                    const char *const *folders, size_t folder_count) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char reason[REASON_SIZE] = "";
    struct subject subject;
    int result = subject_make(&subject, source, folders, folder_count, reason, &error);

    row->floor.context = row->subject.context = &subject;
    if (result == CUBBY_ERR_NO_TOOLCHAIN)
        bench_skip(bench, row, "no NVRTC on this machine");
    else if (result < 0)
        bench_fail(bench, row, "%.140s", *error.message ? error.message : "out of memory");
    else if (*reason)
        bench_fail(bench, row, "not kept: %.140s", reason);
    else
        bench_measure(bench, row);
    subject_clear(&subject);
    cubby_error_clear(&error);
}

/* ---- Headers of our own ------------------------------------------------------------------ */

static const unsigned COUNTS[] = {10, 100, 600};

#define TREES (sizeof(COUNTS) / sizeof(*COUNTS))

/* A source that includes so many headers of the folder "second"; each is looked for in the folder
 * "first" before. */
struct tree {
    bool wanted;
    struct row row;
    char first[320], second[320]; /* options */
    char *source;
};

static int write_header(const char *folder, unsigned number) {
    char path[400];
    FILE *file;

    snprintf(path, sizeof(path), "%s/header_%u.h", folder, number);
    file = fopen(path, "we");
    if (!file)
        return -1;
    fprintf(file, "#pragma once\n__device__ inline int value_%u() { return %u; }\n", number,
            number);
    return fclose(file);
}

static int make_tree(struct tree *tree, const char *scratch, unsigned count) {
    const char *folder;
    size_t size;
    FILE *source;

    folder = scratch_folder(scratch);
    snprintf(tree->first, sizeof(tree->first), "-I%s", folder ? folder : "");
    folder = folder ? scratch_folder(scratch) : NULL;
    snprintf(tree->second, sizeof(tree->second), "-I%s", folder ? folder : "");
    source = folder ? open_memstream(&tree->source, &size) : NULL;
    if (!source)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        fprintf(source, "#include <header_%u.h>\n", i);
        if (write_header(folder, i) != 0) {
            fclose(source);
            return -1;
        }
    }
    fputs("extern \"C\" __global__ void k(int *p) { *p = value_0(); }\n", source);
    return fclose(source);
}

static bool begin_trees(const struct bench *bench, struct tree trees[TREES]) {
    bool any = false;

    for (size_t i = 0; i < TREES; i++) {
        struct row *row = &trees[i].row;
        char name[32];

        snprintf(name, sizeof(name), "headers/%u", COUNTS[i]);
        trees[i].wanted = bench_begin(bench, row, name, 0);
        any = any || trees[i].wanted;
        row->floor = (struct work){"stat() of each path", stat_paths, NULL};
        row->subject = (struct work){"cubby_program_key", derive_key, NULL};
        row->goal = GOAL_RATIO;
        row->limit = 1.5;
    }
    return any;
}

static void tree_rows(struct bench *bench) {
    struct tree trees[TREES] = {0};

    if (!begin_trees(bench, trees))
        return;
    for (size_t i = 0; i < TREES; i++) {
        if (trees[i].wanted && make_tree(&trees[i], bench->scratch, COUNTS[i]) < 0) {
            bench_fail(bench, &trees[i].row, "its headers could not be written");
            trees[i].wanted = false;
        }
    }
    nanosleep(&UNTIL_TRUSTED, NULL);
    for (size_t i = 0; i < TREES; i++) {
        const char *const folders[] = {trees[i].first, trees[i].second};

        if (trees[i].wanted)
            measure(bench, &trees[i].row, trees[i].source, folders, 2);
        free(trees[i].source);
    }
}

/* ---- Headers of the toolkit -------------------------------------------------------------- */

static const char CUB_SOURCE[] = "#include <cub/block/block_reduce.cuh>\n"
                                 "extern \"C\" __global__ void sum(const int *in, int *out) {\n"
                                 "    using Reduce = cub::BlockReduce<int, 128>;\n"
                                 "    __shared__ typename Reduce::TempStorage storage;\n"
                                 "    int total = Reduce(storage).Sum(in[threadIdx.x]);\n"
                                 "    if (threadIdx.x == 0)\n        *out = total;\n}\n";

/* The toolkit's folders as options: CUB lies in one of them from 13.0 on, in the other before. */
static bool find_toolkit(char options[2][400]) {
    struct cubby_toolchain toolchain;
    char path[500];
    struct stat status;
    bool found = false;

    if (cubby_toolchain_find(NULL, &toolchain, NULL) < 0)
        return false;
    if (toolchain.include_dir) {
        snprintf(options[0], 400, "-I%s", toolchain.include_dir);
        snprintf(options[1], 400, "-I%s/cccl", toolchain.include_dir);
        for (unsigned i = 0; i < 2; i++) {
            snprintf(path, sizeof(path), "%s/cub/block/block_reduce.cuh", options[i] + 2);
            found = found || stat(path, &status) == 0;
        }
    }
    cubby_toolchain_clear(&toolchain);
    return found;
}

static void cub_row(struct bench *bench) {
    char options[2][400];
    const char *const folders[] = {options[0], options[1]};
    struct row row;

    if (!bench_begin(bench, &row, "headers/cub", 0))
        return;
    row.floor = (struct work){"stat() of each path", stat_paths, NULL};
    row.subject = (struct work){"cubby_compile, a hit in memory", hit, NULL};
    row.goal = GOAL_RATIO;
    row.limit = 1.5;
    if (find_toolkit(options))
        measure(bench, &row, CUB_SOURCE, folders, 2);
    else
        bench_skip(bench, &row, "no CUB beside an NVRTC on this machine");
}

void header_rows(struct bench *bench) {
    tree_rows(bench);
    cub_row(bench);
}
