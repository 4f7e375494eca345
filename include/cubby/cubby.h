/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cubby.h
 * Compile GPU programs at run time, each of them once.
 *
 *     struct cubby_error error = CUBBY_ERROR_INIT;
 *     struct cubby_cache *cache;
 *     struct cubby_program *program;
 *     struct cubby_object *object;
 *     struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
 *
 *     options.arch = "sm_90";
 *     cubby_cache_open(NULL, &cache, &error);
 *     cubby_program_new(source, strlen(source), &options, &program, &error);
 *     cubby_compile(cache, program, 0, &object, NULL, &error);
 *     cuModuleLoadData(&module, cubby_object_data(object));
 *
 * Vocabulary: a *program* is a source with its options and target; a *link* is several inputs with
 * theirs; an *object* is what the compiler or linker made of it: bytes, lowered names and log; a
 * *key* is the BLAKE2b-256 digest of all that decides the object; an *entry* is an object as
 * stored; a *tier* is one store in the ordered list that makes up a cache.
 *
 * Ownership is said in three words: a *new* reference is the caller's to
 * release; a *borrowed* pointer belongs to someone else; a function that
 * *steals* an argument owns it from then on, also when it fails.
 *
 * Threads: every function may be called from any thread, on the same objects
 * too, unless it says otherwise. After fork() parent and child may both go on
 * using a cache.
 *
 * Errors: see error.h. A store that is full, damaged or gone never makes a
 * compile fail.
 */
#ifndef CUBBY_CUBBY_H
#define CUBBY_CUBBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/backend.h>
#include <cubby/error.h>
#include <cubby/file_lock.h>
#include <cubby/runtime_cache.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Version of the library, such as "0.1.0"; a static string. */
const char *cubby_version(void);

/* ---- Log --------------------------------------------------------------------------------- */

/** How much a log line matters. */
enum cubby_log_level {
    CUBBY_LOG_ERROR = 0,
    CUBBY_LOG_WARN = 1,
    CUBBY_LOG_INFO = 2,
    CUBBY_LOG_DEBUG = 3,
};

/** Receives one line without a newline; called from any thread, several at once, and with locks of
 * the library held: it must not look up, compile or open anything. What it may ask of engines,
 * runner.h says. */
typedef void (*cubby_log_function)(enum cubby_log_level level, const char *line, void *context);

/**
 * Sets where log lines up to @p level go; NULL for nowhere, which is where
 * they go at first: the library itself never prints. Set it before threads start.
 */
void cubby_log_set(cubby_log_function function, enum cubby_log_level level, void *context);

/* ---- Keys -------------------------------------------------------------------------------- */

/** Characters of a key in hexadecimal, the final NUL included. */
#define CUBBY_KEY_HEX_SIZE (2 * CUBBY_KEY_SIZE + 1)

/** Writes @p key as 64 lowercase hexadecimal digits. */
void cubby_key_format(const struct cubby_key *key, char ret_hex[CUBBY_KEY_HEX_SIZE]);

/** Reads 64 hexadecimal digits. @return 0 or CUBBY_ERR_INVALID */
int cubby_key_parse(const char *hex, struct cubby_key *ret_key, struct cubby_error *error);

/** "object", "manifest", "runtime", "user" or "toolchain"; a static string, NULL for no kind. */
const char *cubby_entry_kind_name(enum cubby_entry_kind kind);

/** Derives a key from fields of the caller's choice. Used by one thread at a time. */
struct cubby_key_builder;

/**
 * Begins a key.
 * @param domain keeps keys of different uses apart, such as "my-app shaders v2"
 * @return a new builder, released by cubby_key_builder_free(); NULL when memory is short
 */
struct cubby_key_builder *cubby_key_builder_new(const char *domain);

/** Adds a field. Names and values are length-prefixed, so no two inputs encode alike. */
void cubby_key_builder_add(struct cubby_key_builder *builder, const char *name, const void *data,
                           size_t size);

/** The key of all fields added so far; more may be added afterwards. */
void cubby_key_builder_finish(const struct cubby_key_builder *builder, struct cubby_key *ret_key);

/** Releases a builder. NULL-safe. */
void cubby_key_builder_free(struct cubby_key_builder *builder);

/* ---- Caches ------------------------------------------------------------------------------ */

/** An ordered list of stores, fastest first. */
struct cubby_cache;

