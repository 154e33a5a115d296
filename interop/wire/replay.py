#!/usr/bin/env python3
"""Replay the recorded wire exchanges (testdata/wire-samples.jsonl) against a server and compare every byte that is not volatile.

usage: wire/replay.py [--server ostler|apache] [--profile NAME]... [--only REGEX] [--at HOST:PORT] [--verbose]

For each profile (default, ext, enforce, ensemble, slow, of three servers quorum and quorum-local, of one out of three that is alone and
read-only ro and ro-local: 338 cases; `slow` takes four minutes) a server, or an ensemble of three, is started with the options that the profile names, the recorder's own case functions (capture_wire.py) run against it, and two things are compared
with the sample: `reply` (the decoded frames; zxids relative to the start of the exchange, lists sorted) and `masked_hex`
(the raw frames with the volatile bytes masked; a list may be in another order). --at uses a running server instead and
then wants exactly one --profile.

deliberate.json lists the cases in which Ostler differs on purpose, each with its reason and with Ostler's own answer:
a listed case that answers like Apache, or like neither, fails as well. Apache itself gets no such list.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import capture_wire  # noqa: E402
import servers  # noqa: E402

SAMPLES = os.path.join(HERE, "..", "..", "testdata", "wire-samples.jsonl")
DELIBERATE = os.path.join(HERE, "deliberate.json")
SUPER = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
EXT = {"extendedTypesEnabled": "true", "enforceQuota": "true", "reconfigEnabled": "true",
       "DigestAuthenticationProvider.superDigest": SUPER}
OPTIONS = {
    "default": {},
    "ext": EXT,
    "enforce": {"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest"},
    "ensemble": {"authProvider.1": "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider", "ensembleAuthName": "foo"},
    "slow": EXT,
    "quorum": {"reconfigEnabled": "true", "DigestAuthenticationProvider.superDigest": SUPER},
    "quorum-local": {"localSessionsEnabled": "true"},
    "ro": {},
    "ro-local": {"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"},
}
# The cases of these talk to a follower and the leader of an ensemble.
ENSEMBLES = ("quorum", "quorum-local")
# The cases of these talk to the only running member of an ensemble.
READ_ONLY = ("ro", "ro-local")
# The recorder has one place for the leader's address.
ONE_ENSEMBLE = threading.Lock()
# What the specification counted; a lost case must not pass as a success.
EXPECTED_CASES = {"default": 275, "ext": 20, "enforce": 5, "ensemble": 5, "slow": 5, "quorum": 17, "quorum-local": 5, "ro": 4, "ro-local": 2}


def load(path, profiles):
    """{(profile, name): sample} of the wanted profiles."""
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    return {(r["profile"], r["name"]): r for r in rows if r["profile"] in profiles}


def holds_list(value):
    """Whether a decoded reply contains a list whose order the protocol leaves open."""
    if isinstance(value, dict):
        return any(k in ("list", "children", "info") or holds_list(v) for k, v in value.items())
    return isinstance(value, list) and any(holds_list(v) for v in value)


def same_bytes(got, want, reply):
    """masked_hex equal, or equal but for the order of names inside a list."""
    if got == want:
        return True
    a, b = got.split(" "), want.split(" ")
    return holds_list(reply) and len(a) == len(b) and all(sorted(x) == sorted(y) for x, y in zip(a, b))


def difference(got, sample):
    """None if the case answered like the sample, else what differs."""
    if "script_error" in got:
        return "the case did not finish: " + got["script_error"]
    if got["reply"] != sample["reply"]:
        return "reply"
    if not same_bytes(got["masked_hex"], sample["masked_hex"], sample["reply"]):
        return "bytes"
    return None


def members_of_three(kind, workdir, properties, system=None):
    """The first, second and third server of an ensemble, not started."""
    ports = [(servers.free_port(), servers.free_port(), servers.free_port()) for _ in range(3)]
    lines = {"server.%d" % n: "127.0.0.1:%d:%d:participant;127.0.0.1:%d" % (quorum, election, client)
             for n, (client, quorum, election) in enumerate(ports, 1)}
    for number, (port, _, _) in enumerate(ports, 1):
        home = os.path.join(workdir, "server-%d" % number)
        os.makedirs(os.path.join(home, "data"))
        with open(os.path.join(home, "data", "myid"), "w") as f:
            f.write("%d\n" % number)
        yield servers.Server(kind, home, port=port, properties=dict({"initLimit": 10, "syncLimit": 5}, **properties, **lines),
                             jvm=["-Xmx256m"], system=system)


def start_read_only(kind, workdir, properties):
    """One of three servers, once it has given up waiting for the others."""
    server = next(members_of_three(kind, workdir, properties, {"readonlymode.enabled": "true"})).launch()
    end = time.monotonic() + 60
    while server.mode() != "read-only":
        if time.monotonic() > end:
            raise servers.Failed("it does not become read-only\n" + server.log_end())
        time.sleep(0.1)
    return [server]


def start_ensemble(kind, workdir, properties):
    """Three servers, the leader last."""
    members = [member.launch() for member in members_of_three(kind, workdir, properties)]
    end = time.monotonic() + 60
    while "leader" not in (modes := [member.wait_serving(60).mode() for member in members]):
        if time.monotonic() > end:
            raise servers.Failed("nobody leads: %s\n%s" % (modes, members[-1].log_end()))
    return sorted(members, key=lambda member: member.mode() == "leader")


def run_profile(profile, kind, at, only, workdir):
    """Results [(name, outcome of run_case)] of one profile; starts what it needs unless `at` is given."""
    cases = [c for c in capture_wire.CASES if c[0] == profile and (not only or re.search(only, c[1]))]
    if not cases:
        return []
    with ONE_ENSEMBLE if profile in ENSEMBLES else contextlib.nullcontext():
        started = []
        try:
            if profile in ENSEMBLES:
                started = start_ensemble(kind, os.path.join(workdir, profile), OPTIONS[profile])
                capture_wire.PEER[0] = ("127.0.0.1", started[-1].port)
            elif profile in READ_ONLY:
                started = start_read_only(kind, os.path.join(workdir, profile), OPTIONS[profile])
            elif at is None:
                started = [servers.Server(kind, os.path.join(workdir, profile), properties=OPTIONS[profile]).start()]
            out = [(c[1], capture_wire.run_case(c, at or ("127.0.0.1", started[0].port), 5.0)) for c in cases]
            for server in started:
                if server.process.poll() is not None:
                    raise servers.Failed("the server died during profile %s\n%s" % (profile, server.log_end()))
            return out
        finally:
            for server in started:
                server.kill()


def shown(frames, hexes):
    return "      " + json.dumps(frames) + "\n      " + hexes


def judge(results, samples, deliberate, verbose):
    """(equal, deliberately different, problems as texts)"""
    equal, on_purpose, problems = 0, 0, []
    for (profile, name), got in results.items():
        sample, listed = samples.get((profile, name)), deliberate.get((profile, name))
        if sample is None:
            problems.append("%s %s: there is no sample of this case" % (profile, name))
            continue
        what = difference(got, sample)
        if listed is None and what is None:
            equal += 1
            if verbose:
                print("ok %s" % name)
        elif listed is None:
            problems.append("%s %s: differs in %s\n    setup: %s\n    recorded (%s):\n%s\n    got:\n%s" % (
                profile, name, what, sample["setup"], sample["notes"],
                shown(sample["reply"], sample["masked_hex"]), shown(got["reply"], got["masked_hex"])))
        elif what is None:
            problems.append("%s %s: is listed in deliberate.json (%s) but answers like Apache" % (profile, name, listed["reason"]))
        elif "script_error" in got or got["reply"] != listed["reply"]:
            problems.append("%s %s: differs on purpose, but not in the way deliberate.json says\n    listed: %s\n    got:    %s %s" % (
                profile, name, json.dumps(listed["reply"]), json.dumps(got["reply"]), got.get("script_error", "")))
        else:
            on_purpose += 1
            if verbose:
                print("ok %s (different on purpose: %s)" % (name, listed["reason"]))
    return equal, on_purpose, problems


def main():
    ap = argparse.ArgumentParser(usage="wire/replay.py [--server ostler|apache] [--profile NAME]... [--only REGEX] [--at HOST:PORT]")
    ap.add_argument("--server", choices=("ostler", "apache"), default="ostler")
    ap.add_argument("--profile", action="append", choices=sorted(OPTIONS))
    ap.add_argument("--only")
    ap.add_argument("--at")
    ap.add_argument("--verbose", action="store_true")
    a = ap.parse_args()
    profiles = a.profile or list(OPTIONS)
    if a.at and profiles[0] in ENSEMBLES + READ_ONLY:
        ap.error("--at names one server of its own, and %s needs an ensemble" % profiles[0])
    if a.at and len(profiles) != 1:
        ap.error("--at needs exactly one --profile: a server has one set of options")
    at = (a.at.rsplit(":", 1)[0], int(a.at.rsplit(":", 1)[1])) if a.at else None
    samples = load(SAMPLES, profiles)
    deliberate = {}
    if a.server == "ostler":
        with open(DELIBERATE) as f:
            deliberate = {(e["profile"], e["name"]): e for e in json.load(f)}
    problems = []
    for key in deliberate:
        if key[0] in profiles and key not in samples:
            problems.append("%s %s: is in deliberate.json, but there is no such case" % key)

    workdir = tempfile.mkdtemp(prefix="ostler-wire-")
    results = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(len(profiles)) as pool:
            jobs = {p: pool.submit(run_profile, p, a.server, at, a.only, workdir) for p in profiles}
        for p, job in jobs.items():
            rows = job.result()
            results.update({(p, name): got for name, got in rows})
            if not a.only and len(rows) != EXPECTED_CASES[p]:
                problems.append("%s: %d cases ran, %d expected" % (p, len(rows), EXPECTED_CASES[p]))
        for key in samples:
            if key not in results and not a.only:
                problems.append("%s %s: has a sample but did not run" % key)
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    equal, on_purpose, found = judge(results, samples, deliberate, a.verbose)
    for text in problems + found:
        print("FAIL " + text)
    bad = len(problems) + len(found)
    print("wire %s: %d cases (%s): %d equal, %d different on purpose, %d failed" % (
        a.at or a.server, len(results), ", ".join(profiles), equal, on_purpose, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Failed as e:
        print("wire: %s" % e, file=sys.stderr)
        sys.exit(1)
