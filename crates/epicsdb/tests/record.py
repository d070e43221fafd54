"""Records anew what a real EPICS base does with the cases in tests/data/*.jsonl.

    pip install epicscorelibs
    python tests/record.py macros databases scripts substitutions [--msi PROGRAM]

Each line of a table is one case; its inputs stay, its answers are replaced. A new case is a line
with the inputs alone. Without --msi the rows of msi stay as they are (it is not in the wheel).
Every case runs in a process of its own, on the loopback interface.
"""

import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DATA = Path(__file__).parent / "data"
LOOPBACK = {
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
}
TEMPLATE = "$(A=-)|$(B=-)|$(C=-)|$(P=-)"


def libraries():
    from epicscorelibs import path

    com = ctypes.CDLL(path.get_lib("Com"), mode=ctypes.RTLD_GLOBAL)
    core = ctypes.CDLL(path.get_lib("dbCore"), mode=ctypes.RTLD_GLOBAL)
    return com, core, path.base_path


# What runs in the child process: one case in, answers on standard output.


def child_macros(definitions, text, quiet):
    com, _, _ = libraries()
    pointer = ctypes.POINTER(ctypes.c_char_p)
    com.macCreateHandle.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p]
    com.macParseDefns.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(pointer)]
    com.macInstallMacros.argtypes = [ctypes.c_void_p, pointer]
    com.macExpandString.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long]
    com.macExpandString.restype = ctypes.c_long
    com.macSuppressWarning.argtypes = [ctypes.c_void_p, ctypes.c_int]
    com.eltc(0)
    pairs = pointer()
    count = com.macParseDefns(None, definitions.encode(), ctypes.byref(pairs))
    shown = [
        [None if half is None else half.decode("utf8", "replace") for half in pairs[2 * n : 2 * n + 2]]
        for n in range(count)
    ]
    handle = ctypes.c_void_p()
    com.macCreateHandle(ctypes.byref(handle), None)
    com.macInstallMacros(handle, pairs)
    com.macSuppressWarning(handle, int(quiet == "True"))
    buffer = ctypes.create_string_buffer(4096)
    length = com.macExpandString(handle, text.encode(), buffer, 1024)
    print(json.dumps([shown, buffer.value.decode("utf8", "replace"), length]))


def child_load(how, file, macros):
    com, core, base = libraries()
    from epicscorelibs import path

    ctypes.CDLL(path.get_lib("dbRecStd"), mode=ctypes.RTLD_GLOBAL)
    for name, arguments in [("dbLoadDatabase", 3), ("dbLoadRecords", 2), ("dbLoadTemplate", 3)]:
        getattr(core, name).argtypes = [ctypes.c_char_p] * arguments
    core.registerAllRecordDeviceDrivers.argtypes = [ctypes.c_void_p]
    core.dbDumpRecord.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    core.iocshRegisterCommon()
    core.dbLoadDatabase(b"base.dbd", os.path.join(base, "dbd").encode(), None)
    database = ctypes.c_void_p.in_dll(core, "pdbbase")
    core.registerAllRecordDeviceDrivers(database)
    if how == "records":
        status = core.dbLoadRecords(file.encode(), macros.encode())
    else:
        status = core.dbLoadTemplate(file.encode(), macros.encode(), None)
    com.errlogFlush()
    print("STATUS", status, flush=True)
    core.dbDumpRecord(database, None, 0)
    ctypes.CDLL(None).fflush(None)
    print("END", flush=True)
    if how == "records":
        core.iocBuild()
        com.errlogFlush()
        ctypes.CDLL(None).fflush(None)


def child_script(file):
    com, core, _ = libraries()

    class Argument(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int)]

    class Function(ctypes.Structure):
        _fields_ = [
            ("name", ctypes.c_char_p),
            ("nargs", ctypes.c_int),
            ("arg", ctypes.POINTER(ctypes.POINTER(Argument))),
            ("usage", ctypes.c_char_p),
        ]

    class Words(ctypes.Structure):
        _fields_ = [("count", ctypes.c_int), ("words", ctypes.POINTER(ctypes.c_char_p))]

    words = Argument(b"args", 4)  # iocshArgArgv
    function = Function(b"t", 1, (ctypes.POINTER(Argument) * 1)(ctypes.pointer(words)), None)

    def call(found):
        texts = [found[0].words[n].decode("utf8", "replace") for n in range(1, found[0].count)]
        print("CALL", json.dumps(texts), flush=True)

    callback = ctypes.CFUNCTYPE(None, ctypes.POINTER(Words))(call)
    core.iocshRegisterCommon()
    com.iocshRegister(ctypes.byref(function), callback)
    com.iocsh(file.encode())


