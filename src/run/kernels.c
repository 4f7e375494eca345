/* SPDX-License-Identifier: Apache-2.0 */
#include "run/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "compile/gate.h"
#include "driver/graph.h"
#include "key/digest.h"
#include "run/front.h"
#include "util/error.h"
#include "util/log.h"

/* The variants of one program. */
struct family {
    struct variant *generic;
    struct variant *specialised[VARIANTS_MAX];
    size_t count;
};

struct kernels {
    atomic_uint references; /* the execution's, one for each task, and one for each who waits */
    struct kernels_setup setup;
    struct device_context *context; /* a reference */
    atomic_uint news;
    pthread_mutex_t lock; /* guards the states; families are of the one that asks */
    pthread_cond_t changed;
    bool is_given_up; /* what has not begun will not be done */
    uint64_t asked;   /* how often any was */
    struct family families[];
};

/* ---- Life -------------------------------------------------------------------------------- */

static void variant_free(struct variant *variant) {
    if (!variant)
        return;
    loaded_module_unref(variant->module);
    cubby_error_clear(&variant->problem);
    for (size_t i = 0; i < variant->name_count; i++)
        free(variant->names[i]);
    free(variant->names);
    free(variant->functions);
    free(variant->dims);
    free(variant);
}

int kernels_new(const struct kernels_setup *setup, struct device_context *context,
                struct kernels **ret_kernels, struct cubby_error *error) {
    const size_t count = setup->plan->program_count;
    struct kernels *kernels = calloc(1, sizeof(*kernels) + count * sizeof(kernels->families[0]));

    if (!kernels)
        return error_no_memory(error);
    atomic_init(&kernels->references, 1);
    kernels->setup = *setup;
    kernels->context = device_context_ref(context);
    cubby_cache_ref(setup->cache);
    pthread_mutex_init(&kernels->lock, NULL);
    pthread_cond_init(&kernels->changed, NULL);
    *ret_kernels = kernels;
    return 0;
}

