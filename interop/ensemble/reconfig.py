#!/usr/bin/env python3
"""Ensembles that change while they run. usage: ensemble/reconfig.py ostler|apache [--only REGEX]

Members come and go, in ensembles of Ostler and of both kinds: growth from one to three and back, Ostler into an ensemble of Apache's and the
reverse, the leader is taken out, ports and roles change, servers are killed in the middle. A writer and a watcher of /zookeeper/config are
there all the time. After each step every member shows the same configuration to clients and on its disk, byte for byte what Apache
writes, and the same tree. With "apache" all servers are Apache's, which shows that the checks are right.
"""
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "python")]
import checks  # noqa: E402
import servers  # noqa: E402
from changing import Changing, Load, version_of  # noqa: E402
from kazoo import exceptions  # noqa: E402

OSTLER = sys.argv[1] if len(sys.argv) > 1 else "ostler"
WORKDIR = tempfile.mkdtemp(prefix="ostler-reconfig-")
KIND = {"a": "apache", "o": OSTLER}


def named(name, *letters):
    """Registers a check for each mix; a letter is the kind of a server."""
    def register(function):
        for mix in letters:
            checks.CHECKS.append(("%s (%s)" % (name, mix), lambda mix=mix: run(function, name, mix)))
        return function
    return register


def run(function, name, mix):
    ensemble = Changing(os.path.join(WORKDIR, re.sub(r"\W+", "-", name) + "-" + mix))
    try:
        function(ensemble, [KIND[letter] for letter in mix])
    finally:
        ensemble.kill()


def version(text):
    return version_of(text.encode())


@named("one server grows to three, shrinks to one, and grows again", "ooo", "aoo", "oao")
def growth(e, kinds):
    e.found(kinds[:1])
    load = Load(e, [1])
    for number in (2, 3):
        e.add(number, kinds[number - 1], role="observer")
    for turn in range(2):
        for number in (2, 3):
            if number not in e.running():
                e.server(number).launch()
            e.server(number).wait_serving()
            text = e.change(joining=e.again(number, "participant"))
            e.settled(range(1, number + 1), text)
            load.knows(version(text))
            load.goes_on()
        load.hosts([1, 2, 3])
        if turn == 1:
            break
        # It is the first that stays, whoever leads.
        for number in (3, 2):
            text = e.change(leaving=str(number))
            e.settled(range(1, number), text)
            e.server(number).stop()
            load.goes_on()
            load.knows(version(text))
        e.role_of(1, "leader")
        # Its own file no longer names it: it joins as it did first.
        for number in (2, 3):
            shutil.rmtree(e.server(number).dir)
            del e.members[number]
        for number in (2, 3):
            e.add(number, kinds[number - 1], role="observer")
    load.end([1, 2, 3])
    restart(e, [1, 2, 3])


def restart(e, numbers):
    """All stop and start from the files that they wrote."""
    before = e.settled(numbers)
    for number in numbers:
        e.server(number).stop()
    for number in numbers:
        e.server(number).launch()
    e.wait(numbers)
    checks.equal(before, e.settled(numbers))
    client = e.client(numbers)
    client.ensure_path("/restarted")
    client.stop()
    client.close()
    e.same_trees(numbers)


@named("a fourth joins, is promoted, and leaves", "aaao", "oooa", "oooo", "oaoo")
def joins(e, kinds):
    e.found(kinds[:3])
    first = e.settled([1, 2, 3])
    checks.equal(1 << 32, version(first))
    for number in (1, 2, 3):
        checks.that("server.3=" in e.server(number).read(".bak"), "zoo.cfg.bak")
    load = Load(e, [1, 2, 3])
    # It follows before it is a member, and does not count.
    e.add(4, kinds[3], role="observer").launch()
    e.server(4).wait_serving()
    text = e.change(joining=e.again(4, "observer"))
    e.role_of(4, "observer")
    e.settled([1, 2, 3, 4], text)
    load.knows(version(text))
    text = e.change(joining=e.again(4, "participant"), version=version(text))
    e.settled([1, 2, 3, 4], text)
    e.role_of(4, "follower")
    text = e.change(joining=e.again(4, "observer"))
    e.settled([1, 2, 3, 4], text)
    e.role_of(4, "observer")
    load.goes_on()
    # Without it, and as it was before.
    text = e.change(leaving="4")
    e.settled([1, 2, 3], text)
    load.hosts([1, 2, 3])
    e.server(4).stop()
    load.goes_on()
    load.end([1, 2, 3])
    restart(e, [1, 2, 3])


