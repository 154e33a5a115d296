#!/usr/bin/env python3
"""interop/run that is told to end leaves no process and no file behind.

usage: interop/check_ending.py        the binary is $OSTLER or target/release/ostler

Runs a suite with a server of interop/run's and one that starts its own, waits until servers of both are there, sends the
signal to interop/run alone, and looks for processes that carry the mark of this run in their environment.
"""
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "OSTLER_CHECK_ENDING"
SUITES = ["kazoo", "wire"]
WAIT_S = 240


def marked(mark):
    """{pid: command line} of the living processes with the mark."""
    found = {}
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/environ", "rb") as f:
                if ("%s=%s" % (MARK, mark)).encode() not in f.read().split(b"\0"):
                    continue
            with open(path + "/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if line:
            found[int(os.path.basename(path))] = line
    return found


def wait_for(what, condition):
    until = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("%s: not within %d s" % (what, WAIT_S))
        time.sleep(0.05)


def check(sig):
    """What is wrong, "" if nothing is."""
    mark = "%d-%d" % (os.getpid(), sig)
    work = tempfile.mkdtemp(prefix="ostler-ending-")
    env = dict(os.environ, TMPDIR=work, **{MARK: mark})
    run = subprocess.Popen([sys.executable, os.path.join(HERE, "run"), *SUITES], env=env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, start_new_session=True)
    servers = lambda: [line for line in marked(mark).values() if line.rstrip().endswith("zoo.cfg")]
    try:
        wait_for("servers of both suites", lambda: run.poll() is not None or (
            any("/kazoo/zoo.cfg" in line for line in servers()) and any("/kazoo/zoo.cfg" not in line for line in servers())))
        if run.poll() is not None:
            return "it ended before it was asked to: %s" % run.stdout.read().decode()[-2000:]
        os.kill(run.pid, sig)
        # Its output is open as long as one of its processes lives: a group that was forgotten is found below.
        wait_for("the end of interop/run", lambda: run.poll() is not None)
        left = marked(mark)
        if run.returncode != 128 + sig:
            return "its exit code is %d" % run.returncode
        if left:
            return "these processes are left: %s" % left
        if os.listdir(work):
            return "files are left in %s: %s" % (work, os.listdir(work))
        return ""
    except AssertionError as e:
        return str(e)
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        run.wait()
        shutil.rmtree(work, ignore_errors=True)


def main():
    failed = 0
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        started = time.monotonic()
        why = check(sig)
        failed += bool(why)
        print("%s %s, %.1f s%s" % ("FAIL" if why else "ok", sig.name, time.monotonic() - started, ": " + why if why else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
