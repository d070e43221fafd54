"""A soft IOC with the databases that are named; it says `ready` when it runs, and lives until its standard input ends."""

import sys

from epicscorelibs import ioc

ioc.iocshRegisterCommon()
ioc.start_ioc(dbs=[(database, "") for database in sys.argv[1:]])
print("ready", flush=True)
sys.stdin.read()
