/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on demand, by LD_PRELOAD: the n-th call of a kind fails, once or from then on, or is the
 * last thing that the process does.
 *
 *     INJECT=KIND:N[+][:ERRNO|KILL]   KIND: malloc, open, read, write, sync, rename, unlink, mkdir,
 *                                     lock, map, stat, time, truncate; or any, which are all of
 *                                     these but malloc
 *     INJECT_UNDER=FOLDER             only calls on files below that folder count (not for malloc)
 *     INJECT_FROM=LIBRARY             only allocations by the library whose file name begins so
 *     INJECT_REPORT=FILE              gets the number of calls that counted, and whether one failed
 *
 * ERRNO: ENOSPC (the default), EIO, EDQUOT, EMFILE, EROFS, EINTR, ESTALE, or SHORT: a read or write
 * of half of the bytes. The child of a fork counts on its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FDS 4096
#define SHORT_TRANSFER (-1)
#define KILL_PROCESS (-2)

static struct {
    char kind[16];
    unsigned long nth;
    bool onward;
    int error;
    char under[512];
    const char *from;
    const char *report;
    bool ready;
} plan;

static atomic_ulong seen;
static atomic_bool fired;
static atomic_bool watched[MAX_FDS]; /* descriptors of files below the folder */

static const struct {
    const char *name;
    int error;
} ERRORS[] = {{"ENOSPC", ENOSPC},    {"EIO", EIO},       {"EDQUOT", EDQUOT},
              {"EMFILE", EMFILE},    {"EROFS", EROFS},   {"EINTR", EINTR},
              {"ESTALE", ESTALE},    {"ENOMEM", ENOMEM}, {"SHORT", SHORT_TRANSFER},
              {"KILL", KILL_PROCESS}};

/* Written without the C library's buffers, which would call what is replaced here. */
static void report(void) {
    char text[64];
    int fd, length;

    if (!plan.report)
        return;
    length = snprintf(text, sizeof(text), "%lu %s\n", atomic_load(&seen),
                      atomic_load(&fired) ? "fired" : "quiet");
    fd = (int)syscall(SYS_open, plan.report, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    syscall(SYS_write, fd, text, (size_t)length);
    syscall(SYS_close, fd);
}

__attribute__((constructor)) static void read_plan(void) {
    const char *text = getenv("INJECT"), *under = getenv("INJECT_UNDER");
    char error[16] = "ENOSPC";
    char *rest;

    plan.report = getenv("INJECT_REPORT");
    plan.from = getenv("INJECT_FROM");
    if (under)
        snprintf(plan.under, sizeof(plan.under), "%s", under);
    if (!text || sscanf(text, "%15[a-z]:", plan.kind) != 1)
        return;
    plan.nth = strtoul(text + strlen(plan.kind) + 1, &rest, 10);
    plan.onward = *rest == '+';
    if (plan.onward)
        rest++;
    if (*rest == ':')
        snprintf(error, sizeof(error), "%s", rest + 1);
    for (size_t i = 0; i < sizeof(ERRORS) / sizeof(*ERRORS); i++) {
        if (strcmp(ERRORS[i].name, error) == 0)
            plan.error = ERRORS[i].error;
    }
    plan.ready = true;
}

__attribute__((destructor)) static void end(void) {
    report();
}

/* Counts a call; true where this one is to fail. */
static bool strikes(const char *kind) {
    unsigned long n;

    if (!plan.ready || (strcmp(plan.kind, kind) != 0 &&
                        (strcmp(plan.kind, "any") != 0 || strcmp(kind, "malloc") == 0)))
        return false;
    n = atomic_fetch_add(&seen, 1) + 1;
    if (n != plan.nth && !(plan.onward && n > plan.nth))
        return false;
    atomic_store(&fired, true);
    if (plan.error == KILL_PROCESS) {
        report();
        syscall(SYS_kill, getpid(), SIGKILL);
    }
    return true;
}

static bool is_watched(int fd) {
    return fd >= 0 && fd < MAX_FDS && atomic_load(&watched[fd]);
}

/* True if the path, taken from the folder fd, counts. */
static bool path_counts(int folder, const char *path) {
    if (!plan.under[0])
        return true;
    if (path && *path != '/' && folder != AT_FDCWD)
        return is_watched(folder);
    return path && strncmp(path, plan.under, strlen(plan.under)) == 0;
}

static bool fd_counts(int fd) {
    return !plan.under[0] || is_watched(fd);
}

static bool strikes_path(const char *kind, int folder, const char *path) {
    return path_counts(folder, path) && strikes(kind);
}

static bool strikes_fd(const char *kind, int fd) {
    return fd_counts(fd) && strikes(kind);
}

static int fail(void) {
    errno = plan.error > 0 ? plan.error : EIO;
    return -1;
}

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* ---- Memory ------------------------------------------------------------------------------ */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

/* True if the code at an address is of the library that counts. */
static bool caller_counts(const void *caller) {
    Dl_info info;
    const char *slash;

    if (!plan.from)
        return true;
    if (!dladdr(caller, &info) || !info.dli_fname)
        return false;
    slash = strrchr(info.dli_fname, '/');
    return strncmp(slash ? slash + 1 : info.dli_fname, plan.from, strlen(plan.from)) == 0;
}

#define STRIKES_CALLER() (caller_counts(__builtin_return_address(0)) && strikes("malloc"))

void *malloc(size_t size) {
    return STRIKES_CALLER() ? (errno = ENOMEM, NULL) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return STRIKES_CALLER() ? (errno = ENOMEM, NULL) : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return STRIKES_CALLER() ? (errno = ENOMEM, NULL) : __libc_realloc(old, size);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static int opened(int fd, int folder, const char *path) {
    if (fd >= 0 && fd < MAX_FDS)
        atomic_store(&watched[fd], plan.under[0] && path_counts(folder, path));
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list arguments;                                                                         \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(arguments, flags);                                                                \
        mode = mode_of(flags, arguments);                                                          \
        va_end(arguments);                                                                         \
        if (strikes_path("open", AT_FDCWD, path))                                                  \
            return fail();                                                                         \
        return opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), AT_FDCWD, path);      \
    }

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        va_list arguments;                                                                         \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(arguments, flags);                                                                \
        mode = mode_of(flags, arguments);                                                          \
        va_end(arguments);                                                                         \
        if (strikes_path("open", folder, path))                                                    \
            return fail();                                                                         \
        return opened((int)syscall(SYS_openat, folder, path, flags, mode), folder, path);          \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (fd >= 0 && fd < MAX_FDS)
        atomic_store(&watched[fd], false);
    return (int)syscall(SYS_close, fd);
}

