/* The peer of the example `watch_many`: the same PVs with libca, preemptive callbacks, DBR_TIME_DOUBLE monitors.
 *
 *   watch PREFIX COUNT [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>

#include <cadef.h>
#include <epicsAtomic.h>

static int connected, valued;
static size_t updates;
static int count;
static double started;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static double processor(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void memory(const char *field, const char *shown)
{
    char line[200];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (!strncmp(line, field, strlen(field))) printf("%s %ld\n", shown, atol(line + strlen(field)));
    }
    if (status) fclose(status);
}

static void value(struct event_handler_args args)
{
    char *first = args.usr;
    epicsAtomicIncrSizeT(&updates);
    if (!*first) {
        *first = 1;
        epicsAtomicIncrIntT(&valued);
    }
}

static void connection(struct connection_handler_args args)
{
    if (args.op == CA_OP_CONN_UP && epicsAtomicIncrIntT(&connected) == count) printf("connected %.3f\n", now() - started);
}

int main(int argc, char **argv)
{
    char name[100], *firsts;
    if (argc < 3) return 64;
    count = atoi(argv[2]);
    double seconds = argc > 3 ? atof(argv[3]) : 0;
    firsts = calloc(count, 1);
    started = now();
    ca_context_create(ca_enable_preemptive_callback);
    for (int number = 0; number < count; number++) {
        chid channel;
        snprintf(name, sizeof name, "%s%d", argv[1], number);
        ca_create_channel(name, connection, 0, 0, &channel);
        ca_create_subscription(DBR_TIME_DOUBLE, 0, channel, DBE_VALUE | DBE_ALARM, value, firsts + number, 0);
    }
    ca_flush_io();
    while (epicsAtomicGetIntT(&valued) < count) usleep(1000);
    printf("values %.3f\n", now() - started);
    if (seconds > 0) {
        size_t updates_before = epicsAtomicGetSizeT(&updates);
        double before = processor();
        double begin = now();
        usleep(seconds * 1e6);
        double elapsed = now() - begin;
        printf("updates %.0f\n", (epicsAtomicGetSizeT(&updates) - updates_before) / elapsed);
        printf("processor %.2f\n", (processor() - before) / elapsed * 100);
    }
    memory("VmRSS:", "resident");
    memory("VmHWM:", "peak");
    printf("processor-total %.2f\n", processor());
    fflush(stdout);
    _exit(0);
}
