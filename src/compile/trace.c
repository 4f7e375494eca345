/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/env.h"
#include "os/fd.h"
#include "util/json.h"
#include "util/log.h"

#define SUFFIX ".json" /* NVRTC adds it */
#define BUILTIN_HEADER "__nv_nvrtc_builtin_header.h"
#define MAX_TRACE (1024 * 1024 * 1024)

static const char *temporary_folder(void) {
    const char *folder = env_get("TMPDIR");

    return folder && *folder == '/' ? folder : "/tmp";
}

/* The link in a folder of its own, which nobody else can write to. */
static bool make_link(struct trace *trace) {
    char target[64];
    int fd;

    snprintf(target, sizeof(target), "/proc/self/fd/%d", trace->fd);
    if (asprintf(&trace->folder, "%s/cubby-XXXXXX", temporary_folder()) < 0) {
        trace->folder = NULL;
        return false;
    }
    if (!mkdtemp(trace->folder)) {
        free(trace->folder);
        trace->folder = NULL;
        return false;
    }
    if (asprintf(&trace->link, "%s/trace" SUFFIX, trace->folder) < 0) {
        trace->link = NULL;
        return false;
    }
    if (symlink(target, trace->link) != 0)
        return false;
    fd = open(trace->link, O_WRONLY | O_APPEND | O_CLOEXEC); /* as NVRTC will */
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* ---- What a trace does to the object ----------------------------------------------------- */

/* The options with which it was seen to do nothing; see docs/keys.md. */
static bool is_harmless_option(const char *text) {
    static const char *const HARMLESS[] = {"-D=",
                                           "-U=",
                                           "-I=",
                                           "--gpu-architecture=",
                                           "--pre-include=",
                                           "--no-source-include",
                                           "--std=",
                                           "--generate-line-info",
                                           "--dlink-time-opt",
                                           "--relocatable-device-code=",
                                           "--use_fast_math",
                                           "-use_fast_math"};

    for (size_t i = 0; i < sizeof(HARMLESS) / sizeof(*HARMLESS); i++) {
        size_t length = strlen(HARMLESS[i]);

        if (strncmp(text, HARMLESS[i], length) == 0 &&
            (HARMLESS[i][length - 1] == '=' || text[length] == '\0'))
            return true;
    }
    return false;
}

/* From compute_100 on NVRTC takes another code generator. */
static bool is_harmless_arch(const char *arch) {
    const char *number = strchr(arch, '_');

    return number && atoi(number + 1) >= 75 && atoi(number + 1) < 100;
}

bool trace_is_harmless(const struct toolchain *toolchain, const struct cubby_program *program) {
    static const char ARCH[] = "--gpu-architecture=";

    if (toolchain->major != 13 || toolchain->minor > 5 || env_get_raw("NV_NVVM_VERSION"))
        return false;
    if (program->arch && !is_harmless_arch(program->arch))
        return false;
    for (size_t i = 0; i < program->options.count; i++) {
        const struct option *option = &program->options.items[i];

        if (option->effect != OPTION_NEUTRAL && option->effect != OPTION_SEED &&
            !is_harmless_option(option->text))
            return false;
        if (strncmp(option->text, ARCH, strlen(ARCH)) == 0 &&
            !is_harmless_arch(option_value(option)))
            return false;
    }
    return true;
}

/* ---- The trace itself -------------------------------------------------------------------- */

bool trace_open(struct trace *trace) {
    *trace = (struct trace)TRACE_INIT;
    trace->fd = memfd_create("cubby-trace", MFD_CLOEXEC);
    if (trace->fd >= 0 && make_link(trace) &&
        asprintf(&trace->option, "--fdevice-time-trace=%.*s",
                 (int)(strlen(trace->link) - strlen(SUFFIX)), trace->link) >= 0)
        return true;
    log_line(CUBBY_LOG_INFO, "no trace of the headers that NVRTC reads: %s", strerror(errno));
    trace->option = NULL;
    trace_close(trace);
    return false;
}

static void add_header(const json_t *event, struct names *headers) {
    const char *name = json_string_value(json_object_get(event, "name"));
    const char *detail =
        json_string_value(json_object_get(json_object_get(event, "args"), "detail"));

    if (name && detail && strcmp(name, "Processing Header File") == 0)
        names_add(headers, detail, strlen(detail));
}

static json_t *read_json(int fd) {
    struct stat status;
    json_t *json = NULL;
    char *text;
    ssize_t size;

    if (fstat(fd, &status) != 0 || status.st_size <= 0 || status.st_size > MAX_TRACE)
        return NULL;
    text = malloc((size_t)status.st_size);
    if (!text)
        return NULL;
    size = lseek(fd, 0, SEEK_SET) == 0 ? fd_read_full(fd, text, (size_t)status.st_size) : -1;
    if (size > 0)
        json = whole_json(text, (size_t)size, 0, NULL);
    free(text);
    return json;
}

bool trace_headers(const struct trace *trace, struct names *ret_headers, bool *ret_whole) {
    json_t *json = trace->fd >= 0 ? read_json(trace->fd) : NULL;
    json_t *events = json_object_get(json, "traceEvents");
    json_t *event;
    size_t i;
    bool known;

    json_array_foreach(events, i, event) {
        add_header(event, ret_headers);
    }
    known = ret_headers->count > 0 && !ret_headers->failed;
    *ret_whole = known && names_has(ret_headers, BUILTIN_HEADER);
    json_decref(json);
    if (!known && trace->fd >= 0)
        log_line(CUBBY_LOG_INFO, "NVRTC's trace does not name the headers that it read");
    return known;
}

void trace_close(struct trace *trace) {
    if (trace->link)
        unlink(trace->link);
    if (trace->folder)
        rmdir(trace->folder);
    if (trace->fd >= 0)
        close(trace->fd);
    free(trace->folder);
    free(trace->link);
    free(trace->option);
    *trace = (struct trace)TRACE_INIT;
}
