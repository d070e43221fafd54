/* SPDX-License-Identifier: Apache-2.0 */
#define USE_TYPED_RSET

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cantProceed.h>
#include <dbAccess.h>
#include <dbStaticLib.h>
#include <ellLib.h>
#include <epicsEvent.h>
#include <epicsExit.h>
#include <epicsMutex.h>
#include <epicsStdio.h>
#include <epicsString.h>
#include <epicsThread.h>
#include <epicsTime.h>
#include <errlog.h>
#include <initHooks.h>
#include <macLib.h>

#include "settingSave.h"

enum {
    longestName = 128,
    longestLine = 512,
    longestValue = 4 * MAX_STRING_SIZE + 1,
    deepestInclude = 8,
    mostEntries = 100000
};

static const char firstLine[] = "# simplant setting save 1";
static const char lastLine[] = "end";

typedef struct entry {
    ELLNODE node;
    char name[longestName];
    DBADDR address;
    int known;                  /* `address` is valid */
    char saved[longestValue];   /* as on disk */
} entry;

typedef struct saveSet {
    ELLNODE node;
    char *dir;
    char *file;                 /* DIR/NAME.sav */
    char *temporary;
    char *request;
    char *macros;
    double period;
    ELLLIST entries;
    epicsEventId stop;
    epicsThreadId thread;
    int failed;
    int restored;
    epicsUInt64 savedAt;        /* monotonic; 0: not yet */
} saveSet;

static ELLLIST sets = ELLLIST_INIT;
static epicsMutexId lock;       /* of the list, and of `failed` and `savedAt` of its members */

static char *joined(const char *a, const char *b, const char *c, const char *d)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = mallocMustSucceed(size, "simplant setting save");

    epicsSnprintf(text, size, "%s%s%s%s", a, b, c, d);
    return text;
}

/* ---- request files ---- */

static FILE *openRequest(const char *name)
{
    FILE *file = fopen(name, "r");
    const char *path = getenv("EPICS_DB_INCLUDE_PATH");

    while (!file && path && *path && !strchr(name, '/')) {
        size_t length = strcspn(path, ":");
        char *dir = mallocMustSucceed(length + 1, "simplant setting save");
        char *full;

        memcpy(dir, path, length);
        dir[length] = '\0';
        full = joined(dir, "/", name, "");
        file = fopen(full, "r");
        free(full);
        free(dir);
        path += length;
        if (*path == ':')
            path++;
    }
    return file;
}

static int addEntry(saveSet *set, const char *name, const char *where, int line)
{
    entry *e;

    if (strlen(name) >= longestName) {
        errlogPrintf("%s:%d: the name is too long\n", where, line);
        return -1;
    }
    if (ellCount(&set->entries) >= mostEntries) {
        errlogPrintf("%s:%d: more than %d entries\n", where, line, mostEntries);
        return -1;
    }
    e = callocMustSucceed(1, sizeof(*e), "simplant setting save");
    strcpy(e->name, name);
    ellAdd(&set->entries, &e->node);
    return 0;
}

static int readRequest(saveSet *set, const char *name, const char *macros, int depth)
{
    char raw[longestLine], line[longestLine];
    MAC_HANDLE *handle = NULL;
    char **pairs = NULL;
    int number = 0, status = -1;
    FILE *file = openRequest(name);

    if (!file) {
        errlogPrintf("simplant setting save: request file %s: %s\n", name, strerror(errno));
        return -1;
    }
    if (macCreateHandle(&handle, NULL) || macParseDefns(handle, macros, &pairs) < 0
        || (pairs && macInstallMacros(handle, pairs) < 0)) {
        errlogPrintf("simplant setting save: macros \"%s\" are not NAME=value,…\n", macros);
        goto done;
    }
    while (fgets(raw, sizeof(raw), file)) {
        char first[longestLine], second[longestLine], third[longestLine], more[2];
        int words;

        number++;
        raw[strcspn(raw, "#\r\n")] = '\0';
        if (macExpandString(handle, raw, line, sizeof(line)) < 0) {
            errlogPrintf("%s:%d: undefined macro in \"%s\" (macros: \"%s\")\n", name, number, raw, macros);
            goto done;
        }
        words = sscanf(line, "%s %s %s %1s", first, second, third, more);
        if (words <= 0)
            continue;
        if (words >= 2 && words <= 3 && strcmp(first, "file") == 0) {
            if (depth >= deepestInclude) {
                errlogPrintf("%s:%d: more than %d files include each other\n", name, number, deepestInclude);
                goto done;
            }
            if (readRequest(set, second, words == 3 ? third : macros, depth + 1)) {
                errlogPrintf("    included at %s:%d\n", name, number);
                goto done;
            }
        } else if (words == 1) {
            if (addEntry(set, first, name, number))
                goto done;
        } else {
            errlogPrintf("%s:%d: expected a record name or \"file NAME MACROS\"\n", name, number);
            goto done;
        }
    }
    status = 0;
done:
    free(pairs);
    if (handle)
        macDeleteHandle(handle);
    fclose(file);
    return status;
}

