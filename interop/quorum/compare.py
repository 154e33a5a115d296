#!/usr/bin/env python3
"""Compare what servers say to each other with what was recorded between Apache's servers (testdata/quorum-samples.jsonl).

usage: quorum/compare.py [--ostler ID,ID...] [--only S1,S2...] [--work DIR] [--capture FILE] [--verbose]

The recorder's own scenarios (capture_quorum.py) run against an ensemble in which the servers of --ostler are Ostler
($OSTLER or target/release/ostler) and all others Apache 3.9.3; without --ostler all are Apache, which shows that the
comparison is right. Ports and addresses are those of the recorder: 127.0.1.N, quorum 1230N, election 1232N, client
1219N, in a network namespace of their own (root), so that runs do not meet. --capture compares a file that the recorder has written and starts nothing.

A check is one recorded message, or one recorded conversation (PREFIX_NN_KIND): the kinds of its packets in their order,
and their content. What differs from run to run is masked: session ids, times, digests, who happens to lead, counters
of zxids. In conversations between real servers PINGs come when they like, and histories (PROPOSAL, COMMIT) are as
long as they happen to be. Prints "ok NAME" or "FAIL NAME: why" for each, like every suite.

deliberate.json lists the checks in which Ostler differs on purpose, each with its reason and either Ostler's own kinds of
packets or the one difference in content, as this program words it: {"name": ..., "reason": ..., "kinds": [...]} or
{"name": ..., "reason": ..., "difference": "..."}. With an Ostler server in the ensemble both answers pass, because which server
leads is chance.
"""
import argparse
import json
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import capture_quorum  # noqa: E402
import servers  # noqa: E402

SAMPLES = os.path.join(HERE, "..", "..", "testdata", "quorum-samples.jsonl")
DELIBERATE = os.path.join(HERE, "deliberate.json")
# The first sample of each scenario, in the order of the file.
FIRST = {
    "S1": "election_handshake_v1", "S2": "notification_looking_joining_running_ensemble",
    "S3": "request_reconfig_remove_observer", "S4": "election_handshake_v2", "S5": "observermaster_join_00_OBSERVERINFO",
    "S6": "fake_equal_zxid_00_FOLLOWERINFO", "S7": "scripted_leader_follower_00_FOLLOWERINFO",
    "S8": "sasl_election_00", "S9": "notification_static_hierarchical",
}
# Without --only. The others are about what Ostler does not speak: several addresses, observer masters, SASL, weights.
# (S4 does not always see what it is made for: a server dials any of two addresses, and one is not listened in on.)
DEFAULT = ["S1", "S2", "S3", "S6", "S7"]
# What the specification counted; a lost check must not pass as a success.
EXPECTED_CHECKS = {"S1": 50, "S2": 7, "S3": 6, "S4": 1, "S5": 4, "S6": 12, "S7": 2, "S8": 2, "S9": 2}
# What a scenario looks at beside packets.
OUTCOMES = {"S2": ["lost_txn_is_gone_after_trunc"]}
STEP = re.compile(r"^(.*)_(\d\d)(?:_([A-Z]+|snapshot_stream))?$")
# Chance decides these: which of two messages was the last one of an earlier election.
ANY_STATE = {"notification_stale_last_message"}
# Others that chance decides: is the leader at zxid 0 still, or in its epoch already?
ALSO_RIGHT = {"join_empty_diff": [["FOLLOWERINFO", "LEADERINFO", "ACKEPOCH", "DIFF", "NEWLEADER", "ACK", "UPTODATE", "ACK"]]}
VOLATILE = {"sessionId", "clientId", "time", "treeDigest", "ctime", "mtime", "ephemeralOwner", "leader", "sid", "serverid",
            "addresses", "designatedLeader", "configVersion", "length", "token", "sessions", "electionEpoch"}
SPECIAL_ZXIDS = {0, 0xffffffffffffffff, 0x8000000000000000}


