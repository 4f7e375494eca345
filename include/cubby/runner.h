/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file runner.h
 * Engines that run: a plan (engine.h) on a device.
 *
 *     struct cubby_engine_options options = CUBBY_ENGINE_OPTIONS_INIT;
 *
 *     options.cache = cache;
 *     cubby_engine_new(plan, &options, &engine, &error);
 *     call.dims = (int64_t[]){32};
 *     call.dim_count = 1;
 *     call.buffers = buffers;
 *     call.buffer_count = 2;
 *     cubby_engine_enqueue(engine, &call, &error);
 *     cubby_engine_sync(engine, &error);
 *     cubby_engine_unref(engine);
 *
 * An engine has an *execution context*: what it keeps on the device, which are its kernels, its
 * scratch tensors and a stream. The first enqueue creates it, and so does the first one after the
 * settings changed; nothing else does.
 *
 * Kernels are *generic*, for all values of the dims, or *specialised* for one. Both come through
 * the cache; with a runtime cache (runtime_cache.h) in front, an engine that was run before
 * compiles nothing. Compiles run on threads of the library's own, never more than the machine has
 * processors and at most 8, shared by all engines.
 *
 * Threads: every function may be called from any thread, on the same engine too; what is enqueued
 * runs on the device in the order of the calls. A call that waits for a compile, or for the device
 * as cubby_engine_sync() does, holds up no other: what needs neither goes first, and settings can
 * change meanwhile, with which a run that waits goes on. Only another size of a runtime cache of
 * the engine's own is set when its compiles are done. What asks an engine for its state and changes
 * nothing never waits. From within a callback of the library (such as that of the log) on the
 * thread that is enqueueing, an engine can be asked for its state; what would change it is
 * CUBBY_ERR_BUSY then. Callbacks come on threads that compile as well, where they must not call
 * functions of engines. A forked child cannot use the driver, and so no engine.
 *
 * Errors: CUBBY_ERR_NO_DRIVER where there is no driver or no device; as cubby_compile() where a
 * generic kernel cannot be compiled. A specialised one that cannot is logged and counted, and the
 * generic one goes on.
 */
#ifndef CUBBY_RUNNER_H
#define CUBBY_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/engine.h>
#include <cubby/runtime_cache.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Settings ---------------------------------------------------------------------------- */

/** What is done for values of the dims for which there is no specialised kernel yet. */
enum cubby_specialization_strategy {
    CUBBY_SPECIALIZATION_LAZY = 0,  /**< run the generic kernel, compile meanwhile, swap later */
    CUBBY_SPECIALIZATION_EAGER = 1, /**< compile first, then run */
    CUBBY_SPECIALIZATION_NONE = 2,  /**< the generic kernel, always */
};

/** "lazy", "eager" or "none"; a static string, NULL for no strategy. */
const char *cubby_specialization_strategy_name(enum cubby_specialization_strategy strategy);

/** Whether the launches of an engine are recorded as a CUDA graph. */
enum cubby_cuda_graph_strategy {
    CUBBY_CUDA_GRAPH_DISABLED = 0,
    CUBBY_CUDA_GRAPH_WHOLE_GRAPH_CAPTURE = 1, /**< all of them as one graph, which is replayed */
};

/** "disabled" or "whole_graph_capture"; a static string, NULL for no strategy. */
const char *cubby_cuda_graph_strategy_name(enum cubby_cuda_graph_strategy strategy);

/** How an engine runs. Never part of an engine file. */
struct cubby_runtime_settings {
    uint32_t version; /**< 1, set by the _INIT macro */
    enum cubby_specialization_strategy dynamic_shapes_kernel_specialization_strategy;
    enum cubby_cuda_graph_strategy cuda_graph_strategy;
    /** Handle for its kernels, which the engine takes a reference to and never saves; or NULL. */
    struct cubby_runtime_cache *runtime_cache;
    /** A file instead, for which the engine makes a handle of its own: read when it is made, saved
     * once when other settings take its place or the engine ends; NULL for none. Copied. */
    const char *runtime_cache_path;
    uint64_t runtime_cache_max_size; /**< with a path: most bytes, 0 for no bound */
};

/** Initial value of a struct cubby_runtime_settings: lazy, no graphs, no runtime cache. */
#define CUBBY_RUNTIME_SETTINGS_INIT                                                                \
    { .version = 1 }

/* ---- Engines ----------------------------------------------------------------------------- */

/** A plan on a device. */
struct cubby_engine;

