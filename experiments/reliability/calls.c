/* A library to preload: counts the calls that change files below one folder, and at the n-th of them kills the process
   or lets the call fail. No privileges are needed. `arm` starts it; `count` is how many calls there were.

   kill: a write writes its first half before, as a torn one does. fail: one call fails. full: from the n-th on, all that
   need room fail with ENOSPC, as on a full disk. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT, KILL, FAIL, FULL };

static char folder[4096];
static int mode, at, error, armed;
static int counted;

void arm(const char *below, int how, int nth, int with) {
  strncpy(folder, below, sizeof folder - 1);
  mode = how, at = nth, error = with, counted = 0, armed = 1;
}

int count(void) { return counted; }

static int below(const char *path) { return armed && path && !strncmp(path, folder, strlen(folder)); }

static int file_below(int fd) {
  char name[64], path[4096];
  if (!armed) return 0;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(name, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

/* Whether this call is to fail; does not come back where it is the one to be killed at. */
static int strikes(int needs_room) {
  int now = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
  if (mode == KILL && now == at) kill(getpid(), SIGKILL);
  if ((mode == FAIL && now == at) || (mode == FULL && now >= at && needs_room)) {
    errno = mode == FULL ? ENOSPC : error;
    return 1;
  }
  return 0;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  if (file_below(fd)) {
    if (mode == KILL && counted + 1 == at && size > 1) real(fd, data, size / 2);
    if (strikes(1)) return -1;
  }
  return real(fd, data, size);
}

#define OPENS(name)                                                  \
  int name(const char *path, int flags, ...) {                       \
    REAL(name);                                                      \
    va_list more;                                                    \
    va_start(more, flags);                                           \
    int permissions = va_arg(more, int);                             \
    va_end(more);                                                    \
    if ((flags & (O_WRONLY | O_RDWR)) && below(path) && strikes(flags & O_CREAT)) return -1; \
    return real(path, flags, permissions);                           \
  }
OPENS(open)
OPENS(open64)

FILE *fopen(const char *path, const char *how) {
  REAL(fopen);
  if (*how != 'r' && below(path) && strikes(1)) return NULL;
  return real(path, how);
}
FILE *fopen64(const char *path, const char *how) {
  REAL(fopen64);
  if (*how != 'r' && below(path) && strikes(1)) return NULL;
  return real(path, how);
}
size_t fwrite(const void *data, size_t size, size_t number, FILE *file) {
  REAL(fwrite);
  if (file_below(fileno(file)) && strikes(1)) return 0;
  return real(data, size, number, file);
}

int fsync(int fd) {
  REAL(fsync);
  return file_below(fd) && strikes(0) ? -1 : real(fd);
}
int ftruncate(int fd, off_t length) {
  REAL(ftruncate);
  return file_below(fd) && strikes(0) ? -1 : real(fd, length);
}
int ftruncate64(int fd, off64_t length) {
  REAL(ftruncate64);
  return file_below(fd) && strikes(0) ? -1 : real(fd, length);
}
int rename(const char *old, const char *new) {
  REAL(rename);
  return below(new) && strikes(0) ? -1 : real(old, new);
}
int mkdir(const char *path, mode_t permissions) {
  REAL(mkdir);
  return below(path) && strikes(1) ? -1 : real(path, permissions);
}
int unlink(const char *path) {
  REAL(unlink);
  return below(path) && strikes(0) ? -1 : real(path);
}
int unlinkat(int fd, const char *path, int flags) {
  REAL(unlinkat);
  return (file_below(fd) || below(path)) && strikes(0) ? -1 : real(fd, path, flags);
}
int rmdir(const char *path) {
  REAL(rmdir);
  return below(path) && strikes(0) ? -1 : real(path);
}
