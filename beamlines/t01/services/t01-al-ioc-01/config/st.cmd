# t01-al-ioc-01: a stage that is heated beyond its limits
#
# T01-AL:STAGE:TEMP passes 30 degC (HIGH, MINOR) and 40 degC (HIHI, MAJOR) on its way to 60 degC; switch it
# off with `caput T01-AL:STAGE:ENABLE 0` and the alarms go again.

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# name, period of the simulation in seconds, ten times as fast as the clock
simplantStageConfigure("STAGE", 0.1, 10)

dbLoadRecords("simplantIoc.db", "P=$(IOC_PREFIX):")
dbLoadRecords("simplantStage.db", "P=T01-AL:,R=STAGE:,PORT=STAGE,SP=60,ENABLE=1,HIGH=30,HIHI=40")

iocInit
