/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "stage.h"

/* Heat capacities and conductances of a small stage: 200 W take it from 20 to 60 degC in about half
 * a minute, and the sample follows the heater block within a few seconds. */
static const double heaterCapacity = 60.0;    /* J/K */
static const double sampleCapacity = 40.0;    /* J/K */
static const double contact = 20.0;           /* W/K, heater block to sample */
static const double heaterLoss = 0.8;         /* W/K, heater block to the room */
static const double sampleLoss = 0.2;         /* W/K, sample to the room */
static const double sensorLag = 0.5;          /* s */

/* The fastest time constant is the sensor's; a tenth of it keeps explicit integration accurate. */
static const double longestStep = 0.05;       /* s */
static const double longestCall = 60.0;       /* s */

static const double settledBand = 0.5;        /* K */
static const double settledTime = 3.0;        /* s */
static const double resetMargin = 5.0;        /* K below the trip limit */

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* Roughly normal, standard deviation 1: the sum of four uniform numbers, scaled. */
static double noiseSample(stage *s)
{
    double sum = 0.0;
    int i;

    for (i = 0; i < 4; i++) {
        s->random ^= s->random << 13;
        s->random ^= s->random >> 17;
        s->random ^= s->random << 5;
        sum += s->random / 4294967295.0 - 0.5;
    }
    return sum * sqrt(3.0);
}

void stageInit(stage *s, uint32_t seed)
{
    memset(s, 0, sizeof(*s));
    s->random = seed ? seed : 1u;
    s->setpoint = 20.0;
    s->gain = 8.0;
    s->integralTime = 30.0;
    s->maximumPower = 200.0;
    s->ambient = 20.0;
    s->tripLimit = 120.0;
    s->noise = 0.02;
    s->automatic = 1;
    s->heaterTemperature = s->sampleTemperature = s->reading = s->workingSetpoint = s->ambient;
    s->state = stageOff;
}

static void moveWorkingSetpoint(stage *s, double dt)
{
    double most = s->rampRate / 60.0 * dt;
    double difference = s->setpoint - s->workingSetpoint;

    if (s->rampRate <= 0.0 || fabs(difference) <= most)
        s->workingSetpoint = s->setpoint;
    else
        s->workingSetpoint += copysign(most, difference);
}

static void control(stage *s, double dt)
{
    double error, wanted;

    if (s->tripped || !s->enabled || s->sensorBroken || !s->automatic) {
        /* The controller starts from where the sample is, without a bump. */
        s->workingSetpoint = s->reading;
        s->integral = 0.0;
        s->output = s->tripped || !s->enabled || s->sensorBroken
            ? 0.0 : clamp(s->manualOutput, 0.0, 100.0);
        return;
    }

    moveWorkingSetpoint(s, dt);
    error = s->workingSetpoint - s->reading;
    wanted = s->gain * error + s->integral;
    s->output = clamp(wanted, 0.0, 100.0);
    if (s->integralTime <= 0.0)
        s->integral = 0.0;
    else if ((wanted < 100.0 || error < 0.0) && (wanted > 0.0 || error > 0.0))
        /* Not while the output is at its end and the error asks for more (no wind-up). */
        s->integral = clamp(s->integral + s->gain * error * dt / s->integralTime, 0.0, 100.0);
}

static void heat(stage *s, double dt)
{
    double exchanged = contact * (s->heaterTemperature - s->sampleTemperature);
    double heaterNet, sampleNet;

    s->power = s->output / 100.0 * s->maximumPower;
    heaterNet = s->power - exchanged - heaterLoss * (s->heaterTemperature - s->ambient);
    sampleNet = exchanged - sampleLoss * (s->sampleTemperature - s->ambient);
    s->heaterTemperature += heaterNet * dt / heaterCapacity;
    s->sampleTemperature += sampleNet * dt / sampleCapacity;
    s->reading += (s->sampleTemperature - s->reading) * dt / sensorLag;
}

static void judge(stage *s, double dt)
{
    if (s->heaterTemperature > s->tripLimit || (s->sensorBroken && s->enabled))
        s->tripped = 1;

    if (s->enabled && s->automatic && !s->tripped && fabs(s->reading - s->setpoint) < settledBand)
        s->settledFor += dt;
    else
        s->settledFor = 0.0;
    s->settled = s->settledFor >= settledTime;

    if (s->tripped)
        s->state = stageTripped;
    else if (!s->enabled)
        s->state = stageOff;
    else if (!s->automatic)
        s->state = stageManual;
    else if (s->settled)
        s->state = stageHolding;
    else
        s->state = s->setpoint >= s->reading ? stageHeating : stageCooling;
}

void stageStep(stage *s, double dt)
{
    double lag;

    if (!(dt > 0.0))
        return;
    if (dt > longestCall)
        dt = longestCall;
    lag = dt;
    while (lag > 0.0) {
        double piece = lag < longestStep ? lag : longestStep;

        control(s, piece);
        heat(s, piece);
        judge(s, piece);
        lag -= piece;
    }
    /* A tripped interlock cuts the power now, not at the next step. */
    if (s->tripped)
        s->output = s->power = 0.0;
    s->reading += s->noise * noiseSample(s) * (1.0 - exp(-dt / sensorLag));
}

int stageReset(stage *s)
{
    if (s->sensorBroken || s->heaterTemperature > s->tripLimit - resetMargin)
        return -1;
    s->tripped = 0;
    s->state = s->enabled ? s->state : stageOff;
    return 0;
}
