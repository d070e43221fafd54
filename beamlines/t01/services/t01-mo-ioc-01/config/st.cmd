# t01-mo-ioc-01: the axis that moves the sample
#
#   T01-MO:X:TARGET, :POSITION, :STOP   move to, where it is, stop
#   T01-MO:X:VELOCITY, :LIMIT:HIGH:SET  settings

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# name, period of the simulation in seconds
simplantMotorConfigure("X", 0.1)

dbLoadRecords("simplantIoc.db", "P=$(IOC_PREFIX):")
dbLoadRecords("simplantMotor.db", "P=T01-MO:,R=X:,PORT=X,VELO=5,LLM=-50,HLM=50")

# settings and position are written to /autosave at most every 5 seconds and read back at the next start
simplantSaveConfigure("/autosave", "simplantMotor_settings.req", 5, "P=T01-MO:,R=X:")
simplantSaveConfigure("/autosave", "simplantMotor_positions.req", 5, "P=T01-MO:,R=X:")

iocInit
