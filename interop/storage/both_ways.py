#!/usr/bin/env python3
"""Apache and Ostler read each other's data directories. usage: storage/both_ways.py ostler|apache [--only REGEX]

One server writes a directory and ends (SIGTERM, or kill -9 under load); then both servers open copies of it and must show
the same tree, node by node: data, ACLs, every field of the Stat, owners of ephemerals; and the tree seen before an orderly
end must be there afterwards; no write that was acknowledged before a kill may be missing; neither server may report a digest mismatch.
With "apache" both parts are played by Apache, which shows that the test itself is right.
"""
import os
import re
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import servers  # noqa: E402
import tree  # noqa: E402
import workload  # noqa: E402

PROPERTIES = {
    "tickTime": 2000,
    "maxSessionTimeout": workload.LONG_MS,
    "extendedTypesEnabled": "true",
    "DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    "preAllocSize": 4096,
    "snapCount": 100_000,
}
SMALL = {"snapCount": 60, "preAllocSize": 64}
KINDS = []          # [the server under test]
WORKDIR = []        # [directory of this run]


class Stage:
    """A directory that servers open one after the other."""

    def __init__(self, name, properties, split=False):
        self.name, self.properties, self.split, self.count = re.sub(r"\W+", "-", name), dict(PROPERTIES, **properties), split, 0
        self.data = os.path.join(WORKDIR[0], self.name, "data")

    def server(self, kind, data=None, **extra):
        """A server on this directory (or on a copy)."""
        self.count += 1
        data = data or self.data
        properties = dict(self.properties, **extra)
        if self.split:
            properties["dataLogDir"] = data + "-log"
            os.makedirs(data + "-log", exist_ok=True)
        return servers.Server(kind, os.path.join(WORKDIR[0], self.name, "%d-%s" % (self.count, kind)), properties=properties, data=data)

    def copy(self):
        """A copy of the directory as it is now."""
        to = "%s-copy%d" % (self.data, self.count)
        shutil.copytree(self.data, to)
        if self.split:
            shutil.copytree(self.data + "-log", to + "-log")
        return to

    def files(self, pattern):
        where = [self.data] + ([self.data + "-log"] if self.split else [])
        return [f for d in where for f in os.listdir(os.path.join(d, "version-2")) if re.match(pattern, f)]


def same(one, other, names, what, mismatches=0):
    """Two trees are equal, and their servers report no digest mismatches, or no more than the writer is known to cause."""
    lines = tree.differences(one, other, names)
    if lines:
        raise AssertionError("%s: %d differences: %s" % (what, len(lines), "; ".join(lines[:8])))
    counts = [t["mismatches"] for t in (one, other)]
    if max(counts) > mismatches or min(counts) < 0:
        raise AssertionError("%s: %s reports %d digest mismatches, %s %d" % (what, names[0], counts[0], names[1], counts[1]))


def open_and_read(stage, kind, data):
    with stage.server(kind, data) as s:
        return tree.read(s.port)


def race_in_snapshots(writer):
    """How many digest mismatches a directory written under load may show: Apache reads the digest for a snapshot without a lock, so
    that it can belong to the transaction before one whose nodes are already in the file. The reader's one comparison then fails, with
    Apache itself too; the transaction is applied again from the log and nothing is wrong with the tree."""
    return 1 if writer == "apache" else 0


def both_show_the_same(stage, before=None, load=None, mismatches=0):
    """Opens copies of the directory with both servers and compares."""
    trees = [open_and_read(stage, kind, stage.copy()) for kind in ("apache", KINDS[0])]
    same(trees[0], trees[1], ("apache", KINDS[0]), "two readers of one directory", mismatches)
    if before is not None:
        same(before, trees[1], ("the writer before its end", KINDS[0]), "before and after")
    if load is not None:
        lost = load.missing(trees[1]["nodes"])
        if lost or not load.acknowledged:
            raise AssertionError("%d acknowledged writes are missing: %s" % (len(lost), "; ".join(lost[:5])) if lost else "nothing was acknowledged before the kill")
    return trees[1]


