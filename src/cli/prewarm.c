/* SPDX-License-Identifier: Apache-2.0 */
/* cubby prewarm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/runner.h>

#include "cli/cli.h"
#include "cli/engine_file.h"
#include "cli/program_args.h"
#include "cli/report.h"
#include "cli/shapes.h"
#include "cli/workers.h"

enum { OPTION_ARCH = 1024, OPTION_DIMS, OPTION_RUNTIME_CACHE };

static const struct argp_option OPTIONS[] = {
    {"arch", OPTION_ARCH, "ARCH[,ARCH...]", 0,
     "Architectures to compile for, such as sm_80,sm_90; needed (repeatable)", 0},
    {"dims", OPTION_DIMS, "NAME=N,...", 0,
     "Specialise the programs of engines for these values of the dims; more values of one, as in "
     "n=64,128,m=8, are more shapes (repeatable; default: the values that the engine expects)",
     0},
    {"runtime-cache", OPTION_RUNTIME_CACHE, "FILE", 0,
     "Add the kernels of engines to a runtime cache, too; for one architecture", 0},
    {0},
};

/* A file of the command line. */
struct ahead_file {
    const char *path;
    struct cubby_engine_plan *plan; /* NULL for a source */
    struct shapes shapes;           /* of an engine */
};

/* What is done in one go. */
struct ahead_job {
    const struct ahead_file *file;
    const char *arch;     /* borrowed */
    const int64_t *shape; /* values of the dims; NULL for what is not specialised */
};

struct prewarm {
    struct program_args program;
    struct work_args work;
    struct dims_args dims;
    char **archs; /* each is owned */
    size_t arch_count;
    const char *runtime_cache;

    struct ahead_file *files;
    size_t file_count;
    struct ahead_job *jobs;
    size_t job_count;

    struct cubby_cache *cache;
    struct cubby_runtime_cache *kernels; /* once a job of this process needs it */

    size_t compiled, found, failed; /* programs */
    size_t unstored;                /* of those compiled: they could be stored, and are not */
};

/* ---- Command line ------------------------------------------------------------------------ */

static void add_archs(const struct argp_state *state, struct prewarm *args, const char *text) {
    const char *part = text;

    for (bool more = true; more;) {
        size_t length = strcspn(part, ",");
        char **grown = realloc(args->archs, (args->arch_count + 1) * sizeof(*grown));
        char *arch = strndup(part, length);

        if (!grown || !arch)
            out_of_memory();
        if (length == 0)
            argp_error(state, "--arch %s: expected architectures, as in sm_80,sm_90", text);
        grown[args->arch_count++] = arch;
        args->archs = grown;
        more = part[length] == ',';
        part += length + more;
    }
}

static void take_files(struct prewarm *args, char **paths, size_t count) {
    args->files = calloc(count, sizeof(*args->files));
    if (!args->files)
        out_of_memory();
    args->file_count = count;
    for (size_t i = 0; i < count; i++)
        args->files[i].path = paths[i];
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct prewarm *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->child_inputs[1] = &args->program;
        state->child_inputs[2] = &args->work;
        state->child_inputs[3] = input;
        return 0;
    case OPTION_ARCH:
        add_archs(state, args, argument);
        return 0;
    case OPTION_DIMS:
        dims_args_add(&args->dims, argument);
        return 0;
    case OPTION_RUNTIME_CACHE:
        args->runtime_cache = argument;
        return 0;
    case ARGP_KEY_ARGS:
        take_files(args, state->argv + state->next, (size_t)(state->argc - state->next));
        return 0;
    case ARGP_KEY_END:
        if (args->file_count == 0)
            argp_error(state, "an engine file or a source file is missing");
        if (args->arch_count == 0)
            argp_error(state, "no architecture to compile for: pass --arch, such as --arch sm_90");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&compiler_argp, 0, "How to compile:", 1},
                                             {&source_argp, 0, "What to make of source files:", 2},
                                             {&work_argp, 0, NULL, 0},
                                             {&cli_argp, 0, "Common options:", 3},
                                             {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "ENGINE.json|FILE...",
    "Compiles ahead of time, so that what runs later finds all programs in the cache. Needs the "
    "compiler, but neither a GPU nor its driver.",
    CHILDREN,
    NULL,
    NULL};

/* ---- What there is to do ----------------------------------------------------------------- */

static int refuse(const char *message) {
    fprintf(stderr, "cubby: %s\n", message);
    return STATUS_USAGE;
}

static int load_file(struct prewarm *args, struct ahead_file *file) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK;

    if (strcmp(file->path, "-") == 0)
        return refuse("prewarm reads files by their names: - is none");
    if (!engine_file_is(file->path))
        return STATUS_OK;
    if (cubby_engine_plan_load(file->path, &file->plan, &error) < 0 ||
        shapes_make(file->plan, &args->dims, &file->shapes, &error) < 0) {
        print_error(&error);
        status = engine_status(error.code);
    }
    cubby_error_clear(&error);
    return status;
}