# What runs in the parent: a case in, the case with its answers out.


def run(folder, *arguments, environment=()):
    """Exit status, output and complaints of a child process; None if it does not come back."""
    command = [sys.executable, os.path.abspath(__file__), "--child", *arguments]
    variables = dict(os.environ, **LOOPBACK, **dict(environment))
    try:
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, stdin=subprocess.DEVNULL, timeout=20
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode, done.stdout.decode("utf8", "replace"), done.stderr.decode("utf8", "replace")


def record_macros(case, folder, _):
    done = run(folder, "macros", case["definitions"], case["input"], str(case["quiet"]))
    for key in ("pairs", "output", "length", "endless"):
        case.pop(key, None)
    if done is None:
        return {**case, "endless": True}
    pairs, output, length = json.loads(done[1].splitlines()[-1])
    return {**case, "pairs": pairs, "output": output, "length": length}


def record_databases(case, folder, _):
    (folder / "x.db").write_bytes(case["text"].encode())
    done = run(folder, "load", "records", "x.db", case["macros"])
    status = done and re.search(r"STATUS (-?\d+)\n(.*)END", done[1], re.S)
    for key in ("records", "desc"):
        case.pop(key, None)
    if not status:
        return {**case, "verdict": "crashed"}
    errors = done[2]
    if status[1] != "0":
        verdict = "refused"
    elif "can't initialize link" in errors or "failed to initialize link" in errors:
        verdict = "link refused"
    else:
        # That a part was lost without a word is a judgement, and stays.
        verdict = "lost" if case.get("verdict") == "lost" else "accepted"
    case = {**case, "verdict": verdict}
    if verdict in ("accepted", "link refused"):
        text = r'"((?:[^"\\]|\\.)*)"'
        records = re.findall(rf"^g?record\((\w+),{text}\)", status[2], re.M)
        aliases = re.findall(rf"^alias\({text},{text}\)", status[2], re.M)
        desc = re.search(rf"field\(DESC,{text}\)", status[2])
        case["records"] = [list(pair) for pair in records] + [["alias", alias] for _, alias in aliases]
        case["desc"] = desc and desc[1]
    return case


def record_scripts(case, folder, _):
    (folder / "x.cmd").write_bytes((case["script"] + "\n").encode())
    (folder / "sub.cmd").write_text("t sub $(M=none)\n")
    done = run(folder, "script", "x.cmd", environment={"E": "env", "E2": "t", "Q": 'a "b, c" d'}.items())
    calls = [json.loads(line[5:]) for line in done[1].splitlines() if line.startswith("CALL ")]
    return {**case, "calls": calls, "complained": bool(re.sub(r"\x1b\[[0-9;]*m", "", done[2]).strip())}


def record_substitutions(case, folder, msi):
    (folder / "x.sub").write_text(case["text"])
    if case["reader"] == "msi":
        if msi is None:
            return case
        (folder / "t.template").write_text(f"[{TEMPLATE}]\n")
        done = subprocess.run([msi, "-S", "x.sub"], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
        return {**case, "refused": done.returncode != 0, "output": done.stdout.decode().splitlines()}
    (folder / "t.template").write_text(f'record(stringin,"R[{TEMPLATE}]")\n')
    done = run(folder, "load", "template", "x.sub", "P=cmd")
    refused = re.search(r"Substitution file error: (syntax|invalid)", done[2]) is not None
    case = {**case, "refused": refused}
    case.pop("output", None)
    # Names that the IOC refuses say nothing about the substitution file.
    if not refused and "STATUS 0" in done[1]:
        case["output"] = re.findall(r'^record\(stringin,"R(.*)"\)', done[1], re.M)
    return case


def record(table, msi):
    file = DATA / f"{table}.jsonl"
    cases = [json.loads(line) for line in file.read_text().split("\n") if line]

    def one(case):
        with tempfile.TemporaryDirectory() as folder:
            return globals()[f"record_{table}"](dict(case), Path(folder), msi)

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(one, cases))
    changed = sum(old != new for old, new in zip(cases, answers))
    file.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in answers))
    print(f"{table}: {len(answers)} cases, {changed} changed")


def main():
    if sys.argv[1:2] == ["--child"]:
        globals()[f"child_{sys.argv[2]}"](*sys.argv[3:])
        sys.stdout.flush()
        os._exit(0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=["macros", "databases", "scripts", "substitutions"])
    parser.add_argument("--msi", type=os.path.abspath)
    arguments = parser.parse_args()
    for table in arguments.tables:
        record(table, arguments.msi)


main()
