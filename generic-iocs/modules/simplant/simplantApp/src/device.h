/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated devices by name: what a record's link `@NAME SIGNAL` leads to.
 *
 * Each device has a thread of its own that lets the simulation follow the clock and then asks for
 * its `I/O Intr` records to be processed. All reading and writing goes through the functions below,
 * which hold the device's lock; the simulated parts themselves know no threads.
 */
#ifndef SIMPLANT_DEVICE_H
#define SIMPLANT_DEVICE_H

#include <stddef.h>
#include <dbScan.h>

typedef struct device device;
typedef struct plantSignal plantSignal;

/* A value that a record can read and perhaps write. */
struct plantSignal {
    const char *name;
    enum { signalDouble, signalInt } type;
    size_t offset;                       /* in the simulated part's structure */
    enum { signalRead, signalWrite } access;
    double low, high;                    /* accepted range of a written value */
    int (*write)(void *part, double value); /* instead of storing it; 0 or -1 */
    int broken;                          /* unreadable while the part's `isBroken` says so */
};

/* A kind of device. */
typedef struct deviceKind {
    const char *name;
    size_t size;
    const plantSignal *signals;               /* ends with a NULL name */
    void (*init)(void *part, const char *name);
    void (*step)(void *part, double seconds);
    int (*isBroken)(const void *part);   /* or NULL */
} deviceKind;

extern const deviceKind stageKind;
extern const deviceKind axisKind;
extern const deviceKind iocKind;

/* Make a device and start its thread; `period` and the passing of time are in seconds, `speed` is
 * how many simulated seconds pass in one. Returns 0, or -1 with a message on the error log. */
int deviceCreate(const deviceKind *kind, const char *name, double period, double speed);

/* The device and signal of a link text `NAME SIGNAL`. Returns NULL if there is none, with a message
 * that begins with `record`. */
device *deviceFind(const char *record, const char *link, const plantSignal **found);

/* Returns 0, or -1 if the value cannot be had (a broken sensor). */
int deviceRead(device *d, const plantSignal *s, double *value);

/* Returns 0, or -1 if the device refuses the value. */
int deviceWrite(device *d, const plantSignal *s, double value);

/* Processed after each step of the simulation. */
IOSCANPVT deviceScan(device *d);

/* Print the devices, and with a `level` above 0 their signals. */
void deviceReport(int level);

#endif
