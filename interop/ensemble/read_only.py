#!/usr/bin/env python3
"""Read-only clients of a member that is cut off from its ensemble. usage: ensemble/read_only.py ostler|apache

Three servers; the third is started again with a configuration in which the others' ports are wrong, so that it finds no quorum while the
other two have one: a partition that needs no root. kazoo, Apache's Java client and Curator read there and are refused writes; a client that wants to write is not let in. Then the
partition ends: the same clients write, and nothing of what they tried before is found in the tree. (That the Java clients look for a server with a
quorum meanwhile is left out: with Apache's servers, too, they find it after seconds or after minutes. Our own client does: crates/client/tests/aio.rs.)
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "python")]
import checks  # noqa: E402
import servers  # noqa: E402
from ensemble import Ensemble  # noqa: E402
from kazoo.client import KazooClient, KeeperState  # noqa: E402
from kazoo.exceptions import NotReadOnlyCallError  # noqa: E402
from kazoo.handlers.threading import KazooTimeoutError  # noqa: E402

KIND = sys.argv[1] if len(sys.argv) > 1 else "ostler"
# Apache answers new read-only clients with nonsense unless it has local sessions.
PROPERTIES = {"tickTime": 500, "localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"}
ALONE = 3


class ReadOnly(Ensemble):
    """An ensemble with read-only mode, whose third member can be cut off."""

    cut_off = False

    def define(self, number, kind):
        ports = self.ports
        if self.cut_off and number == ALONE:
            self.ports = [(client, servers.free_port(), servers.free_port()) for client, _, _ in ports]
        super().define(number, kind)
        self.ports = ports
        self.members[number - 1].system = ["-Dreadonlymode.enabled=true"]

    def restart_alone(self, cut_off):
        self.server(ALONE).kill()
        self.cut_off = cut_off
        self.define(ALONE, KIND)
        self.server(ALONE).launch()
        want = ("read-only",) if cut_off else ("leader", "follower")
        end = time.monotonic() + 60
        while self.server(ALONE).mode() not in want:
            checks.that(time.monotonic() < end, "server %d is %r, not %s\n%s" % (ALONE, self.server(ALONE).mode(), want, self.server(ALONE).log_end()))
            time.sleep(0.1)


def reader(ensemble, numbers=(ALONE,)):
    return KazooClient(hosts=ensemble.hosts(numbers), timeout=10, read_only=True, randomize_hosts=False)


def stop(client):
    client.stop()
    client.close()


def kazoo_reads(ensemble):
    client = reader(ensemble)
    client.start(timeout=30)
    try:
        checks.equal(KeeperState.CONNECTED_RO, client.client_state)
        checks.equal(b"x", client.get("/a")[0])
        checks.equal(["b"], client.get_children("/a"))
        checks.raises(NotReadOnlyCallError, client.set, "/a", b"y")
        checks.raises(NotReadOnlyCallError, client.create, "/new")
        checks.raises(NotReadOnlyCallError, client.delete, "/a/b")
        checks.raises(NotReadOnlyCallError, client.sync, "/a")
        checks.equal(b"x", client.get("/a")[0])
    finally:
        stop(client)


def kazoo_that_writes_is_not_let_in(ensemble):
    client = KazooClient(hosts=ensemble.hosts([ALONE]), timeout=5)
    try:
        checks.raises(KazooTimeoutError, client.start, timeout=5)
    finally:
        stop(client)


def words(ensemble):
    port = ensemble.server(ALONE).port
    checks.equal("ro", servers.four_letters(port, "isro"))
    lines = servers.four_letters(port, "srvr").splitlines()
    checks.equal("READ-ONLY mode; serving only read-only clients", lines[1])
    checks.that("Mode: read-only" in lines, lines)
    checks.equal("rw", servers.four_letters(ensemble.server(1).port, "isro"))


class Java:
    """The Java suite: it says when the partition may end, and what it saw of that."""

    def __init__(self, ensemble):
        command = ["java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp",
                   os.path.join(servers.CACHE, "java", "classes") + os.pathsep + servers.apache_classpath(), "ReadOnlySuite", ensemble.hosts([ALONE])]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def until(self, last):
        for line in self.process.stdout:
            if line.strip() == last:
                return
            print(line, end="", flush=True)


def kazoo_comes_back(client):
    checks.eventually("kazoo is told", lambda: client.client_state == KeeperState.CONNECTED)
    client.retry(client.create, "/back-kazoo", b"")


def nothing_is_left(ensemble):
    client = ensemble.client([ALONE])
    try:
        client.sync("/")
        checks.equal(["a", "back-curator", "back-java", "back-kazoo", "zookeeper"], sorted(client.get_children("/")))
        data, stat = client.get("/a")
        checks.equal((b"x", 0), (data, stat.version))
        client.set("/a", b"z")
    finally:
        stop(client)
    checks.equal(ensemble.tree(1), ensemble.tree(ALONE))


def main():
    workdir = tempfile.mkdtemp(prefix="ostler-read-only-")
    ensemble = ReadOnly(workdir, [KIND] * 3, PROPERTIES)
    failed, java = 0, None
    try:
        ensemble.start()
        client = ensemble.client()
        client.create("/a", b"x")
        client.create("/a/b")
        stop(client)
        client = ensemble.client([ALONE])
        client.sync("/a")
        stop(client)
        ensemble.restart_alone(cut_off=True)
        ensemble.wait([1, 2])
        for check in (words, kazoo_reads, kazoo_that_writes_is_not_let_in):
            checks.check(check)
        failed |= checks.run_all(ensemble)
        java, kazoo = Java(ensemble), reader(ensemble)
        kazoo.start(timeout=30)
        java.until("READ")
        ensemble.restart_alone(cut_off=False)
        checks.CHECKS.clear()
        checks.check(kazoo_comes_back)
        failed |= checks.run_all(kazoo)
        stop(kazoo)
        java.until("")
        failed |= java.process.wait()
        checks.CHECKS.clear()
        checks.check(nothing_is_left)
        failed |= checks.run_all(ensemble)
    finally:
        if java:
            java.process.kill()
        ensemble.kill()
        if not failed:
            shutil.rmtree(workdir, ignore_errors=True)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Failed as e:
        print("read-only: %s" % e, file=sys.stderr)
        sys.exit(1)
