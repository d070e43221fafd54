# t01-ea-ioc-01: the heated sample stage of the experiment hutch
#
#   T01:UPTIME, T01:SAVE:STATUS     the IOC itself
#   T01:STAGE:TEMP, :SP, :ENABLE    temperature, setpoint, heater
#   T01:STAGE:GAIN, :TI, :OUTPUT    its control loop

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# name, period of the simulation in seconds
simplantStageConfigure("STAGE", 0.1)

dbLoadRecords("simplantIoc.db", "P=$(IOC_PREFIX):")
# heats to 40 degC as soon as it starts
dbLoadRecords("simplantStage.db", "P=$(IOC_PREFIX):,R=STAGE:,PORT=STAGE,SP=40,ENABLE=1,HIGH=60,HIHI=80")

# settings are written to /autosave at most every 5 seconds and read back at the next start
simplantSaveConfigure("/autosave", "simplantStage_settings.req", 5, "P=$(IOC_PREFIX):,R=STAGE:")

iocInit
