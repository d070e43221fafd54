cd /epics

iocInit