@named("the leader is taken out", "ooo", "oao", "aoa", "aao")
def leader_leaves(e, kinds):
    e.found(kinds)
    load = Load(e, [1, 2, 3])
    leader = e.leader()
    others = [number for number in (1, 2, 3) if number != leader]
    text = e.change(others, leaving=str(leader))
    e.settled(others, text)
    checks.that(e.leader() != leader, "another one leads")
    # It follows, without a vote, until it is stopped.
    e.role_of(leader, "follower")
    load.knows(version(text))
    load.goes_on()
    load.hosts(others)
    e.server(leader).stop()
    load.goes_on()
    load.end(others)
    # And comes back.
    before = e.lines[leader]
    shutil.rmtree(e.server(leader).dir)
    del e.members[leader]
    e.lines[leader] = before
    e.add(leader, kinds[leader - 1]).launch()
    e.server(leader).wait_serving()
    text = e.change(others, joining="server.%d=%s" % (leader, before))
    e.settled([1, 2, 3], text)
    restart(e, [1, 2, 3])


@named("every port of a follower and of the leader changes", "ooo", "oao", "aoa")
def ports(e, kinds):
    e.found(kinds)
    load = Load(e, [1, 2, 3])
    for moved in ([n for n in (1, 2, 3) if n != e.leader()][0], e.leader()):
        others = [n for n in (1, 2, 3) if n != moved]
        load.hosts(others)
        quorum, election, client = e.ports(moved)
        # Clients only; then both ports between servers change places; then new ones.
        for line in (e.new_line(moved, "participant", None, quorum, election),
                     e.new_line(moved, "participant", None, election, quorum),
                     e.new_line(moved)):
            e.lines[moved] = line.split("=", 1)[1]
            text = e.change(others, joining=line)
            e.server(moved).port = e.ports(moved)[2]
            e.settled([1, 2, 3], text)
            checks.equal("", servers.four_letters(client, "ruok"))
            client = e.ports(moved)[2]
            load.goes_on()
            load.knows(version(text))
    load.end([1, 2, 3])
    restart(e, [1, 2, 3])


@named("a session stays on its connection when the client port moves", "ooo")
def sessions_stay(e, kinds):
    e.found(kinds)
    follower = [n for n in (1, 2, 3) if n != e.leader()][0]
    client = e.client([follower])
    states = []
    client.add_listener(states.append)
    quorum, election, _ = e.ports(follower)
    text = e.change(joining=e.new_line(follower, "participant", None, quorum, election))
    e.server(follower).port = e.ports(follower)[2]
    e.settled([1, 2, 3], text)
    client.create("/stays", b"", ephemeral=True)
    checks.equal([], states)
    client.stop()
    client.close()