/* ---- restoring, before the records are initialised ---- */

static int restoreOne(const char *name, const char *value)
{
    DBENTRY e;
    int status;

    dbInitEntry(pdbbase, &e);
    status = dbFindRecord(&e, name);
    if (!status && !e.pflddes)
        status = dbFindField(&e, "VAL");
    if (!status)
        status = dbPutString(&e, value);
    dbFinishEntry(&e);
    return status ? -1 : 0;
}

static int wanted(const saveSet *set, const char *name)
{
    const ELLNODE *node;

    for (node = ellFirst(&set->entries); node; node = ellNext((ELLNODE *) node))
        if (strcmp(((const entry *) node)->name, name) == 0)
            return 1;
    return 0;
}

static int isComplete(FILE *file)
{
    char line[longestLine] = "";
    int complete = 0;

    if (!fgets(line, sizeof(line), file) || strncmp(line, firstLine, sizeof(firstLine) - 1) != 0)
        return 0;
    while (fgets(line, sizeof(line), file))
        complete = strcmp(line, "end\n") == 0;
    rewind(file);
    return complete;
}

static void restore(saveSet *set)
{
    char line[longestLine], value[longestLine];
    int refused = 0;
    FILE *file = fopen(set->file, "r");

    if (!file) {
        if (errno == ENOENT)
            printf("simplant setting save: no %s yet\n", set->file);
        else
            errlogPrintf("simplant setting save: %s: %s\n", set->file, strerror(errno));
        return;
    }
    if (!isComplete(file)) {
        errlogPrintf("simplant setting save: %s is not a whole save file; nothing is restored from it\n",
                     set->file);
        fclose(file);
        return;
    }
    while (fgets(line, sizeof(line), file)) {
        char *space;

        line[strcspn(line, "\n")] = '\0';
        space = strchr(line, ' ');
        if (line[0] == '#' || !space)
            continue;
        *space = '\0';
        if (!wanted(set, line))
            continue;
        epicsStrnRawFromEscaped(value, sizeof(value), space + 1, strlen(space + 1));
        value[sizeof(value) - 1] = '\0';
        if (restoreOne(line, value)) {
            errlogPrintf("simplant setting save: %s: %s cannot be set to \"%s\"\n",
                         set->file, line, value);
            refused++;
        } else {
            set->restored++;
        }
    }
    fclose(file);
    printf("simplant setting save: %d values restored from %s%s\n", set->restored, set->file,
           refused ? ", some refused" : "");
}

/* ---- saving ---- */

static int valueOf(entry *e, char *text, size_t size)
{
    long options = 0, count = 1;

    switch (e->address.field_type) {
    case DBF_FLOAT:
    case DBF_DOUBLE: {
        double value;

        /* As text a number has only the record's PREC digits. */
        if (dbGetField(&e->address, DBR_DOUBLE, &value, &options, &count, NULL))
            return -1;
        epicsSnprintf(text, size, "%.17g", value);
        return 0;
    }
    case DBF_ENUM: {
        epicsEnum16 value;

        /* Before its initialisation a record takes the number, not the name of a state. */
        if (dbGetField(&e->address, DBR_ENUM, &value, &options, &count, NULL))
            return -1;
        epicsSnprintf(text, size, "%u", value);
        return 0;
    }
    default: {
        char value[MAX_STRING_SIZE];

        if (dbGetField(&e->address, DBR_STRING, value, &options, &count, NULL))
            return -1;
        value[sizeof(value) - 1] = '\0';
        epicsStrnEscapedFromRaw(text, size, value, strlen(value));
        return 0;
    }
    }
}

