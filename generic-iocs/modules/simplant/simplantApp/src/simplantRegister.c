/* SPDX-License-Identifier: Apache-2.0 */
/* The iocsh commands, and the device `ioc` that every IOC with simplant has. */
#include <stdio.h>

#include <epicsExport.h>
#include <iocsh.h>

#include "device.h"
#include "settingSave.h"

static const double defaultPeriod = 0.1;
static const double defaultSpeed = 1.0;

/* A numeric argument that was left out arrives as 0. */
static double orElse(double value, double otherwise)
{
    return value == 0.0 ? otherwise : value;
}

static const iocshArg nameArg = { "name", iocshArgString };
static const iocshArg periodArg = { "period (s)", iocshArgDouble };
static const iocshArg speedArg = { "speed", iocshArgDouble };
static const iocshArg *const createArgs[] = { &nameArg, &periodArg, &speedArg };

static const iocshFuncDef stageDef = {
    "simplantStageConfigure", 3, createArgs,
    "Make a simulated heated sample stage.\n"
    "  name    what the records' links begin with: \"@NAME signal\"\n"
    "  period  seconds between simulation steps (0.1)\n"
    "  speed   simulated seconds per second (1)\n"
};

static void stageCall(const iocshArgBuf *args)
{
    iocshSetError(deviceCreate(&stageKind, args[0].sval, orElse(args[1].dval, defaultPeriod),
                               orElse(args[2].dval, defaultSpeed)));
}

static const iocshFuncDef motorDef = {
    "simplantMotorConfigure", 3, createArgs,
    "Make a simulated motor axis.\n"
    "  name    what the records' links begin with: \"@NAME signal\"\n"
    "  period  seconds between simulation steps (0.1)\n"
    "  speed   simulated seconds per second (1)\n"
};

static void motorCall(const iocshArgBuf *args)
{
    iocshSetError(deviceCreate(&axisKind, args[0].sval, orElse(args[1].dval, defaultPeriod),
                               orElse(args[2].dval, defaultSpeed)));
}

static const iocshArg dirArg = { "folder", iocshArgStringPath };
static const iocshArg requestArg = { "request file", iocshArgStringPath };
static const iocshArg macrosArg = { "macros", iocshArgString };
static const iocshArg *const saveArgs[] = { &dirArg, &requestArg, &periodArg, &macrosArg };

static const iocshFuncDef saveDef = {
    "simplantSaveConfigure", 4, saveArgs,
    "Keep the values of records over restarts. Before iocInit.\n"
    "  folder        where the save file is kept\n"
    "  request file  names of records, or \"file OTHER.req MACROS\"\n"
    "  period        seconds between looks at the values (5)\n"
    "  macros        for the request file: P=…,R=…\n"
};

static void saveCall(const iocshArgBuf *args)
{
    iocshSetError(settingSaveConfigure(args[0].sval, args[1].sval, orElse(args[2].dval, 5.0),
                                       args[3].sval));
}

static const iocshArg levelArg = { "level", iocshArgInt };
static const iocshArg *const reportArgs[] = { &levelArg };

static const iocshFuncDef reportDef = {
    "simplantReport", 1, reportArgs,
    "List the simulated devices and the save files; level 1 with signals and records.\n"
};

static void reportCall(const iocshArgBuf *args)
{
    deviceReport(args[0].ival);
    settingSaveReport(args[0].ival);
}

static void simplantRegister(void)
{
    settingSaveRegister();
    deviceCreate(&iocKind, "ioc", 0.5, 1.0);
    iocshRegister(&stageDef, stageCall);
    iocshRegister(&motorDef, motorCall);
    iocshRegister(&saveDef, saveCall);
    iocshRegister(&reportDef, reportCall);
}

epicsExportRegistrar(simplantRegister);
