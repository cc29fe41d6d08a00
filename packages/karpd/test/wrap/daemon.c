// A small threaded daemon for the tests of `karp wrap`. Built with: cc -pthread daemon.c
//   daemon connect ADDRESS PORT COUNT THREADS   connects in non-blocking mode, prints "ok N failed N"
//   daemon flip GOOD GOODPORT OTHER OTHERPORT COUNT   one thread changes the address while the other connects
//   daemon interrupted ADDRESS PORT COUNT       signals hail while it connects
//   daemon once ADDRESS PORT blocking|nonblocking     prints what connect() did to one socket
//   daemon exec ADDRESS PORT                    a child of a child does that, in another program
//   daemon thread ADDRESS PORT                  a thread with a table of descriptors of its own does that
//   daemon twice ADDRESS PORT SECONDS           once, and again after that time
//   daemon notified PATH COUNT                  prints the messages to that unix datagram socket
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in address_of(const char *text, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) exit(2);
  return address;
}

static int connect_once(const struct sockaddr_in *to, int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
  int result = connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 ? 0 : errno;
  if (result == EINPROGRESS) {
    struct pollfd ready = {fd, POLLOUT, 0};
    while (poll(&ready, 1, 5000) < 0 && errno == EINTR) {
    }
    socklen_t size = sizeof result;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size);
  }
  // No TIME-WAIT: thousands of connections from one address
  struct linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
  return result;
}

struct work {
  struct sockaddr_in to;
  int count;
  int ok;
  int failed;
  int last;
};

static void *connect_many(void *argument) {
  struct work *work = argument;
  for (int i = 0; i < work->count; i++) {
    int error = connect_once(&work->to, i % 2 ? SOCK_NONBLOCK : 0);
    if (error == 0) work->ok++;
    else work->failed++, work->last = error;
  }
  return NULL;
}

static void report(const struct work *works, int threads) {
  int ok = 0, failed = 0, last = 0;
  for (int i = 0; i < threads; i++) {
    ok += works[i].ok;
    failed += works[i].failed;
    if (works[i].last) last = works[i].last;
  }
  printf("ok %d failed %d last %d\n", ok, failed, last);
}

static void in_threads(struct sockaddr_in to, int count, int threads) {
  struct work works[64] = {0};
  pthread_t ids[64];
  for (int i = 0; i < threads; i++) {
    works[i].to = to;
    works[i].count = count / threads;
    pthread_create(&ids[i], NULL, connect_many, &works[i]);
  }
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  report(works, threads);
}

static volatile struct sockaddr_in shared;
static struct sockaddr_in good, other;
static atomic_int done;

/** The address is one or the other, and for a moment neither. */
static void *flip(void *unused) {
  (void)unused;
  while (!atomic_load(&done)) {
    shared = other;
    shared = good;
  }
  return NULL;
}

static void flipping(int count) {
  pthread_t id;
  struct work work = {0};
  shared = good;
  pthread_create(&id, NULL, flip, NULL);
  for (int i = 0; i < count; i++) {
    int error = connect_once((const struct sockaddr_in *)&shared, i % 2 ? SOCK_NONBLOCK : 0);
    if (error == 0) work.ok++;
    else work.failed++, work.last = error;
  }
  atomic_store(&done, 1);
  pthread_join(id, NULL);
  report(&work, 1);
}

static atomic_int signals;
static void count_signal(int unused) {
  (void)unused;
  atomic_fetch_add(&signals, 1);
}

static void interrupted(struct sockaddr_in to, int count) {
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval often = {{0, 50}, {0, 50}};
  struct work work = {.to = to, .count = count};
  setitimer(ITIMER_REAL, &often, NULL);
  connect_many(&work);
  struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  report(&work, 1);
  fprintf(stderr, "%d signals\n", atomic_load(&signals));
}

static void once(struct sockaddr_in to, int type_flags) {
  int fd = socket(AF_INET, SOCK_STREAM | type_flags, 0);
  int before = fcntl(fd, F_GETFL);
  struct timeval wait_before, wait_after;
  socklen_t size = sizeof wait_before;
  getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait_before, &size);
  struct timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  int error = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
  clock_gettime(CLOCK_MONOTONIC, &ended);
  size = sizeof wait_after;
  getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait_after, &size);
  int changed = before != fcntl(fd, F_GETFL) || memcmp(&wait_before, &wait_after, sizeof wait_before) != 0;
  int final = error;
  if (error == EINPROGRESS) {
    struct pollfd ready = {fd, POLLOUT, 0};
    poll(&ready, 1, 5000);
    size = sizeof final;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &final, &size);
  }
  long milliseconds = (ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1000000;
  printf("{\"errno\":%d,\"final\":%d,\"changed\":%d,\"milliseconds\":%ld}\n", error, final, changed, milliseconds);
  close(fd);
}

static struct sockaddr_in thread_to;
static void *in_own_table(void *unused) {
  (void)unused;
  if (unshare(CLONE_FILES) != 0) _exit(3);
  // The number means another socket in the table of the main thread
  once(thread_to, SOCK_NONBLOCK);
  return NULL;
}

static void notified(const char *path, int count) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) exit(3);
  printf("ready\n");
  while (count-- > 0) {
    char text[512] = {0}, control[256];
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(fd, &message, 0) < 0) exit(4);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    char link[64] = "none", name[64];
    if (rights != NULL) {
      int received;
      memcpy(&received, CMSG_DATA(rights), sizeof received);
      snprintf(name, sizeof name, "/proc/self/fd/%d", received);
      ssize_t length = readlink(name, link, sizeof link - 1);
      link[length < 0 ? 0 : length] = 0;
    }
    for (char *c = text; *c; c++)
      if (*c == '\n') *c = ' ';
    printf("%s; descriptor: %s\n", text, link);
  }
}

int main(int argc, char **argv) {
  setbuf(stdout, NULL);
  if (argc == 6 && strcmp(argv[1], "connect") == 0) {
    in_threads(address_of(argv[2], argv[3]), atoi(argv[4]), atoi(argv[5]));
  } else if (argc == 7 && strcmp(argv[1], "flip") == 0) {
    good = address_of(argv[2], argv[3]);
    other = address_of(argv[4], argv[5]);
    flipping(atoi(argv[6]));
  } else if (argc == 5 && strcmp(argv[1], "interrupted") == 0) {
    interrupted(address_of(argv[2], argv[3]), atoi(argv[4]));
  } else if (argc == 5 && strcmp(argv[1], "once") == 0) {
    once(address_of(argv[2], argv[3]), strcmp(argv[4], "blocking") == 0 ? 0 : SOCK_NONBLOCK);
  } else if (argc == 4 && strcmp(argv[1], "exec") == 0) {
    if (fork() == 0) {
      if (fork() == 0) execl(argv[0], argv[0], "once", argv[2], argv[3], "blocking", NULL);
      wait(NULL);
      _exit(0);
    }
    wait(NULL);
  } else if (argc == 4 && strcmp(argv[1], "thread") == 0) {
    thread_to = address_of(argv[2], argv[3]);
    pthread_t id;
    pthread_create(&id, NULL, in_own_table, NULL);
    pthread_join(id, NULL);
  } else if (argc == 5 && strcmp(argv[1], "twice") == 0) {
    once(address_of(argv[2], argv[3]), SOCK_NONBLOCK);
    sleep((unsigned)atoi(argv[4]));
    once(address_of(argv[2], argv[3]), SOCK_NONBLOCK);
  } else if (argc == 4 && strcmp(argv[1], "notified") == 0) {
    notified(argv[2], atoi(argv[3]));
  } else {
    return 2;
  }
  return 0;
}
