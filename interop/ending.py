"""What a program starts ends with it: on ctrl-c, SIGTERM or SIGHUP too, suites and servers and what these started.

Each process gets a group of its own (`start_new_session`), so that its children can be found. Used by interop/run and
mutants/run; shown by check_ending.py. Nothing helps against SIGKILL.
"""
import os
import signal
import subprocess
import sys
import threading
import time

# So long a group has to end by itself: an Ostler server that is asked to stop finishes its writes.
GRACE_S = 10.0


def signal_group(process, sig):
    """False if nobody is left in the group."""
    try:
        os.killpg(process.pid, sig)
        return True
    except ProcessLookupError:
        return False


def end_groups(processes, grace_s=GRACE_S):
    """Asks all groups to end, waits for them a while, and kills what is left."""
    for p in processes:
        signal_group(p, signal.SIGTERM)
    until = time.monotonic() + grace_s
    left = list(processes)
    while left and time.monotonic() < until:
        time.sleep(0.05)
        for p in left:
            p.poll()
        left = [p for p in left if signal_group(p, 0)]
    for p in left:
        signal_group(p, signal.SIGKILL)


class Started:
    """The processes that a program started and that are to end with it."""

    def __init__(self, grace_s=GRACE_S):
        self.grace_s = grace_s
        # Held for good once the program ends: then nobody starts anything any more.
        self.lock = threading.Lock()
        self.processes = set()

    def start(self, make):
        """`make()` starts a process as the leader of a group of its own and returns it."""
        with self.lock:
            process = make()
            self.processes.add(process)
        return process

    def spawn(self, command, **kw):
        """`subprocess.Popen` in a group of its own."""
        return self.start(lambda: subprocess.Popen(command, start_new_session=True, **kw))

    def end(self, process):
        """It and all that it started, if they have not ended."""
        if signal_group(process, 0):
            end_groups([process], self.grace_s)
        with self.lock:
            self.processes.discard(process)

    def end_on_signals(self, name, clean_up=lambda: None):
        """From now on ctrl-c, SIGTERM and SIGHUP end everything that was started, and then the program."""
        asked = []

        def end_all(number):
            self.lock.acquire()
            print("%s: %s: ending what was started" % (name, signal.Signals(number).name), file=sys.stderr, flush=True)
            end_groups(self.processes, self.grace_s)
            clean_up()
            # Other threads wait for processes that are gone, and have nothing to say about that.
            os._exit(128 + number)

        def handler(number, _frame):
            # On a thread: this one may be the one that holds the lock.
            if not asked:
                asked.append(number)
                threading.Thread(target=end_all, args=[number]).start()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, handler)