def written_by(writer, name, at_least_logs=1, at_least_snapshots=1, split=False, restart=False, snapshots=r"snapshot\.", **properties):
    """Everything is written once, the server ends in order, both open it."""
    stage = Stage(name, properties, split)
    with stage.server(writer) as s:
        workload.every_kind(s.port, "/kinds")
        workload.random_operations(s.port, "/random", 7, 600)
        if restart:
            s.stop()
            s.start()
            workload.every_kind(s.port, "/kinds-again")
            workload.random_operations(s.port, "/random-again", 8, 600)
        before = tree.read(s.port)
        s.stop()
    logs, snaps = len(stage.files(r"log\.")), len(stage.files(snapshots))
    if logs < at_least_logs or snaps < at_least_snapshots:
        raise AssertionError("only %d logs and %d snapshots were written: the case does not test what it should" % (logs, snaps))
    both_show_the_same(stage, before)


def killed(writer, name, seconds, **properties):
    """kill -9 in the middle of pipelined writes."""
    stage = Stage(name, properties)
    with stage.server(writer) as s:
        workload.every_kind(s.port, "/kinds")
        load = workload.Load(s.port, "/load")
        time.sleep(seconds)
        s.kill()
    load.join()
    both_show_the_same(stage, load=load, mismatches=race_in_snapshots(writer))


def stormy(writer, name, acls=True, **properties):
    """Four clients with random operations on one tree while sessions with ephemerals come and go, snapshots all the time, then a kill.

    While access lists change, the snapshots of Apache may name lists that they do not hold: its map of lists is written before the nodes. Apache
    itself then refuses to start, or to read the node ("Failed to fetch acls"), about once in ten runs; so that only Ostler is
    asked to read those, and must show what the living Apache showed."""
    stage = Stage(name, dict({"snapCount": 250, "preAllocSize": 64}, **properties))
    with stage.server(writer) as s:
        workload.storm(s.port, "/storm", 2000, acls)
        before = tree.read(s.port)
        s.kill()
    snaps = len(stage.files(r"snapshot\."))
    if snaps < 8:
        raise AssertionError("only %d snapshots were taken under the storm" % snaps)
    if writer == "apache" and acls:
        same(before, open_and_read(stage, KINDS[0], stage.copy()), ("apache before the kill", KINDS[0]), "after the storm", race_in_snapshots(writer))
    else:
        both_show_the_same(stage, before, mismatches=race_in_snapshots(writer))


def to_and_fro(name, **properties):
    """The directory goes from one server to the other six times; each adds to it, one hand-over in two is a kill."""
    stage, before = Stage(name, properties), None
    for i, kind in enumerate(("apache", KINDS[0]) * 3):
        with stage.server(kind) as s:
            if before is not None:
                same(before, tree.read(s.port), ("the one before", kind), "hand-over %d" % i)
            workload.every_kind(s.port, "/kinds-%d" % i)
            workload.random_operations(s.port, "/random-%d" % i, i, 300)
            before = tree.read(s.port)
            s.kill() if i % 2 else s.stop()
    both_show_the_same(stage, before)


def sessions_go_on(writer, reader, name):
    """A session made at one server is resumed at the other, with its password; it owns its ephemerals; closing deletes them."""
    stage = Stage(name, {})
    with stage.server(writer) as s:
        a = workload.connect(s.port)
        workload.done(a, "create", workload.b_create("/e", b"mine", flags=1))
        s.stop()
    with stage.server(reader) as s:
        b = workload.Conn(("127.0.0.1", s.port), 30.0)
        b.handshake(timeout=workload.LONG_MS, sid=a.sid, passwd=a.passwd)
        if (b.sid, b.passwd) != (a.sid, a.passwd):
            raise AssertionError("the session %x was not resumed: got %x" % (a.sid, b.sid))
        if tree.read(s.port)["nodes"]["/e"]["stat"]["ephemeralOwner"] != a.sid:
            raise AssertionError("/e has another owner")
        b.close_session()
        if "/e" in tree.read(s.port)["nodes"]:
            raise AssertionError("/e outlived its session")


def left_sessions_expire(writer, reader, name):
    """A session of four seconds that was left at one server expires at the other."""
    stage = Stage(name, {})
    with stage.server(writer) as s:
        a = workload.connect(s.port, 4000)
        workload.done(a, "create", workload.b_create("/e", b"", flags=1))
        s.kill()
    with stage.server(reader) as s:
        end = time.monotonic() + 90
        if not tree.there(s.port, "/e"):
            raise AssertionError("the ephemeral of a living session was gone at the start")
        while tree.there(s.port, "/e"):
            if time.monotonic() > end:
                raise AssertionError("the session did not expire within 90 s")
            time.sleep(0.2)


