/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling through the cache: key, look-up, compile on a miss, store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "compile/compile.h"
#include "compile/gate.h"
#include "compile/nvrtc.h"
#include "compile/trace.h"
#include "deps/harvest.h"
#include "deps/manifest.h"
#include "entry/meta.h"
#include "headers.h"
#include "key/fields.h"
#include "key/key.h"
#include "key/program.h"
#include "object.h"
#include "os/time.h"
#include "outcome.h"
#include "tooling.h"
#include "util/error.h"
#include "util/pairs.h"

const char *cubby_version(void) {
    return PACKAGE_VERSION;
}

/* ---- Keys -------------------------------------------------------------------------------- */

/* The key of the program itself, and where it reads headers, that of its object with the headers
 * as they are now, if the cache knows of such. */
static int derive_key(struct cubby_cache *cache, struct cubby_program *program, headers_visit visit,
                      void *context, const struct toolchain **ret_toolchain,
                      struct cubby_key *ret_key, struct cubby_error *error) {
    struct cubby_key base;
    int result = tooling_find(cache, program, ret_toolchain, error);

    if (result < 0)
        return result;
    key_derive(program, *ret_toolchain, &base);
    *ret_key = base;
    if (program->reaches_files && cache)
        headers_find(cache, program, &base, visit, context, ret_key);
    return 0;
}

int cubby_program_key(struct cubby_cache *cache, struct cubby_program *program,
                      struct cubby_key *ret_key, struct cubby_error *error) {
    const struct toolchain *toolchain;

    return derive_key(cache, program, NULL, NULL, &toolchain, ret_key, error);
}

struct explanation {
    cubby_field_visitor visit;
    void *context;
};

static void explain_header(const char *path, enum dep_kind kind, const struct cubby_key *digest,
                           void *context) {
    static const char *const NAMES[DEP_KINDS] = {
        [DEP_FILE] = "header file",
        [DEP_PRESENT] = "file there",
        [DEP_MISSING] = "nothing there",
        [DEP_UNUSABLE] = "no file there",
    };
    const struct explanation *explanation = context;
    char hex[CUBBY_KEY_HEX_SIZE];

    explanation->visit(NAMES[kind], path, explanation->context);
    if (!digest)
        return;
    cubby_key_format(digest, hex);
    explanation->visit("header digest", hex, explanation->context);
}

int cubby_program_explain(struct cubby_cache *cache, struct cubby_program *program,
                          cubby_field_visitor visit, void *context, struct cubby_error *error) {
    struct explanation explanation = {visit, context};
    const struct toolchain *toolchain;
    struct cubby_key key;
    int result = tooling_find(cache, program, &toolchain, error);

    if (result < 0)
        return result;
    key_explain(program, toolchain, visit, context);
    return derive_key(cache, program, explain_header, &explanation, &toolchain, &key, error);
}

/* ---- One request ------------------------------------------------------------------------- */

struct request {
    struct cubby_cache *cache;
    struct cubby_program *program;
    unsigned flags;
    const struct toolchain *toolchain;
    struct cubby_key base; /* key of the program itself; its headers decide the object's key */
    struct deps deps;      /* what the compile depended on, where the program reads headers */
    char reason[HARVEST_REASON_SIZE]; /* why that is not known, else "" */
    struct cubby_outcome *outcome;
    struct cubby_error *error;
};

/* True if the store has no part in this request. */
static bool is_bypassed(const struct request *request) {
    return request->program->uncacheable[0] || (request->flags & CUBBY_REQUEST_NO_CACHE) ||
           !request->cache || cubby_cache_tier_count(request->cache) == 0;
}

/* The object's key, from the headers as they are now. */
static int find_key(const struct request *request) {
    request->outcome->key = request->base;
    if (!request->program->reaches_files)
        return 0;
    return headers_find(request->cache, request->program, &request->base, NULL, NULL,
                        &request->outcome->key);
}

/* Gives the object its caller's name for the program. A renamed log needs memory; without it what
 * was found counts for nothing. */
