/* Lets chosen calls of one process fail: LD_PRELOAD it, and call faults_begin(PATH) in the process.
 *
 * PATH is a file of one page that this process and its judge both map; control.py has the same layout. While
 * it is armed, calls are counted by kind, below Python, SQLite, asyncio and gRPC alike, and the chosen ones
 * return the chosen errno without being made. What another process does, a child too, is neither counted nor
 * spoilt. A failpoint kills; this goes on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, WRITE, FSYNC, RENAME, TRUNCATE, SOCKET, CONNECT, ACCEPT, SEND, RECV, READ, UNLINK, MKDIR, KINDS };

#define NAME 120
#define TRACED 8192
#define FAILURES 3

struct call {
    int32_t kind;
    char about[NAME]; /* the path, or the ports of a connection */
};

struct control {
    uint32_t armed;
    int32_t kind;   /* of the calls that fail; negative: none fails, and all are traced */
    uint32_t first; /* the first call of its kind that fails, from 1 on */
    uint32_t times; /* how many in a row */
    int32_t error;
    uint32_t failed;
    uint32_t counts[KINDS];
    uint32_t calls;
    struct call trace[TRACED];
    struct call failures[FAILURES]; /* the first calls that failed */
};

static struct control *control;
static pid_t owner;

/* The function that this one stands in for. */
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int faults_begin(const char *path) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    int fd = real(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return -1;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) return -1;
    owner = getpid();
    control = page;
    return 0;
}

static void say(struct call *call, const char *text) { snprintf(call->about, NAME, "%s", text); }

/* Ports are at the same place in the addresses of both families. */
static void say_peer(struct call *call, int fd) {
    struct sockaddr_storage ours = {0}, theirs = {0};
    socklen_t size = sizeof ours, other = sizeof theirs;
    if (getsockname(fd, (struct sockaddr *)&ours, &size)) return say(call, "socket");
    if (ours.ss_family == AF_UNIX) return say(call, "within the machine");
    getpeername(fd, (struct sockaddr *)&theirs, &other);
    in_port_t here = ((struct sockaddr_in *)&ours)->sin_port, there = ((struct sockaddr_in *)&theirs)->sin_port;
    snprintf(call->about, NAME, "port %d to %d", ntohs(here), ntohs(there));
}

static void say_descriptor(struct call *call, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (!strncmp(path, "socket:", 7)) say_peer(call, fd);
    else say(call, path);
}

static struct call describe(enum kind kind, int fd, const char *path) {
    struct call call = {.kind = (int32_t)kind};
    int error = errno;
    if (path) say(&call, path);
    else if (fd >= 0) say_descriptor(&call, fd);
    errno = error;
    return call;
}

/* The errno with which this call must fail, or 0. ``path`` is NULL where there is a descriptor. */
static int fails(enum kind kind, int fd, const char *path) {
    struct control *c = control;
    if (!c || !__atomic_load_n(&c->armed, __ATOMIC_ACQUIRE) || getpid() != owner) return 0;
    uint32_t number = __atomic_add_fetch(&c->counts[kind], 1, __ATOMIC_ACQ_REL);
    uint32_t place = __atomic_fetch_add(&c->calls, 1, __ATOMIC_ACQ_REL);
    if (c->kind < 0 && place < TRACED) c->trace[place] = describe(kind, fd, path);
    if ((int)kind != c->kind || number < c->first || number - c->first >= c->times) return 0;
    uint32_t failed = __atomic_fetch_add(&c->failed, 1, __ATOMIC_ACQ_REL);
    if (failed < FAILURES) c->failures[failed] = describe(kind, fd, path);
    return c->error;
}

static int family_of(int fd) {
    struct sockaddr_storage ours = {0};
    socklen_t length = sizeof ours;
    int error = errno, found = control && !getsockname(fd, (struct sockaddr *)&ours, &length) ? ours.ss_family : -1;
    errno = error;
    return found;
}

static int is_connection(int fd) {
    int family = family_of(fd);
    return family == AF_INET || family == AF_INET6;
}

static int is_eventfd(int fd) {
    char link[64], path[32] = {0};
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int found = readlink(link, path, sizeof path - 1) > 0 && !strcmp(path, "anon_inode:[eventfd]");
    errno = error;
    return found;
}

/* A byte through a socket that never leaves this machine's memory wakes another thread, of asyncio, which takes
 * 4096 at a time, of gRPC, or of uvloop by a signal, which takes 65536; otherwise uvloop adds to a counter of
 * eight bytes. No kernel fails these, and who is not woken sleeps for ever: it is no call to spoil. */
static int wakes(int fd, size_t size) {
    if (!control) return 0;
    if (size == 8) return is_eventfd(fd);
    return (size == 1 || size == 4096 || size == 65536) && family_of(fd) == AF_UNIX;
}

#define FAIL(kind, fd, path) \
    int fault = fails(kind, fd, path); \
    if (fault) return errno = fault, -1

/* Opening */

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *name, int flags, ...) { REAL(open); MODE FAIL(OPEN, -1, name); return real(name, flags, mode); }
int open64(const char *name, int flags, ...) { REAL(open64); MODE FAIL(OPEN, -1, name); return real(name, flags, mode); }
int openat(int from, const char *name, int flags, ...) {
    REAL(openat); MODE FAIL(OPEN, -1, name); return real(from, name, flags, mode);
}
int openat64(int from, const char *name, int flags, ...) {
    REAL(openat64); MODE FAIL(OPEN, -1, name); return real(from, name, flags, mode);
}