@named("whole lists, versions, and what is refused", "ooo", "aao", "ooa")
def refusals(e, kinds):
    e.found(kinds)
    text = e.settled([1, 2, 3])
    admin, client = e.admin(), e.client()

    def refused(kind, who=admin, joining=None, leaving=None, members=None, version=-1):
        checks.raises(kind, who.reconfig, joining=joining, leaving=leaving, new_members=members, from_config=version)

    lines = ["server.%d=%s" % (n, e.lines[n]) for n in (1, 2, 3)]
    refused(exceptions.NoAuthError, who=client, leaving="1")
    refused(exceptions.BadVersionError, leaving="1", version=version(text) + 1)
    refused(exceptions.BadVersionError, leaving="1", version=0)
    for joining in ("server.4", "server.4=", "server.4=127.0.0.1:1:2", "server.4=127.0.0.1:1:1;3", "server.4=127.0.0.1:1:x;3"):
        refused(exceptions.BadArgumentsError, joining=joining)
    for number in (dict(joining="server.x=127.0.0.1:1:2;3"), dict(joining="server4=127.0.0.1:1:2;3"), dict(leaving="x"), dict(leaving="1;2"),
                   dict(members="server.x=127.0.0.1:1:2;3")):
        refused(exceptions.MarshallingError, **number)
    refused(exceptions.BadArgumentsError, members="server.1=nonsense")
    refused(exceptions.BadArgumentsError, leaving="1,2,3")
    # Voters that nobody hears of.
    gone = ["server.%d=127.0.0.1:%d:%d:participant;127.0.0.1:%d" % (n, *(servers.free_port() for _ in range(3))) for n in (7, 8, 9)]
    refused(exceptions.NewConfigNoQuorumError, joining=",".join(gone + ["server.6=127.0.0.1:1:2:participant;3"]))
    refused(exceptions.NewConfigNoQuorumError, members=",".join(gone))
    checks.equal(text, e.settled([1, 2, 3]))
    # The same again under a new version, with commas and with line breaks.
    for separator in (",", "\n"):
        text = e.change(members=separator.join(lines), version=version(text))
        checks.equal(lines, text.split("\n")[:-1])
        e.settled([1, 2, 3], text)
    keep = [n for n in (1, 2, 3) if n == e.leader() or n == max(set((1, 2, 3)) - {e.leader()})]
    text = e.change(members=",".join(line for n, line in enumerate(lines, 1) if n in keep))
    e.settled(keep, text)
    checks.equal(2, text.count("server."))
    for each in (admin, client):
        each.stop()
        each.close()


@named("a server is killed in the middle of changes, and starts again", "ooo", "aoo")
def killed(e, kinds):
    e.found(kinds)
    load = Load(e, [1, 2, 3])
    for turn in range(6):
        # The leader, and followers; the change goes on with the two others.
        victim = e.leader() if turn % 2 else [n for n in (1, 2, 3) if n != e.leader()][turn // 2 % 2]
        others = [n for n in (1, 2, 3) if n != victim]
        admin = e.admin(others)
        lines = ",".join("server.%d=%s" % (n, e.lines[n]) for n in (1, 2, 3))
        pending = [admin.reconfig_async(joining=None, leaving=None, new_members=lines, from_config=-1)]
        e.server(victim).kill()
        for each in pending:
            try:
                each.get(timeout=30)
            except (exceptions.KazooException, admin.handler.timeout_exception):
                pass
        admin.stop()
        admin.close()
        e.server(victim).launch()
        e.wait([1, 2, 3])
        e.settled([1, 2, 3])
        load.goes_on()
    load.end([1, 2, 3])
    restart(e, [1, 2, 3])


@named("all are killed at once in the middle of a change, and start again", "ooo")
def all_killed(e, kinds):
    e.found(kinds)
    for _ in range(5):
        admin = e.admin()
        lines = ",".join("server.%d=%s" % (n, e.lines[n]) for n in (1, 2, 3))
        admin.create("/before-", b"", sequence=True)
        admin.reconfig_async(joining=None, leaving=None, new_members=lines, from_config=-1)
        for number in (1, 2, 3):
            e.server(number).kill()
        admin.stop()
        admin.close()
        for number in (1, 2, 3):
            e.server(number).launch()
        e.wait([1, 2, 3])
        e.settled([1, 2, 3])
        e.same_trees([1, 2, 3])


if "--only" in sys.argv:
    wanted = re.compile(sys.argv[sys.argv.index("--only") + 1])
    checks.CHECKS[:] = [row for row in checks.CHECKS if wanted.search(row[0])]

if __name__ == "__main__":
    try:
        code = checks.run_all()
    finally:
        if "--keep" not in sys.argv:
            shutil.rmtree(WORKDIR, ignore_errors=True)
        else:
            print(WORKDIR)
    sys.exit(code)
