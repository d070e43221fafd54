# {{ name }}
#
# The IOC finds databases of its image and of this folder by name. IOC_NAME and IOC_PREFIX come from
# values.yaml; /autosave survives restarts and new versions.

dbLoadDatabase("dbd/ioc.dbd")
ioc_registerRecordDeviceDriver(pdbbase)

# UPTIME, which says that the IOC lives
dbLoadRecords("ioc.db", "P=$(IOC_PREFIX):")

# Ports of the devices, such as a serial device behind a terminal server:
# drvAsynIPPortConfigure("PORT", "192.168.0.10:4001")

# Databases, of the image or beside this file:
# dbLoadRecords("device.db", "P=$(IOC_PREFIX):,PORT=PORT")

iocInit