/**
 * Opens a cache.
 *
 * @param spec tiers separated by commas: "memory", "file:PATH", "sqlite:PATH" or a
 *        bare path (a file store), each with parameters such as "?max_size=5G&durable=1";
 *        see docs/cache-spec.md. NULL for the user's default: CUBBY_CACHE, else a file store of at
 *        most 5 GiB in $XDG_CACHE_HOME/cubby or ~/.cache/cubby; none if CUBBY_DISABLE=1.
 * @param[out] ret_cache new reference
 * @return 0; CUBBY_ERR_INVALID points at the part of the spec that is wrong. A store that
 *         cannot be opened is no error, nor is a user's default without a place, as neither
 *         XDG_CACHE_HOME nor HOME is set: it is logged, counted and left out, see
 *         cubby_cache_problem().
 */
int cubby_cache_open(const char *spec, struct cubby_cache **ret_cache, struct cubby_error *error);

/**
 * Opens a cache over stores of the caller's own, fastest first.
 * @param tiers stolen, also on failure; see backend.h
 * @param[out] ret_cache new reference
 */
int cubby_cache_open_backends(struct cubby_backend *const *tiers, size_t count,
                              struct cubby_cache **ret_cache, struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p cache */
struct cubby_cache *cubby_cache_ref(struct cubby_cache *cache);

/** Drops a reference; the last one writes the counters and closes the stores. NULL-safe. */
void cubby_cache_unref(struct cubby_cache *cache);

/** Number of tiers that are in use. */
size_t cubby_cache_tier_count(const struct cubby_cache *cache);

/** Name of a tier, such as "file"; borrowed; NULL past the last. */
const char *cubby_cache_tier_name(const struct cubby_cache *cache, size_t tier);

/**
 * Why a store of the spec is not in use.
 * @return one of cubby_cache_open()'s failures, borrowed from the cache; NULL past the last
 */
const struct cubby_error *cubby_cache_problem(const struct cubby_cache *cache, size_t index);

/* ---- Programs ---------------------------------------------------------------------------- */

/** Language of a source. */
enum cubby_source {
    CUBBY_SOURCE_CUDA = 0, /**< CUDA C++, compiled by NVRTC */
    CUBBY_SOURCE_PTX = 1,  /**< PTX assembly, for nvJitLink or the driver's linker */
    CUBBY_SOURCE_NVVM = 2, /**< NVVM IR, text or bitcode, compiled by libNVVM */
};

/** "cuda", "ptx" or "nvvm"; a static string, NULL for no source kind. */
const char *cubby_source_name(enum cubby_source source);

/** What to make of a program. */
enum cubby_target {
    CUBBY_TARGET_CUBIN = 0, /**< machine code of one architecture (ELF) */
    CUBBY_TARGET_PTX = 1,   /**< PTX assembly, NUL not included */
    CUBBY_TARGET_LTOIR = 2, /**< LTO-IR, to be linked by nvJitLink */
};

/** "cubin", "ptx" or "ltoir"; a static string, NULL for no target. */
const char *cubby_target_name(enum cubby_target target);

/** A header that exists in memory alone. */
struct cubby_header {
    const char *name; /**< as the source spells it between the quotes or angle brackets */
    const void *data; /**< its text; no NUL within */
    size_t size;      /**< bytes */
};

/** A further module of NVVM IR. */
struct cubby_extra_source {
    const char *name; /**< in messages; NULL for none */
    const void *data; /**< text or bitcode */
    size_t size;      /**< bytes */
};

/**
 * All that decides what a source becomes. Everything in it is copied.
 *
 * CUDA C++ becomes cubin, PTX or LTO-IR; PTX becomes cubin (PTX again is refused by every version
 * of nvJitLink so far); NVVM IR becomes PTX or LTO-IR.
 */
struct cubby_program_options {
    uint32_t version;           /**< 2, set by the _INIT macro; 1 has no extra_sources and below */
    enum cubby_source source;   /**< language */
    enum cubby_target target;   /**< what to make */
    const char *name;           /**< file name in messages; quoted includes start from its folder */
    const char *arch;           /**< such as "sm_90"; NULL for the compiler's default */
    const char *const *options; /**< options for the compiler or linker, verbatim */
    size_t option_count;
    const struct cubby_header *headers; /**< in-memory headers (CUDA); names must differ */
    size_t header_count;
    const char *const *names; /**< name expressions (CUDA), such as "scale<float>" */
    size_t name_count;
    const void *extra; /**< anything else that shall count in the key, or NULL */
    size_t extra_size;
    const struct cubby_extra_source *extra_sources; /**< NVVM: modules added after the source */
    size_t extra_source_count;
    bool use_libdevice; /**< NVVM: add the libdevice of libNVVM's toolkit */
};

/** Initial value of a struct cubby_program_options: a cubin from CUDA C++. */
#define CUBBY_PROGRAM_OPTIONS_INIT                                                                 \
    { .version = 2 }

/** A source with its options. Immutable. */
struct cubby_program;

/**
 * Makes a program and digests its source.
 * @param source text, copied; need not end in NUL
 * @param options NULL for the defaults
 * @param[out] ret_program new reference
 * @return 0 or CUBBY_ERR_INVALID: NUL bytes within the source, an option whose side
 *         effect a cache hit could not repeat, a name expression with a newline, ...
 */
int cubby_program_new(const void *source, size_t size, const struct cubby_program_options *options,
                      struct cubby_program **ret_program, struct cubby_error *error);

/**
 * The same source with other options. The source is shared and not digested again, so this
 * and deriving the key costs about a microsecond whatever the size of the source.
 */
int cubby_program_vary(struct cubby_program *program, const struct cubby_program_options *options,
                       struct cubby_program **ret_program, struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p program */
struct cubby_program *cubby_program_ref(struct cubby_program *program);

/** Drops a reference. NULL-safe. */
void cubby_program_unref(struct cubby_program *program);

/**
 * Why objects of this program are not stored.
 * @return one sentence, borrowed; NULL where they are, or where only a compile can tell, as the
 *         program reads header files: see struct cubby_outcome
 */
const char *cubby_program_uncacheable(const struct cubby_program *program);

/**
 * Derives the key under which the object of a program lies.
 *
 * Where the program reads header files, their content is part of it. Which files those are, only a
 * compile tells, and the cache remembers it: a program that was never compiled with the headers as
 * they are now has the key of its manifest.
 *
 * Where the tool of a PTX or NVVM program or of a link cannot be found, the key has the failure in
 * the place of the tool's fingerprint, and only compiling is an error.
 *
 * @param cache where toolchain fingerprints and manifests are kept; may be NULL
 * @return 0; CUBBY_ERR_NO_TOOLCHAIN; CUBBY_ERR_INVALID for options that the driver's linker lacks,
 *         where that is the one in use
 */
int cubby_program_key(struct cubby_cache *cache, struct cubby_program *program,
                      struct cubby_key *ret_key, struct cubby_error *error);

/** Receives one field of a key: its name and its value as text. */
typedef void (*cubby_field_visitor)(const char *name, const char *value, void *context);

/**
 * Shows every field that enters the key, in order; then the header files, and what else has to be
 * as it is for them to be found again, where the cache knows them. Errors as cubby_program_key().
 */
int cubby_program_explain(struct cubby_cache *cache, struct cubby_program *program,
                          cubby_field_visitor visit, void *context, struct cubby_error *error);

/* ---- Objects ----------------------------------------------------------------------------- */

/** What a compiler made. Immutable. */
struct cubby_object;

/** Takes one more reference. NULL-safe. @return @p object */
struct cubby_object *cubby_object_ref(struct cubby_object *object);

/** Drops a reference. NULL-safe. */
void cubby_object_unref(struct cubby_object *object);

/** The bytes, with a NUL behind the last, so that PTX is a string; borrowed from the object. */
const void *cubby_object_data(const struct cubby_object *object);

/** Number of bytes. */
size_t cubby_object_size(const struct cubby_object *object);

/** The kind of entry: CUBBY_ENTRY_OBJECT or CUBBY_ENTRY_USER for the caller's own. */
enum cubby_entry_kind cubby_object_kind(const struct cubby_object *object);

/** The compiler's messages, "" where there were none; borrowed from the object. */
const char *cubby_object_log(const struct cubby_object *object);

/** What is known of an object's making; all strings borrowed from it, "" where unknown. */
struct cubby_object_info {
    const char *target;      /**< "cubin", "ptx", "ltoir" */
    const char *arch;        /**< such as "sm_90" */
    const char *source_name; /**< name of the program that was compiled */
    const char *toolchain;   /**< such as "NVRTC 13.0" or "nvJitLink 13.0" */
    int64_t created_at;      /**< seconds since the epoch */
    uint64_t compile_ns;     /**< what the compile cost, in nanoseconds */
};

/** Fills @p ret_info. */
void cubby_object_info(const struct cubby_object *object, struct cubby_object_info *ret_info);

/**
 * The lowered (mangled) name of a name expression, exactly as the compiler gave it.
 * @param expression as it was registered with the program
 * @return borrowed from the object; NULL where that expression was not registered
 */
const char *cubby_object_lowered_name(const struct cubby_object *object, const char *expression);

/**
 * Walks through the name expressions in their stored order.
 * @param[out] ret_lowered lowered name, borrowed; may be NULL
 * @return expression, borrowed; NULL past the last
 */
const char *cubby_object_name(const struct cubby_object *object, size_t index,
                              const char **ret_lowered);

/**
 * Walks through the fields of the key of the program that was compiled, as cubby_program_explain()
 * showed them then, without the header files. A value of more than 1023 bytes is its beginning with
 * its size and digest; of fields beyond 16 KiB there is one last field with their number and
 * digest.
 * @param[out] ret_value its value, borrowed; may be NULL
 * @return name of the field, borrowed from the object; NULL past the last
 */
const char *cubby_object_field(const struct cubby_object *object, size_t index,
                               const char **ret_value);

/* ---- Compiling --------------------------------------------------------------------------- */

/** How a request was served. */
enum cubby_outcome_kind {
    CUBBY_OUTCOME_HIT = 0,         /**< from a store */
    CUBBY_OUTCOME_COMPILED = 1,    /**< compiled now, and stored where a store takes it */
    CUBBY_OUTCOME_WAITED = 2,      /**< another thread or process compiled it meanwhile */
    CUBBY_OUTCOME_UNCACHEABLE = 3, /**< compiled now, not to be stored; see reason */
    CUBBY_OUTCOME_ERROR = 4,       /**< failed */
};

/** "hit", "compiled", "waited", "uncacheable" or "error"; a static string. */
const char *cubby_outcome_name(enum cubby_outcome_kind kind);

/** What happened to one request. Needs no release. */
struct cubby_outcome {
    enum cubby_outcome_kind kind;
    bool has_key;         /**< key is set */
    struct cubby_key key; /**< under which the object lies */
    char tier[16];        /**< name of the store that served a hit, else "" */
    char reason[256];     /**< why the object was not stored, else "" */
    uint64_t elapsed_ns;  /**< the whole request, in nanoseconds */
    uint64_t compile_ns; /**< compiling alone; where it was not compiled now, what that once cost */
};

/** Flags of a request. */
enum cubby_request_flags {
    CUBBY_REQUEST_NO_CACHE = 1 << 0, /**< neither look up nor store */
    CUBBY_REQUEST_REFRESH = 1 << 1,  /**< compile anew and replace what is stored */
    /** Put what one store has into all that lack it, also into those after it. */
    CUBBY_REQUEST_FILL = 1 << 2,
};

/**
 * Gives the object of a program, from the cache if it is there.
 *
 * Of those who ask for the same program at the same time, threads of this process that share a
 * cache, with runtime caches of their own or without, or processes that share a file or SQLite
 * store, one compiles. The others wait for it, at most for the
 * flight_timeout of the cache spec (120 s unless it says otherwise); after that they compile too.
 * Where it fails, waiting threads get the same error, each its own copy.
 *
 * @param cache may be NULL: then it compiles
 * @param flags of enum cubby_request_flags
 * @param[out] ret_object new reference
 * @param[out] ret_outcome filled also on failure; may be NULL
 * @return 0; CUBBY_ERR_COMPILE (the log is in the error; nothing was stored);
 *         CUBBY_ERR_NO_TOOLCHAIN; CUBBY_ERR_NO_DRIVER where the driver is to link and cannot;
 *         CUBBY_ERR_UNSUPPORTED for what the tool in use cannot do; CUBBY_ERR_INVALID
 */
int cubby_compile(struct cubby_cache *cache, struct cubby_program *program, unsigned flags,
                  struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                  struct cubby_error *error);

/* ---- Why a program is not in the cache --------------------------------------------------- */

/** What became of a program that is looked for. */
enum cubby_comparison_kind {
    CUBBY_COMPARISON_HIT = 0,         /**< it is stored */
    CUBBY_COMPARISON_MISS = 1,        /**< it is not; the differences say why */
    CUBBY_COMPARISON_UNCACHEABLE = 2, /**< its objects are never stored; see reason */
};

/** "hit", "miss" or "uncacheable"; a static string, NULL for no kind. */
const char *cubby_comparison_name(enum cubby_comparison_kind kind);

/** One thing that is not as it was. Strings are borrowed for the length of the call. */
struct cubby_difference {
    /**
     * A name that cubby_program_explain() shows ("option", "source digest", "header file", ...);
     * "header stamp" for a header whose time stamp alone changed, where that counts; "header list"
     * or "object" for what is not stored any more.
     */
    const char *field;
    const char *name; /**< which header, input or source it is about; NULL where there is but one */
    const char *then; /**< value when the nearest object was compiled; NULL where it had none */
    const char *now;  /**< value now; NULL where there is none. As then: only its place changed */
    const char *before; /**< of a file that appeared: the header that is found only after it */
};

/** Receives one difference. */
typedef void (*cubby_difference_visitor)(const struct cubby_difference *difference, void *context);

/** What a comparison found. */
struct cubby_comparison {
    enum cubby_comparison_kind kind;
    bool has_key;         /**< key is set: not for what is uncacheable */
    struct cubby_key key; /**< as cubby_program_key() gives it */
    char tier[16];        /**< name of the store that has it, else "" */
    char reason[256];     /**< why it is uncacheable, or why there is nothing to compare, else "" */
    bool has_nearest;     /**< nearest_key is set: there was something to compare with */
    struct cubby_key nearest_key;
    /** New reference, to be released by the caller; NULL where it is not stored any more. */
    struct cubby_object *nearest;
};

/**
 * Looks a program up without compiling it, and where it is not stored, says how it differs from the
 * stored object that is nearest to it.
 *
 * Where the cache knows which headers the program was compiled with, these are compared. Else it is
 * the fields of the key, with an object of the same name, or of the same last part of the name, or
 * of the same source; among these with the fewest differences, the newest of several. Up to 10 000
 * objects are looked at, those last that were not used for longest. No hit or miss is counted.
 *
 * @param visit is called for each difference of a miss, in the order of the fields; may be NULL
 * @param[out] ret_comparison filled on success
 * @return 0, as cubby_program_key(), or an error of a store that cannot be walked through
 */
int cubby_program_compare(struct cubby_cache *cache, struct cubby_program *program,
                          cubby_difference_visitor visit, void *context,
                          struct cubby_comparison *ret_comparison, struct cubby_error *error);

/* ---- Linking ----------------------------------------------------------------------------- */

/** Form of an input of a link. */
enum cubby_input {
    CUBBY_INPUT_ANY = 0,     /**< found out from its first bytes */
    CUBBY_INPUT_CUBIN = 1,   /**< machine code of one architecture */
    CUBBY_INPUT_PTX = 2,     /**< text; a NUL at the end makes no difference */
    CUBBY_INPUT_LTOIR = 3,   /**< LTO-IR, of NVRTC or libNVVM */
    CUBBY_INPUT_FATBIN = 4,  /**< several of these in one */
    CUBBY_INPUT_OBJECT = 5,  /**< host object that holds device code */
    CUBBY_INPUT_LIBRARY = 6, /**< archive of such objects */
};

/** "cubin", "ptx", "ltoir", "fatbin", "object" or "library"; a static string, else NULL. */
const char *cubby_input_name(enum cubby_input input);

/** One input of a link. Everything in it is copied. */
struct cubby_link_input {
    enum cubby_input kind;
    const char *name; /**< in messages; NULL for none */
    const void *data;
    size_t size; /**< bytes */
};

/** All else that decides what a link becomes. Everything in it is copied. */
struct cubby_link_options {
    uint32_t version;           /**< 1, set by the _INIT macro */
    enum cubby_target target;   /**< cubin, or PTX where every input is LTO-IR */
    const char *name;           /**< of the link, in messages; NULL for "link" */
    const char *arch;           /**< such as "sm_90"; needed here or among the options */
    const char *const *options; /**< options for nvJitLink, verbatim, such as "-maxrregcount=32" */
    size_t option_count;
    const void *extra; /**< anything else that shall count in the key, or NULL */
    size_t extra_size;
};

/** Initial value of a struct cubby_link_options: a cubin. */
#define CUBBY_LINK_OPTIONS_INIT                                                                    \
    { .version = 1 }

/** Inputs with their options. Immutable. */
struct cubby_link;

/**
 * Makes a link and digests its inputs. Their order counts; their names do not.
 *
 * nvJitLink links, with `-lto` added where an input is LTO-IR. Where it is missing, older than
 * 12.3, or of another major version than the GPU driver, the driver's own linker does, which takes
 * fewer options and no LTO-IR.
 *
 * @param inputs at least one, none of them empty
 * @param[out] ret_link new reference
 * @return 0 or CUBBY_ERR_INVALID: no input, an input of no known form or cut short, ...
 */
int cubby_link_new(const struct cubby_link_input *inputs, size_t count,
                   const struct cubby_link_options *options, struct cubby_link **ret_link,
                   struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p link */
struct cubby_link *cubby_link_ref(struct cubby_link *link);

/** Drops a reference. NULL-safe. */
void cubby_link_unref(struct cubby_link *link);

/** As cubby_program_uncacheable(). */
const char *cubby_link_uncacheable(const struct cubby_link *link);

/** As cubby_program_key(). */
int cubby_link_key(struct cubby_cache *cache, struct cubby_link *link, struct cubby_key *ret_key,
                   struct cubby_error *error);

/** As cubby_program_explain(). */
int cubby_link_explain(struct cubby_cache *cache, struct cubby_link *link,
                       cubby_field_visitor visit, void *context, struct cubby_error *error);

/**
 * Gets the object of a link, from the cache if it is there. Parameters and errors as
 * cubby_compile().
 *
 * Damaged inputs can end the process: nvJitLink trusts what it is given (docs/keys-linkers.md).
 * Where two inputs define the same symbol, it keeps the first, writes a line to standard error and
 * reports success.
 */
int cubby_link_run(struct cubby_cache *cache, struct cubby_link *link, unsigned flags,
                   struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                   struct cubby_error *error);

/* ---- For those who bring their own compiler ---------------------------------------------- */

/**
 * Makes the bytes of an entry on a miss. Called without any lock held.
 * @param[out] ret_blob new reference
 * @return 0, or a code of enum cubby_code with @p error filled
 */
typedef int (*cubby_make_function)(void *context, struct cubby_blob **ret_blob,
                                   struct cubby_error *error);

/**
 * Finds an entry of any kind that holds an object.
 * @param kind CUBBY_ENTRY_OBJECT or CUBBY_ENTRY_USER
 * @param[out] ret_object new reference
 * @param[out] ret_outcome may be NULL
 * @return 0, CUBBY_ERR_NOT_FOUND, or CUBBY_ERR_INVALID for a kind that is none
 */
int cubby_cache_get(struct cubby_cache *cache, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_object **ret_object,
                    struct cubby_outcome *ret_outcome, struct cubby_error *error);

/**
 * As cubby_cache_get() for looking at a cache: it counts neither a hit nor a miss nor a use, and
 * puts nothing into faster tiers.
 */
int cubby_cache_peek(struct cubby_cache *cache, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_object **ret_object);

/**
 * As cubby_cache_peek() for what is said of an object: names, log, size, cubby_object_info().
 * Nothing is decompressed, also where this build could not, and nothing moves between stores.
 * cubby_object_data() of the object is NULL where its bytes lie compressed.
 */
int cubby_cache_describe(struct cubby_cache *cache, enum cubby_entry_kind kind,
                         const struct cubby_key *key, struct cubby_object **ret_object);

/**
 * Stores bytes of the caller's own (kind CUBBY_ENTRY_USER), replacing what is there.
 * @return 0 when at least one tier took them, CUBBY_ERR_IO otherwise
 */
int cubby_cache_put(struct cubby_cache *cache, const struct cubby_key *key, const void *data,
                    size_t size, struct cubby_error *error);

/**
 * Finds the caller's own entry, or makes and stores it.
 * A failure of @p make is returned as it is and nothing is stored.
 *
 * As with cubby_compile(), one of those who ask for the same key at the same time makes the entry,
 * and the others wait for it. @p make may ask the cache for other keys; where it asks for its own,
 * it is called once more, since waiting would be for itself.
 * @param[out] ret_object new reference
 * @param[out] ret_outcome may be NULL
 */
int cubby_cache_get_or_make(struct cubby_cache *cache, const struct cubby_key *key,
                            cubby_make_function make, void *context,
                            struct cubby_object **ret_object, struct cubby_outcome *ret_outcome,
                            struct cubby_error *error);

/* ---- Looking after a cache --------------------------------------------------------------- */

/** Removes an entry from every tier. @return 0 or CUBBY_ERR_NOT_FOUND */
int cubby_cache_remove(struct cubby_cache *cache, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_error *error);

/** Removes every entry from every tier that may be written. Counters stay. */
int cubby_cache_clear(struct cubby_cache *cache, struct cubby_error *error);

/** Shows the entries of every tier; an entry that is in two tiers is shown twice. */
typedef int (*cubby_cache_visitor)(const char *tier, const struct cubby_entry_info *info,
                                   void *context);

/** @return 0, an error, or the visitor's value where that ended the walk */
int cubby_cache_iterate(struct cubby_cache *cache, cubby_cache_visitor visit, void *context,
                        struct cubby_error *error);

/** What one tier holds, its counters as kept by the store and shared by its users. */
int cubby_cache_tier_stats(struct cubby_cache *cache, size_t tier,
                           struct cubby_store_stats *ret_stats, struct cubby_error *error);

/** Sets the counters of every tier to zero. */
int cubby_cache_zero(struct cubby_cache *cache, struct cubby_error *error);

/** Writes out counters and what the stores batch. The last unref does so as well. */
int cubby_cache_flush(struct cubby_cache *cache, struct cubby_error *error);

/** Flags of cubby_cache_verify(). */
enum cubby_verify_flags {
    CUBBY_VERIFY_REPAIR = 1 << 0, /**< remove damaged entries, set sums right */
};

/** What cubby_cache_verify() saw. */
struct cubby_verify_result {
    uint64_t entries;  /**< entries read, of all tiers */
    uint64_t bytes;    /**< and their stored bytes */
    uint64_t damaged;  /**< findings that are damage */
    uint64_t repaired; /**< those of them that were put right */
    uint64_t remarks;  /**< findings that are none, such as files that do not belong there */
};

/**
 * Reads every entry of every tier and checks its form, checksum, kind and key, and whether a
 * manifest can be read; then what is around the entries: sums, rights, strange files. An entry of
 * which two tiers hold a copy is checked twice. It is no use of the entries. Others may go on using
 * the stores; what comes or goes meanwhile is no damage. Needs memory for one entry at a time.
 *
 * @param flags of enum cubby_verify_flags. A damaged entry that is removed is a miss, and compiled
 *        again. The structure of a database is not repaired: the damaged one is set aside when it
 *        is opened the next time and no one else uses it.
 * @param visit called for each finding from this thread; may be NULL
 * @param[out] ret_result filled also on failure; may be NULL
 * @return 0 whether damage was found or not; NO_MEMORY; the visitor's value where that ended it
 */
int cubby_cache_verify(struct cubby_cache *cache, unsigned flags, cubby_finding_visitor visit,
                       void *context, struct cubby_verify_result *ret_result,
                       struct cubby_error *error);

/**
 * Removes entries from each tier that may be written, the least recently used first, until the
 * limits hold: max_size bytes stay in each tier at most, and none was last used before used_before.
 * Others may go on using the stores. They count as evictions.
 * @param[out] ret_trimmed what went, of all tiers together; filled also on failure; may be NULL
 * @return 0; INVALID where no limit is set; UNSUPPORTED where every tier is read-only; the first
 *         failure of a tier, after the others were trimmed
 */
int cubby_cache_trim(struct cubby_cache *cache, const struct cubby_trim_limits *limits,
                     struct cubby_trimmed *ret_trimmed, struct cubby_error *error);

/** What cubby_cache_export() wrote. */
struct cubby_export_result {
    uint64_t entries; /**< entries written */
    uint64_t bytes;   /**< and their stored bytes */
    uint64_t damaged; /**< entries that were damaged, and left out */
};

/**
 * Writes the entries of all tiers as a tar archive, sorted by key, each once: KIND/KEY with the
 * stored bytes as they are. Stores that hold the same entries give the same archive. Remembered
 * toolchains are left out: they say where the compilers of this machine lie. Others may go on using
 * the stores. Needs memory for one entry at a time and about 40 bytes for each.
 *
 * @param fd a file or pipe open for writing, borrowed; where it fails, what was written is of no
 *        use. A pipe that no one reads raises SIGPIPE, as for write().
 * @param[out] ret_result filled also on failure; may be NULL
 * @return 0; IO where fd or a store fails; UNSUPPORTED in a build without libarchive
 */
int cubby_cache_export(struct cubby_cache *cache, int fd, struct cubby_export_result *ret_result,
                       struct cubby_error *error);

/** What cubby_cache_import() did. */
struct cubby_import_result {
    uint64_t entries; /**< entries that a tier took */
    uint64_t bytes;   /**< and their stored bytes */
    uint64_t present; /**< entries that every tier had already, and that were left as they are */
    uint64_t refused; /**< members of the archive that were passed over */
};

/** Called for each member that is refused; both strings are borrowed for the time of the call, and
 * the name may hold any byte. */
typedef void (*cubby_refusal_visitor)(const char *name, const char *reason, void *context);

/**
 * Puts the entries of an archive that cubby_cache_export() wrote into the tiers that lack them;
 * into those in memory only where there are no others.
 * A member is refused unless it is a regular file named KIND/KEY that holds a whole, undamaged
 * entry of that kind and key of at most 1 GiB, and so is a remembered toolchain. What is good in
 * the archive is imported whatever stands beside it. Nothing is written but through the stores,
 * whose caps hold: a store too small keeps the last entries. An entry that a tier has, stays as it
 * is.
 *
 * Whoever wrote the archive decides what will run on the GPU: checksums tell damage, not intent.
 *
 * @param fd a file or pipe open for reading, borrowed
 * @param visit may be NULL
 * @param[out] ret_result filled also on failure; may be NULL
 * @return 0 also where members were refused; CORRUPT where the archive is none, is cut short or
 *         cannot be read on (what came before was imported); IO where fd or a store fails, or every
 *         tier is read-only; UNSUPPORTED in a build without libarchive
 */
int cubby_cache_import(struct cubby_cache *cache, int fd, cubby_refusal_visitor visit,
                       void *context, struct cubby_import_result *ret_result,
                       struct cubby_error *error);

/* ---- What was found on this machine ------------------------------------------------------ */

/** The compiler in use. Strings are owned by the caller through cubby_toolchain_clear(). */
struct cubby_toolchain {
    int major;           /**< NVRTC's version */
    int minor;           /**< NVRTC's version */
    char *nvrtc_path;    /**< resolved file */
    char *builtins_path; /**< resolved file of its built-in headers and device code */
    char *include_dir;   /**< the toolkit's own headers, NULL where not found */
    char *fingerprint;   /**< what enters the key */
};

/**
 * Finds and identifies the compiler.
 * @param cache where fingerprints are remembered; may be NULL
 * @return 0; CUBBY_ERR_NO_TOOLCHAIN with the places where it looked; CUBBY_ERR_NO_MEMORY
 */
int cubby_toolchain_find(struct cubby_cache *cache, struct cubby_toolchain *ret_toolchain,
                         struct cubby_error *error);

/** Frees the strings. NULL-safe. */
void cubby_toolchain_clear(struct cubby_toolchain *toolchain);

/** The libraries that compile and link. */
enum cubby_tool {
    CUBBY_TOOL_NVRTC = 0,     /**< CUDA C++ */
    CUBBY_TOOL_NVJITLINK = 1, /**< PTX and links */
    CUBBY_TOOL_NVVM = 2,      /**< NVVM IR */
    CUBBY_TOOL_DRIVER = 3,    /**< PTX and links where nvJitLink does not fit */
};

/** One of them as found. Strings are owned by the caller through cubby_tool_info_clear(). */
struct cubby_tool_info {
    int major;            /**< its version; for the driver, the CUDA version that it supports */
    int minor;            /**< its version */
    char *path;           /**< resolved file */
    char *companion_path; /**< NVRTC's builtins, libNVVM's libdevice; NULL for none */
    char *fingerprint;    /**< what enters the key */
};

/**
 * Finds and identifies one of the tools. Does not start the driver.
 * @param cache where fingerprints are remembered; may be NULL
 * @return 0; CUBBY_ERR_NO_TOOLCHAIN or CUBBY_ERR_NO_DRIVER with the places where it looked;
 *         CUBBY_ERR_NO_MEMORY
 */
int cubby_tool_find(struct cubby_cache *cache, enum cubby_tool tool,
                    struct cubby_tool_info *ret_info, struct cubby_error *error);

/** Frees the strings. NULL-safe. */
void cubby_tool_info_clear(struct cubby_tool_info *info);

/** The GPU driver and the first device. */
struct cubby_device {
    int driver_version; /**< CUDA version that the driver supports, such as 13000 */
    int count;          /**< number of devices, at least 1 */
    char name[128];     /**< name of device 0 */
    char arch[16];      /**< architecture of device 0, such as "sm_90" */
};

/**
 * Asks the driver for the first device. Initialises CUDA in this process.
 * @return 0 or CUBBY_ERR_NO_DRIVER, which says what is missing
 */
int cubby_device_find(struct cubby_device *ret_device, struct cubby_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
