/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads compile through one cache: some the same program, some different ones.
 *
 *     threads [ARCH]      ARCH such as sm_90, which is also the default
 *
 * Caches and programs are shared as they are, without a lock of one's own. Each thread asks for
 * every program, beginning with another one than its neighbour.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <cubby/cubby.h>

enum { THREADS = 8, PROGRAMS = 4, OUTCOMES = CUBBY_OUTCOME_ERROR + 1 };

static const char SOURCE[] = "extern \"C\" __global__ void scale(float *x, int n) {\n"
                             "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                             "    if (i < n)\n"
                             "        x[i] *= FACTOR;\n"
                             "}\n";

struct worker {
    pthread_t thread;
    unsigned index;
    struct cubby_cache *cache;              /* shared */
    struct cubby_program *const *programs;  /* shared */
    struct cubby_object *objects[PROGRAMS]; /* what this thread was given */
    unsigned outcomes[OUTCOMES];            /* how often each */
};

/* Errors are told where they occur; they count as CUBBY_OUTCOME_ERROR. */
static void compile_one(struct worker *worker, unsigned which) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_outcome outcome;

    if (cubby_compile(worker->cache, worker->programs[which], 0, &worker->objects[which], &outcome,
                      &error) < 0)
        fprintf(stderr, "threads: %s\n%s", error.message, error.log ? error.log : "");
    worker->outcomes[outcome.kind]++;
    cubby_error_clear(&error);
}

static void *work(void *context) {
    struct worker *worker = context;

    for (unsigned i = 0; i < PROGRAMS; i++)
        compile_one(worker, (worker->index + i) % PROGRAMS);
    return NULL;
}

/* One text in PROGRAMS variants: only the first digests the source. */
static int make_programs(const char *arch, struct cubby_program **programs,
                         struct cubby_error *error) {
    int result = 0;

    for (unsigned i = 0; i < PROGRAMS && result == 0; i++) {
        struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
        char factor[32];
        const char *list[] = {factor};

        snprintf(factor, sizeof(factor), "-DFACTOR=%u.5f", i);
        options.name = "scale.cu";
        options.arch = arch;
        options.options = list;
        options.option_count = 1;
        result = i == 0 ? cubby_program_new(SOURCE, strlen(SOURCE), &options, &programs[i], error)
                        : cubby_program_vary(programs[0], &options, &programs[i], error);
    }
    return result;
}

static void run_workers(struct worker *workers, struct cubby_cache *cache,
                        struct cubby_program *const *programs) {
    unsigned started = 0;

    while (started < THREADS) {
        struct worker *worker = &workers[started];

        worker->index = started;
        worker->cache = cache;
        worker->programs = programs;
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            break;
        started++;
    }
    for (unsigned i = started; i < THREADS; i++)
        workers[i].outcomes[CUBBY_OUTCOME_ERROR] += PROGRAMS;
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
}

/* Every thread was given the same bytes for the same program. */
static int all_agree(const struct worker *workers) {
    for (unsigned p = 0; p < PROGRAMS; p++) {
        const struct cubby_object *first = workers[0].objects[p];

        for (unsigned i = 0; i < THREADS; i++) {
            const struct cubby_object *object = workers[i].objects[p];

            if (!first || !object || cubby_object_size(object) != cubby_object_size(first) ||
                memcmp(cubby_object_data(object), cubby_object_data(first),
                       cubby_object_size(first)) != 0)
                return 0;
        }
    }
    return 1;
}

static int report(const struct worker *workers) {
    int agree = all_agree(workers);

    printf("%d requests of %d threads:", THREADS * PROGRAMS, THREADS);
    for (unsigned kind = 0; kind < OUTCOMES; kind++) {
        unsigned sum = 0;

        for (unsigned i = 0; i < THREADS; i++)
            sum += workers[i].outcomes[kind];
        printf(" %u %s", sum, cubby_outcome_name((enum cubby_outcome_kind)kind));
    }
    printf("\n%s\n", agree ? "all threads have the same objects" : "the objects DIFFER");
    return agree ? 0 : -1;
}

int main(int argc, char **argv) {
    struct cubby_program *programs[PROGRAMS] = {NULL};
    struct worker workers[THREADS] = {0};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = NULL;
    int result;

    result = cubby_cache_open(NULL, &cache, &error);
    if (result == 0)
        result = make_programs(argc > 1 ? argv[1] : "sm_90", programs, &error);
    if (result == 0) {
        run_workers(workers, cache, programs);
        result = report(workers);
    } else {
        fprintf(stderr, "threads: %s\n", error.message);
    }
    for (unsigned i = 0; i < THREADS * PROGRAMS; i++)
        cubby_object_unref(workers[i / PROGRAMS].objects[i % PROGRAMS]);
    for (unsigned i = 0; i < PROGRAMS; i++)
        cubby_program_unref(programs[i]);
    cubby_cache_unref(cache);
    cubby_error_clear(&error);
    return result == 0 ? 0 : 1;
}
