/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heated sample stage: a heater block, a sample in thermal contact with it, losses to the room,
 * a sensor, a proportional-integral controller with a setpoint ramp, and an over-temperature
 * interlock that must be reset.
 *
 * Arithmetic only. It knows no clock, no thread and no record: the caller says how much time has
 * passed, and guards the structure.
 *
 * Units: degrees Celsius, kelvin for differences, watts, seconds, per cent of full heater power.
 */
#ifndef SIMPLANT_STAGE_H
#define SIMPLANT_STAGE_H

#include <stdint.h>

typedef enum {
    stageOff = 0,      /* heater not enabled */
    stageManual = 1,   /* the operator sets the output */
    stageHeating = 2,  /* below the setpoint, or on a ramp upwards */
    stageCooling = 3,  /* above the setpoint, or on a ramp downwards */
    stageHolding = 4,  /* within the band around the setpoint long enough */
    stageTripped = 5   /* the interlock holds the heater off */
} stageState;

typedef struct stage {
    /* Settings */
    double setpoint;        /* degC */
    double rampRate;        /* K/min; 0: the working setpoint jumps */
    double gain;            /* % per K */
    double integralTime;    /* s; 0: no integral part */
    double manualOutput;    /* % */
    double maximumPower;    /* W at 100 % */
    double ambient;         /* degC of the room */
    double tripLimit;       /* degC of the heater block */
    double noise;           /* K, standard deviation of the sensor */
    int enabled;
    int automatic;          /* 0: manual output, 1: controller */
    int sensorBroken;       /* simulated fault: the reading is not to be believed */

    /* What the plant does */
    double heaterTemperature;
    double sampleTemperature;
    double reading;         /* what the sensor says of the sample */
    double workingSetpoint; /* moves towards the setpoint at the ramp rate */
    double integral;        /* %, the controller's memory */
    double output;          /* % */
    double power;           /* W */
    double settledFor;      /* s within the band */
    int settled;
    int tripped;
    int state;              /* stageState */
    uint32_t random;
} stage;

/* Room temperature, heater off; `seed` makes the sensor noise differ between stages. */
void stageInit(stage *s, uint32_t seed);

/* Let `dt` seconds pass (anything not above 0 is ignored; at most one minute at a time). */
void stageStep(stage *s, double dt);

/* Clear a trip. Returns -1 while the heater block is too hot or the sensor is broken. */
int stageReset(stage *s);

#endif
