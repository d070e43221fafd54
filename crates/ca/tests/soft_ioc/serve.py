"""A soft IOC with the records and access rules beside this file; it lives until its standard input ends.

Channel Access only: the starter that comes with epicscorelibs would open a PV Access server as well.
"""

import os
import sys
import tempfile

from epicscorelibs import ioc

here = os.path.dirname(os.path.abspath(__file__))
ioc.iocshRegisterCommon()
ioc.ioc('asSetFilename("%s")' % os.path.join(here, "access.acf"))
databases = [(os.path.join(here, "records.db"), "")]
with tempfile.NamedTemporaryFile("w", suffix=".db") as more:
    # an argument asks for that many further records
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        more.write('record(ao, "T:MANY%d") { field(VAL, "%d") field(PINI, "YES") }\n' % (number, number))
    more.flush()
    if len(sys.argv) > 1:
        databases.append((more.name, ""))
    ioc.start_ioc(dbs=databases)
sys.stdin.read()
