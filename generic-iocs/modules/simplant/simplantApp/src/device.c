/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cantProceed.h>
#include <ellLib.h>
#include <epicsEvent.h>
#include <epicsExit.h>
#include <epicsMutex.h>
#include <epicsString.h>
#include <epicsThread.h>
#include <epicsTime.h>
#include <errlog.h>

#include "axis.h"
#include "device.h"
#include "settingSave.h"
#include "stage.h"

enum { longestName = 39 };

struct device {
    ELLNODE node;
    char name[longestName + 1];
    const deviceKind *kind;
    void *part;
    double period;
    double speed;
    epicsMutexId lock;
    epicsEventId stop;
    epicsThreadId thread;
    IOSCANPVT scan;
};

/* Written only while st.cmd runs, before the records and their threads look at it. */
static ELLLIST devices = ELLLIST_INIT;

/* ---- the kinds ---- */

static int broken(const void *part) { return ((const stage *) part)->sensorBroken; }

static int writeReset(void *part, double value)
{
    return value == 0.0 ? 0 : stageReset(part);
}

static void initStage(void *part, const char *name)
{
    stageInit(part, epicsStrHash(name, 0));
}

static void runStage(void *part, double seconds) { stageStep(part, seconds); }

#define READ(kind, name, type, field) \
    { name, type, offsetof(kind, field), signalRead, 0.0, 0.0, NULL, 0 }
#define WRITE(kind, name, type, field, low, high) \
    { name, type, offsetof(kind, field), signalWrite, low, high, NULL, 0 }

static const plantSignal stageSignals[] = {
    { "temperature", signalDouble, offsetof(stage, reading), signalRead, 0.0, 0.0, NULL, 1 },
    READ(stage, "heater-temperature", signalDouble, heaterTemperature),
    READ(stage, "working-setpoint", signalDouble, workingSetpoint),
    READ(stage, "output", signalDouble, output),
    READ(stage, "power", signalDouble, power),
    READ(stage, "settled", signalInt, settled),
    READ(stage, "tripped", signalInt, tripped),
    READ(stage, "state", signalInt, state),
    WRITE(stage, "setpoint", signalDouble, setpoint, -50.0, 500.0),
    WRITE(stage, "ramp-rate", signalDouble, rampRate, 0.0, 10000.0),
    WRITE(stage, "gain", signalDouble, gain, 0.0, 1000.0),
    WRITE(stage, "integral-time", signalDouble, integralTime, 0.0, 100000.0),
    WRITE(stage, "manual-output", signalDouble, manualOutput, 0.0, 100.0),
    WRITE(stage, "maximum-power", signalDouble, maximumPower, 0.0, 5000.0),
    WRITE(stage, "ambient", signalDouble, ambient, -50.0, 100.0),
    WRITE(stage, "trip-limit", signalDouble, tripLimit, 0.0, 600.0),
    WRITE(stage, "noise", signalDouble, noise, 0.0, 10.0),
    WRITE(stage, "enabled", signalInt, enabled, 0.0, 1.0),
    WRITE(stage, "automatic", signalInt, automatic, 0.0, 1.0),
    WRITE(stage, "sensor-broken", signalInt, sensorBroken, 0.0, 1.0),
    { "reset", signalInt, offsetof(stage, tripped), signalWrite, 0.0, 1.0, writeReset, 0 },
    { NULL, signalDouble, 0, signalRead, 0.0, 0.0, NULL, 0 }
};

const deviceKind stageKind = {
    "stage", sizeof(stage), stageSignals, initStage, runStage, broken
};

static int writeTarget(void *part, double value) { return axisMove(part, value); }
static int writePosition(void *part, double value) { return axisDefine(part, value); }

static int writeStop(void *part, double value)
{
    if (value != 0.0)
        axisStop(part);
    return 0;
}

static void initAxis(void *part, const char *name)
{
    (void) name;
    axisInit(part);
}

static void runAxis(void *part, double seconds) { axisStep(part, seconds); }