static int claim(const struct request *request, struct cubby_object *object,
                 struct cubby_object **ret_object) {
    /* No log speaks of a link by its name. */
    int result =
        request->program->source ? object_rename_source(object, request->program->name) : 0;

    if (result < 0)
        cubby_object_unref(object);
    else
        *ret_object = object;
    return result;
}

static int look_up(const struct request *request, struct cubby_object **ret_object) {
    struct cubby_object *object = NULL;
    int result = find_key(request);

    if (result < 0) {
        cache_count(request->cache, EVENT_MISS, 1);
        return result;
    }
    result = outcome_look_up(request->cache, CUBBY_ENTRY_OBJECT, &request->outcome->key, &object,
                             request->outcome);
    return result < 0 ? result : claim(request, object, ret_object);
}

/* Another may have compiled it meanwhile. */
static int look_again(void *context, struct cubby_object **ret_object) {
    const struct request *request = context;
    struct cubby_object *object = NULL;
    const char *tier;
    int result = find_key(request);

    if (result == 0)
        result = cache_lookup(request->cache, CUBBY_ENTRY_OBJECT, &request->outcome->key, &object,
                              &tier);
    return result < 0 ? result : claim(request, object, ret_object);
}

static void add_name(struct buffer *meta, const char *expression, const char *lowered) {
    struct buffer pair = BUFFER_INIT;

    pairs_add(&pair, expression, lowered);
    meta_add(meta, META_NAME, pair.data, pair.size);
    meta->failed = meta->failed || pair.failed;
    buffer_free(&pair);
}

/* All fields are one item, so that a hit, which asks for others, passes over them in one step. */
static void add_fields(struct buffer *meta, const struct request *request) {
    struct buffer fields = BUFFER_INIT;

    fields_collect(request->program, request->toolchain, &fields);
    meta_add(meta, META_FIELDS, fields.data, fields.size);
    meta->failed = meta->failed || fields.failed;
    buffer_free(&fields);
}

/* The metadata of a compiled program. */
static void describe(const struct request *request, const struct compiled *compiled,
                     struct buffer *meta) {
    const struct cubby_program *program = request->program;
    char toolchain[32];

    snprintf(toolchain, sizeof(toolchain), "%s %d.%d", toolchain_label(request->toolchain->tool),
             request->toolchain->major, request->toolchain->minor);
    meta_add(meta, META_START, NULL, 0);
    meta_add_u64(meta, META_COMPILE_NS, request->outcome->compile_ns);
    meta_add_u64(meta, META_CREATED_AT, (uint64_t)wall_seconds());
    meta_add_text(meta, META_TARGET, cubby_target_name(program->target));
    meta_add_text(meta, META_ARCH, program->arch);
    meta_add_text(meta, META_SOURCE_NAME, program->name);
    meta_add_text(meta, META_TOOLCHAIN, toolchain);
    if (*compiled->log)
        meta_add_text(meta, META_LOG, compiled->log);
    for (size_t i = 0; i < compiled->lowered_count; i++)
        add_name(meta, program->names[i], compiled->lowered[i]);
    add_fields(meta, request);
}

static int make_object(const struct request *request, const struct compiled *compiled,
                       struct cubby_object **ret_object) {
    const struct cubby_key *key = &request->outcome->key;
    struct buffer meta = BUFFER_INIT;
    struct cubby_blob *blob = NULL;
    int result;

    describe(request, compiled, &meta);
    if (meta.failed)
        result = error_no_memory(request->error);
    else
        result = entry_encode(CUBBY_ENTRY_OBJECT, key, compiled->data, compiled->size, meta.data,
                              meta.size, &blob, request->error);
    if (result == 0)
        result = object_from_blob(blob, CUBBY_ENTRY_OBJECT, key, false, ret_object, request->error);
    cubby_blob_unref(blob);
    buffer_free(&meta);
    return result;
}

/* The compiler to be asked for its macros. */
struct oracle {
    void *tool;
    const struct request *request;
};

