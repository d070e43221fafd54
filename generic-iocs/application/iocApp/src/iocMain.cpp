/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the start-up script that it is given, then the IOC shell. */
#include <cstdio>

#include <epicsExit.h>
#include <epicsThread.h>
#include <iocsh.h>

int main(int argc, char *argv[])
{
    if (argc >= 2) {
        if (iocsh(argv[1])) {
            std::fprintf(stderr, "ioc: %s failed\n", argv[1]);
            epicsExit(1);
        }
        /* What the records print while they start comes before the first prompt. */
        epicsThreadSleep(0.2);
    }
    iocsh(NULL);
    epicsExit(0);
    return 0;
}