static bool has_engine(const struct prewarm *args) {
    for (size_t i = 0; i < args->file_count; i++) {
        if (args->files[i].plan)
            return true;
    }
    return false;
}

static int check_usage(struct prewarm *args) {
    int status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < args->file_count; i++)
        status = load_file(args, &args->files[i]);
    if (status != STATUS_OK)
        return status;
    if (args->dims.count > 0 && !has_engine(args))
        return refuse("--dims is for engine files (.json), and there is none");
    if (args->runtime_cache && !has_engine(args))
        return refuse("--runtime-cache is for engine files (.json), and there is none");
    if (args->runtime_cache && args->arch_count > 1)
        return refuse("a runtime cache holds kernels of one architecture: with --runtime-cache, "
                      "give --arch only one");
    return STATUS_OK;
}

static void add_job(struct prewarm *args, const struct ahead_file *file, const char *arch,
                    const int64_t *shape) {
    struct ahead_job *grown = realloc(args->jobs, (args->job_count + 1) * sizeof(*grown));

    if (!grown)
        out_of_memory();
    args->jobs = grown;
    grown[args->job_count++] = (struct ahead_job){file, arch, shape};
}

/* The same ones in the same order in every process. */
static void list_jobs(struct prewarm *args) {
    for (size_t i = 0; i < args->file_count; i++) {
        const struct ahead_file *file = &args->files[i];
        bool shaped = file->plan && engine_is_specialised(file->plan);

        for (size_t a = 0; a < args->arch_count; a++) {
            add_job(args, file, args->archs[a], NULL);
            for (size_t s = 0; shaped && s < file->shapes.count; s++)
                add_job(args, file, args->archs[a], shapes_at(&file->shapes, s));
        }
    }
}

/* ---- Doing it: a source ------------------------------------------------------------------ */

/* Source files have no program of a name, and no dims. */
static json_t *add_place(json_t *report, const char *program, json_t *dims) {
    json_add(report, "program", program ? json_string(program) : json_null());
    json_add(report, "dims", dims);
    return report;
}

static json_t *compile_source(const struct prewarm *args, const struct ahead_job *job) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct program_args program_args = args->program;
    struct cubby_program *program = NULL;
    struct cubby_object *object = NULL;
    const char *path = job->file->path;
    json_t *report;
    int result;

    program_args.arch = job->arch;
    result = program_from_file(&program_args, path, &program, &error);
    if (result == 0)
        cubby_compile(args->cache, program, CUBBY_REQUEST_FILL, &object, &outcome, &error);
    report = report_new(path, NULL, cubby_target_name(program_target(&program_args, path)),
                        job->arch, object, &outcome, &error);
    cubby_object_unref(object);
    cubby_program_unref(program);
    cubby_error_clear(&error);
    return add_place(report, NULL, json_null());
}

/* ---- Doing it: an engine ----------------------------------------------------------------- */

struct visit_context {
    const struct ahead_job *job;
    json_t *reports;
};

static void visit(const struct cubby_engine_program *program, bool is_specialized,
                  const struct cubby_object *object, const struct cubby_outcome *outcome,
                  void *context) {
    const struct visit_context *visited = context;
    const struct ahead_job *job = visited->job;
    json_t *dims =
        is_specialized ? engine_dims_json(job->file->plan, program, job->shape) : json_object();

    json_t *report = report_new(job->file->path, NULL, "cubin", job->arch, object, outcome, NULL);

    json_append(visited->reports, add_place(report, program->name, dims));
}

/* Opens the runtime cache once in each process that compiles for it. What is there is read; that it
 * cannot be is a warning, and to be seen when it is saved. */
static int open_kernels(struct prewarm *args, struct cubby_error *error) {
    struct cubby_runtime_cache_options options = CUBBY_RUNTIME_CACHE_OPTIONS_INIT;
    int result;

    if (!args->runtime_cache || args->kernels)
        return 0;
    options.path = args->runtime_cache;
    result = cubby_runtime_cache_new(&options, &args->kernels, error);
    if (result == 0)
        cubby_runtime_cache_load(args->kernels);
    return result;
}

static json_t *compile_engine(struct prewarm *args, const struct ahead_job *job) {
    struct visit_context visited = {job, json_array()};
    struct cubby_prewarm_options options = CUBBY_PREWARM_OPTIONS_INIT;
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    int result = open_kernels(args, &error);

    options.arch = job->arch;
    options.cache = args->cache;
    options.options = args->program.options;
    options.option_count = args->program.option_count;
    options.runtime_cache = args->kernels;
    options.visit = visit;
    options.context = &visited;
    if (result == 0)
        result = cubby_engine_plan_prewarm(job->file->plan, job->shape, &options, &error);
    if (result < 0) {
        json_t *dims = job->shape ? shape_json(job->file->plan, job->shape) : json_object();
        json_t *report =
            report_new(job->file->path, NULL, "cubin", job->arch, NULL, &outcome, &error);

        json_add(report, "status", json_integer(engine_status(error.code)));
        json_append(visited.reports, add_place(report, NULL, dims));
    }
    cubby_error_clear(&error);
    return visited.reports;
}

