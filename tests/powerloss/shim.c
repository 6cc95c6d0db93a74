/* Records what a process does to the files below one folder: LD_PRELOAD it, with
 *   POWERLOSS_FOLDER   the folder, an absolute path without symbolic links
 *   POWERLOSS_JOURNAL  where the records go, outside of it; journal.py describes them
 *
 * A change and its record are one step under one lock, so that the journal's order is the order of the
 * changes. A sync is not locked: its record says how long the journal was when it began, and covers no more.
 * A mapped file is written unseen; SQLite maps only its -shm, which no record is about and no start needs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { CREATE = 1, MKDIR, WRITE, TRUNCATE, RENAME, REMOVE, SYNC };

static const char *folder;
static int journal = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The function that this one stands in for. */
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const char *path = getenv("POWERLOSS_JOURNAL");
    folder = getenv("POWERLOSS_FOLDER");
    if (!folder || !path) return;
    journal = real(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0) abort();
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), most = strlen(end);
    return length >= most && !strcmp(text + length - most, end);
}

/* The part of a path below the folder; NULL when it is elsewhere, mapped, or has no name any more. */
static const char *inside(const char *path) {
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/')) return NULL;
    if (ends_with(path, "-shm") || ends_with(path, " (deleted)")) return NULL;
    return path[length] ? path + length + 1 : path + length;
}

static int read_link(const char *kind, int number, char *path) {
    char link[64];
    snprintf(link, sizeof link, kind, number);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0;
}

static const char *of_descriptor(int fd, char *path) {
    return journal >= 0 && read_link("/proc/self/fd/%d", fd, path) ? inside(path) : NULL;
}

static const char *of_name(int directory, const char *name, char *path) {
    if (journal < 0 || strlen(name) >= PATH_MAX) return NULL;
    if (*name == '/') return inside(strcpy(path, name));
    if (!read_link(directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory, path)) return NULL;
    if (strlen(path) + strlen(name) + 2 > PATH_MAX) return NULL;
    return inside(strcat(strcat(path, "/"), name));
}

static uint64_t journal_size(void) {
    struct stat found;
    if (fstat(journal, &found)) abort();
    return (uint64_t)found.st_size;
}

/* One writev at the end of the file: whole, also beside the records of another process. */
static void append(enum op op, const char *path, const char *other, uint64_t number, const void *data, size_t size) {
    struct __attribute__((packed)) { uint8_t op; uint64_t number; uint32_t path, other, data; } head = {
        (uint8_t)op, number, (uint32_t)strlen(path), (uint32_t)strlen(other), (uint32_t)size};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}, {(void *)data, size}};
    int error = errno;
    if (writev(journal, parts, 4) != (ssize_t)(sizeof head + head.path + head.other + size)) abort();
    errno = error;
}

static void append_named(enum op op, const char *path) { append(op, path, "", 0, NULL, 0); }

/* Opening */

static int opened(__typeof__(&openat) real, int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    const char *ours = flags & (O_CREAT | O_TRUNC) ? of_name(directory, name, path) : NULL;
    if (!ours) return real(directory, name, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = real(directory, name, flags, mode);
    if (fd >= 0 && is_new) append_named(CREATE, ours);
    if (fd >= 0 && !is_new && flags & O_TRUNC) append_named(TRUNCATE, ours);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(real_name, directory) \
    REAL(real_name); \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return opened(real, directory, name, flags, mode)

int open(const char *name, int flags, ...) { OPEN(openat, AT_FDCWD); }
int open64(const char *name, int flags, ...) { OPEN(openat64, AT_FDCWD); }
int openat(int directory, const char *name, int flags, ...) { OPEN(openat, directory); }
int openat64(int directory, const char *name, int flags, ...) { OPEN(openat64, directory); }

/* What happens to an open file. The path is looked up again under the lock, for it may have changed. */

#define CHANGE(fd, call, record) \
    char path[PATH_MAX]; \
    if (!of_descriptor(fd, path)) return call; \
    pthread_mutex_lock(&lock); \
    const char *ours = of_descriptor(fd, path); \
    __typeof__(call) done = call; \
    if (ours && done >= 0) record; \
    pthread_mutex_unlock(&lock); \
    return done

#define WRITTEN(offset) append(WRITE, ours, "", (uint64_t)(offset), data, (size_t)done)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    CHANGE(fd, real(fd, data, size), WRITTEN(lseek64(fd, 0, SEEK_CUR) - done));
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    CHANGE(fd, real(fd, data, size, offset), WRITTEN(offset));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    CHANGE(fd, real(fd, data, size, offset), WRITTEN(offset));
}
int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    CHANGE(fd, real(fd, size), append(TRUNCATE, ours, "", (uint64_t)size, NULL, 0));
}
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    CHANGE(fd, real(fd, size), append(TRUNCATE, ours, "", (uint64_t)size, NULL, 0));
}

int truncate(const char *name, off_t size) {
    REAL(truncate);
    char path[PATH_MAX];
    const char *ours = of_name(AT_FDCWD, name, path);
    if (!ours) return real(name, size);
    pthread_mutex_lock(&lock);
    int result = real(name, size);
    if (!result) append(TRUNCATE, ours, "", (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int truncate64(const char *name, off64_t size) { return truncate(name, (off_t)size); }

#define SYNCED(call) \
    char path[PATH_MAX]; \
    uint64_t covers = journal < 0 ? 0 : journal_size(); \
    int result = call; \
    const char *ours = of_descriptor(fd, path); \
    if (ours && !result) append(SYNC, ours, "", covers, NULL, 0); \
    return result

int fsync(int fd) { REAL(fsync); SYNCED(real(fd)); }
int fdatasync(int fd) { REAL(fdatasync); SYNCED(real(fd)); }

/* Names */

#define NAMED(op, directory, call) \
    char path[PATH_MAX]; \
    const char *ours = of_name(directory, name, path); \
    if (!ours) return call; \
    pthread_mutex_lock(&lock); \
    int result = call; \
    if (!result) append_named(op, ours); \
    pthread_mutex_unlock(&lock); \
    return result

int mkdir(const char *name, mode_t mode) { REAL(mkdir); NAMED(MKDIR, AT_FDCWD, real(name, mode)); }
int mkdirat(int from, const char *name, mode_t mode) { REAL(mkdirat); NAMED(MKDIR, from, real(from, name, mode)); }
int unlink(const char *name) { REAL(unlink); NAMED(REMOVE, AT_FDCWD, real(name)); }
int unlinkat(int from, const char *name, int flags) { REAL(unlinkat); NAMED(REMOVE, from, real(from, name, flags)); }
int rmdir(const char *name) { REAL(rmdir); NAMED(REMOVE, AT_FDCWD, real(name)); }

static int renamed(__typeof__(&renameat) real, int from, const char *name, int to, const char *other) {
    char path[PATH_MAX], target[PATH_MAX];
    const char *ours = of_name(from, name, path), *theirs = of_name(to, other, target);
    if (!ours || !theirs) return real(from, name, to, other);
    pthread_mutex_lock(&lock);
    int result = real(from, name, to, other);
    if (!result) append(RENAME, ours, theirs, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *name, const char *other) { REAL(renameat); return renamed(real, AT_FDCWD, name, AT_FDCWD, other); }
int renameat(int from, const char *name, int to, const char *other) { REAL(renameat); return renamed(real, from, name, to, other); }
