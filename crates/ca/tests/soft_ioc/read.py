"""Reads PVs with caproto and prints one line for each, in the form that the test renders its own readings in.

A line: name, type, severity, status, seconds since 1990, nanoseconds, label of an enumerated state or -, elements as
big-endian hexadecimal bytes (texts up to their first zero).
"""

import struct
import sys

import caproto
from caproto.sync.client import read

FORMATS = {"SHORT": ">h", "INT": ">h", "FLOAT": ">f", "ENUM": ">H", "CHAR": ">B", "LONG": ">i", "DOUBLE": ">d"}

for name in sys.argv[1:]:
    response = read(name, data_type="time", force_int_enums=True, timeout=10, repeater=False)
    kind = response.data_type.name.removeprefix("TIME_")
    meta = response.metadata
    label = "-"
    if kind == "STRING":
        elements = [bytes(text).split(b"\0")[0].hex() for text in response.data]
    else:
        elements = [struct.pack(FORMATS[kind], number).hex() for number in response.data]
    if kind == "ENUM" and len(elements) == 1:
        control = read(name, data_type="control", force_int_enums=True, timeout=10, repeater=False)
        labels = control.metadata.enum_strings
        if response.data[0] < len(labels):
            label = labels[response.data[0]].decode()
    severity = caproto.AlarmSeverity(meta.severity).name
    severity = severity if severity == "NO_ALARM" else severity.removesuffix("_ALARM")
    status = caproto.AlarmStatus(meta.status).name
    stamp = meta.stamp
    kind = {"INT": "SHORT"}.get(kind, kind)
    print(name, kind, severity, status, stamp.secondsSinceEpoch, stamp.nanoSeconds, label, ",".join(elements), sep="|")
