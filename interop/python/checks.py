"""Named checks for the Python suites: one line each, "ok NAME" or "FAIL NAME: why", as interop/run counts them."""
import sys
import time
import traceback

CHECKS = []


def check(function):
    """Registers a check; its name is the function's, with blanks."""
    CHECKS.append((function.__name__.replace("_", " "), function))
    return function


def run_all(*args):
    """Runs the registered checks in order; returns the exit code."""
    failed = 0
    for name, function in CHECKS:
        try:
            function(*args)
            print("ok " + name, flush=True)
        except Exception as e:  # noqa: BLE001 - whatever it is, the check failed and the next one runs
            failed += 1
            print("FAIL %s: %s: %s" % (name, type(e).__name__, e))
            for line in traceback.format_tb(e.__traceback__):
                print("    " + line.strip().replace("\n", " | "))
            sys.stdout.flush()
    return 1 if failed else 0


def equal(want, got):
    if want != got:
        raise AssertionError("expected %r, got %r" % (want, got))


def that(holds, message):
    if not holds:
        raise AssertionError(message)


def raises(kind, function, *args, **kw):
    """The call must raise exactly this exception; returns it."""
    try:
        got = function(*args, **kw)
    except Exception as e:  # noqa: BLE001 - judged in the next line
        that(type(e) is kind, "expected %s, got %s: %s" % (kind.__name__, type(e).__name__, e))
        return e
    raise AssertionError("expected %s, got %r" % (kind.__name__, got))


def eventually(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        that(time.monotonic() < end, "did not happen within %d s: %s" % (seconds, what))
        time.sleep(0.01)
