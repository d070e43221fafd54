"""A soft IOC with the records and access rules beside this file; it lives until its standard input ends.

Channel Access only: the starter that comes with epicscorelibs would open a PV Access server as well.
"""

import os
import sys

from epicscorelibs import ioc

here = os.path.dirname(os.path.abspath(__file__))
ioc.iocshRegisterCommon()
ioc.ioc('asSetFilename("%s")' % os.path.join(here, "access.acf"))
ioc.start_ioc(dbs=[(os.path.join(here, "records.db"), "")])
sys.stdin.read()
