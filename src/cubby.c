/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling through the cache: key, look-up, compile on a miss, store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "compile/compile.h"
#include "entry/meta.h"
#include "key/key.h"
#include "key/linker.h"
#include "key/program.h"
#include "key/tool.h"
#include "object.h"
#include "os/time.h"
#include "outcome.h"
#include "util/error.h"
#include "util/log.h"

const char *cubby_version(void) {
    return PACKAGE_VERSION;
}

/* ---- The toolchain, remembered in the cache ---------------------------------------- */

static int memory_load(void *context, const struct cubby_key *key,
                       struct cubby_object **ret_object) {
    const char *tier;

    return cache_lookup(context, CUBBY_ENTRY_TOOLCHAIN, key, ret_object, &tier);
}

static void memory_store(void *context, const struct cubby_key *key, const void *data,
                         size_t size) {
    struct cubby_blob *blob;

    if (entry_encode(CUBBY_ENTRY_TOOLCHAIN, key, data, size, NULL, 0, &blob, NULL) == 0) {
        cache_store(context, CUBBY_ENTRY_TOOLCHAIN, key, blob, NULL);
        cubby_blob_unref(blob);
    }
}

/* The cache as a memory for fingerprints; with no cache there is none. */
static const struct toolchain_memory *cache_memory(struct cubby_cache *cache,
                                                   struct toolchain_memory *memory) {
    *memory = (struct toolchain_memory){memory_load, memory_store, cache};
    return cache ? memory : NULL;
}

static int find_toolchain(struct cubby_cache *cache, const struct cubby_program *program,
                          const struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct toolchain_memory memory;

    return toolchain_for_program(program, cache_memory(cache, &memory), ret_toolchain, error);
}

static char *copy_or_null(const char *text) {
    return text ? strdup(text) : NULL;
}

int cubby_toolchain_find(struct cubby_cache *cache, struct cubby_toolchain *ret_toolchain,
                         struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    int result = toolchain_find(CUBBY_TOOL_NVRTC, cache_memory(cache, &memory), &toolchain, error);

    if (result < 0)
        return result;
    *ret_toolchain = (struct cubby_toolchain){
        .major = toolchain->major,
        .minor = toolchain->minor,
        .nvrtc_path = copy_or_null(toolchain->path),
        .builtins_path = copy_or_null(toolchain->companion_path),
        .include_dir = copy_or_null(toolchain->include_dir),
        .fingerprint = copy_or_null(toolchain->fingerprint),
    };
    return 0;
}

int cubby_tool_find(struct cubby_cache *cache, enum cubby_tool tool,
                    struct cubby_tool_info *ret_info, struct cubby_error *error) {
    const struct toolchain *toolchain;
    struct toolchain_memory memory;
    int result;

    if ((unsigned)tool >= TOOL_COUNT)
        return error_set(error, CUBBY_ERR_INVALID, "tool %d is not known", (int)tool);
    result = toolchain_find(tool, cache_memory(cache, &memory), &toolchain, error);
    if (result < 0)
        return result;
    *ret_info = (struct cubby_tool_info){
        .major = toolchain->major,
        .minor = toolchain->minor,
        .path = copy_or_null(toolchain->path),
        .companion_path = copy_or_null(toolchain->companion_path),
        .fingerprint = copy_or_null(toolchain->fingerprint),
    };
    return 0;
}

/* ---- Keys ------------------------------------------------------------------------------ */

int cubby_program_key(struct cubby_cache *cache, struct cubby_program *program,
                      struct cubby_key *ret_key, struct cubby_error *error) {
    const struct toolchain *toolchain;
    int result = find_toolchain(cache, program, &toolchain, error);

    if (result == 0)
        key_derive(program, toolchain, ret_key);
    return result;
}

int cubby_program_explain(struct cubby_cache *cache, struct cubby_program *program,
                          cubby_field_visitor visit, void *context, struct cubby_error *error) {
    const struct toolchain *toolchain;
    int result = find_toolchain(cache, program, &toolchain, error);

    if (result == 0)
        key_explain(program, toolchain, visit, context);
    return result;
}

/* ---- One request -------------------------------------------------------------------------- */

struct request {
    struct cubby_cache *cache;
    struct cubby_program *program;
    unsigned flags;
    const struct toolchain *toolchain;
    struct cubby_outcome *outcome;
    struct cubby_error *error;
};