static int writeAll(saveSet *set)
{
    ELLNODE *node;
    FILE *file;
    int dir, status = 0;

    file = fopen(set->temporary, "w");
    if (!file)
        return -1;
    if (fprintf(file, "%s\n", firstLine) < 0)
        status = -1;
    for (node = ellFirst(&set->entries); node && !status; node = ellNext(node)) {
        entry *e = (entry *) node;

        if (e->known && fprintf(file, "%s %s\n", e->name, e->saved) < 0)
            status = -1;
    }
    if (!status && (fprintf(file, "%s\n", lastLine) < 0 || fflush(file) || fsync(fileno(file))))
        status = -1;
    if (fclose(file))
        status = -1;
    if (!status && rename(set->temporary, set->file))
        status = -1;
    if (status) {
        int reason = errno;

        unlink(set->temporary);
        errno = reason;
        return -1;
    }
    /* The new name must survive a power failure too. */
    dir = open(set->dir, O_RDONLY);
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
    return 0;
}

static void save(saveSet *set)
{
    ELLNODE *node;
    int changed = set->failed || set->savedAt == 0, status = 0;

    for (node = ellFirst(&set->entries); node; node = ellNext(node)) {
        entry *e = (entry *) node;
        char now[longestValue];

        if (!e->known || valueOf(e, now, sizeof(now)) || strcmp(now, e->saved) == 0)
            continue;
        strcpy(e->saved, now);
        changed = 1;
    }
    if (changed)
        status = writeAll(set);
    if (status && !set->failed)
        errlogPrintf("simplant setting save: %s: %s; trying again every %g s\n", set->file,
                     strerror(errno), set->period);
    else if (!status && set->failed)
        errlogPrintf("simplant setting save: %s is written again\n", set->file);

    epicsMutexMustLock(lock);
    set->failed = status != 0;
    if (!status)
        set->savedAt = epicsMonotonicGet();
    epicsMutexUnlock(lock);
}

static void run(void *argument)
{
    saveSet *set = argument;

    do
        save(set);
    while (epicsEventWaitWithTimeout(set->stop, set->period) == epicsEventWaitTimeout);
    save(set);
}

static void start(saveSet *set)
{
    epicsThreadOpts options = EPICS_THREAD_OPTS_INIT;
    ELLNODE *node;

    for (node = ellFirst(&set->entries); node; node = ellNext(node)) {
        entry *e = (entry *) node;

        e->known = dbNameToAddr(e->name, &e->address) == 0;
        if (!e->known)
            errlogPrintf("simplant setting save: %s: no record %s\n", set->request, e->name);
    }
    options.priority = epicsThreadPriorityLow;
    options.stackSize = epicsThreadGetStackSize(epicsThreadStackMedium);
    options.joinable = 1;
    set->thread = epicsThreadCreateOpt("simplant save", run, set, &options);
    if (!set->thread)
        errlogPrintf("simplant setting save: %s: no thread could be started\n", set->file);
}

static void stopAll(void *argument)
{
    ELLNODE *node;

    (void) argument;
    for (node = ellFirst(&sets); node; node = ellNext(node)) {
        saveSet *set = (saveSet *) node;

        if (!set->thread)
            continue;
        epicsEventMustTrigger(set->stop);
        epicsThreadMustJoin(set->thread);
        set->thread = NULL;
    }
}

static void hook(initHookState state)
{
    ELLNODE *node;

    if (state != initHookAfterInitDevSup && state != initHookAfterIocRunning)
        return;
    for (node = ellFirst(&sets); node; node = ellNext(node)) {
        saveSet *set = (saveSet *) node;

        if (state == initHookAfterInitDevSup)
            restore(set);
        else if (!set->thread)
            start(set);
    }
    /* Registered last, hence called first: the records still run when the last values are saved. */
    if (state == initHookAfterIocRunning && ellCount(&sets))
        epicsAtExit(stopAll, NULL);
}

