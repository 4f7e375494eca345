/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deriving the key: BLAKE2b-256, personalised "cubby key v1", over fields of tag, length and bytes.
 * One function emits the fields; hashing them and explaining them are two receivers.
 */
#include "key/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "key/digest.h"
#include "key/program.h"
#include "os/env.h"
#include "util/error.h"

/* Raised when the meaning of an entry changes; every key changes with it. Cubby's own version has
 * no part in it. */
#define SCHEMA "1"

/* The tags, in the order in which the fields are emitted. */
enum tag {
    TAG_SCHEMA = 1,
    TAG_TOOLCHAIN,
    TAG_SOURCE_KIND,
    TAG_TARGET,
    TAG_SOURCE,
    TAG_ARCH,
    TAG_OPTION,
    TAG_HEADER_NAME,
    TAG_HEADER,
    TAG_NAME,
    TAG_ENVIRONMENT,
    TAG_SOURCE_NAME,
    TAG_FOLDER,
    TAG_SOURCE_STAMP,
    TAG_EXTRA,
    TAG_INPUT_COUNT,
    TAG_INPUT,
    TAG_INPUT_DIGEST,
    TAG_LIBDEVICE,
};

static const char *const TAG_NAMES[] = {
    [TAG_SCHEMA] = "schema",
    [TAG_TOOLCHAIN] = "toolchain",
    [TAG_SOURCE_KIND] = "source kind",
    [TAG_TARGET] = "target",
    [TAG_SOURCE] = "source digest",
    [TAG_ARCH] = "architecture",
    [TAG_OPTION] = "option",
    [TAG_HEADER_NAME] = "header",
    [TAG_HEADER] = "header digest",
    [TAG_NAME] = "name expression",
    [TAG_ENVIRONMENT] = "environment",
    [TAG_SOURCE_NAME] = "source name",
    [TAG_FOLDER] = "current folder",
    [TAG_SOURCE_STAMP] = "source stamp",
    [TAG_EXTRA] = "extra digest",
    [TAG_INPUT_COUNT] = "inputs",
    [TAG_INPUT] = "input",
    [TAG_INPUT_DIGEST] = "input digest",
    [TAG_LIBDEVICE] = "libdevice",
};

/* Receives the fields one by one. */
struct sink {
    void (*text)(struct sink *sink, enum tag tag, const char *text);
    void (*digest)(struct sink *sink, enum tag tag, const struct cubby_key *digest);
};

/* ---- Emitting ---------------------------------------------------------------------------- */

/* True for an option that can change nothing in this program's object. */
static bool leaves_out(const struct cubby_program *program, const struct toolchain *toolchain,
                       const struct option *option) {
    switch (option->effect) {
    case OPTION_NEUTRAL:
        return true;
    case OPTION_INCLUDE_DIR:
        return !program->reaches_files && !program->stamps_source;
    case OPTION_DRIVER_NOT:
        return toolchain->tool == CUBBY_TOOL_DRIVER;
    case OPTION_LTO:
        return program_links_ltoir(program);
    default:
        return false;
    }
}

static void emit_options(const struct cubby_program *program, const struct toolchain *toolchain,
                         struct sink *sink) {
    for (size_t i = 0; i < program->options.count; i++) {
        if (!leaves_out(program, toolchain, &program->options.items[i]))
            sink->text(sink, TAG_OPTION, program->options.items[i].text);
    }
}

/* The inputs of a link, or the further modules of NVVM IR, in their order and with their count. */
static void emit_inputs(const struct cubby_program *program, struct sink *sink) {
    char count[32];

    snprintf(count, sizeof(count), "%zu", program->input_count);
    sink->text(sink, TAG_INPUT_COUNT, count);
    for (size_t i = 0; i < program->input_count; i++) {
        const char *form = cubby_input_name(program->inputs[i].kind);

        if (form)
            sink->text(sink, TAG_INPUT, form);
        sink->digest(sink, TAG_INPUT_DIGEST, source_digest(program->inputs[i].source));
    }
}

/* Variables that the tool of a program reads and that change what it makes; see docs/keys.md and
 * docs/keys-linkers.md. */
static void emit_environment(enum program_kind kind, struct sink *sink) {
    static const struct {
        const char *name;
        unsigned kinds;
    } VARIABLES[] = {
        {"NV_NVVM_VERSION", ~0u},
        {"LLVM_OVERRIDE_PRODUCER", 1u << PROGRAM_CUDA | 1u << PROGRAM_NVVM},
        {"NVRTC_APPEND_FLAGS", 1u << PROGRAM_CUDA},
        {"LIBNVVM_NVVM_VERSION", ~(1u << PROGRAM_CUDA)},
        {"NVJITLINK_TRACE_MESSAGES", 1u << PROGRAM_PTX | 1u << PROGRAM_LINK},
    };

    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(*VARIABLES); i++) {
        const char *value;
        char *text;

        if (!(VARIABLES[i].kinds & 1u << kind))
            continue;
        value = env_get_raw(VARIABLES[i].name);
        if (value && asprintf(&text, "%s=%s", VARIABLES[i].name, value) >= 0) {
            sink->text(sink, TAG_ENVIRONMENT, text);
            free(text);
        }
    }
}