static void release(struct kernels *kernels) {
    if (atomic_fetch_sub_explicit(&kernels->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < kernels->setup.plan->program_count; i++) {
        variant_free(kernels->families[i].generic);
        for (size_t j = 0; j < kernels->families[i].count; j++)
            variant_free(kernels->families[i].specialised[j]);
    }
    pthread_cond_destroy(&kernels->changed);
    pthread_mutex_destroy(&kernels->lock);
    cubby_cache_unref(kernels->setup.cache);
    device_context_unref(kernels->context);
    free(kernels);
}

void kernels_free(struct kernels *kernels) {
    if (!kernels)
        return;
    pool_give_up(kernels);
    pthread_mutex_lock(&kernels->lock);
    kernels->is_given_up = true;
    pthread_cond_broadcast(&kernels->changed);
    pthread_mutex_unlock(&kernels->lock);
    release(kernels);
}

/* ---- Making one, in the pool ------------------------------------------------------------- */

struct job {
    struct pool_task task; /* first: the pool knows it by this */
    struct kernels *kernels;
    struct variant *variant;
};

static void count_outcome(const struct kernels *kernels, const struct cubby_outcome *outcome) {
    enum run_event event = RUN_COMPILE;

    if (front_has_served(outcome))
        event = RUN_RUNTIME_HIT;
    else if (outcome->kind == CUBBY_OUTCOME_HIT || outcome->kind == CUBBY_OUTCOME_WAITED)
        event = RUN_CACHE_HIT;
    count_event(kernels->setup.events, event);
}

static int find_function(struct variant *variant, size_t launch, const char *kernel,
                         const struct cubby_object *object, struct cubby_error *error) {
    const char *lowered = cubby_object_lowered_name(object, kernel);

    variant->names[launch] = strdup(lowered ? lowered : kernel);
    if (!variant->names[launch])
        return error_no_memory(error);
    return loaded_module_function(variant->module, variant->names[launch], NULL,
                                  &variant->functions[launch], error);
}

static int find_functions(const struct kernels *kernels, struct variant *variant,
                          const struct cubby_object *object, struct cubby_error *error) {
    const struct cubby_engine_plan *plan = kernels->setup.plan;
    int result = 0;

    variant->functions = calloc(plan->launch_count + 1, sizeof(struct CUfunc_st *));
    variant->names = calloc(plan->launch_count + 1, sizeof(char *));
    if (!variant->functions || !variant->names)
        return error_no_memory(error);
    variant->name_count = plan->launch_count;
    for (size_t i = 0; result == 0 && i < plan->launch_count; i++) {
        if (plan->launches[i].program == variant->program)
            result = find_function(variant, i, plan->launches[i].view.kernel, object, error);
    }
    return result;
}

static int load(const struct kernels *kernels, struct variant *variant,
                const struct cubby_object *object, struct cubby_error *error) {
    struct cubby_key key;
    int result;

    digest_bytes(cubby_object_data(object), cubby_object_size(object), &key);
    result = loaded_module_get(kernels->context, &key, cubby_object_data(object), &variant->module,
                               error);
    if (result == 0)
        result = find_functions(kernels, variant, object, error);
    return result;
}

static int make(const struct kernels *kernels, struct variant *variant, struct cubby_error *error) {
    const struct kernel_source source = {
        .plan = kernels->setup.plan,
        .arch = kernels->context->device.arch,
        .cache = kernels->setup.cache,
        .runtime_cache = kernels->setup.runtime_cache,
        .options = kernels->setup.options,
        .option_count = kernels->setup.option_count,
    };
    struct cubby_outcome outcome;
    struct cubby_object *object;
    int result =
        kernel_source_get(&source, variant->program, variant->dims, &object, &outcome, error);

    if (result < 0)
        return result;
    count_outcome(kernels, &outcome);
    result = load(kernels, variant, object, error);
    cubby_object_unref(object);
    return result;
}

/* The generic kernel goes on in its place. */
static void report_failure(const struct kernels *kernels, const struct variant *variant) {
    const struct kernels_setup *setup = &kernels->setup;

    if (!variant->dims || variant->problem.code == CUBBY_ERR_BUSY) /* or the process is ending */
        return;
    count_event(setup->events, RUN_FAILURE);
    log_line(CUBBY_LOG_WARN, "engine %s: program %s is not specialised: %s", setup->name,
             setup->plan->programs[variant->program].view.name, variant->problem.message);
}

static void finish(struct kernels *kernels, struct variant *variant, int result) {
    pthread_mutex_lock(&kernels->lock);
    variant->state = result < 0 ? VARIANT_FAILED : VARIANT_READY;
    atomic_fetch_add(&kernels->news, 1);
    pthread_cond_broadcast(&kernels->changed);
    pthread_mutex_unlock(&kernels->lock);
    release(kernels);
}

/* Someone may be capturing, in another thread and in whatever mode: what is loaded and released
 * here is no part of that. */
static void make_tolerantly(struct kernels *kernels, struct variant *variant) {
    const struct driver *driver = kernels->context->driver;
    const unsigned mode = capture_tolerate(driver);
    int result = make(kernels, variant, &variant->problem);

    if (result < 0)
        report_failure(kernels, variant);
    finish(kernels, variant, result);
    capture_restore(driver, mode);
}

/* The end of the process takes apart what is used here. */
static void run_job(struct pool_task *task) {
    struct job *job = (struct job *)task;
    int result = gate_enter(&job->variant->problem);

    if (result < 0) {
        finish(job->kernels, job->variant, result);
    } else {
        make_tolerantly(job->kernels, job->variant);
        gate_leave();
    }
    free(job);
}

static void give_up_job(struct pool_task *task) {
    struct job *job = (struct job *)task;

    release(job->kernels);
    free(job);
}

/* ---- Asking for one ---------------------------------------------------------------------- */

/* True if a variant is the one for these dims: what the program does not specialise is all one. */
static bool is_for(const struct variant *variant, const struct plan_program *program,
                   const int64_t *dims) {
    for (size_t i = 0; i < program->view.specialize_count; i++) {
        if (variant->dims[program->specialize[i]] != dims[program->specialize[i]])
            return false;
    }
    return true;
}

static struct variant *find(const struct kernels *kernels, size_t program, const int64_t *dims) {
    const struct family *family = &kernels->families[program];

    if (!dims)
        return family->generic;
    for (size_t i = 0; i < family->count; i++) {
        if (is_for(family->specialised[i], &kernels->setup.plan->programs[program], dims))
            return family->specialised[i];
    }
    return NULL;
}

static struct variant *variant_new(const struct kernels *kernels, size_t program,
                                   const int64_t *dims) {
    const size_t size = kernels->setup.plan->dim_count * sizeof(*dims);
    struct variant *variant = calloc(1, sizeof(*variant));

    if (!variant)
        return NULL;
    variant->program = program;
    if (!dims)
        return variant;
    variant->dims = malloc(size);
    if (!variant->dims) {
        free(variant);
        return NULL;
    }
    memcpy(variant->dims, dims, size);
    return variant;
}

static void start(struct kernels *kernels, struct variant *variant, struct job *job,
                  bool is_urgent) {
    job->task =
        (struct pool_task){run_job, give_up_job, kernels, kernels->setup.group, is_urgent, NULL};
    job->kernels = kernels;
    job->variant = variant;
    atomic_fetch_add_explicit(&kernels->references, 1, memory_order_relaxed);
    pool_submit(&job->task);
}

struct variant *kernels_ask(struct kernels *kernels, size_t program, const int64_t *dims,
                            bool can_do_without) {
    struct family *family = &kernels->families[program];
    struct variant *variant = find(kernels, program, dims);
    struct job *job;

    kernels->asked++;
    if (variant)
        variant->asked = kernels->asked;
    if (variant || (dims && family->count == VARIANTS_MAX) || (can_do_without && pool_is_crowded()))
        return variant;
    job = calloc(1, sizeof(*job));
    variant = job ? variant_new(kernels, program, dims) : NULL;
    if (!variant) {
        free(job);
        return NULL;
    }
    variant->asked = kernels->asked;
    if (dims)
        family->specialised[family->count++] = variant;
    else
        family->generic = variant;
    start(kernels, variant, job, !can_do_without);
    return variant;
}

/* ---- Afterwards -------------------------------------------------------------------------- */

struct variant *kernels_find_done(struct kernels *kernels, size_t program, const int64_t *dims) {
    struct variant *variant = find(kernels, program, dims);

    return variant && variant_state(kernels, variant) != VARIANT_PENDING ? variant : NULL;
}

struct variant *kernels_find_oldest(struct kernels *kernels, size_t program,
                                    const struct variant *keep) {
    const struct family *family = &kernels->families[program];
    struct variant *oldest = NULL;

    for (size_t i = 0; family->count == VARIANTS_MAX && i < family->count; i++) {
        struct variant *variant = family->specialised[i];

        if (variant != keep && !variant->is_pinned &&
            variant_state(kernels, variant) != VARIANT_PENDING &&
            (!oldest || variant->asked < oldest->asked))
            oldest = variant;
    }
    return oldest;
}

void kernels_drop(struct kernels *kernels, struct variant *variant) {
    struct family *family = &kernels->families[variant->program];
    size_t place = 0;

    while (family->specialised[place] != variant)
        place++;
    family->specialised[place] = family->specialised[--family->count];
    variant_free(variant);
}

void kernels_forget_failures(struct kernels *kernels) {
    for (size_t i = 0; i < kernels->setup.plan->program_count; i++) {
        struct variant *generic = kernels->families[i].generic;

        if (!generic || variant_state(kernels, generic) != VARIANT_FAILED)
            continue;
        kernels->families[i].generic = NULL;
        variant_free(generic);
    }
}

enum variant_state variant_state(struct kernels *kernels, const struct variant *variant) {
    enum variant_state state;

    pthread_mutex_lock(&kernels->lock);
    state = variant->state;
    pthread_mutex_unlock(&kernels->lock);
    return state;
}

unsigned kernels_news(const struct kernels *kernels) {
    return atomic_load(&kernels->news);
}

void kernels_wait_begin(struct kernels *kernels, unsigned news, struct kernels_wait *wait) {
    atomic_fetch_add_explicit(&kernels->references, 1, memory_order_relaxed);
    *wait = (struct kernels_wait){kernels, news, true};
}

void kernels_wait_end(struct kernels_wait *wait) {
    struct kernels *kernels = wait->kernels;
    const struct driver *driver = kernels->context->driver;
    unsigned mode;

    pthread_mutex_lock(&kernels->lock);
    while (kernels_news(kernels) == wait->news && !kernels->is_given_up)
        pthread_cond_wait(&kernels->changed, &kernels->lock);
    pthread_mutex_unlock(&kernels->lock);
    mode = capture_tolerate(driver); /* the last one unloads them */
    release(kernels);
    capture_restore(driver, mode);
}