void settingSaveRegister(void)
{
    lock = epicsMutexMustCreate();
    initHookRegister(hook);
}

int settingSaveConfigure(const char *dir, const char *request, double period, const char *macros)
{
    saveSet *set;
    ELLNODE *node;
    const char *base;
    char *stem;
    size_t length;

    if (!dir || !*dir || !request || !*request) {
        errlogPrintf("simplantSaveConfigure: needs a folder and a request file\n");
        return -1;
    }
    if (!(period >= 0.1 && period <= 3600.0)) {
        errlogPrintf("simplantSaveConfigure: the period must be 0.1 to 3600 seconds, not %g\n", period);
        return -1;
    }
    if (interruptAccept) {
        errlogPrintf("simplantSaveConfigure: must come before iocInit\n");
        return -1;
    }
    base = strrchr(request, '/') ? strrchr(request, '/') + 1 : request;
    length = strlen(base);
    if (length > 4 && strcmp(base + length - 4, ".req") == 0)
        length -= 4;
    stem = joined(base, "", "", "");
    stem[length] = '\0';

    set = callocMustSucceed(1, sizeof(*set), "simplant setting save");
    ellInit(&set->entries);
    set->dir = joined(dir, "", "", "");
    set->file = joined(dir, "/", stem, ".sav");
    set->temporary = joined(dir, "/.", stem, ".sav.new");
    set->request = joined(request, "", "", "");
    set->macros = joined(macros ? macros : "", "", "", "");
    set->period = period;
    set->stop = epicsEventMustCreate(epicsEventEmpty);
    free(stem);

    for (node = ellFirst(&sets); node; node = ellNext(node)) {
        if (strcmp(((saveSet *) node)->file, set->file) == 0) {
            errlogPrintf("simplantSaveConfigure: %s is in use already\n", set->file);
            goto refused;
        }
    }
    if (readRequest(set, request, set->macros, 0))
        goto refused;
    if (mkdir(dir, 0775) && errno != EEXIST)
        /* Not fatal: the IOC runs, and the saving thread says what is wrong. */
        errlogPrintf("simplantSaveConfigure: %s: %s\n", dir, strerror(errno));
    /* The device `ioc` may be looking at the list already. */
    epicsMutexMustLock(lock);
    ellAdd(&sets, &set->node);
    epicsMutexUnlock(lock);
    return 0;

refused:
    ellFree(&set->entries);
    epicsEventDestroy(set->stop);
    free(set->macros);
    free(set->request);
    free(set->temporary);
    free(set->file);
    free(set->dir);
    free(set);
    return -1;
}

int settingSaveFailed(void)
{
    ELLNODE *node;
    int failed = 0;

    epicsMutexMustLock(lock);
    for (node = ellFirst(&sets); node; node = ellNext(node))
        failed |= ((saveSet *) node)->failed;
    epicsMutexUnlock(lock);
    return failed;
}

double settingSaveAge(void)
{
    ELLNODE *node;
    epicsUInt64 oldest = 0;
    int all;

    epicsMutexMustLock(lock);
    all = ellCount(&sets) > 0;
    for (node = ellFirst(&sets); node; node = ellNext(node)) {
        epicsUInt64 at = ((saveSet *) node)->savedAt;

        all = all && at;
        if (!oldest || at < oldest)
            oldest = at;
    }
    epicsMutexUnlock(lock);
    return all ? (epicsMonotonicGet() - oldest) * 1e-9 : -1.0;
}

void settingSaveReport(int level)
{
    ELLNODE *node;

    for (node = ellFirst(&sets); node; node = ellNext(node)) {
        saveSet *set = (saveSet *) node;
        ELLNODE *inner;
        int failed;

        epicsMutexMustLock(lock);
        failed = set->failed;
        epicsMutexUnlock(lock);
        printf("%s: %d names, every %g s, %d restored%s\n", set->file, ellCount(&set->entries),
               set->period, set->restored, failed ? ", CANNOT BE WRITTEN" : "");
        for (inner = ellFirst(&set->entries); level > 0 && inner; inner = ellNext(inner)) {
            entry *e = (entry *) inner;

            printf("    %s%s\n", e->name, e->known ? "" : "  (no such record)");
        }
    }
}
