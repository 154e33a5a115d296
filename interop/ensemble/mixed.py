#!/usr/bin/env python3
"""Ensembles of Apache and Ostler servers in every mix. usage: ensemble/mixed.py ostler|apache [--long | --only REGEX]

For each mix: all serve, every server takes writes, sessions move between servers, ephemerals and watches work across them; the leader is
killed (kill -9), whoever it is, until every server that wins elections has led; a server that lost its disk comes back; and after each step all
servers show the same tree, field by field. The same with an observer. Then a rolling migration from Apache to Ostler and back, one server at a time, while a writer and
watchers run. --long adds every mix of five and every order of joining for every mix of three (a quarter of an hour). With "apache" all servers are Apache's, which shows that the checks are right.
"""
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "python")]
import checks  # noqa: E402
from ensemble import Ensemble, equal_trees  # noqa: E402
from kazoo.client import KazooState  # noqa: E402
from kazoo.exceptions import ConnectionLoss, NodeExistsError, SessionExpiredError  # noqa: E402
from kazoo.handlers.threading import KazooTimeoutError  # noqa: E402

OSTLER = sys.argv[1] if len(sys.argv) > 1 else "ostler"
WORKDIR = tempfile.mkdtemp(prefix="ostler-ensemble-")
OBSERVED = ["aaao", "oooa", "oooo"]
MIXES = ["aao", "aoa", "oaa", "aoo", "oao", "ooa", "ooo"]
FIVES = ["aoaoo", "ooaaa"]
JOINED = ["aoo"]
if "--long" in sys.argv:
    FIVES = ["".join(mix) for mix in itertools.product("ao", repeat=5) if mix != tuple("aaaaa")]
    JOINED = MIXES


def kinds(mix):
    return [{"a": "apache", "o": OSTLER}[letter] for letter in mix]


def write_through_all(ensemble, label):
    """One of each kind of write at every server; a watch set at one server sees what another server writes."""
    count = len(ensemble.members)
    for number in range(1, count + 1):
        client, other = ensemble.client([number]), ensemble.client([number % count + 1])
        try:
            base = "/%s-%d" % (label, number)
            client.create(base, b"first")
            seen = threading.Event()
            other.sync(base)
            other.get(base, watch=lambda event: seen.set())
            client.set(base, b"second")
            checks.that(seen.wait(30), "the watch at server %d" % (number % count + 1))
            names = [client.create(base + "/s-", b"x" * 100, sequence=True) for _ in range(20)]
            client.delete(names[7])
            client.create(base + "/e", b"", ephemeral=True)
            other.sync(base)
            checks.that(other.exists(base + "/e"), "the ephemeral at another server")
            transaction = client.transaction()
            transaction.create(base + "/m", b"in a multi")
            transaction.set_data(base, b"third")
            transaction.check(base, 2)
            checks.that(not any(isinstance(r, Exception) for r in transaction.commit()), "the multi")
            try:
                client.create(base, b"")
                raise AssertionError("a second create succeeded")
            except NodeExistsError:
                pass
            client.stop()
            client.close()
            other.sync(base)
            checks.equal(None, other.exists(base + "/e"))
        finally:
            for each in (client, other):
                each.stop()
                each.close()


def session_moves(ensemble):
    """A session goes from server to server with its ephemeral."""
    count = len(ensemble.members)
    client = ensemble.client([1])
    client.create("/moving", b"", ephemeral=True)
    session = client.client_id
    for number in list(range(2, count + 1)) + [1]:
        client.set_hosts(ensemble.hosts([number]))
        client._connection._socket.shutdown(2)  # noqa: SLF001 - the connection breaks, the session lives
        deadline = time.monotonic() + 30
        while True:
            try:
                client.set("/moving", b"%d" % number)
                break
            except (ConnectionLoss, SessionExpiredError) as e:
                checks.that(isinstance(e, ConnectionLoss) and time.monotonic() < deadline, "the session at server %d: %r" % (number, e))
                time.sleep(0.05)
        checks.equal(session, client.client_id)
    client.stop()
    client.close()


def leaders_die(ensemble, label, rounds):
    led = []
    for turn in range(rounds):
        leader = ensemble.leader()
        led.append(leader)
        others = [n for n in range(1, len(ensemble.members) + 1) if n != leader]
        ensemble.server(leader).kill()
        client = ensemble.client(others)
        client.retry(client.ensure_path, "/%s" % label)
        client.retry(client.create, "/%s/killed-%d-" % (label, turn), b"%d" % leader, sequence=True)
        client.stop()
        client.close()
        ensemble.server(leader).launch()
        ensemble.wait()
        equal_trees(ensemble)
    return led


def one_mix(mix):
    ensemble = Ensemble(os.path.join(WORKDIR, mix), kinds(mix))
    try:
        ensemble.start()
        write_through_all(ensemble, "start")
        session_moves(ensemble)
        equal_trees(ensemble)
        # As many as make a quorum, and one more.
        leaders_die(ensemble, "dead", 3 if len(mix) == 3 else 4)
        # A server that lost its disk gets everything, from a leader of either kind.
        for number in (1, len(ensemble.members)):
            ensemble.server(number).kill()
            ensemble.wait([n for n in range(1, len(ensemble.members) + 1) if n != number])
            ensemble.wipe(number)
            ensemble.server(number).launch()
            ensemble.wait()
            equal_trees(ensemble)
        write_through_all(ensemble, "end")
        equal_trees(ensemble)
    finally:
        ensemble.kill()