def cases(kind):
    """(name, function) of every case; the other side is Apache."""
    gz, snappy = {"snapshot.compression.method": "gz"}, {"snapshot.compression.method": "snappy"}
    out = [
        ("apache writes, one log", lambda n: written_by("apache", n)),
        ("apache writes, many logs and snapshots", lambda n: written_by("apache", n, 8, 4, **SMALL)),
        ("apache writes, restarted in between", lambda n: written_by("apache", n, 2, 2, restart=True)),
        ("apache writes, gz snapshots", lambda n: written_by("apache", n, 4, 4, snapshots=r"snapshot\..*\.gz", **gz, **SMALL)),
        ("apache writes, snappy snapshots", lambda n: written_by("apache", n, 4, 4, snapshots=r"snapshot\..*\.snappy", **snappy, **SMALL)),
        ("apache writes, logs in a directory of their own", lambda n: written_by("apache", n, split=True)),
        ("apache writes, digests off", lambda n: written_by("apache", n, **{"digest.enabled": "false"})),
        ("apache is killed while writing", lambda n: killed("apache", n, 2.0)),
        ("apache is killed while writing and taking snapshots", lambda n: killed("apache", n, 3.0, snapCount=300, preAllocSize=64)),
        ("apache is killed after a storm, many fuzzy snapshots", lambda n: stormy("apache", n, acls=False)),
        (kind + " writes, one log", lambda n: written_by(kind, n)),
        # On a busy machine a snapshot that falls due while one is being written is left out: fewer snapshots than logs.
        (kind + " writes, many logs and snapshots", lambda n: written_by(kind, n, 8, 4, **SMALL)),
        (kind + " writes, restarted in between", lambda n: written_by(kind, n, 2, 2, restart=True)),
        (kind + " writes, gz snapshots", lambda n: written_by(kind, n, 4, 4, snapshots=r"snapshot\..*\.gz", **gz, **SMALL)),
        (kind + " writes, logs in a directory of their own", lambda n: written_by(kind, n, split=True)),
        (kind + " writes, digests off", lambda n: written_by(kind, n, **{"digest.enabled": "false"})),
        (kind + " is killed while writing", lambda n: killed(kind, n, 2.0)),
        (kind + " is killed while writing and taking snapshots", lambda n: killed(kind, n, 3.0, snapCount=300, preAllocSize=64)),
        (kind + " is killed after a storm, many fuzzy snapshots", lambda n: stormy(kind, n)),
        ("to and fro, six times", lambda n: to_and_fro(n)),
        ("to and fro, six times, many snapshots", lambda n: to_and_fro(n, **SMALL)),
        ("a session goes on: apache to " + kind, lambda n: sessions_go_on("apache", kind, n)),
        ("a session goes on: %s to apache" % kind, lambda n: sessions_go_on(kind, "apache", n)),
        ("a left session expires: apache to " + kind, lambda n: left_sessions_expire("apache", kind, n)),
        ("a left session expires: %s to apache" % kind, lambda n: left_sessions_expire(kind, "apache", n)),
    ]
    if kind != "apache":
        out.append(("apache is killed after a storm, access lists change, many fuzzy snapshots", lambda n: stormy("apache", n)))
    # With Apache in both parts a name may come twice: the directories must not.
    return [("%s (%d)" % (n, i) if kind == "apache" and n in [x for x, _ in out[:i]] else n, f) for i, (n, f) in enumerate(out)]


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("ostler", "apache"):
        print(__doc__, file=sys.stderr)
        return 2
    KINDS.append(sys.argv[1])
    only = sys.argv[3] if len(sys.argv) > 3 and sys.argv[2] == "--only" else "."
    WORKDIR.append(tempfile.mkdtemp(prefix="ostler-storage-"))
    failed = 0
    for name, function in cases(KINDS[0]):
        if not re.search(only, name):
            continue
        try:
            function(name)
            print("ok " + name, flush=True)
        except Exception as e:  # noqa: BLE001 - whatever it is, the case failed and the next one runs
            failed += 1
            print("FAIL %s: %s" % (name, str(e).replace("\n", "\n    ")), flush=True)
    if failed:
        print("the directories are kept: " + WORKDIR[0])
    else:
        shutil.rmtree(WORKDIR[0], ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
