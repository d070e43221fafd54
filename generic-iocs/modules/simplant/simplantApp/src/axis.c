/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "axis.h"

static const double resolution = 0.001;    /* of the encoder */
static const double longestStep = 0.002;   /* s */
static const double longestCall = 60.0;    /* s */

static void describe(axis *a)
{
    a->readback = floor(a->position / resolution + 0.5) * resolution;
    a->done = !a->moving;
    a->atLowLimit = a->position <= a->lowLimit + resolution / 2;
    a->atHighLimit = a->position >= a->highLimit - resolution / 2;
    if (a->stopping)
        a->state = axisStopping;
    else if (a->moving)
        a->state = axisMoving;
    else if (a->atLowLimit)
        a->state = axisAtLowLimit;
    else if (a->atHighLimit)
        a->state = axisAtHighLimit;
    else
        a->state = axisIdle;
}

void axisInit(axis *a)
{
    memset(a, 0, sizeof(*a));
    a->maximumVelocity = 5.0;
    a->acceleration = 10.0;
    a->lowLimit = -50.0;
    a->highLimit = 50.0;
    describe(a);
}

static void arrive(axis *a, double position)
{
    a->position = position;
    a->target = position;
    a->velocity = 0.0;
    a->moving = a->stopping = 0;
}

static void piece(axis *a, double dt)
{
    double distance = a->target - a->position;
    double most = a->acceleration * dt;
    double wanted = 0.0;

    if (!a->stopping) {
        /* No faster than what can still be braked after this step: v dt + v v / 2a = distance. */
        double brake = sqrt(most * most + 2.0 * a->acceleration * fabs(distance)) - most;

        wanted = copysign(brake < a->maximumVelocity ? brake : a->maximumVelocity, distance);
    }
    if (fabs(wanted - a->velocity) <= most)
        a->velocity = wanted;
    else
        a->velocity += copysign(most, wanted - a->velocity);

    if (a->stopping && a->velocity == 0.0) {
        arrive(a, a->position);
    } else if (!a->stopping && fabs(a->velocity) <= 2.0 * most && fabs(distance) <= most * dt) {
        arrive(a, a->target);
    } else {
        double before = a->position;

        a->position += a->velocity * dt;
        /* The end switches stop the axis dead, whatever it was asked to do. The limits may have
         * been moved past the axis, which then stays where it is. */
        if (a->velocity > 0.0 && a->position > a->highLimit)
            arrive(a, before > a->highLimit ? before : a->highLimit);
        else if (a->velocity < 0.0 && a->position < a->lowLimit)
            arrive(a, before < a->lowLimit ? before : a->lowLimit);
    }
}

void axisStep(axis *a, double dt)
{
    if (!(dt > 0.0))
        return;
    if (dt > longestCall)
        dt = longestCall;
    while (dt > 0.0 && a->moving) {
        double part = dt < longestStep ? dt : longestStep;

        piece(a, part);
        dt -= part;
    }
    describe(a);
}

int axisMove(axis *a, double target)
{
    if (!(target >= a->lowLimit && target <= a->highLimit))
        return -1;
    a->target = target;
    a->stopping = 0;
    a->moving = a->velocity != 0.0 || target != a->position;
    describe(a);
    return 0;
}

void axisStop(axis *a)
{
    if (a->moving)
        a->stopping = 1;
    describe(a);
}

int axisDefine(axis *a, double position)
{
    if (a->moving || !isfinite(position))
        return -1;
    arrive(a, position);
    describe(a);
    return 0;
}
