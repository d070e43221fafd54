# {{ name }}: a simulated heated sample stage
#
# The IOC finds databases of its image and of this folder by name. IOC_NAME and IOC_PREFIX come from
# values.yaml; /autosave survives restarts and new versions.

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# name, period of the simulation in seconds
simplantStageConfigure("STAGE", 0.1)

dbLoadRecords("simplantIoc.db", "P=$(IOC_PREFIX):")
dbLoadRecords("simplantStage.db", "P=$(IOC_PREFIX):,R=STAGE:,PORT=STAGE")

# settings are written to /autosave at most every 5 seconds and read back at the next start
simplantSaveConfigure("/autosave", "simplantStage_settings.req", 5, "P=$(IOC_PREFIX):,R=STAGE:")

iocInit
