/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated parts alone: no records, no threads, no clock. */
#include <math.h>

#include <epicsUnitTest.h>
#include <testMain.h>

#include "axis.h"
#include "stage.h"

static void run(stage *s, double seconds)
{
    double t;

    for (t = 0.0; t < seconds; t += 0.1)
        stageStep(s, 0.1);
}

static void heated(stage *s, double setpoint)
{
    stageInit(s, 1);
    s->noise = 0.0;
    s->setpoint = setpoint;
    s->enabled = 1;
}

static void testStage(void)
{
    stage s, fine;
    double t, peak = 0.0, low = HUGE_VAL, high = -HUGE_VAL;

    testDiag("stage");
    stageInit(&s, 1);
    s.noise = 0.0;
    run(&s, 60.0);
    testOk(fabs(s.reading - 20.0) < 1e-9, "stays at room temperature while off: %g", s.reading);
    testOk1(s.state == stageOff && !s.tripped && s.power == 0.0);

    heated(&s, 60.0);
    for (t = 0.0; t < 120.0; t += 0.1) {
        stageStep(&s, 0.1);
        if (s.reading > peak)
            peak = s.reading;
    }
    testOk(fabs(s.reading - 60.0) < 0.2, "reaches the setpoint: %g", s.reading);
    testOk(peak < 65.0, "overshoots little: %g", peak);
    testOk1(s.state == stageHolding && s.settled);
    /* In balance the heater replaces what the block and the sample lose. */
    testOk(s.power > 30.0 && s.power < 50.0, "holds with a sensible power: %g W", s.power);

    heated(&fine, 60.0);
    for (t = 0.0; t < 120.0; t += 0.01)
        stageStep(&fine, 0.01);
    testOk(fabs(fine.reading - s.reading) < 0.2, "the period does not change the physics: %g", fine.reading);

    heated(&s, 60.0);
    s.rampRate = 60.0;
    run(&s, 10.0);
    testOk(fabs(s.workingSetpoint - 30.0) < 0.2, "10 s of 60 K/min: %g", s.workingSetpoint);
    testOk1(s.state == stageHeating);

    heated(&s, 60.0);
    s.automatic = 0;
    s.manualOutput = 25.0;
    run(&s, 10.0);
    testOk(s.power == 50.0 && s.state == stageManual, "manual output: %g W", s.power);

    testDiag("interlock");
    heated(&s, 60.0);
    s.tripLimit = 50.0;
    run(&s, 60.0);
    testOk1(s.tripped && s.state == stageTripped);
    heated(&s, 60.0);
    s.tripLimit = 50.0;
    while (!s.tripped)
        stageStep(&s, 0.1);
    testOk(s.power == 0.0 && s.output == 0.0, "a trip cuts the power in the same step");
    testOk(stageReset(&s) == -1 && s.tripped, "no reset while hot");
    run(&s, 300.0);
    testOk(s.tripped && s.power == 0.0, "stays tripped when cold again");
    testOk(stageReset(&s) == 0 && !s.tripped, "reset when cold");

    heated(&s, 30.0);
    s.sensorBroken = 1;
    run(&s, 1.0);
    testOk(s.tripped && stageReset(&s) == -1, "a broken sensor trips, and cannot be reset away");
    s.sensorBroken = 0;
    testOk1(stageReset(&s) == 0);

    testDiag("noise");
    stageInit(&s, 7);
    s.noise = 0.1;
    for (t = 0.0; t < 600.0; t += 0.1) {
        stageStep(&s, 0.1);
        if (s.reading < low)
            low = s.reading;
        if (s.reading > high)
            high = s.reading;
    }
    testOk(high > 20.02 && low < 19.98 && high < 21.0 && low > 19.0, "noise of a sensible size: %g to %g", low, high);

    testDiag("odd steps");
    heated(&s, 60.0);
    stageStep(&s, -1.0);
    stageStep(&s, 0.0);
    stageStep(&s, NAN);
    testOk(s.reading == 20.0, "time does not run backwards");
    stageStep(&s, 1e9);
    testOk(isfinite(s.reading) && s.reading < 200.0, "a long pause is harmless: %g", s.reading);
}

static void testAxis(void)
{
    axis a;
    double t, fastest = 0.0, furthest = 0.0;
    int i;

    testDiag("axis");
    axisInit(&a);
    testOk1(a.done && !a.moving && a.state == axisIdle);
    testOk(axisMove(&a, 10.0) == 0 && a.moving && !a.done && a.state == axisMoving, "starts at once");
    for (t = 0.0; a.moving && t < 60.0; t += 0.1) {
        axisStep(&a, 0.1);
        if (fabs(a.velocity) > fastest)
            fastest = fabs(a.velocity);
        if (a.position > furthest)
            furthest = a.position;
    }
    /* 10 mm at 5 mm/s with 10 mm/s/s: 1.5 s of travel and 0.5 s for the two ramps, one step more. */
    testOk(a.position == 10.0 && a.done && t > 2.2 && t < 2.8, "arrives exactly, after %g s", t);
    testOk(fabs(fastest - 5.0) < 1e-9, "at its velocity: %g", fastest);
    testOk(furthest <= 10.0 + 1e-3, "without overshoot: %g", furthest);

    testOk(axisMove(&a, 50.1) == -1 && !a.moving, "refuses a target beyond the limit");
    testOk(axisMove(&a, NAN) == -1 && !a.moving, "refuses a target that is no number");
    axisMove(&a, -50.0);
    axisStep(&a, 60.0);
    testOk1(a.atLowLimit && !a.atHighLimit && a.state == axisAtLowLimit);
    axisMove(&a, 50.0);
    axisStep(&a, 60.0);
    testOk1(a.atHighLimit && !a.atLowLimit && a.state == axisAtHighLimit);

    axisMove(&a, 0.0);
    axisStep(&a, 1.0);
    axisStop(&a);
    testOk1(a.stopping && a.state == axisStopping && axisDefine(&a, 0.0) == -1);
    axisStep(&a, 1.0);
    testOk(a.done && !a.stopping && a.position > 40.0 && a.position < 50.0, "stops on the way: %g", a.position);
    testOk(axisMove(&a, a.position) == 0 && a.done, "a move to where it stands is done");
    testOk(axisDefine(&a, 1.5) == 0 && a.readback == 1.5, "the position can be defined");

    axisMove(&a, 20.0);
    axisStep(&a, 1.0);
    axisMove(&a, -20.0);
    axisStep(&a, 60.0);
    testOk(a.position == -20.0 && a.done, "turns round on the way: %g", a.position);

    axisMove(&a, 40.0);
    axisStep(&a, 1.0);
    a.highLimit = 0.0;
    axisStep(&a, 60.0);
    testOk(a.done && a.position == 0.0, "a limit that moves in stops it: %g", a.position);

    axisInit(&a);
    for (i = 1; i <= 400; i++) {
        double target = (i * 7919 % 1000) / 10.0 - 50.0;

        a.maximumVelocity = 0.1 + i % 17;
        a.acceleration = 1.0 + i % 23 * 10.0;
        axisMove(&a, target);
        for (t = 0.0; a.moving && t < 2000.0; t += 0.05)
            axisStep(&a, 0.05);
        if (a.position != target)
            break;
    }
    testOk(i == 401, "always arrives (%d moves)", i - 1);
}

MAIN(simplantPhysicsTest)
{
    testPlan(36);
    testStage();
    testAxis();
    return testDone();
}
