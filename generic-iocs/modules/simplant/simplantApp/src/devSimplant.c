/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device support "simplant": ai, ao, bi, bo, mbbi, mbbo and longin records on the signals of
 * simulated devices. Links are `@DEVICE SIGNAL`.
 *
 * An input shows READ/INVALID while its sensor is broken; an output shows WRITE/INVALID when the
 * device refuses the value (outside its range, outside the limits of an axis, a reset that is not
 * possible yet).
 */
#define USE_TYPED_DSET
#define USE_TYPED_RSET

#include <math.h>

#include <alarm.h>
#include <aiRecord.h>
#include <aoRecord.h>
#include <biRecord.h>
#include <boRecord.h>
#include <cantProceed.h>
#include <dbAccess.h>
#include <dbCommon.h>
#include <devSup.h>
#include <epicsExport.h>
#include <errlog.h>
#include <link.h>
#include <longinRecord.h>
#include <mbbiRecord.h>
#include <mbboRecord.h>
#include <recGbl.h>

#include "device.h"

/* What a record's `dpvt` leads to. */
typedef struct place {
    device *device;
    const plantSignal *signal;
} place;

static long attach(dbCommon *record, const DBLINK *link, int writes)
{
    const plantSignal *found;
    device *d;
    place *p;

    record->dpvt = NULL;
    if (link->type != INST_IO) {
        errlogPrintf("%s: the link must be \"@DEVICE SIGNAL\"\n", record->name);
        record->pact = TRUE; /* never processed, as for any other record that could not start */
        return S_dev_badInpType;
    }
    d = deviceFind(record->name, link->value.instio.string, &found);
    if (d && writes && found->access != signalWrite) {
        errlogPrintf("%s: the signal %s cannot be written\n", record->name, found->name);
        d = NULL;
    }
    if (!d) {
        record->pact = TRUE;
        return S_dev_badSignal;
    }
    p = mallocMustSucceed(sizeof(*p), "simplant record");
    p->device = d;
    p->signal = found;
    record->dpvt = p;
    return 0;
}

static long readInto(dbCommon *record, double *value)
{
    place *p = record->dpvt;

    if (!p || deviceRead(p->device, p->signal, value)) {
        recGblSetSevr(record, READ_ALARM, INVALID_ALARM);
        return -1;
    }
    record->udf = isnan(*value);
    return 0;
}

static long writeFrom(dbCommon *record, double value)
{
    place *p = record->dpvt;

    if (!p || deviceWrite(p->device, p->signal, value)) {
        recGblSetSevr(record, WRITE_ALARM, INVALID_ALARM);
        return -1;
    }
    return 0;
}

static long ioIntr(int detach, dbCommon *record, IOSCANPVT *scan)
{
    place *p = record->dpvt;

    (void) detach;
    if (!p)
        return -1;
    *scan = deviceScan(p->device);
    return 0;
}

/* ---- inputs ---- */

static long initAi(dbCommon *record)
{
    aiRecord *ai = (aiRecord *) record;
    long status = attach(record, &ai->inp, 0);
    place *p = record->dpvt;

    /* A value that was there before the record started was restored from a file: an axis that has
     * lost its power stands where it stood. */
    if (!status && p->signal->access == signalWrite && !record->udf
        && deviceWrite(p->device, p->signal, ai->val))
        errlogPrintf("%s: the restored value %g is refused\n", record->name, ai->val);
    return status;
}

static long readAi(aiRecord *ai)
{
    double value;

    if (readInto((dbCommon *) ai, &value))
        return -1;
    ai->val = value;
    return 2; /* no conversion */
}

static long initLongin(dbCommon *record)
{
    return attach(record, &((longinRecord *) record)->inp, 0);
}

static long readLongin(longinRecord *longin)
{
    double value;

    if (readInto((dbCommon *) longin, &value))
        return -1;
    longin->val = (epicsInt32) value;
    return 0;
}

static long initBi(dbCommon *record)
{
    return attach(record, &((biRecord *) record)->inp, 0);
}

static long readBi(biRecord *bi)
{
    double value;

    if (readInto((dbCommon *) bi, &value))
        return -1;
    bi->val = value != 0.0;
    return 2;
}

static long initMbbi(dbCommon *record)
{
    return attach(record, &((mbbiRecord *) record)->inp, 0);
}

static long readMbbi(mbbiRecord *mbbi)
{
    double value;

    if (readInto((dbCommon *) mbbi, &value))
        return -1;
    mbbi->val = (epicsEnum16) value;
    return 2;
}

/* ---- outputs: without a value from the database or a file they start with the device's ---- */

static long initAo(dbCommon *record)
{
    aoRecord *ao = (aoRecord *) record;
    long status = attach(record, &ao->out, 1);

    if (status)
        return status;
    if (record->udf)
        readInto(record, &ao->val);
    return 2; /* no conversion */
}

static long writeAo(aoRecord *ao) { return writeFrom((dbCommon *) ao, ao->oval); }

static long initBo(dbCommon *record)
{
    boRecord *bo = (boRecord *) record;
    long status = attach(record, &bo->out, 1);
    double value;

    if (status)
        return status;
    if (record->udf && !readInto(record, &value))
        bo->val = value != 0.0;
    return 2;
}

static long writeBo(boRecord *bo) { return writeFrom((dbCommon *) bo, bo->val); }

static long initMbbo(dbCommon *record)
{
    mbboRecord *mbbo = (mbboRecord *) record;
    long status = attach(record, &mbbo->out, 1);
    double value;

    if (status)
        return status;
    if (record->udf && !readInto(record, &value))
        mbbo->val = (epicsEnum16) value;
    return 2;
}

static long writeMbbo(mbboRecord *mbbo) { return writeFrom((dbCommon *) mbbo, mbbo->val); }

static aidset devAiSimplant = { { 6, NULL, NULL, initAi, ioIntr }, readAi, NULL };
static longindset devLonginSimplant = { { 5, NULL, NULL, initLongin, ioIntr }, readLongin };
static bidset devBiSimplant = { { 5, NULL, NULL, initBi, ioIntr }, readBi };
static mbbidset devMbbiSimplant = { { 5, NULL, NULL, initMbbi, ioIntr }, readMbbi };
static aodset devAoSimplant = { { 6, NULL, NULL, initAo, NULL }, writeAo, NULL };
static bodset devBoSimplant = { { 5, NULL, NULL, initBo, NULL }, writeBo };
static mbbodset devMbboSimplant = { { 5, NULL, NULL, initMbbo, NULL }, writeMbbo };

epicsExportAddress(dset, devAiSimplant);
epicsExportAddress(dset, devLonginSimplant);
epicsExportAddress(dset, devBiSimplant);
epicsExportAddress(dset, devMbbiSimplant);
epicsExportAddress(dset, devAoSimplant);
epicsExportAddress(dset, devBoSimplant);
epicsExportAddress(dset, devMbboSimplant);
