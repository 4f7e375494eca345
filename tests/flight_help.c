/* SPDX-License-Identifier: Apache-2.0 */
#include "flight_help.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "toolkit.h"

static char *gate;

void flight_set_up(void) {
    char *folder = path_in(scratch_dir(), "cuda");

    toolkit_make(folder, 1);
    toolkit_use(folder);
    free(folder);
    gate = path_in(scratch_dir(), "gate");
    setenv("FAKE_NVRTC_GATE", gate, 1);
}

void flight_tear_down(void) {
    free(gate);
}

void close_gate(void) {
    write_file(gate, "", 0);
}

void open_gate(void) {
    ck_assert_int_eq(unlink(gate), 0);
}

bool gate_is_closed(void) {
    return access(gate, F_OK) == 0;
}

void pass_ms(unsigned ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000 * MS)}, NULL);
}

void await_compiles(unsigned count) {
    while (toolkit_compiles() < count)
        pass_ms(1);
}

/* ---- Stores ------------------------------------------------------------------------------ */

const struct flight_place PLACES[] = {
    {"file:FOLDER/f", "f/flights"},
    {"memory,file:FOLDER/f", "f/flights"},
#ifdef HAVE_SQLITE
    {"sqlite:FOLDER/s.db", "s.db-cubby-flights"},
#endif
};

const int PLACE_COUNT = (int)(sizeof(PLACES) / sizeof(*PLACES));

char *spec_in(const char *spec, const char *folder) {
    const char *word = strstr(spec, "FOLDER");
    char *text;

    ck_assert_ptr_nonnull(word);
    ck_assert_int_gt(
        asprintf(&text, "%.*s%s%s", (int)(word - spec), spec, folder, word + strlen("FOLDER")), 0);
    return text;
}

struct cubby_cache *open_cache(const char *spec) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_assert_ptr_null(cubby_cache_problem(cache, 0));
    return cache;
}

unsigned count_locks(const char *folder, const char *locks) {
    char *path = path_in(folder, locks);
    DIR *stream = opendir(path);
    struct dirent *found;
    unsigned count = 0;

    while (stream && (found = readdir(stream)))
        count += found->d_name[0] != '.';
    if (stream)
        closedir(stream);
    free(path);
    return count;
}

struct cubby_counters counters_of(const char *spec) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_cache(spec);
    struct cubby_store_stats stats;

    ck_ok(cubby_cache_tier_stats(cache, cubby_cache_tier_count(cache) - 1, &stats, &error), &error);
    cubby_cache_unref(cache);
    return stats.counters;
}

/* ---- Requests ---------------------------------------------------------------------------- */

void *compile(void *context) {
    struct request *request = context;
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;

    options.name = *request->name ? request->name : "program.cu";
    request->result = cubby_program_new(request->text, strlen(request->text), &options, &program,
                                        &request->error);
    if (request->result < 0)
        return NULL;
    request->result = cubby_compile(request->cache, program, 0, &request->object, &request->outcome,
                                    &request->error);
    cubby_program_unref(program);
    return NULL;
}

void release(struct request *request) {
    cubby_object_unref(request->object);
    cubby_error_clear(&request->error);
}

struct cubby_outcome compile_in(struct cubby_cache *cache, const char *text) {
    struct request request = {.cache = cache, .text = text};

    compile(&request);
    ck_ok(request.result, &request.error);
    release(&request);
    return request.outcome;
}

void run_errand(void *context) {
    const struct errand *errand = context;
    struct cubby_cache *cache = open_cache(errand->spec);
    struct cubby_outcome outcome = compile_in(cache, errand->text);

    ck_assert_msg(errand->wanted < 0 || (int)outcome.kind == errand->wanted,
                  "the outcome is %s, expected %s", cubby_outcome_name(outcome.kind),
                  cubby_outcome_name((enum cubby_outcome_kind)errand->wanted));
    cubby_cache_unref(cache);
}

/* ---- Makers ------------------------------------------------------------------------------ */

static int make(void *context, struct cubby_blob **ret_blob, struct cubby_error *error);

void *ask(void *context) {
    struct maker *maker = context;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_outcome outcome;
    struct cubby_object *object;

    ck_ok(
        cubby_cache_get_or_make(maker->cache, &maker->own, make, maker, &object, &outcome, &error),
        &error);
    ck_assert_str_eq(cubby_object_data(object), "made");
    maker->outcome = outcome.kind;
    cubby_object_unref(object);
    return NULL;
}

static int make(void *context, struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct maker *maker = context;
    unsigned call = atomic_fetch_add(&maker->calls, 1);

    (void)error;
    if (maker->meeting && call == 0)
        pthread_barrier_wait(maker->meeting);
    if (maker->inner && call == 0)
        ask(maker->inner);
    while (maker->blocks && call == 0 && gate_is_closed())
        pass_ms(1);
    *ret_blob = cubby_blob_copy("made", 4);
    return 0;
}