/* A renamed log needs memory; without it the hit counts for nothing. */
static int look_up(const struct request *request, struct cubby_object **ret_object) {
    struct cubby_object *object;
    int result = outcome_look_up(request->cache, CUBBY_ENTRY_OBJECT, &request->outcome->key,
                                 &object, request->outcome);

    if (result < 0)
        return result;
    /* No log speaks of a link by its name. */
    result = request->program->source ? object_rename_source(object, request->program->name) : 0;
    if (result < 0)
        cubby_object_unref(object);
    else
        *ret_object = object;
    return result;
}

static void add_name(struct buffer *meta, const char *expression, const char *lowered) {
    struct buffer pair = BUFFER_INIT;

    buffer_add(&pair, expression, strlen(expression) + 1);
    buffer_add(&pair, lowered, strlen(lowered) + 1);
    meta_add(meta, META_NAME, pair.data, pair.size);
    meta->failed = meta->failed || pair.failed;
    buffer_free(&pair);
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

/* Compiles; the key follows the compiler that was really loaded. */
static int compile(struct request *request, struct cubby_object **ret_object) {
    struct toolchain_memory memory;
    struct compiled compiled = {0};
    uint64_t start;
    void *tool;
    int result;

    result = toolchain_load(request->toolchain->tool, cache_memory(request->cache, &memory), &tool,
                            &request->toolchain, request->error);
    if (result < 0)
        return result;
    key_derive(request->program, request->toolchain, &request->outcome->key);
    start = monotonic_ns();
    result = compile_program(tool, request->toolchain, request->program, &request->outcome->key,
                             &compiled, request->error);
    request->outcome->compile_ns = monotonic_ns() - start;
    if (result < 0)
        return result;
    if (request->cache) {
        cache_count(request->cache, EVENT_COMPILE, 1);
        cache_count(request->cache, EVENT_COMPILE_NS, request->outcome->compile_ns);
    }
    request->outcome->kind = CUBBY_OUTCOME_COMPILED;
    result = make_object(request, &compiled, ret_object);
    compiled_clear(&compiled);
    return result;
}

/* True if what was just compiled still belongs under its key. */
static bool key_still_holds(const struct request *request) {
    struct cubby_key now;

    key_derive(request->program, request->toolchain, &now);
    return memcmp(&now, &request->outcome->key, sizeof(now)) == 0;
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
                         &problem) < 0)
        outcome_set_reason(outcome, problem.message);
    cubby_error_clear(&problem);
}

/* Why this request has nothing to do with the stores; NULL where it has. */
static const char *bypass_reason(const struct request *request) {
    if (request->program->uncacheable[0])
        return request->program->uncacheable;
    if (request->flags & CUBBY_REQUEST_NO_CACHE)
        return "the caller asked not to use the cache";
    if (!request->cache || cubby_cache_tier_count(request->cache) == 0)
        return "no store is in use";
    return NULL;
}

static int serve(struct request *request, struct cubby_object **ret_object) {
    const char *bypass = bypass_reason(request);
    int result =
        find_toolchain(request->cache, request->program, &request->toolchain, request->error);

    if (result < 0)
        return result;
    key_derive(request->program, request->toolchain, &request->outcome->key);
    request->outcome->has_key = !request->program->uncacheable[0];
    if (!bypass && !(request->flags & CUBBY_REQUEST_REFRESH) && look_up(request, ret_object) == 0)
        return 0;
    result = compile(request, ret_object);
    if (result < 0)
        return result;
    if (!bypass) {
        store(request, *ret_object);
    } else {
        outcome_set_reason(request->outcome, bypass);
        if (request->program->uncacheable[0])
            request->outcome->kind = CUBBY_OUTCOME_UNCACHEABLE;
    }
    return 0;
}

int cubby_compile(struct cubby_cache *cache, struct cubby_program *program, unsigned flags,
                  struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                  struct cubby_error *error) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct request request = {
        .cache = cache, .program = program, .flags = flags, .outcome = &outcome, .error = error};
    uint64_t start = monotonic_ns();
    int result = serve(&request, ret_object);

    if (result < 0)
        outcome.kind = CUBBY_OUTCOME_ERROR;
    outcome.elapsed_ns = monotonic_ns() - start;
    if (ret_outcome)
        *ret_outcome = outcome;
    return result;
}