def masked(value, key=None):
    """A decoded message without what differs from run to run. Whether a field is there, and whether it is null, stays."""
    if key == "sessions" and isinstance(value, list):
        return "*"
    if key in VOLATILE and value is not None:
        return "*"
    if key in ("zxid", "czxid", "mzxid", "pzxid") and isinstance(value, str):
        zxid = int(value, 16)
        return value if zxid in SPECIAL_ZXIDS else "epoch %d" % (zxid >> 32)
    if isinstance(value, dict):
        if "nodes" in value:
            # Which nodes there are depends on when the snapshot was taken: their form does not.
            value = dict(value, nodes=sorted({json.dumps(masked(dict(n, path="*", data="*", aclKey="*", stat=sorted(n["stat"]))))
                                              for n in value["nodes"]}))
        return {k: masked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v) for v in value]
    if isinstance(value, str) and re.search(r"^version=[0-9a-f]+$", value, re.M):
        # Whether it is 0 says whether the ensemble has a version for it.
        return re.sub("^version=[1-9a-f][0-9a-f]*$", "version=*", value, flags=re.M)
    return value


def renumbered(steps):
    """Epochs by the order in which a conversation names them."""
    names = {}
    text = re.sub(r'"epoch (\d+)"', lambda m: '"epoch %s"' % names.setdefault(m.group(1), "#%d" % (len(names) + 1)), json.dumps(steps))
    return [tuple(step) for step in json.loads(text)]


class Check:
    """One message, or one conversation."""

    def __init__(self, name, samples):
        self.name = name
        kept = []
        for sample in samples:
            kind = sample["decoded"].get("packet") or next(iter(sample["decoded"]))
            # The peer's answers are only Apache's own if it is not scripted.
            if kind == "PING" and len(samples) > 1 and not name.startswith("scripted_"):
                continue
            content = masked(sample["decoded"])
            if name in ANY_STATE:
                content["notification"]["state"] = content["notification"]["peerEpoch"] = "*"
            kept.append((kind, content))
        self.steps = []
        for kind, content in kept:
            if re.match(r"join_|observermaster_join", name) and kind in ("PROPOSAL", "COMMIT"):
                content = {"packet": kind}
                if [k for k, _ in self.steps[-2:]] == ["PROPOSAL", "COMMIT"] and kind == "PROPOSAL":
                    self.steps.pop()
                    self.steps.pop()
            self.steps.append((kind, content))
        if len(samples) > 1:
            # Elections that a busy machine lost on the way are no difference: epochs count from the first that is named.
            self.steps = renumbered(self.steps)

    def kinds(self):
        return [kind for kind, _ in self.steps]


def checks(samples):
    """{name: Check} of a list of samples, in order."""
    groups = {}
    for sample in samples:
        step = STEP.match(sample["name"])
        groups.setdefault(step.group(1) if step else sample["name"], []).append(sample)
    return {name: Check(name, group) for name, group in groups.items()}


def recorded(scenarios):
    """The samples of these scenarios."""
    with open(SAMPLES) as f:
        rows = [json.loads(line) for line in f]
    found, current = {}, None
    for row in rows:
        current = next((s for s, first in FIRST.items() if first == row["name"]), current)
        found.setdefault(current, []).append(row)
    return {s: found[s] for s in scenarios}