static void emit_stamp(const char *name, struct sink *sink) {
    struct stat status;
    char stamp[80];

    if (stat(name, &status) != 0)
        return;
    snprintf(stamp, sizeof(stamp), "%lld bytes, modified %lld.%09ld", (long long)status.st_size,
             (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    sink->text(sink, TAG_SOURCE_NAME, name);
    sink->text(sink, TAG_SOURCE_STAMP, stamp);
}

/* Debug information holds the folder and, where a name is that of a file, its stamps: those of
 * in-memory headers as well, though the file is not read. */
static void emit_stamps(const struct cubby_program *program, struct sink *sink) {
    char *folder = getcwd(NULL, 0);
    const char *pwd = env_get_raw("PWD");

    sink->text(sink, TAG_FOLDER, folder ? folder : "");
    sink->text(sink, TAG_FOLDER, pwd ? pwd : "");
    emit_stamp(program->name, sink);
    for (size_t i = 0; i < program->header_count; i++)
        emit_stamp(program->headers[i].name, sink);
    free(folder);
}

/* The base of the name enters the names of what has internal linkage; the rest of it only where
 * something asks for it. */
static void emit_source_name(const struct cubby_program *program, struct sink *sink) {
    const char *slash = strrchr(program->name, '/');

    /* The linkers put no name into an object, and libNVVM the first module's into LTO-IR only. */
    if (program->kind != PROGRAM_CUDA && !program->names_source)
        return;
    sink->text(sink, TAG_SOURCE_NAME, program->names_source || !slash ? program->name : slash + 1);
}

static void emit_fields(const struct cubby_program *program, const struct toolchain *toolchain,
                        struct sink *sink) {
    sink->text(sink, TAG_SCHEMA, SCHEMA);
    sink->text(sink, TAG_TOOLCHAIN, toolchain->fingerprint);
    sink->text(sink, TAG_SOURCE_KIND, program_kind_name(program->kind));
    sink->text(sink, TAG_TARGET, cubby_target_name(program->target));
    if (program->source)
        sink->digest(sink, TAG_SOURCE, source_digest(program->source));
    if (program->arch)
        sink->text(sink, TAG_ARCH, program->arch);
    emit_options(program, toolchain, sink);
    for (size_t i = 0; i < program->header_count; i++) {
        sink->text(sink, TAG_HEADER_NAME, program->headers[i].name);
        sink->digest(sink, TAG_HEADER, source_digest(program->headers[i].source));
    }
    for (size_t i = 0; i < program->name_count; i++)
        sink->text(sink, TAG_NAME, program->names[i]);
    if (program->kind == PROGRAM_NVVM || program->kind == PROGRAM_LINK)
        emit_inputs(program, sink);
    if (program->use_libdevice)
        sink->text(sink, TAG_LIBDEVICE, toolchain->libdevice ? toolchain->libdevice : "none");
    emit_environment(program->kind, sink);
    emit_source_name(program, sink);
    if (program->stamps_source)
        emit_stamps(program, sink);
    if (program->has_extra)
        sink->digest(sink, TAG_EXTRA, &program->extra);
}

/* ---- Hashing ----------------------------------------------------------------------------- */

struct hash_sink {
    struct sink sink;
    struct digest digest;
};

static void hash_text(struct sink *sink, enum tag tag, const char *text) {
    digest_field(&((struct hash_sink *)sink)->digest, (unsigned char)tag, text, strlen(text));
}

static void hash_digest(struct sink *sink, enum tag tag, const struct cubby_key *digest) {
    digest_field(&((struct hash_sink *)sink)->digest, (unsigned char)tag, digest->bytes,
                 sizeof(digest->bytes));
}

void key_derive(const struct cubby_program *program, const struct toolchain *toolchain,
                struct cubby_key *ret_key) {
    struct hash_sink hash = {.sink = {hash_text, hash_digest}};

    digest_init(&hash.digest, "cubby key v1");
    emit_fields(program, toolchain, &hash.sink);
    digest_end(&hash.digest, ret_key);
}

/* ---- Explaining -------------------------------------------------------------------------- */

struct explain_sink {
    struct sink sink;
    cubby_field_visitor visit;
    void *context;
};

static void explain_text(struct sink *sink, enum tag tag, const char *text) {
    struct explain_sink *explain = (struct explain_sink *)sink;

    explain->visit(TAG_NAMES[tag], text, explain->context);
}

static void explain_digest(struct sink *sink, enum tag tag, const struct cubby_key *digest) {
    char hex[CUBBY_KEY_HEX_SIZE];

    cubby_key_format(digest, hex);
    explain_text(sink, tag, hex);
}

void key_explain(const struct cubby_program *program, const struct toolchain *toolchain,
                 cubby_field_visitor visit, void *context) {
    struct explain_sink explain = {{explain_text, explain_digest}, visit, context};

    emit_fields(program, toolchain, &explain.sink);
}