/* ---- All of it --------------------------------------------------------------------------- */

static json_t *run_job(void *context, size_t number) {
    struct prewarm *args = context;
    const struct ahead_job *job = &args->jobs[number];
    json_t *reports;

    if (job->file->plan)
        return compile_engine(args, job);
    reports = json_array();
    json_append(reports, compile_source(args, job));
    return reports;
}

static json_t *report_lost(void *context, size_t number) {
    const struct prewarm *args = context;
    const struct ahead_job *job = &args->jobs[number];
    const char *path = job->file->path;
    const char *target =
        job->file->plan ? "cubin" : cubby_target_name(program_target(&args->program, path));

    return add_place(report_lost_job(path, target, job->arch), NULL, json_null());
}

static void count_report(void *context, const json_t *report) {
    struct prewarm *args = context;
    const char *outcome = json_string_value(json_object_get(report, "outcome"));

    if (strcmp(outcome, "error") == 0)
        args->failed++;
    else if (strcmp(outcome, "compiled") == 0 || strcmp(outcome, "uncacheable") == 0)
        args->compiled++;
    else
        args->found++;
    if (strcmp(outcome, "compiled") == 0 && json_is_string(json_object_get(report, "reason")))
        args->unstored++;
}

static void print_summary(const struct cli *cli, const struct prewarm *args) {
    size_t all = args->compiled + args->found + args->failed;

    if (cli->quiet || cli->json || args->work.worker)
        return;
    fprintf(stderr, "%zu program%s: %zu compiled, %zu found, %zu failed\n", all,
            all == 1 ? "" : "s", args->compiled, args->found, args->failed);
}

/* So that a later run finds them is why programs are compiled ahead. */
static int check_stored(const struct prewarm *args) {
    if (args->unstored == 0)
        return STATUS_OK;
    fprintf(stderr, "cubby: %zu of the programs that were compiled could not be stored\n",
            args->unstored);
    return STATUS_STORE;
}

/* The runtime cache was asked for: that it could not be written is a failure. */
static int save_kernels(struct prewarm *args) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    int status = STATUS_OK;

    if (args->kernels && cubby_runtime_cache_save(args->kernels, &error) < 0) {
        print_error(&error);
        status = STATUS_STORE;
    }
    cubby_error_clear(&error);
    cubby_runtime_cache_unref(args->kernels);
    args->kernels = NULL;
    return status;
}

/* Whether anything is CUDA C++, which may read the toolkit's headers. */
static bool has_cuda(const struct prewarm *args) {
    for (size_t i = 0; i < args->file_count; i++) {
        const struct ahead_file *file = &args->files[i];

        if (file->plan ? engine_has_cuda(file->plan)
                       : program_kind(&args->program, file->path) == CUBBY_SOURCE_CUDA)
            return true;
    }
    return false;
}

static int prewarm_all(const struct cli *cli, struct prewarm *args, int argc, char **argv) {
    const struct work work = {.verb = "prewarm",
                              .count = args->job_count,
                              .run = run_job,
                              .lost = report_lost,
                              .seen = count_report,
                              .context = args};
    enum status opened = STATUS_USAGE;
    int status = STATUS_OK, stored, saved;

    args->cache = open_store(cli, &opened);
    if (!args->cache)
        return opened;
    if (has_cuda(args))
        status = program_args_add_toolkit(&args->program, args->cache, true);
    if (status == STATUS_OK) {
        status = work_do(cli, &work, &args->work, argc, argv);
        print_summary(cli, args);
    }
    stored = check_stored(args);
    saved = save_kernels(args);
    cubby_cache_unref(args->cache);
    status = stored > status ? stored : status;
    return saved > status ? saved : status;
}

static void clear(struct prewarm *args) {
    for (size_t i = 0; i < args->file_count; i++) {
        shapes_clear(&args->files[i].shapes);
        cubby_engine_plan_unref(args->files[i].plan);
    }
    free(args->files);
    free(args->jobs);
    for (size_t i = 0; i < args->arch_count; i++)
        free(args->archs[i]);
    free(args->archs);
    dims_args_clear(&args->dims);
    program_args_clear(&args->program);
}

int verb_prewarm(struct cli *cli, int argc, char **argv) {
    struct prewarm args = {.work = {.jobs = 1}};
    struct verb_input input = {cli, &args};
    int status;

    argv[0] = (char *)"cubby prewarm";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    status = check_usage(&args);
    if (status == STATUS_OK) {
        list_jobs(&args);
        status = prewarm_all(cli, &args, argc, argv);
    }
    clear(&args);
    return status;
}