def joining(mix):
    """Every order in which three can be started: the first two make a majority, the third joins it."""
    for order in itertools.permutations((1, 2, 3)):
        ensemble = Ensemble(os.path.join(WORKDIR, "joining-%s-%d%d%d" % (mix, *order)), kinds(mix))
        try:
            ensemble.start(order)
            client = ensemble.client()
            client.create("/joined", b"")
            client.stop()
            client.close()
            equal_trees(ensemble)
        finally:
            ensemble.kill()


def observers(mix):
    """The last server observes: it serves, never leads, is not needed, and comes back with everything."""
    ensemble = Ensemble(os.path.join(WORKDIR, "observer-" + mix), kinds(mix), observers=1)
    last = len(mix)
    try:
        ensemble.start()
        checks.equal("observer", ensemble.server(last).mode())
        write_through_all(ensemble, "start")
        session_moves(ensemble)
        equal_trees(ensemble)
        led = leaders_die(ensemble, "dead", 2)
        checks.that(last not in led, "an observer never leads")
        for wipe in (False, True):
            ensemble.server(last).kill()
            client = ensemble.client(range(1, last))
            for _ in range(10):
                client.create("/dead/without-the-observer-", b"", sequence=True)
            client.stop()
            client.close()
            if wipe:
                ensemble.wipe(last)
            ensemble.server(last).launch()
            ensemble.wait()
            equal_trees(ensemble)
        # Two of four are no quorum of the three that vote.
        leader = ensemble.leader()
        for number in range(1, last):
            if number != leader:
                ensemble.server(number).kill()
        deadline = time.monotonic() + 60
        while ensemble.server(leader).mode() or ensemble.server(last).mode():
            checks.that(time.monotonic() < deadline, "nobody serves with one voter and an observer")
            time.sleep(0.1)
    finally:
        ensemble.kill()


class Writer(threading.Thread):
    """Creates nodes one after the other; remembers what was acknowledged. It never loses its session."""

    def __init__(self, ensemble):
        super().__init__(daemon=True)
        self.client = ensemble.client(timeout=30)
        self.client.ensure_path("/migration")
        self.client.create("/migration/owner", b"", ephemeral=True)
        self.session = self.client.client_id
        self.acknowledged, self.unknown, self.lost, self.ending = [], [], False, threading.Event()
        self.client.add_listener(self.listen)

    def listen(self, state):
        self.lost = self.lost or (state == KazooState.LOST and not self.ending.is_set())

    def run(self):
        number = 0
        while not self.ending.is_set():
            path = "/migration/n%06d" % number
            number += 1
            try:
                self.client.create(path, b"")
                self.acknowledged.append(path)
            except (ConnectionLoss, KazooTimeoutError):
                self.unknown.append(path)
                time.sleep(0.02)

    def end(self):
        self.ending.set()
        self.join(60)
        checks.that(not self.is_alive(), "the writer ends")


def rolling_migration():
    ensemble = Ensemble(os.path.join(WORKDIR, "migration"), kinds("aaa"))
    try:
        ensemble.start()
        writer = Writer(ensemble)
        watcher = ensemble.client(timeout=30)
        seen = set()

        @watcher.ChildrenWatch("/migration")
        def _(children):
            seen.update(children)

        writer.start()
        for kind in (OSTLER, "apache"):
            for number in range(1, 4):
                ensemble.server(number).stop()
                ensemble.define(number, kind)
                ensemble.server(number).launch()
                ensemble.wait()
                before = len(writer.acknowledged)
                deadline = time.monotonic() + 60
                while len(writer.acknowledged) < before + 50:
                    checks.that(time.monotonic() < deadline, "the writer goes on when server %d is %s" % (number, kind))
                    time.sleep(0.05)
        writer.end()
        checks.that(not writer.lost and writer.client.client_id == writer.session, "no session ended")
        tree = ensemble.tree(1)
        missing = [path for path in writer.acknowledged if path not in tree]
        checks.equal([], missing[:3])
        checks.that("/migration/owner" in tree, "the ephemeral is there")
        known = set(writer.acknowledged) | set(writer.unknown) | {"/migration/owner"}
        invented = [path for path in tree if path.startswith("/migration/") and path not in known]
        checks.equal([], invented[:3])
        deadline = time.monotonic() + 30
        while not {path.rsplit("/", 1)[1] for path in writer.acknowledged} <= seen:
            checks.that(time.monotonic() < deadline, "the watcher sees everything")
            time.sleep(0.1)
        equal_trees(ensemble)
        checks.that(len(writer.unknown) <= 100, "only what was in flight failed: %d" % len(writer.unknown))
        for client in (writer.client, watcher):
            client.stop()
            client.close()
    finally:
        ensemble.kill()


for each in MIXES + FIVES:
    checks.CHECKS.append(("servers %s (a Apache, o Ostler)" % each, lambda each=each: one_mix(each)))
for each in JOINED:
    checks.CHECKS.append(("every order of joining %s" % each, lambda each=each: joining(each)))
for each in OBSERVED:
    checks.CHECKS.append(("voters and an observer %s" % each, lambda each=each: observers(each)))
checks.CHECKS.append(("a rolling migration from Apache to Ostler and back", rolling_migration))

if "--only" in sys.argv:
    wanted = re.compile(sys.argv[sys.argv.index("--only") + 1])
    checks.CHECKS[:] = [row for row in checks.CHECKS if wanted.search(row[0])]

if __name__ == "__main__":
    try:
        code = checks.run_all()
    finally:
        shutil.rmtree(WORKDIR, ignore_errors=True)
    sys.exit(code)