def differences(want, got, path=""):
    """Where two masked values differ, in words."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(set(want) | set(got)):
            if key not in want or key not in got:
                yield "%s.%s is %s" % (path, key, "missing" if key not in got else "not in the recording: %r" % (got[key],))
            else:
                yield from differences(want[key], got[key], path + "." + key)
    elif want != got:
        yield "%s is %r, recorded %r" % (path or "it", got, want)


def compare(want, got, other_kinds, allowed):
    """None, or why the two are not the same. other_kinds: conversations that are right as well; allowed: differences."""
    if got is None:
        return "nobody said it"
    if got.kinds() in other_kinds:
        return None
    if got.kinds() != want.kinds():
        return "%s, recorded %s" % (" ".join(got.kinds()), " ".join(want.kinds()))
    for number, ((kind, theirs), (_, ours)) in enumerate(zip(want.steps, got.steps)):
        for text in differences(theirs, ours):
            if text in allowed:
                continue
            return "%s (message %d): %s" % (kind, number, text)
    return None


def in_own_network():
    """Starts this program again in a network namespace of its own, once."""
    if os.environ.get("OSTLER_QUORUM_NETWORK") == "own":
        return
    os.environ["OSTLER_QUORUM_NETWORK"] = "own"
    os.execvp("unshare", ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable, *sys.argv])


def run(scenarios, work):
    """The samples that the recorder takes of these scenarios."""
    os.environ.setdefault("ZKCP", servers.apache_classpath())
    for name in scenarios:
        print("-- %s: %s" % (name, getattr(capture_quorum, name).__doc__), flush=True)
        try:
            getattr(capture_quorum, name)(work)
        except (Exception, SystemExit) as e:  # noqa: BLE001 - whatever it is, what the scenario has not seen is missing below
            print("the scenario %s ended early: %r" % (name, e))
    return json.loads(json.dumps(capture_quorum.SAMPLES))


def main():
    ap = argparse.ArgumentParser(usage="quorum/compare.py [--ostler ID,ID...] [--only S1,S2...] [--work DIR] [--capture FILE]")
    ap.add_argument("--ostler", default="", help="ids of the servers that are Ostler")
    ap.add_argument("--only", default="")
    ap.add_argument("--work", help="a directory for the servers, kept")
    ap.add_argument("--capture", help="compare this file of the recorder")
    ap.add_argument("--verbose", action="store_true", help="print the kinds of packets of each check")
    a = ap.parse_args()
    ours = frozenset(int(i) for i in a.ostler.split(",") if i)
    scenarios = a.only.split(",") if a.only else DEFAULT
    unknown = [s for s in scenarios if s not in FIRST]
    if unknown:
        raise servers.Failed("no such scenario: %s\n  hint: they are %s" % (unknown[0], " ".join(FIRST)))
    kinds, allowed = {}, {}
    if ours:
        with open(DELIBERATE) as f:
            for row in json.load(f):
                where, what = (kinds, row["kinds"]) if "kinds" in row else (allowed, row["difference"])
                where.setdefault(row["name"], []).append(what)
    if a.capture:
        with open(a.capture) as f:
            captured = [json.loads(line) for line in f]
    else:
        in_own_network()
        if ours:
            os.environ["OSTLER_BINARY"] = servers.ostler_binary()
            capture_quorum.Ensemble.OSTLER = ours
        work = os.path.abspath(a.work or tempfile.mkdtemp(prefix="ostler-quorum-"))
        captured = run(scenarios, work)
    got, passed, failed = checks(captured), 0, 0
    for scenario, samples in recorded(scenarios).items():
        wanted = checks(samples)
        if len(wanted) != EXPECTED_CHECKS[scenario]:
            failed += 1
            print("FAIL %s as a whole: %d checks, %d expected" % (scenario, len(wanted), EXPECTED_CHECKS[scenario]))
        for name, want in wanted.items():
            why = compare(want, got.get(name), ALSO_RIGHT.get(name, []) + kinds.get(name, []), allowed.get(name, []))
            if why:
                failed += 1
                print("FAIL %s: %s" % (name, why))
            else:
                passed += 1
                print("ok %s%s" % (name, "   " + " ".join(got[name].kinds()) if a.verbose else ""))
    for name in [name for s in scenarios for name in OUTCOMES.get(s, [])] if not a.capture else []:
        holds = capture_quorum.OUTCOMES.get(name, False)
        passed, failed = passed + holds, failed + (not holds)
        print("ok %s" % name if holds else "FAIL %s" % name)
    print("total %d passed, %d failed" % (passed, failed))
    if not a.capture and not a.work:
        if failed:
            print("the servers' directories: %s" % work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Failed as e:
        print("quorum: %s" % e, file=sys.stderr)
        sys.exit(1)