/** What an engine is to be. Everything in it is copied; cache and handle are referenced. */
struct cubby_engine_options {
    uint32_t version;          /**< 1, set by the _INIT macro */
    const char *name;          /**< in messages, and to bind streams by; NULL for the plan's name */
    int device;                /**< number of the device, from 0 */
    struct cubby_cache *cache; /**< where programs come from and go to; NULL for none */
    /** Further options for the compiler, such as where headers lie: the toolkit's are not looked
     * for unless an option says so. None may name an architecture, or speak of CUBBY_DIM_. */
    const char *const *options;
    size_t option_count;
    const struct cubby_runtime_settings *settings; /**< NULL for the defaults */
};

/** Initial value of a struct cubby_engine_options: device 0, no cache, default settings. */
#define CUBBY_ENGINE_OPTIONS_INIT                                                                  \
    { .version = 1 }

/**
 * Makes an engine. Creates no execution context, and compiles nothing.
 * @param plan referenced
 * @param options NULL for the defaults
 * @param[out] ret_engine new reference
 * @return 0; CUBBY_ERR_NO_DRIVER; CUBBY_ERR_INVALID for a device that is not there, or settings
 *         as cubby_engine_set_settings()
 */
int cubby_engine_new(struct cubby_engine_plan *plan, const struct cubby_engine_options *options,
                     struct cubby_engine **ret_engine, struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p engine */
struct cubby_engine *cubby_engine_ref(struct cubby_engine *engine);

/**
 * Drops a reference. The last waits for the engine's work on the device and for its compiles that
 * have begun; those that have not are given up. NULL-safe.
 */
void cubby_engine_unref(struct cubby_engine *engine);

/** Name of the engine, borrowed. */
const char *cubby_engine_name(const struct cubby_engine *engine);

/** Its plan, borrowed. */
struct cubby_engine_plan *cubby_engine_plan_of(const struct cubby_engine *engine);

/** Architecture of its device, such as "sm_90", borrowed. */
const char *cubby_engine_arch(const struct cubby_engine *engine);

/** Number of its device. */
int cubby_engine_device(const struct cubby_engine *engine);

/** True if it has an execution context. Never creates one. */
bool cubby_engine_has_context(struct cubby_engine *engine);

/**
 * The settings in force. The handle is a new reference, or NULL, to be released by
 * cubby_runtime_cache_unref(): also of a handle that the engine made, whose path is borrowed until
 * the settings change.
 */
void cubby_engine_get_settings(struct cubby_engine *engine,
                               struct cubby_runtime_settings *ret_settings);

/**
 * Sets all settings. Equal ones change nothing. Others drop the execution context, waiting for its
 * work on the device, and for compiles that have begun where these are to be saved in a file of the
 * engine's own; the next enqueue creates another.
 * @return 0; CUBBY_ERR_INVALID naming the values that are accepted, or for both a handle and a
 *         path; CUBBY_ERR_BUSY; the engine is as before then
 */
int cubby_engine_set_settings(struct cubby_engine *engine,
                              const struct cubby_runtime_settings *settings,
                              struct cubby_error *error);

/* ---- Running ----------------------------------------------------------------------------- */

/** Memory of the engine's device. */
struct cubby_engine_buffer {
    uint64_t address; /**< as CUdeviceptr has it; aligned to an element of the tensor */
    uint64_t size;    /**< bytes that are there: at least those of the tensor */
};

/** One run of an engine. */
struct cubby_engine_call {
    const int64_t *dims; /**< a value for each dim, in the plan's order */
    size_t dim_count;
    /** One for each input and output, in the order in which the plan has its tensors. They stay the
     * engine's until the work is done. */
    const struct cubby_engine_buffer *buffers;
    size_t buffer_count;
};

/**
 * Puts all launches of the engine into its stream, and returns. What was enqueued before comes
 * first. What goes wrong on the device is told by a later call. Where a launch fails, those before
 * it may run.
 * @return 0; CUBBY_ERR_INVALID for a dim outside of its range, a buffer that is missing, too small
 *         or not aligned; see above
 */
int cubby_engine_enqueue(struct cubby_engine *engine, const struct cubby_engine_call *call,
                         struct cubby_error *error);

/** Waits until all that was enqueued is done. At once where there is no execution context. */
int cubby_engine_sync(struct cubby_engine *engine, struct cubby_error *error);

/**
 * Waits until no kernel of the engine is being compiled, or is to be. The next enqueue has them; it
 * asks again for those that were left for later, as very many were to be compiled.
 */
void cubby_engine_wait_kernels(struct cubby_engine *engine);

/**
 * Gets everything ready for values of the dims, so that the next enqueue with them allocates,
 * compiles, loads and waits for nothing: what a capture needs (see below). What is to be recorded
 * in a stream of a part of the device is prepared within a guard of that stream.
 */
int cubby_engine_prepare(struct cubby_engine *engine, const int64_t *dims, size_t dim_count,
                         struct cubby_error *error);

/** What happened to an engine since it was made. */
struct cubby_engine_stats {
    uint64_t enqueues;     /**< runs */
    uint64_t contexts;     /**< execution contexts created */
    uint64_t compiles;     /**< programs compiled */
    uint64_t runtime_hits; /**< programs found in the runtime cache */
    uint64_t cache_hits;   /**< programs found in the cache, or that another compiled for us */
    uint64_t failures;     /**< specialised programs that could not be had */
    uint64_t swaps;        /**< programs that went from generic to specialised for given dims */
    uint64_t generic_runs; /**< programs that ran generic, although they name dims to specialise */
    uint64_t specialized_runs; /**< programs that ran specialised */
    uint64_t captures;         /**< graphs recorded */
    uint64_t updates;          /**< those of them that took the place of another by an update */
    uint64_t replays;          /**< graphs replayed */
};

/** Fills @p ret_stats. */
void cubby_engine_stats(struct cubby_engine *engine, struct cubby_engine_stats *ret_stats);

/* ---- Streams ----------------------------------------------------------------------------- */

/*
 * Where an enqueue goes: into the engine's external stream, if it has one; else, with passthrough,
 * into the stream that the calling thread works in, if it said which; else into the engine's own,
 * after what is in the thread's stream, and before what comes there later.
 *
 * While the thread's stream captures, launches are recorded there, whatever passthrough says, and
 * nothing else happens: everything has to be ready (cubby_engine_prepare()), and an engine that may
 * still swap kernels, as it is lazy and has dims to specialise for, is refused, and so is one with
 * an external stream. What was recorded uses the engine's kernels and scratch tensors: the engine
 * has to stay, its settings too, and its runs and those of the graph have to follow one after the
 * other.
 */

/** A stream of the driver's: CUstream. */
struct CUstream_st;

/**
 * Has the engine run in a stream of the caller's from the next enqueue on, ordered after its runs
 * before. The stream has to stay until another takes its place.
 * @return 0; CUBBY_ERR_INVALID for NULL, for the legacy and per-thread streams, for one of another
 *         device, and for one that captures; CUBBY_ERR_BUSY
 */
int cubby_engine_set_external_stream(struct cubby_engine *engine, struct CUstream_st *stream,
                                     struct cubby_error *error);

/** Has the engine run in its own stream again. */
int cubby_engine_clear_external_stream(struct cubby_engine *engine, struct cubby_error *error);

/** Its external stream, or NULL. */
struct CUstream_st *cubby_engine_get_external_stream(struct cubby_engine *engine);

/** True if it has one. */
bool cubby_engine_has_external_stream(struct cubby_engine *engine);

/** A stream for an engine, by the engine's name. */
struct cubby_stream_binding {
    const char *name;
    struct CUstream_st *stream;
};

/** Streams that are bound until the scope is left. */
struct cubby_stream_scope;

/**
 * Binds external streams to engines by their names: all of them, or none where one fails. All names
 * are looked at before any is bound.
 * @param[out] ret_scope to be given to cubby_stream_scope_exit(); NULL to bind for good
 * @return 0; CUBBY_ERR_INVALID for a name that no engine has, or two, and for one that is given
 *         twice; as cubby_engine_set_external_stream()
 */
int cubby_engines_bind_streams(struct cubby_engine *const *engines, size_t count,
                               const struct cubby_stream_binding *bindings, size_t binding_count,
                               struct cubby_stream_scope **ret_scope, struct cubby_error *error);

/** Restores the streams that were bound before, or none, and releases the scope. NULL-safe. */
int cubby_stream_scope_exit(struct cubby_stream_scope *scope, struct cubby_error *error);

/** The stream that a thread works in, from enter to leave; on its stack. Fields are private. */
struct cubby_stream_guard {
    struct CUstream_st *stream;
    struct cubby_stream_guard *outer;
};

/** Says in which stream the calling thread works; NULL for the default stream. They nest. */
void cubby_stream_guard_enter(struct cubby_stream_guard *guard, struct CUstream_st *stream);

/** Goes back to the guard before. By the same thread, the innermost first. */
void cubby_stream_guard_leave(struct cubby_stream_guard *guard);

/** Whether engines run in the stream that their caller works in. For the process; off at first. */
void cubby_stream_passthrough_set(bool on);
bool cubby_stream_passthrough(void);

/** True if the engine can be recorded into a graph of the caller's: it swaps no kernels. */
bool cubby_engine_is_monolithic_capturable(struct cubby_engine *engine);

/* ---- Scopes ------------------------------------------------------------------------------ */

/** Which settings a scope overrides. */
enum cubby_runtime_scope_mask {
    CUBBY_RUNTIME_SCOPE_SPECIALIZATION = 1 << 0,
    CUBBY_RUNTIME_SCOPE_CUDA_GRAPHS = 1 << 1,
    CUBBY_RUNTIME_SCOPE_RUNTIME_CACHE = 1 << 2, /**< handle, path and bound together */
};

/** Settings that hold from enter to exit. */
struct cubby_runtime_scope;

/**
 * Overrides settings of several engines: each distinct one is set once. Where one fails, those
 * before are set back. A runtime cache that is overridden by a handle is loaded now
 * (cubby_runtime_cache_load()), unless it is live, and saved at exit. Scopes nest, and are left in
 * reverse order.
 * @param engines may name an engine more than once; at least one
 * @param overrides values for what is in @p mask; the rest is not looked at
 * @param[out] ret_scope to be given to cubby_runtime_scope_exit()
 * @return 0; CUBBY_ERR_INVALID for no engines or an unknown bit of the mask; as
 *         cubby_engine_set_settings()
 */
int cubby_runtime_scope_enter(struct cubby_engine *const *engines, size_t count,
                              const struct cubby_runtime_settings *overrides, unsigned mask,
                              struct cubby_runtime_scope **ret_scope, struct cubby_error *error);

/**
 * Restores exactly what was set before, on all engines, and releases the scope. NULL-safe. Where it
 * set a runtime cache, waits before for the kernels that are being compiled, and saves them.
 * @return 0, or the first failure to restore or save, after everything else was done;
 *         CUBBY_ERR_BUSY from within a callback of one of the engines: the others are restored,
 *         and the scope stays, to be left once more later. An @p error that holds one already
 *         keeps it, so that what went wrong within the scope is not lost.
 */
int cubby_runtime_scope_exit(struct cubby_runtime_scope *scope, struct cubby_error *error);

/* ---- Parts of a device ------------------------------------------------------------------- */

/** A device divided into parts that share no multiprocessor (green contexts). */
struct cubby_green_division;

/** One of them. */
struct cubby_green_part {
    const char *name;
    struct CUstream_st *stream; /**< the part's: work in it runs on the part's multiprocessors */
    unsigned multiprocessors;   /**< how many it has */
};

/**
 * Divides a device into parts of equal size, and makes a stream for each. Engines with disjoint
 * parts, bound by cubby_engine_set_external_stream(), do not wait for each other's blocks.
 * @param device number of the device, from 0
 * @param names of the parts, all different, copied
 * @param multiprocessors of each part, at least; on compute capability 9.0 at least 8, and a
 *        multiple of 8. A number that does not fit is an error: nothing is rounded.
 * @param[out] ret_division new, released by cubby_green_division_free()
 * @return 0; CUBBY_ERR_NO_DRIVER; CUBBY_ERR_INVALID; CUBBY_ERR_UNSUPPORTED with drivers older than
 *         CUDA 12.5
 */
int cubby_green_division_new(int device, const char *const *names, size_t count,
                             unsigned multiprocessors, struct cubby_green_division **ret_division,
                             struct cubby_error *error);

/** Destroys the streams, then the contexts: when no engine is bound to them any more. No other work
 * may be running in them. NULL-safe. */
void cubby_green_division_free(struct cubby_green_division *division);

/** A part, in the order of the names, borrowed; NULL past the last. */
const struct cubby_green_part *
cubby_green_division_part(const struct cubby_green_division *division, size_t index);

/** The part of that name, borrowed; NULL where there is none. */
const struct cubby_green_part *
cubby_green_division_find(const struct cubby_green_division *division, const char *name);

/* ---- Graphs ------------------------------------------------------------------------------ */

/** Who records. */
enum cubby_graph_mode {
    CUBBY_GRAPH_MODE_NATIVE = 0, /**< the engine, its own launches, by itself */
    CUBBY_GRAPH_MODE_OUTER = 1,  /**< the caller, as Streams says */
};

/** Graphs of some engines, from enter to exit. */
struct cubby_graph_scope;

/**
 * Prepares engines for what the caller wishes to have as one graph.
 *
 * - One engine without other work is native: whole_graph_capture is in force, with a warning
 *   where the strategy was disabled.
 * - One engine with other work, or several engines, are outer: all have to be capturable, and
 *   their own graphs are off.
 *
 * @param has_other_work more than these engines is to be in the graph
 * @param[out] ret_mode what it is to be
 * @param[out] ret_scope to be given to cubby_graph_scope_exit()
 * @return 0; CUBBY_ERR_INVALID naming an engine that is lazy or has an external stream, where it is
 *         outer; as cubby_runtime_scope_enter(): the engines are as before then
 */
int cubby_graph_scope_enter(struct cubby_engine *const *engines, size_t count, bool has_other_work,
                            enum cubby_graph_mode *ret_mode, struct cubby_graph_scope **ret_scope,
                            struct cubby_error *error);

/** Restores the settings, and releases the scope. NULL-safe. As cubby_runtime_scope_exit(). */
int cubby_graph_scope_exit(struct cubby_graph_scope *scope, struct cubby_error *error);

/* ---- Ahead of time ----------------------------------------------------------------------- */

/** How a plan is compiled without a device. */
struct cubby_prewarm_options {
    uint32_t version;           /**< 1, set by the _INIT macro */
    const char *arch;           /**< architecture, such as "sm_90"; not NULL */
    struct cubby_cache *cache;  /**< where programs come from and go to; NULL for none */
    const char *const *options; /**< further options for the compiler; as of the engine that is to
                                     find the programs */
    size_t option_count;
    /** Handle to add the kernels to, which is made live for @p arch, or NULL. Saving is the
     * caller's. */
    struct cubby_runtime_cache *runtime_cache;
    /** Called for each program when it is there, from this thread; may be NULL. */
    void (*visit)(const struct cubby_engine_program *program, bool is_specialized,
                  const struct cubby_object *object, const struct cubby_outcome *outcome,
                  void *context);
    void *context; /**< for visit */
};

/** Initial value of a struct cubby_prewarm_options. */
#define CUBBY_PREWARM_OPTIONS_INIT                                                                 \
    { .version = 1 }

/**
 * Gets all programs of a plan compiled, so that an engine need not: needs a compiler, but neither
 * driver nor device. All stores of the cache and the runtime cache have them then: what one of them
 * had is put into the others.
 * @param dims NULL for the generic programs; else a value for each dim in the plan's order, and the
 *        programs that may be specialised are, for these
 * @return 0; as cubby_compile(); as cubby_engine_plan_check_object()
 */
int cubby_engine_plan_prewarm(const struct cubby_engine_plan *plan, const int64_t *dims,
                              const struct cubby_prewarm_options *options,
                              struct cubby_error *error);

/* ---- Memory ------------------------------------------------------------------------------ */

/** Memory of a device, for callers that have no means of their own. */
struct cubby_device_memory;

/**
 * Allocates memory, its bytes undefined.
 * @param device number of the device, from 0
 * @param size bytes, at least 1
 * @param[out] ret_memory new, released by cubby_device_memory_free()
 * @return 0; CUBBY_ERR_NO_DRIVER; CUBBY_ERR_INVALID; CUBBY_ERR_NO_MEMORY
 */
int cubby_device_memory_new(int device, uint64_t size, struct cubby_device_memory **ret_memory,
                            struct cubby_error *error);

/** Frees it, after the device's work that may use it. NULL-safe. */
void cubby_device_memory_free(struct cubby_device_memory *memory);

/** Its address, as CUdeviceptr has it. */
uint64_t cubby_device_memory_address(const struct cubby_device_memory *memory);

/** Copies from the host, before it returns. Not in order with an engine's work: cubby_engine_sync()
 * before where that may use the memory. INVALID where it would reach past the end, and while a
 * stream that waits for the default one captures, which a copy would break. */
int cubby_device_memory_write(struct cubby_device_memory *memory, uint64_t offset, const void *data,
                              uint64_t size, struct cubby_error *error);

/** Copies to the host; as cubby_device_memory_write(). */
int cubby_device_memory_read(struct cubby_device_memory *memory, uint64_t offset, void *data,
                             uint64_t size, struct cubby_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
