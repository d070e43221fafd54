"""The repeater of libca, as its program `caRepeater` runs it; it ends by itself when there is one already."""

import ctypes
import os

import epicscorelibs

libraries = os.path.join(os.path.dirname(epicscorelibs.__file__), "lib")
ctypes.CDLL(os.path.join(libraries, "libCom.so"), mode=ctypes.RTLD_GLOBAL)
# `ca_repeater()`, which is C++
ctypes.CDLL(os.path.join(libraries, "libca.so"))._Z11ca_repeaterv()
