/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated motor axis: trapezoidal moves between two limits, stop, and a position that can be
 * defined. Not a motor record; arithmetic only, like stage.h.
 *
 * Units: whatever the axis moves in (mm by habit), seconds.
 */
#ifndef SIMPLANT_AXIS_H
#define SIMPLANT_AXIS_H

typedef enum {
    axisIdle = 0,
    axisMoving = 1,
    axisStopping = 2,
    axisAtLowLimit = 3,
    axisAtHighLimit = 4
} axisState;

typedef struct axis {
    /* Settings */
    double maximumVelocity; /* units/s, above 0 */
    double acceleration;    /* units/s/s, above 0 */
    double lowLimit;
    double highLimit;

    /* What the axis does */
    double target;
    double position;        /* exact */
    double readback;        /* as the encoder sees it */
    double velocity;        /* signed */
    int moving;
    int done;               /* always the opposite of `moving` */
    int stopping;
    int atLowLimit;
    int atHighLimit;
    int state;              /* axisState */
} axis;

void axisInit(axis *a);

/* Let `dt` seconds pass (anything not above 0 is ignored; at most one minute at a time). */
void axisStep(axis *a, double dt);

/* Start a move, also while moving. Returns -1, and nothing moves, for a target outside the limits. */
int axisMove(axis *a, double target);

/* Decelerate to a standstill. */
void axisStop(axis *a);

/* Say where the axis stands. Returns -1 while it moves. */
int axisDefine(axis *a, double position);

#endif