static const char *predefined(const struct names *words, void *context) {
    const struct oracle *oracle = context;

    return nvrtc_predefined(oracle->tool, oracle->request->toolchain, oracle->request->program,
                            &oracle->request->base, words);
}

/* Learns what the compile depended on, and with it the object's key. */
static int learn_headers(struct request *request, void *tool, const struct trace *trace,
                         int64_t started_ns) {
    struct oracle oracle = {tool, request};
    struct harvest_trace said = {
        .headers = NAMES_INIT, .predefined = predefined, .context = &oracle};
    int result;

    said.is_there = trace_headers(trace, &said.headers, &said.is_whole);
    result = harvest(request->program, &said, started_ns, &request->deps, request->reason);
    names_free(&said.headers);
    if (result == 0)
        manifest_object_key(&request->base, &request->deps, request->program->stamps_source,
                            &request->outcome->key);
    return result == CUBBY_ERR_UNSUPPORTED ? 0 : result;
}

/* NVRTC 12.6 to 12.9 write a trace as well, but it names no header. */
static bool can_trace(const struct toolchain *toolchain) {
    return toolchain->major >= 13;
}

static int run_compiler(struct request *request, void *tool, struct compiled *compiled) {
    bool learns = request->program->reaches_files && !is_bypassed(request);
    bool alone = !trace_is_harmless(request->toolchain, request->program);
    struct trace trace = TRACE_INIT;
    int64_t started_ns;
    uint64_t start;
    int result;

    if (learns && can_trace(request->toolchain))
        trace_open(&trace);
    started_ns = file_clock_ns();
    start = monotonic_ns();
    result = compile_program(tool, request->toolchain, request->program, &request->base,
                             alone ? NULL : trace.option, compiled, request->error);
    request->outcome->compile_ns = monotonic_ns() - start;
    if (result == 0 && alone && trace.option)
        nvrtc_trace(tool, request->toolchain, request->program, &request->base, trace.option);
    if (result == 0 && learns && learn_headers(request, tool, &trace, started_ns) < 0)
        result = error_no_memory(request->error);
    trace_close(&trace);
    return result;
}

/* Compiles; the key follows the compiler that was really loaded. */
static int compile(struct request *request, struct cubby_object **ret_object) {
    struct toolchain_memory memory;
    struct compiled compiled = {0};
    void *tool;
    int result;

    result = toolchain_load(request->toolchain->tool, tooling_memory(request->cache, &memory),
                            &tool, &request->toolchain, request->error);
    if (result < 0)
        return result;
    result = gate_enter(request->error);
    if (result < 0)
        return result;
    key_derive(request->program, request->toolchain, &request->base);
    request->outcome->key = request->base;
    result = run_compiler(request, tool, &compiled);
    gate_leave();
    if (result == 0) {
        if (request->cache) {
            cache_count(request->cache, EVENT_COMPILE, 1);
            cache_count(request->cache, EVENT_COMPILE_NS, request->outcome->compile_ns);
        }
        request->outcome->kind = CUBBY_OUTCOME_COMPILED;
        result = make_object(request, &compiled, ret_object);
    }
    compiled_clear(&compiled);
    return result;
}

/* True if what was just compiled still belongs under its key. */
static bool key_still_holds(const struct request *request) {
    struct cubby_key now;

    key_derive(request->program, request->toolchain, &now);
    return memcmp(&now, &request->base, sizeof(now)) == 0;
}

/* Stores the object, or says why not. */
static void store(const struct request *request, struct cubby_object *object) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_outcome *outcome = request->outcome;

    if (!toolchain_was_used(request->toolchain))
        outcome_set_reason(outcome, "NVRTC loaded other built-ins than the key stands for");
    else if (!key_still_holds(request))
        outcome_set_reason(outcome,
                           "something that the key depends on changed while it was compiled");
    else if (cache_store(request->cache, CUBBY_ENTRY_OBJECT, &outcome->key, object_blob(object),
                         &problem) < 0 ||
             (request->program->reaches_files &&
              headers_record(request->cache, request->program, &request->base, &request->deps,
                             &outcome->key, &problem) < 0))
        outcome_set_reason(outcome, problem.message);
    cubby_error_clear(&problem);
}

