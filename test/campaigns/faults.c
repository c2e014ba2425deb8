/*
 * Loaded into the product's processes before all else (LD_PRELOAD), this makes one operation that changes a folder go
 * wrong: the FAULT_AT-th of a process, counted from 1, on files below FAULT_UNDER. FAULT_HOW says how:
 *
 *   an error number   the operation fails with it
 *   short             half of a write is done, and from then on nothing can be written: the disk is full
 *   gone              it fails, and so does every operation from then on: the disk is lost
 *   kill              the process ends before the operation
 *   torn              half of a write is done, then the process ends
 *   count             nothing happens, whatever FAULT_AT says
 *
 * A byte is added to the file FAULT_TOLD when it happens, and for each operation that is counted. Opening for writing,
 * writing, giving a length, syncing, renaming and removing are operations.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { HALF = -1, HALF_AND_END = -2 };

static int seen;
static int lasting; /* the error of all that follows */

static int below(const char *path) {
  const char *under = getenv("FAULT_UNDER");
  return under && path && strncmp(path, under, strlen(under)) == 0;
}

static int belowDescriptor(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

/* What becomes of an operation: 0 for nothing, an error number, or one of the above. */
static int fault(int ours, int writes) {
  const char *at = getenv("FAULT_AT"), *how = getenv("FAULT_HOW"), *told = getenv("FAULT_TOLD");
  if (!ours || !at || !how || !told) return 0;
  if (lasting) return lasting == ENOSPC && !writes ? 0 : lasting;
  int count = strcmp(how, "count") == 0;
  if (!count && __sync_add_and_fetch(&seen, 1) != atoi(at)) return 0;
  int fd = syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND, 0600);
  syscall(SYS_write, fd, "!", 1);
  syscall(SYS_close, fd);
  if (count) return 0;
  if (strcmp(how, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(how, "torn") == 0) return HALF_AND_END;
  if (strcmp(how, "short") == 0) return lasting = ENOSPC, HALF;
  if (strcmp(how, "gone") == 0) return lasting = EIO;
  return atoi(how);
}

static int refused(int error) {
  if (error == HALF_AND_END) kill(getpid(), SIGKILL);
  errno = error == HALF ? ENOSPC : error;
  return -1;
}

/* A write of `length` bytes, of which `part` does the first so many. */
#define WRITE(length, part)                                   \
  int error = fault(belowDescriptor(fd), 1);                     \
  if (error == 0) return part(length);                        \
  if (error > 0) return refused(error);                       \
  ssize_t done = part((length) / 2);                          \
  if (error == HALF_AND_END) kill(getpid(), SIGKILL);                   \
  return done

ssize_t write(int fd, const void *bytes, size_t length) {
#define PART(n) REAL(write)(fd, bytes, n)
  WRITE(length, PART);
#undef PART
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
#define PART(n) REAL(pwrite64)(fd, bytes, n, at)
  WRITE(length, PART);
#undef PART
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

/* Of several buffers, half are written. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
#define PART(n) REAL(writev)(fd, parts, n)
  WRITE(count, PART);
#undef PART
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
#define PART(n) REAL(pwritev64)(fd, parts, n, at)
  WRITE(count, PART);
#undef PART
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

#define SIMPLE(ours, writes, call)    \
  int error = fault(ours, writes);    \
  return error ? refused(error) : call

static int forWriting(const char *path, int flags) { return (flags & (O_ACCMODE | O_CREAT)) && below(path); }

#define MODE                                                          \
  mode_t mode = 0;                                                    \
  if (flags & (O_CREAT | O_TMPFILE)) {                                \
    va_list rest;                                                     \
    va_start(rest, flags);                                            \
    mode = va_arg(rest, mode_t);                                      \
    va_end(rest);                                                     \
  }

int open64(const char *path, int flags, ...) {
  MODE SIMPLE(forWriting(path, flags), 1, REAL(open64)(path, flags, mode));
}
int open(const char *path, int flags, ...) {
  MODE SIMPLE(forWriting(path, flags), 1, REAL(open)(path, flags, mode));
}
int ftruncate64(int fd, off64_t length) { SIMPLE(belowDescriptor(fd), 1, REAL(ftruncate64)(fd, length)); }
int fsync(int fd) { SIMPLE(belowDescriptor(fd), 0, REAL(fsync)(fd)); }
int fdatasync(int fd) { SIMPLE(belowDescriptor(fd), 0, REAL(fdatasync)(fd)); }
int rename(const char *from, const char *to) { SIMPLE(below(to), 0, REAL(rename)(from, to)); }
int unlink(const char *path) { SIMPLE(below(path), 0, REAL(unlink)(path)); }
