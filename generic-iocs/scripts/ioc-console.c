/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console of an IOC in a container.
 *
 *   ioc-console -- COMMAND…       run COMMAND on a terminal of its own (the container's first process)
 *   console [--read-only] [--allow-control] [--last N] [--plain]
 *                                 the same program by another name: join that terminal
 *
 * COMMAND (the IOC's shell) gets a pseudo-terminal, so that it behaves as at a desk whether or not the
 * container has one. What it prints goes to the container's output (the log) and to everybody who
 * joined; what they type goes to it. Whoever joins first sees the last lines.
 *
 * As first process it also reaps orphans, passes the IOC's exit status on, and turns the engine's
 * SIGTERM into a typed `exit`, so that the IOC leaves in good order; if that takes longer than
 * IOC_CONSOLE_GRACE seconds (2), SIGTERM and then SIGKILL follow.
 *
 * An image names the client in its label `ioc.console` (`console --plain`: no messages and no rules of
 * its own), so that `ioc attach` finds it.
 *
 * It deliberately does not restart the IOC: that is the container engine's work.
 *
 * Socket: IOC_CONSOLE_SOCKET, else /tmp/ioc-console.sock, else /dev/shm/ioc-console.sock (a read-only
 * root may leave only that). From a client come frames: a type byte, a length of two bytes (big
 * endian), the content. `H` hello: one byte of flags (1: read-only), two bytes: lines to repeat. `I`
 * typed characters. `W` window: two bytes rows, two bytes columns. To a client go plain characters.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    mostClients = 16,
    memorySize = 256 * 1024,   /* of earlier output, for those who join */
    queueSize = 512 * 1024,    /* for one slow reader */
    frameSize = 3 + 65535,
    leaveKey = 0x1d            /* Ctrl-] */
};

static const double logPatience = 2.0; /* s without a byte taken before output is dropped */

static const char *socketPlaces[] = { "/tmp/ioc-console.sock", "/dev/shm/ioc-console.sock" };

static void say(const char *text, const char *detail)
{
    fprintf(stderr, "ioc-console: %s%s%s\r\n", text, detail ? ": " : "", detail ? detail : "");
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int address(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(a->sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a->sun_path, path);
    return 0;
}

/* ---- a bounded queue of bytes that wait for a reader ---- */

typedef struct queue {
    char *bytes;
    size_t length;
    size_t size;
} queue;

static int queueAdd(queue *q, const char *bytes, size_t length)
{
    if (q->length + length > queueSize)
        return -1;
    if (q->length + length > q->size) {
        size_t size = q->size ? q->size : 4096;
        char *bigger;

        while (size < q->length + length)
            size *= 2;
        bigger = realloc(q->bytes, size);
        if (!bigger)
            return -1;
        q->bytes = bigger;
        q->size = size;
    }
    memcpy(q->bytes + q->length, bytes, length);
    q->length += length;
    return 0;
}

/* Write what the descriptor takes now. Returns the bytes written, or -1 if it is dead. */
static ssize_t queueDrain(queue *q, int fd)
{
    ssize_t total = 0;

    while (q->length) {
        ssize_t written = write(fd, q->bytes, q->length);

        if (written < 0)
            return errno == EAGAIN || errno == EINTR ? total : -1;
        memmove(q->bytes, q->bytes + written, q->length - written);
        q->length -= written;
        total += written;
    }
    return total;
}

static void queueFree(queue *q)
{
    free(q->bytes);
    memset(q, 0, sizeof(*q));
}

/* ---- the server ---- */

typedef struct client {
    int fd;                 /* -1: free */
    int greeted;
    int readOnly;
    double heard;           /* when something last came from it */
    queue out;
    unsigned char in[frameSize];
    size_t inLength;
} client;

static client clients[mostClients];
static char memory[memorySize];
static size_t memoryStart, memoryLength;
static queue toLog, toIoc;
static size_t notLogged;
static int pty = -1, logIsTerminal, logFlags;
static struct termios logBefore;

static int signalPipe[2] = { -1, -1 };

static void onSignal(int number)
{
    int before = errno;
    char byte = (char) number;

    if (write(signalPipe[1], &byte, 1) < 0) { /* full: that signal is waiting already */ }
    errno = before;
}

static void nonBlocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void remember(const char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        memory[(memoryStart + memoryLength) % memorySize] = bytes[i];
        if (memoryLength < memorySize)
            memoryLength++;
        else
            memoryStart = (memoryStart + 1) % memorySize;
    }
}

static void dropClient(client *c)
{
    close(c->fd);
    queueFree(&c->out);
    c->fd = -1;
}

static void toClient(client *c, const char *bytes, size_t length)
{
    if (queueAdd(&c->out, bytes, length) || queueDrain(&c->out, c->fd) < 0)
        dropClient(c); /* gone, or too slow: the IOC never waits for an onlooker */
}

static void logOutput(const char *bytes, size_t length)
{
    char plain[4096];
    size_t i, used = 0;

    if (!logIsTerminal) {
        /* A log has line feeds, a terminal also the carriage returns before them. */
        for (i = 0; i < length && used < sizeof(plain); i++)
            if (bytes[i] != '\r')
                plain[used++] = bytes[i];
        bytes = plain;
        length = used;
    }
    if (notLogged && toLog.length < queueSize / 2) {
        char note[80];
        int size = snprintf(note, sizeof(note), "\n[ioc-console: %zu bytes of output lost here]\n", notLogged);

        if (queueAdd(&toLog, note, size) == 0)
            notLogged = 0;
    }
    if (notLogged || queueAdd(&toLog, bytes, length))
        notLogged += length;
}

static void fromIoc(const char *bytes, size_t length)
{
    int i;

    remember(bytes, length);
    logOutput(bytes, length);
    for (i = 0; i < mostClients; i++)
        if (clients[i].fd >= 0 && clients[i].greeted)
            toClient(&clients[i], bytes, length);
}

/* Docker forgets how a process ended when it starts it again; `ioc ps` finds it in the log. */
static void sayEnd(int status)
{
    char line[80];
    size_t last = (memoryStart + memoryLength + memorySize - 1) % memorySize;

    if (memoryLength && memory[last] != '\n')
        fromIoc("\r\n", 2);
    snprintf(line, sizeof(line), "ioc-console: the IOC ended with exit code %d\r\n", status);
    fromIoc(line, strlen(line));
}

static void resize(unsigned rows, unsigned columns)
{
    struct winsize w = { .ws_row = rows, .ws_col = columns };

    if (rows && columns)
        ioctl(pty, TIOCSWINSZ, &w);
}

static void copyLogWindow(void)
{
    struct winsize w;

    if (logIsTerminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
        resize(w.ws_row, w.ws_col);
}

/* The last `lines` whole lines of what the IOC printed, and the unfinished one after them: the prompt. */
static void repeat(client *c, unsigned lines)
{
    size_t from = memoryLength;
    unsigned seen = 0;

    while (from > 0) {
        if (memory[(memoryStart + from - 1) % memorySize] == '\n' && ++seen > lines)
            break;
        from--;
    }
    while (from < memoryLength && c->fd >= 0) {
        size_t place = (memoryStart + from) % memorySize;
        size_t size = memoryLength - from;

        if (size > memorySize - place)
            size = memorySize - place;
        toClient(c, memory + place, size);
        from += size;
    }
}

static void frame(client *c, unsigned char type, const unsigned char *content, size_t length)
{
    if (type == 'H' && length == 3) {
        c->greeted = 1;
        c->readOnly = content[0] & 1;
        repeat(c, content[1] << 8 | content[2]);
    } else if (type == 'I' && c->greeted && !c->readOnly) {
        if (queueAdd(&toIoc, (const char *) content, length) && c->fd >= 0) {
            static const char full[] = "\r\n[ioc-console: the IOC does not read; typed characters were dropped]\r\n";

            toClient(c, full, sizeof(full) - 1);
        }
    } else if (type == 'W' && length == 4) {
        resize(content[0] << 8 | content[1], content[2] << 8 | content[3]);
    } /* anything else is from a newer client */
}

static void fromClient(client *c)
{
    ssize_t got = read(c->fd, c->in + c->inLength, sizeof(c->in) - c->inLength);
    size_t used = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        dropClient(c);
        return;
    }
    c->inLength += got;
    c->heard = now();
    while (c->fd >= 0 && c->inLength - used >= 3) {
        size_t length = c->in[used + 1] << 8 | c->in[used + 2];

        if (c->inLength - used < 3 + length)
            break;
        frame(c, c->in[used], c->in + used + 3, length);
        used += 3 + length;
    }
    memmove(c->in, c->in + used, c->inLength - used);
    c->inLength -= used;
}

static void acceptClient(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int i, place = -1;

    if (fd < 0)
        return;
    for (i = 0; i < mostClients; i++) {
        if (clients[i].fd < 0) {
            place = i;
            break;
        }
        if (place < 0 || clients[i].heard < clients[place].heard)
            place = i;
    }
    if (clients[place].fd >= 0) {
        /* Full: whoever was silent longest goes. A client that an engine forgot never leaves by itself. */
        static const char dropped[] = "\r\n[ioc-console: too many have joined; you were silent longest]\r\n";

        toClient(&clients[place], dropped, sizeof(dropped) - 1);
        if (clients[place].fd >= 0)
            dropClient(&clients[place]);
    }
    clients[place].fd = fd;
    clients[place].greeted = clients[place].readOnly = 0;
    clients[place].inLength = 0;
    clients[place].heard = now();
}

static int listenAt(const char *path)
{
    struct sockaddr_un a;
    int fd;

    if (address(&a, path))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(path); /* of an earlier run of this container */
    if (bind(fd, (struct sockaddr *) &a, sizeof(a)) || chmod(path, 0660) || listen(fd, 4)) {
        int reason = errno;

        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static int listenSomewhere(const char **path)
{
    size_t i;
    int fd = -1;

    *path = getenv("IOC_CONSOLE_SOCKET");
    if (*path && **path)
        fd = listenAt(*path);
    else
        for (i = 0; fd < 0 && i < sizeof(socketPlaces) / sizeof(*socketPlaces); i++)
            fd = listenAt(*path = socketPlaces[i]);
    if (fd < 0)
        say("nobody can join: no socket", strerror(errno));
    return fd;
}

static void restoreLog(void)
{
    if (logIsTerminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &logBefore);
}

/* Whatever is still queued reaches the log, within two seconds. */
static void flushLog(void)
{
    double until = now() + 2.0;

    while (toLog.length && now() < until) {
        struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

        if (poll(&p, 1, 100) > 0 && queueDrain(&toLog, STDOUT_FILENO) < 0)
            return;
    }
}

static void startIoc(char **command, pid_t *child)
{
    struct termios *before = logIsTerminal ? &logBefore : NULL;
    struct winsize w = { .ws_row = 24, .ws_col = 80 };

    if (logIsTerminal)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
    *child = forkpty(&pty, NULL, before, w.ws_row && w.ws_col ? &w : NULL);
    if (*child == 0) {
        if (!getenv("TERM"))
            setenv("TERM", "vt100", 1);
        execvp(command[0], command);
        fprintf(stderr, "ioc-console: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
}

static int serve(char **command)
{
    static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGWINCH };
    struct sigaction action = { .sa_handler = onSignal, .sa_flags = SA_RESTART };
    const char *grace = getenv("IOC_CONSOLE_GRACE"), *path;
    double patience = grace ? atof(grace) : 2.0, nextStep = 0.0;
    int listener, i, status = 0, ended = 0, stage = 0, stdinOpen = 1, ptyOpen = 1, logOpen = 1;
    int held;
    double endedAt = 0.0, logMoved = now();
    pid_t child;

    logIsTerminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &logBefore) == 0;
    for (i = 0; i < mostClients; i++)
        clients[i].fd = -1;
    if (pipe2(signalPipe, O_CLOEXEC | O_NONBLOCK)) {
        say("no pipe", strerror(errno));
        return 1;
    }
    startIoc(command, &child);
    if (child < 0) {
        say("no terminal for the IOC", strerror(errno));
        return 1;
    }
    fcntl(pty, F_SETFD, FD_CLOEXEC);
    for (i = 0; i < (int) (sizeof(handled) / sizeof(*handled)); i++)
        sigaction(handled[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    listener = listenSomewhere(&path);
    if (logIsTerminal) {
        /* The IOC's own terminal echoes and edits; this one only carries. */
        struct termios raw = logBefore;

        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    nonBlocking(pty);
    /* A log that is not read must not hold the IOC up. */
    logFlags = fcntl(STDOUT_FILENO, F_GETFL);
    nonBlocking(STDOUT_FILENO);

    while (!ended || (ptyOpen && now() < endedAt + 1.0)) {
        struct pollfd polled[5 + mostClients];
        int timeout = -1, number;

        polled[0] = (struct pollfd) { .fd = signalPipe[0], .events = POLLIN };
        if (toLog.length == 0)
            logMoved = now();
        /* A log that is read slowly slows the IOC's printing; one that stands still does not. */
        held = toLog.length > queueSize / 2 && now() < logMoved + logPatience;
        polled[1] = (struct pollfd) { .fd = ptyOpen && !held ? pty : -1,
                                      .events = POLLIN | (toIoc.length ? POLLOUT : 0) };
        polled[2] = (struct pollfd) { .fd = listener, .events = POLLIN };
        polled[3] = (struct pollfd) { .fd = stdinOpen ? STDIN_FILENO : -1, .events = POLLIN };
        polled[4] = (struct pollfd) { .fd = logOpen && toLog.length ? STDOUT_FILENO : -1, .events = POLLOUT };
        for (i = 0; i < mostClients; i++)
            polled[5 + i] = (struct pollfd) { .fd = clients[i].fd,
                                              .events = POLLIN | (clients[i].out.length ? POLLOUT : 0) };
        if (stage > 0 && stage < 3)
            timeout = nextStep > now() ? (int) ((nextStep - now()) * 1000.0) + 1 : 0;
        if (held || ended)
            timeout = 100;

        if (poll(polled, 5 + mostClients, timeout) < 0 && errno != EINTR)
            break;

        if (polled[0].revents) {
            char signals[64];
            ssize_t got = read(signalPipe[0], signals, sizeof(signals));

            for (i = 0; i < got; i++) {
                if (signals[i] == SIGWINCH) {
                    copyLogWindow();
                } else if (signals[i] == SIGCHLD) {
                    pid_t pid;
                    int how;

                    while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
                        if (pid == child) {
                            ended = 1;
                            endedAt = now();
                            status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
                        }
                    }
                } else if (stage == 0) {
                    /* Whatever was half typed goes first (Ctrl-U), then the shell's own command. */
                    queueAdd(&toIoc, "\025exit\r", 6);
                    stage = 1;
                    nextStep = now() + patience;
                }
            }
        }
        if (stage > 0 && stage < 3 && !ended && now() >= nextStep) {
            kill(-child, stage == 1 ? SIGTERM : SIGKILL);
            kill(child, stage == 1 ? SIGTERM : SIGKILL);
            stage++;
            nextStep = now() + 2.0;
        }

        if (polled[1].revents & (POLLIN | POLLHUP | POLLERR)) {
            char bytes[4096];
            ssize_t got = read(pty, bytes, sizeof(bytes));

            if (got > 0)
                fromIoc(bytes, got);
            else if (got == 0 || (errno != EAGAIN && errno != EINTR))
                ptyOpen = 0; /* EIO: nobody holds the IOC's end any more */
        }
        if (ptyOpen && toIoc.length && queueDrain(&toIoc, pty) < 0)
            toIoc.length = 0;

        if (polled[2].revents)
            acceptClient(listener);

        if (polled[3].revents) {
            char bytes[4096];
            ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));

            if (got > 0)
                queueAdd(&toIoc, bytes, got);
            else if (got == 0 || (errno != EAGAIN && errno != EINTR))
                stdinOpen = 0; /* as in a container without an open stdin: the IOC goes on */
        }
        if (polled[4].revents) {
            ssize_t written = queueDrain(&toLog, STDOUT_FILENO);

            if (written < 0)
                logOpen = 0;
            else if (written > 0)
                logMoved = now();
        }
        if (!logOpen)
            toLog.length = 0;

        for (number = 0; number < mostClients; number++) {
            client *c = &clients[number];

            if (polled[5 + number].fd < 0 || c->fd != polled[5 + number].fd)
                continue;
            if (polled[5 + number].revents & (POLLIN | POLLHUP | POLLERR))
                fromClient(c);
            if (c->fd >= 0 && polled[5 + number].revents & POLLOUT && queueDrain(&c->out, c->fd) < 0)
                dropClient(c);
        }
    }
    sayEnd(status);
    flushLog();
    fcntl(STDOUT_FILENO, F_SETFL, logFlags);
    restoreLog();
    if (listener >= 0)
        unlink(path);
    return status;
}

/* ---- the client ---- */

static int sendFrame(int fd, unsigned char type, const void *content, size_t length)
{
    unsigned char bytes[frameSize];
    size_t sent = 0;

    bytes[0] = type;
    bytes[1] = length >> 8;
    bytes[2] = length & 0xff;
    memcpy(bytes + 3, content, length);
    length += 3;
    while (sent < length) {
        ssize_t now = write(fd, bytes + sent, length - sent);

        if (now < 0 && errno != EINTR)
            return -1;
        if (now > 0)
            sent += now;
    }
    return 0;
}

static void sendWindow(int fd)
{
    struct winsize w;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
        unsigned char content[4] = { w.ws_row >> 8, w.ws_row & 0xff, w.ws_col >> 8, w.ws_col & 0xff };

        sendFrame(fd, 'W', content, sizeof(content));
    }
}

static int connectSomewhere(void)
{
    const char *wanted = getenv("IOC_CONSOLE_SOCKET");
    size_t i;

    for (i = 0; i < sizeof(socketPlaces) / sizeof(*socketPlaces); i++) {
        struct sockaddr_un a;
        int fd;

        if (address(&a, wanted && *wanted ? wanted : socketPlaces[i]))
            return -1;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
        if (wanted && *wanted)
            break;
    }
    return -1;
}

/* What may be sent of what was typed; 1 in `leave` for the key to leave. */
static size_t filter(char *bytes, size_t length, int control, int *leave, int *held)
{
    size_t i, kept = 0;

    for (i = 0; i < length; i++) {
        if (bytes[i] == leaveKey) {
            *leave = 1;
            break;
        }
        if (!control && (bytes[i] == 0x03 || bytes[i] == 0x04)) {
            *held = 1;
            continue;
        }
        bytes[kept++] = bytes[i];
    }
    return kept;
}

static int joinConsole(int argc, char **argv)
{
    int readOnly = 0, control = 0, plain = 0, last = -1, i, fd, terminal, leave = 0, ended = 0;
    unsigned char hello[3];
    struct termios before;
    struct sigaction action = { .sa_handler = onSignal, .sa_flags = SA_RESTART };

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--read-only") == 0) {
            readOnly = 1;
        } else if (strcmp(argv[i], "--allow-control") == 0) {
            control = 1;
        } else if (strcmp(argv[i], "--plain") == 0) {
            plain = 1;
        } else if (strcmp(argv[i], "--last") == 0 && i + 1 < argc) {
            last = atoi(argv[++i]);
        } else {
            fprintf(stderr, "console: joins the IOC's terminal\n"
                            "  --read-only      only look\n"
                            "  --allow-control  pass Ctrl-C and Ctrl-D on to the IOC\n"
                            "  --last N         show the last N lines first (20)\n"
                            "  --plain          for another program: no messages, no keys held back, only the\n"
                            "                   unfinished line shown first unless --last says more\n"
                            "Ctrl-] leaves; the IOC goes on.\n");
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    fd = connectSomewhere();
    if (fd < 0) {
        fprintf(stderr, "console: no IOC console in this container: %s\n", strerror(errno));
        return 1;
    }
    if (pipe2(signalPipe, O_CLOEXEC | O_NONBLOCK)) {
        fprintf(stderr, "console: %s\n", strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    control |= plain;
    last = last >= 0 ? last : plain ? 0 : 20;
    if (!plain)
        fprintf(stderr, "console: Ctrl-] leaves%s\n", readOnly ? " (read-only)" : "");
    if (terminal) {
        struct termios raw = before;

        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    last = last > 65535 ? 65535 : last;
    hello[0] = readOnly ? 1 : 0;
    hello[1] = last >> 8;
    hello[2] = last & 0xff;
    sendFrame(fd, 'H', hello, sizeof(hello));
    if (terminal)
        sendWindow(fd);

    while (!leave && !ended) {
        struct pollfd polled[3] = {
            { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN },
            { .fd = signalPipe[0], .events = POLLIN }
        };
        char bytes[4096];
        ssize_t got;

        if (poll(polled, 3, -1) < 0 && errno != EINTR)
            break;
        if (polled[2].revents && (got = read(signalPipe[0], bytes, sizeof(bytes))) > 0) {
            while (got-- > 0) {
                if (bytes[got] == SIGWINCH)
                    sendWindow(fd);
                else
                    leave = 1;
            }
        }
        if (polled[0].revents) {
            got = read(fd, bytes, sizeof(bytes));
            if (got <= 0)
                ended = 1;
            for (i = 0; i < got; ) {
                ssize_t written = write(STDOUT_FILENO, bytes + i, got - i);

                if (written < 0 && errno != EINTR)
                    return 1;
                if (written > 0)
                    i += written;
            }
        }
        if (polled[1].revents) {
            int held = 0;
            size_t kept;

            got = read(STDIN_FILENO, bytes, sizeof(bytes));
            if (got <= 0)
                break;
            kept = filter(bytes, got, control, &leave, &held);
            if (kept && !readOnly && sendFrame(fd, 'I', bytes, kept))
                ended = 1;
            if (held)
                fprintf(stderr, "\r\n[Ctrl-C and Ctrl-D are held back; Ctrl-] leaves]\r\n");
        }
    }
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    if (!plain)
        fprintf(stderr, ended ? "\nconsole: the IOC has ended\n" : "\nconsole: left; the IOC goes on\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];

    if (strcmp(name, "console") == 0)
        return joinConsole(argc, argv);
    if (argc < 3 || strcmp(argv[1], "--") != 0) {
        fprintf(stderr, "usage: ioc-console -- COMMAND…\n");
        return 2;
    }
    return serve(argv + 2);
}
