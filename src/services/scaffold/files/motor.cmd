# {{ name }}: a simulated motor
#
# The IOC finds databases of its image and of this folder by name. IOC_NAME and IOC_PREFIX come from
# values.yaml; /autosave survives restarts and new versions.

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# name, period of the simulation in seconds
simplantMotorConfigure("X", 0.1)

dbLoadRecords("simplantIoc.db", "P=$(IOC_PREFIX):")
dbLoadRecords("simplantMotor.db", "P=$(IOC_PREFIX):,R=X:,PORT=X")

# settings and position are written to /autosave at most every 5 seconds and read back at the next start
simplantSaveConfigure("/autosave", "simplantMotor_settings.req", 5, "P=$(IOC_PREFIX):,R=X:")
simplantSaveConfigure("/autosave", "simplantMotor_positions.req", 5, "P=$(IOC_PREFIX):,R=X:")

iocInit
