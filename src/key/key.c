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
};

static const char *const TAG_NAMES[] = {
    [TAG_SCHEMA] = "schema",           [TAG_TOOLCHAIN] = "toolchain",
    [TAG_SOURCE_KIND] = "source kind", [TAG_TARGET] = "target",
    [TAG_SOURCE] = "source digest",    [TAG_ARCH] = "architecture",
    [TAG_OPTION] = "option",           [TAG_HEADER_NAME] = "header",
    [TAG_HEADER] = "header digest",    [TAG_NAME] = "name expression",
    [TAG_ENVIRONMENT] = "environment", [TAG_SOURCE_NAME] = "source name",
    [TAG_FOLDER] = "current folder",   [TAG_SOURCE_STAMP] = "source stamp",
    [TAG_EXTRA] = "extra digest",
};

/* Receives the fields one by one. */
struct sink {
    void (*text)(struct sink *sink, enum tag tag, const char *text);
    void (*digest)(struct sink *sink, enum tag tag, const struct cubby_key *digest);
};

/* ---- Emitting ------------------------------------------------------------------- */

static void emit_options(const struct cubby_program *program, struct sink *sink) {
    bool dirs_count = program->reaches_files || program->stamps_source;

    for (size_t i = 0; i < program->options.count; i++) {
        const struct option *option = &program->options.items[i];

        if (option->effect == OPTION_NEUTRAL ||
            (option->effect == OPTION_INCLUDE_DIR && !dirs_count))
            continue;
        sink->text(sink, TAG_OPTION, option->text);
    }
}

/* Variables that NVRTC reads and that change what it makes; see docs/keys.md. */
static void emit_environment(struct sink *sink) {
    static const char *const VARIABLES[] = {"NV_NVVM_VERSION", "LLVM_OVERRIDE_PRODUCER",
                                            "NVRTC_APPEND_FLAGS"};

    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(*VARIABLES); i++) {
        const char *value = env_get_raw(VARIABLES[i]);
        char *text;

        if (value && asprintf(&text, "%s=%s", VARIABLES[i], value) >= 0) {
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

    sink->text(sink, TAG_SOURCE_NAME, program->names_source || !slash ? program->name : slash + 1);
}

static void emit_fields(const struct cubby_program *program, const struct toolchain *toolchain,
                        struct sink *sink) {
    sink->text(sink, TAG_SCHEMA, SCHEMA);
    sink->text(sink, TAG_TOOLCHAIN, toolchain->fingerprint);
    sink->text(sink, TAG_SOURCE_KIND, "cuda");
    sink->text(sink, TAG_TARGET, cubby_target_name(program->target));
    sink->digest(sink, TAG_SOURCE, source_digest(program->source));
    if (program->arch)
        sink->text(sink, TAG_ARCH, program->arch);
    emit_options(program, sink);
    for (size_t i = 0; i < program->header_count; i++) {
        sink->text(sink, TAG_HEADER_NAME, program->headers[i].name);
        sink->digest(sink, TAG_HEADER, source_digest(program->headers[i].source));
    }
    for (size_t i = 0; i < program->name_count; i++)
        sink->text(sink, TAG_NAME, program->names[i]);
    emit_environment(sink);
    emit_source_name(program, sink);
    if (program->stamps_source)
        emit_stamps(program, sink);
    if (program->has_extra)
        sink->digest(sink, TAG_EXTRA, &program->extra);
}

/* ---- Hashing --------------------------------------------------------------------- */

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
    digest_result(&hash.digest, ret_key);
}

/* ---- Explaining -------------------------------------------------------------------- */

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
