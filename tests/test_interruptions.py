"""Sends signals to small processes and checks how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lrcycles.errors import Interruptions

ROOT = Path(__file__).parents[1]
START = """
import sys, time
from lrcycles import errors
errors._GRACE_SECONDS = 0.3
interruptions = errors.interruptions
interruptions.handle("lrcycles test")
def wait():
    print("ready", flush=True)
    time.sleep(60)
"""
# What a process may be doing when the signal arrives.
MOMENTS = {
    "imports": "wait()",
    "work": """
interruptions.raised = True
try:
    wait()
except errors.Interruption as error:
    print("closed")
    interruptions.end(error.status)
""",
    "a destructor": """
interruptions.raised = True
class Slow:
    def __del__(self):
        wait()
try:
    Slow()
    time.sleep(60)
except errors.Interruption as error:
    print("closed")
    interruptions.end(error.status)
""",
    "code that catches everything": """
interruptions.raised = True
try:
    wait()
except BaseException:
    time.sleep(60)
""",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_process_with_one_line_at_any_moment(moment: str, number: signal.Signals):
    process = subprocess.Popen(
        [sys.executable, "-c", START + MOMENTS[moment]],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert complaints.startswith("lrcycles test: interrupted. Finished cells are kept")
    assert complaints.count("\n") == 1
    assert ("closed" in printed) == (moment in ("work", "a destructor"))


def test_an_ignored_signal_stays_ignored():
    code = """
import os, signal
from lrcycles.errors import interruptions
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interruptions.handle("lrcycles test")
os.kill(os.getpid(), signal.SIGHUP)
print("alive")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed == "alive\n"


ENDS_WITH_A_LOCKED_H5PY = """
import atexit, io, sys, threading, time
import h5py
from lrcycles.errors import interruptions
interruptions.handle("lrcycles test")
atexit.register(print, "handlers run")
file = h5py.File(io.BytesIO(), "w")
held = threading.Event()
def keep():
    with h5py._objects.phil:
        held.set()
        time.sleep(600)
threading.Thread(target=keep, daemon=True).start()
held.wait()
print("done")
interruptions.leave(int(sys.argv[1]))
"""


@pytest.mark.parametrize("status", [0, 1])
def test_a_command_ends_though_a_thread_keeps_a_lock_that_python_needs_to_end(status: int):
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_WITH_A_LOCKED_H5PY, str(status)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout.split("\n")[:2]) == (status, ["done", "handlers run"])


def test_only_a_failure_ends_a_caller_that_is_no_command():
    Interruptions().leave(0)
    with pytest.raises(SystemExit, match="1"):
        Interruptions().leave(1)