/* Why nothing was stored; NULL where something may be. */
static const char *bypass_reason(const struct request *request) {
    if (request->program->uncacheable[0])
        return request->program->uncacheable;
    if (request->reason[0])
        return request->reason;
    if (request->flags & CUBBY_REQUEST_NO_CACHE)
        return "the caller asked not to use the cache";
    if (is_bypassed(request))
        return "no store is in use";
    return NULL;
}

/* Stores what was compiled, or says why not. */
static void settle(const struct request *request, struct cubby_object *object) {
    struct cubby_outcome *outcome = request->outcome;
    const char *bypass = bypass_reason(request);
    bool uncacheable = request->program->uncacheable[0] || request->reason[0];

    outcome->has_key = !uncacheable && !(is_bypassed(request) && request->program->reaches_files);
    if (uncacheable)
        outcome->kind = CUBBY_OUTCOME_UNCACHEABLE;
    if (bypass)
        outcome_set_reason(outcome, bypass);
    else
        store(request, object);
}

static int compile_and_settle(void *context, struct cubby_object **ret_object, bool *ret_kept,
                              struct cubby_error *error) {
    struct request *request = context;
    int result;

    request->error = error;
    result = compile(request, ret_object);
    if (result < 0)
        return result;
    settle(request, *ret_object);
    *ret_kept = !*request->outcome->reason;
    return 0;
}

/* Compiles it, or waits for another who does. A program that reads headers flies under its own key:
 * that of its object is not known before. What another read of them may be out of date by now. */
static int fly(struct request *request, struct cubby_object **ret_object) {
    const struct flight_task task = {
        .kind = CUBBY_ENTRY_OBJECT,
        .key = request->base,
        .is_whole = !request->program->reaches_files,
        .name = request->program->source ? request->program->name : "",
        .look_up = look_again,
        .make = compile_and_settle,
        .context = request,
    };

    return outcome_make(request->cache, &task, ret_object, request->outcome, request->error);
}

/* Has all stores have what one has. */
static void fill(const struct request *request, const struct cubby_object *object) {
    const struct cubby_key *key = &request->outcome->key;

    cache_fill(request->cache, CUBBY_ENTRY_OBJECT, key, object_blob(object));
    if (request->program->reaches_files)
        headers_fill(request->cache, request->program, &request->base, key);
}

static int serve(struct request *request, struct cubby_object **ret_object) {
    int result =
        tooling_find(request->cache, request->program, &request->toolchain, request->error);
    bool is_kept;

    if (result < 0)
        return result;
    key_derive(request->program, request->toolchain, &request->base);
    request->outcome->key = request->base;
    request->outcome->has_key = !request->program->uncacheable[0];
    if (is_bypassed(request) || (request->flags & CUBBY_REQUEST_REFRESH))
        return compile_and_settle(request, ret_object, &is_kept, request->error);
    return look_up(request, ret_object) == 0 ? 0 : fly(request, ret_object);
}

int cubby_compile(struct cubby_cache *cache, struct cubby_program *program, unsigned flags,
                  struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                  struct cubby_error *error) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct request request = {
        .cache = cache, .program = program, .flags = flags, .outcome = &outcome, .error = error};
    uint64_t start = monotonic_ns();
    int result = serve(&request, ret_object);

    if (result == 0 && (flags & CUBBY_REQUEST_FILL) &&
        (outcome.kind == CUBBY_OUTCOME_HIT || outcome.kind == CUBBY_OUTCOME_WAITED))
        fill(&request, *ret_object);
    deps_free(&request.deps);
    if (result < 0)
        outcome.kind = CUBBY_OUTCOME_ERROR;
    outcome.elapsed_ns = monotonic_ns() - start;
    if (ret_outcome)
        *ret_outcome = outcome;
    return result;
}
