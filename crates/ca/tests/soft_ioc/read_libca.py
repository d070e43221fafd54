"""Reads PVs with libca, through pyepics, and prints what `read.py` prints."""

import os
import struct
import sys

import caproto
import epicscorelibs.path

os.environ["PYEPICS_LIBCA"] = epicscorelibs.path.get_lib("ca")

from epics import ca, dbr  # noqa: E402: the library must be known before

NAMES = {dbr.STRING: "STRING", dbr.SHORT: "SHORT", dbr.FLOAT: "FLOAT", dbr.ENUM: "ENUM", dbr.CHAR: "CHAR", dbr.LONG: "LONG", dbr.DOUBLE: "DOUBLE"}
FORMATS = {"SHORT": ">h", "FLOAT": ">f", "ENUM": ">H", "CHAR": ">B", "LONG": ">i", "DOUBLE": ">d"}
EPICS_EPOCH = 631152000

for name in sys.argv[1:]:
    channel = ca.create_channel(name)
    ca.connect_channel(channel, timeout=10)
    native = ca.field_type(channel)
    kind = NAMES[native]
    data = ca.get_with_metadata(channel, ftype=ca.promote_type(channel, use_time=True), as_numpy=False, timeout=10)
    value = data["value"]
    # an array type of ctypes, a list or one number
    values = list(value) if hasattr(value, "__len__") and not isinstance(value, (str, bytes)) else [value]
    if kind not in ("STRING", "FLOAT", "DOUBLE"):
        values = [int(number) for number in values]
    if kind == "STRING":
        elements = [(text if isinstance(text, bytes) else text.encode()).hex() for text in values]
    else:
        elements = [struct.pack(FORMATS[kind], number).hex() for number in values]
    label = "-"
    if kind == "ENUM" and ca.element_count(channel) == 1:
        labels = ca.get_enum_strings(channel)
        label = labels[value].decode() if isinstance(labels[value], bytes) else labels[value]
    severity = caproto.AlarmSeverity(data["severity"]).name
    severity = severity if severity == "NO_ALARM" else severity.removesuffix("_ALARM")
    status = caproto.AlarmStatus(data["status"]).name
    print(name, kind, severity, status, int(data["posixseconds"]) - EPICS_EPOCH, int(data["nanoseconds"]), label, ",".join(elements), sep="|")