/* ---- Reading and writing ----------------------------------------------------------------- */

/* The number of bytes to transfer after all; 0 where the call is to fail. */
static size_t allowed(const char *kind, int fd, size_t size) {
    if (!strikes_fd(kind, fd))
        return size;
    return plan.error == SHORT_TRANSFER && size > 1 ? size / 2 : 0;
}

ssize_t read(int fd, void *data, size_t size) {
    size_t now = allowed("read", fd, size);

    return size > 0 && now == 0 ? fail() : syscall(SYS_read, fd, data, now);
}

ssize_t write(int fd, const void *data, size_t size) {
    size_t now = allowed("write", fd, size);

    return size > 0 && now == 0 ? fail() : syscall(SYS_write, fd, data, now);
}

#define PREAD(name, offset_type)                                                                   \
    ssize_t name(int fd, void *data, size_t size, offset_type offset) {                            \
        size_t now = allowed("read", fd, size);                                                    \
                                                                                                   \
        return size > 0 && now == 0 ? fail() : syscall(SYS_pread64, fd, data, now, offset);        \
    }

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {                      \
        size_t now = allowed("write", fd, size);                                                   \
                                                                                                   \
        return size > 0 && now == 0 ? fail() : syscall(SYS_pwrite64, fd, data, now, offset);       \
    }

PREAD(pread, off_t)
PREAD(pread64, off64_t)
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

int fsync(int fd) {
    return strikes_fd("sync", fd) ? fail() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return strikes_fd("sync", fd) ? fail() : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size) {
    return strikes_fd("truncate", fd) ? fail() : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size) {
    return strikes_fd("truncate", fd) ? fail() : (int)syscall(SYS_ftruncate, fd, size);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && strikes_fd("map", fd)) {
        fail();
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset) {
    return mmap(at, size, protection, flags, fd, offset);
}

/* ---- Names ------------------------------------------------------------------------------- */

int rename(const char *from, const char *to) {
    return strikes_path("rename", AT_FDCWD, to) ? fail() : (int)syscall(SYS_rename, from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return strikes_path("rename", to_folder, to)
               ? fail()
               : (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
}

int unlink(const char *path) {
    return strikes_path("unlink", AT_FDCWD, path) ? fail() : (int)syscall(SYS_unlink, path);
}

int unlinkat(int folder, const char *path, int flags) {
    return strikes_path("unlink", folder, path) ? fail()
                                                : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    return strikes_path("mkdir", AT_FDCWD, path) ? fail() : (int)syscall(SYS_mkdir, path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    return strikes_path("mkdir", folder, path) ? fail()
                                               : (int)syscall(SYS_mkdirat, folder, path, mode);
}

int futimens(int fd, const struct timespec times[2]) {
    return strikes_fd("time", fd) ? fail() : REAL(futimens)(fd, times);
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    return strikes_path("time", folder, path) ? fail()
                                              : REAL(utimensat)(folder, path, times, flags);
}

/* ---- Looking and locking ----------------------------------------------------------------- */

int stat(const char *restrict path, struct stat *restrict status) {
    return strikes_path("stat", AT_FDCWD, path) ? fail() : REAL(stat)(path, status);
}

int fstat(int fd, struct stat *status) {
    return strikes_fd("stat", fd) ? fail() : REAL(fstat)(fd, status);
}

int fstatat(int folder, const char *restrict path, struct stat *restrict status, int flags) {
    return strikes_path("stat", folder, path) ? fail() : REAL(fstatat)(folder, path, status, flags);
}

int flock(int fd, int operation) {
    return strikes_fd("lock", fd) ? fail() : (int)syscall(SYS_flock, fd, operation);
}

#define FCNTL(name)                                                                                \
    int name(int fd, int command, ...) {                                                           \
        va_list arguments;                                                                         \
        void *argument;                                                                            \
                                                                                                   \
        va_start(arguments, command);                                                              \
        argument = va_arg(arguments, void *);                                                      \
        va_end(arguments);                                                                         \
        if ((command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||                \
             command == F_OFD_SETLKW) &&                                                           \
            strikes_fd("lock", fd))                                                                \
            return fail();                                                                         \
        return (int)syscall(SYS_fcntl, fd, command, argument);                                     \
    }

FCNTL(fcntl)
FCNTL(fcntl64)