static const plantSignal axisSignals[] = {
    { "target", signalDouble, offsetof(axis, target), signalWrite, -HUGE_VAL, HUGE_VAL, writeTarget, 0 },
    /* Read it, or write where the axis is said to stand. */
    { "position", signalDouble, offsetof(axis, readback), signalWrite, -HUGE_VAL, HUGE_VAL, writePosition, 0 },
    { "stop", signalInt, offsetof(axis, stopping), signalWrite, 0.0, 1.0, writeStop, 0 },
    READ(axis, "velocity", signalDouble, velocity),
    READ(axis, "moving", signalInt, moving),
    READ(axis, "done", signalInt, done),
    READ(axis, "at-low-limit", signalInt, atLowLimit),
    READ(axis, "at-high-limit", signalInt, atHighLimit),
    READ(axis, "state", signalInt, state),
    WRITE(axis, "maximum-velocity", signalDouble, maximumVelocity, 0.001, 10000.0),
    WRITE(axis, "acceleration", signalDouble, acceleration, 0.001, 100000.0),
    WRITE(axis, "low-limit", signalDouble, lowLimit, -1e9, 1e9),
    WRITE(axis, "high-limit", signalDouble, highLimit, -1e9, 1e9),
    { NULL, signalDouble, 0, signalRead, 0.0, 0.0, NULL, 0 }
};

const deviceKind axisKind = {
    "axis", sizeof(axis), axisSignals, initAxis, runAxis, NULL
};

/* The IOC itself: made by the registrar under the name `ioc`. */
typedef struct iocPart {
    double uptime;
    int saveFailed;
    double saveAge;
} iocPart;

static void initIoc(void *part, const char *name)
{
    (void) name;
    memset(part, 0, sizeof(iocPart));
}

static void runIoc(void *part, double seconds)
{
    iocPart *ioc = part;

    ioc->uptime += seconds;
    ioc->saveFailed = settingSaveFailed();
    ioc->saveAge = settingSaveAge();
}

static const plantSignal iocSignals[] = {
    READ(iocPart, "uptime", signalDouble, uptime),
    READ(iocPart, "save-failed", signalInt, saveFailed),
    READ(iocPart, "save-age", signalDouble, saveAge),
    { NULL, signalDouble, 0, signalRead, 0.0, 0.0, NULL, 0 }
};

const deviceKind iocKind = {
    "ioc", sizeof(iocPart), iocSignals, initIoc, runIoc, NULL
};

/* ---- devices ---- */

static device *byName(const char *name)
{
    ELLNODE *node;

    for (node = ellFirst(&devices); node; node = ellNext(node))
        if (strcmp(((device *) node)->name, name) == 0)
            return (device *) node;
    return NULL;
}

static double monotonicSeconds(void) { return epicsMonotonicGet() * 1e-9; }

static void run(void *argument)
{
    device *d = argument;
    double before = monotonicSeconds();

    while (epicsEventWaitWithTimeout(d->stop, d->period) == epicsEventWaitTimeout) {
        double now = monotonicSeconds();

        epicsMutexMustLock(d->lock);
        d->kind->step(d->part, (now - before) * d->speed);
        epicsMutexUnlock(d->lock);
        before = now;
        scanIoRequest(d->scan);
    }
}

static void stop(void *argument)
{
    device *d = argument;

    epicsEventMustTrigger(d->stop);
    epicsThreadMustJoin(d->thread);
}

