/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file store from within. Below its root:
 *
 *     CACHEDIR.TAG           tells backup programs to pass by
 *     object/3f/9a...        an entry: folder by kind, two digits of the key, the other 62
 *     flights/               locks of those who make an entry, see key_lock.h
 *     tmp/                   files on their way to a name, and the evictor's lock
 *     counters               shared counters, see file_account.h
 *
 * Everything below the root is reached from the root's descriptor and no symbolic link is followed.
 */
#ifndef CUBBY_BACKENDS_FILE_H
#define CUBBY_BACKENDS_FILE_H

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "backends/backends.h"
#include "backends/key_lock.h"

/* Length of a name below a fan-out folder. */
#define FILE_NAME_LENGTH 62

/* Entries looked at to choose from: a tenth of a second's work. */
#define FILE_SAMPLE 16384

struct file_backend {
    struct cubby_backend backend;
    char *path;
    int root;                     /* descriptors of folders */
    int kinds[CUBBY_ENTRY_KINDS]; /* -1 where a read-only store has none */
    int tmp;
    uint64_t max_size;
    size_t sample; /* so many entries at least are looked at to choose those that go after a put */
    bool durable;
    bool read_only;
    bool shared; /* by the members of the root's group */
    struct key_locks flights;
    _Atomic bool swept;             /* stale temporaries were looked for */
    _Atomic uint64_t pending_bytes; /* stored since the shared total was last told */
    _Atomic uint64_t evictions;     /* likewise */
    _Atomic uint64_t told_at;       /* when it was, on the monotonic clock; 0: never */
    _Atomic uint64_t quiet_until;   /* not to be tried before, on that clock */
    _Atomic pid_t owner;            /* whose these are: a forked child starts from none */
};

/* file_root.c: opens, makes and checks the folders; descriptors are set on success. */
int file_root_open(struct file_backend *file, struct cubby_error *error);
void file_root_close(struct file_backend *file);

/* The modes of what is made below the root. Where a group shares it, they are set once more on the
 * descriptor, as the umask takes from what open() and mkdir() are told. The group itself is that of
 * the root: its set-group-id bit hands it down. */
static inline mode_t file_mode(const struct file_backend *file) {
    return file->shared ? 0660 : 0600;
}

static inline mode_t file_folder_mode(const struct file_backend *file) {
    return file->shared ? 02770 : 0700;
}

/* One entry as a walk finds it. */
struct file_entry {
    enum cubby_entry_kind kind;
    struct cubby_key key;
    struct stat status;
};

/* Called for each entry with the descriptor of its folder and its name there; not 0 ends the walk.
 */
typedef int (*file_visitor)(int folder, const char *name, const struct file_entry *entry,
                            void *context);

/* file_walk.c: shows every entry; what is no entry of ours is passed over. Returns 0, the visitor's
 * value, or an error where this process lacks memory or descriptors to see all. */
int file_walk(const struct file_backend *file, file_visitor visit, void *context,
              struct cubby_error *error);

/* file_walk.c: likewise those entries whose keys begin with this byte. */
#define FILE_PARTS 256
int file_walk_part(const struct file_backend *file, unsigned part, file_visitor visit,
                   void *context, struct cubby_error *error);

/* file_walk.c: "ab/cdef..." of a key. */
#define FILE_PATH_SIZE (3 + FILE_NAME_LENGTH + 1)
void file_entry_path(const struct cubby_key *key, char ret_path[FILE_PATH_SIZE]);

/* file_entry.c: the file of one entry, by the descriptor of its kind's folder and its path below.
 * No link is followed: ELOOP or ENOTDIR where one is in the way, which a write replaces.
 * Each returns -1 with errno on failure. */
int file_entry_open(int folder, const char *path);
int file_entry_write(const struct file_backend *file, int folder, const char *path,
                     const struct cubby_blob *blob);
int file_entry_unlink(int folder, const char *path);

/* file_evict.c: removes the least recently used entries until at most max_size bytes stay (0: no
 * bound) and none was last used before used_before (0: no bound). Stores the total that it found;
 * ret_trimmed may be NULL. While another process does the same it waits for its turn, but not for
 * ever. */
int file_evict(struct file_backend *file, const struct cubby_trim_limits *limits,
               struct cubby_trimmed *ret_trimmed, struct cubby_error *error);

/* file_evict.c: waits for an eviction to end, though not for ever, and keeps others from beginning;
 * both change the total by what they found before, so they must not overlap. Returns a descriptor
 * for file_turn_end(), -1 where there is no lock to be had. */
int file_turn_begin(const struct file_backend *file);
void file_turn_end(int lock);

/* file_evict.c: tells the shared total what was stored, and evicts where the cap is passed. */
void file_note_stored(struct file_backend *file, size_t size, const struct cubby_key *key);

/* file_evict.c: after a fork, forgets what the parent will tell. */
void file_own_pending(struct file_backend *file);

/* file_evict.c: counts the temporaries that no one can still be writing, and removes them. */
size_t file_sweep(const struct file_backend *file, bool remove);

/* file_walk.c: the key of an entry by the names of its fan-out folder and file; false where they
 * are not those of an entry. */
bool file_entry_key(const char *fan_out, const char *name, struct cubby_key *ret_key);

/* file_walk.c: true for two lower-case hexadecimal digits. */
bool file_is_fan_out(const char *name);

/* file_walk.c: a folder as a stream with a position of its own; NULL with errno. */
DIR *file_open_stream(int folder, const char *name);

/* file_inspect.c: see cubby_backend_ops.inspect. */
int file_inspect(struct cubby_backend *backend, bool repair, cubby_finding_visitor visit,
                 void *context, struct cubby_error *error);

#endif