/* Writing. What another function of the C library calls within it is not seen. uvloop sends with these. */

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (wakes(fd, size)) return real(fd, data, size);
    FAIL(is_connection(fd) ? SEND : WRITE, fd, NULL);
    return real(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev); FAIL(is_connection(fd) ? SEND : WRITE, fd, NULL); return real(fd, parts, count);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite); FAIL(WRITE, fd, NULL); return real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64); FAIL(WRITE, fd, NULL); return real(fd, data, size, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    REAL(pwritev); FAIL(WRITE, fd, NULL); return real(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    REAL(pwritev64); FAIL(WRITE, fd, NULL); return real(fd, parts, count, at);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
    REAL(pwritev64v2); FAIL(WRITE, fd, NULL); return real(fd, parts, count, at, flags);
}

int fsync(int fd) { REAL(fsync); FAIL(FSYNC, fd, NULL); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL(FSYNC, fd, NULL); return real(fd); }

int rename(const char *name, const char *other) { REAL(rename); FAIL(RENAME, -1, name); return real(name, other); }
int renameat(int from, const char *name, int to, const char *other) {
    REAL(renameat); FAIL(RENAME, -1, name); return real(from, name, to, other);
}

int ftruncate(int fd, off_t size) { REAL(ftruncate); FAIL(TRUNCATE, fd, NULL); return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); FAIL(TRUNCATE, fd, NULL); return real(fd, size); }
int truncate(const char *name, off_t size) { REAL(truncate); FAIL(TRUNCATE, -1, name); return real(name, size); }
int truncate64(const char *name, off64_t size) { REAL(truncate64); FAIL(TRUNCATE, -1, name); return real(name, size); }
int fallocate(int fd, int mode, off_t at, off_t size) {
    REAL(fallocate); FAIL(TRUNCATE, fd, NULL); return real(fd, mode, at, size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    REAL(fallocate64); FAIL(TRUNCATE, fd, NULL); return real(fd, mode, at, size);
}

/* These two return the error itself. */
int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate);
    int fault = fails(TRUNCATE, fd, NULL);
    return fault ? fault : real(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(posix_fallocate64);
    int fault = fails(TRUNCATE, fd, NULL);
    return fault ? fault : real(fd, at, size);
}

/* Reading files, and connections, which uvloop reads so: what reads anything else is woken by it, see ``wakes``. */

static int is_file(int fd) {
    struct stat found;
    int error = errno;
    int file = control && !fstat(fd, &found) && S_ISREG(found.st_mode);
    errno = error;
    return file;
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    if (is_file(fd)) { FAIL(READ, fd, NULL); }
    else if (is_connection(fd)) { FAIL(RECV, fd, NULL); }
    return real(fd, data, size);
}
ssize_t pread(int fd, void *data, size_t size, off_t at) {
    REAL(pread); FAIL(READ, fd, NULL); return real(fd, data, size, at);
}
ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    REAL(pread64); FAIL(READ, fd, NULL); return real(fd, data, size, at);
}

/* Names */

int unlink(const char *name) { REAL(unlink); FAIL(UNLINK, -1, name); return real(name); }
int unlinkat(int from, const char *name, int flags) {
    REAL(unlinkat); FAIL(UNLINK, -1, name); return real(from, name, flags);
}
int mkdir(const char *name, mode_t mode) { REAL(mkdir); FAIL(MKDIR, -1, name); return real(name, mode); }

/* Sockets */

int socket(int domain, int type, int protocol) { REAL(socket); FAIL(SOCKET, -1, NULL); return real(domain, type, protocol); }
int connect(int fd, const struct sockaddr *to, socklen_t size) { REAL(connect); FAIL(CONNECT, fd, NULL); return real(fd, to, size); }
int accept(int fd, struct sockaddr *from, socklen_t *size) { REAL(accept); FAIL(ACCEPT, fd, NULL); return real(fd, from, size); }
int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags) {
    REAL(accept4); FAIL(ACCEPT, fd, NULL); return real(fd, from, size, flags);
}
ssize_t send(int fd, const void *data, size_t size, int flags) {
    REAL(send);
    if (wakes(fd, size)) return real(fd, data, size, flags);
    FAIL(SEND, fd, NULL);
    return real(fd, data, size, flags);
}
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    REAL(sendto); FAIL(SEND, fd, NULL); return real(fd, data, size, flags, to, length);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg); FAIL(SEND, fd, NULL); return real(fd, message, flags);
}
ssize_t recv(int fd, void *data, size_t size, int flags) {
    REAL(recv);
    if (wakes(fd, size)) return real(fd, data, size, flags);
    FAIL(RECV, fd, NULL);
    return real(fd, data, size, flags);
}
ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *length) {
    REAL(recvfrom); FAIL(RECV, fd, NULL); return real(fd, data, size, flags, from, length);
}
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    REAL(recvmsg); FAIL(RECV, fd, NULL); return real(fd, message, flags);
}