int deviceCreate(const deviceKind *kind, const char *name, double period, double speed)
{
    epicsThreadOpts options = EPICS_THREAD_OPTS_INIT;
    device *d;
    char thread[longestName + 10];

    if (!name || !*name || strlen(name) > longestName || strcspn(name, " \t") != strlen(name)) {
        errlogPrintf("simplant: a device needs a name of 1 to %d characters without spaces\n",
                     longestName);
        return -1;
    }
    if (byName(name)) {
        errlogPrintf("simplant: there is a device %s already\n", name);
        return -1;
    }
    if (!(period >= 0.01 && period <= 60.0)) {
        errlogPrintf("simplant: %s: the period must be 0.01 to 60 seconds, not %g\n", name, period);
        return -1;
    }
    if (!(speed > 0.0 && speed <= 1000.0)) {
        errlogPrintf("simplant: %s: the speed must be above 0 and at most 1000, not %g\n", name, speed);
        return -1;
    }

    d = callocMustSucceed(1, sizeof(*d), "simplant device");
    d->part = callocMustSucceed(1, kind->size, "simplant device");
    strcpy(d->name, name);
    d->kind = kind;
    d->period = period;
    d->speed = speed;
    d->lock = epicsMutexMustCreate();
    d->stop = epicsEventMustCreate(epicsEventEmpty);
    kind->init(d->part, name);
    scanIoInit(&d->scan);
    ellAdd(&devices, &d->node);

    sprintf(thread, "simplant %s", name);
    options.priority = epicsThreadPriorityMedium;
    options.stackSize = epicsThreadGetStackSize(epicsThreadStackSmall);
    options.joinable = 1;
    d->thread = epicsThreadCreateOpt(thread, run, d, &options);
    if (!d->thread) {
        errlogPrintf("simplant: %s: no thread could be started\n", name);
        return -1;
    }
    epicsAtExit(stop, d);
    return 0;
}

device *deviceFind(const char *record, const char *link, const plantSignal **found)
{
    char name[longestName + 1], wanted[longestName + 1], more[2];
    const plantSignal *s;
    device *d;

    if (sscanf(link, "%39s %39s %1s", name, wanted, more) != 2) {
        errlogPrintf("%s: the link must be \"@DEVICE SIGNAL\", not \"@%s\"\n", record, link);
        return NULL;
    }
    d = byName(name);
    if (!d) {
        errlogPrintf("%s: no simulated device %s (simplantReport lists them)\n", record, name);
        return NULL;
    }
    for (s = d->kind->signals; s->name; s++) {
        if (strcmp(s->name, wanted) == 0) {
            *found = s;
            return d;
        }
    }
    errlogPrintf("%s: %s %s has no signal %s (simplantReport 1 lists them)\n",
                 record, d->kind->name, name, wanted);
    return NULL;
}

static double fetch(const device *d, const plantSignal *s)
{
    const char *place = (const char *) d->part + s->offset;

    return s->type == signalInt ? *(const int *) place : *(const double *) place;
}

int deviceRead(device *d, const plantSignal *s, double *value)
{
    int isBroken;

    epicsMutexMustLock(d->lock);
    *value = fetch(d, s);
    isBroken = s->broken && d->kind->isBroken && d->kind->isBroken(d->part);
    epicsMutexUnlock(d->lock);
    return isBroken ? -1 : 0;
}

int deviceWrite(device *d, const plantSignal *s, double value)
{
    int status = 0;

    if (s->access != signalWrite || !(value >= s->low && value <= s->high))
        return -1;
    epicsMutexMustLock(d->lock);
    if (s->write) {
        status = s->write(d->part, value);
    } else {
        char *place = (char *) d->part + s->offset;

        if (s->type == signalInt)
            *(int *) place = (int) value;
        else
            *(double *) place = value;
    }
    epicsMutexUnlock(d->lock);
    return status;
}

IOSCANPVT deviceScan(device *d) { return d->scan; }

void deviceReport(int level)
{
    ELLNODE *node;

    for (node = ellFirst(&devices); node; node = ellNext(node)) {
        device *d = (device *) node;
        const plantSignal *s;

        printf("%s %s: every %g s, %g times real time\n", d->kind->name, d->name, d->period, d->speed);
        for (s = d->kind->signals; level > 0 && s->name; s++) {
            double value;
            int status = deviceRead(d, s, &value);

            printf("    %-20s %14.6g%s%s\n", s->name, value,
                   s->access == signalWrite ? "  (writable)" : "", status ? "  (broken)" : "");
        }
    }
}
