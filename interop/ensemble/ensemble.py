"""An ensemble of servers of both kinds, and what its members show: for the suites beside this file."""
import logging
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE)]
import servers  # noqa: E402
from kazoo.client import KazooClient  # noqa: E402
from kazoo.retry import KazooRetry  # noqa: E402

# Servers are killed here all the time; what kazoo says about it is no news.
logging.getLogger("kazoo").setLevel(logging.CRITICAL)

# Fields of a Stat that every member must show alike.
STAT = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner", "dataLength", "numChildren", "pzxid")


class Ensemble:
    """kinds: one "apache" or "ostler" for each server; numbers begin with 1. The last `observers` of them do not vote."""

    def __init__(self, directory, kinds, properties=None, observers=0):
        self.dir = directory
        self.voters = len(kinds) - observers
        self.ports = [(servers.free_port(), servers.free_port(), servers.free_port()) for _ in kinds]
        self.properties = dict({"initLimit": 10, "syncLimit": 5, "tickTime": 1000}, **(properties or {}))
        self.members = [None] * len(kinds)
        for number, kind in enumerate(kinds, 1):
            self.define(number, kind)

    def define(self, number, kind):
        """The server of this number is of this kind from its next start on; its data stays."""
        role = lambda n: "participant" if n <= self.voters else "observer"  # noqa: E731
        lines = {"server.%d" % n: "127.0.0.1:%d:%d:%s" % (quorum, election, role(n)) for n, (_, quorum, election) in enumerate(self.ports, 1)}
        home = os.path.join(self.dir, "server-%d" % number)
        data = os.path.join(home, "data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(data, "myid"), "w") as f:
            f.write("%d\n" % number)
        self.members[number - 1] = servers.Server(kind, home, port=self.ports[number - 1][0], data=data,
                                                  properties=dict(self.properties, **lines), jvm=["-Xmx256m"])

    def server(self, number):
        return self.members[number - 1]

    def start(self, order=None):
        """Starts all, or one after the other in this order. A majority serves before the next one is started."""
        if not order:
            for member in self.members:
                member.launch()
        for count, number in enumerate(order or (), 1):
            self.server(number).launch()
            self.wait_listening(number)
            if count > self.voters // 2 and self.voters == len(self.members):
                self.wait(order[:count])
        return self.wait()

    def wait_listening(self, number, wait_s=60):
        """Until it answers, even if only that it does not serve."""
        end = time.monotonic() + wait_s
        while not servers.four_letters(self.server(number).port, "ruok"):
            if time.monotonic() > end or self.server(number).process.poll() is not None:
                raise servers.Failed("server %d does not listen\n%s" % (number, self.server(number).log_end()))
            time.sleep(0.02)

    def wait(self, numbers=None, wait_s=60):
        """Until these (all) servers serve."""
        for number in numbers or range(1, len(self.members) + 1):
            self.server(number).wait_serving(wait_s)
        return self

    def leader(self, wait_s=60):
        """The number of the leader."""
        end = time.monotonic() + wait_s
        while True:
            for number, member in enumerate(self.members, 1):
                if member.process is not None and member.process.poll() is None and member.mode() == "leader":
                    return number
            if time.monotonic() > end:
                raise servers.Failed("nobody leads after %d s" % wait_s)
            time.sleep(0.05)

    def wipe(self, number):
        """A stopped server loses its data; its number stays."""
        shutil.rmtree(os.path.join(self.server(number).data, "version-2"))

    def hosts(self, numbers=None):
        return ",".join("127.0.0.1:%d" % self.server(n).port for n in numbers or range(1, len(self.members) + 1))

    def client(self, numbers=None, timeout=15):
        """A connected kazoo client of these (all) servers."""
        retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5, max_jitter=0.1)
        client = KazooClient(hosts=self.hosts(numbers), timeout=timeout, connection_retry=retry, randomize_hosts=False)
        client.start(timeout=60)
        return client

    def tree(self, number):
        """{path: (data, ACL, Stat)} as one server shows it, after a sync. /zookeeper/config is each server's own (E 16.7)."""
        client = self.client([number])
        try:
            client.sync("/")
            found, todo = {}, ["/"]
            while todo:
                path = todo.pop()
                data, stat = client.get(path)
                acl, _ = client.get_acls(path)
                found[path] = (data, tuple(acl), tuple(getattr(stat, field) for field in STAT))
                todo += [path.rstrip("/") + "/" + name for name in client.get_children(path)]
            del found["/zookeeper/config"]
            return found
        finally:
            client.stop()
            client.close()

    def kill(self):
        for member in self.members:
            member.kill()


def equal_trees(ensemble):
    """Every server shows the same, field by field."""
    trees = {number: ensemble.tree(number) for number in range(1, len(ensemble.members) + 1)}
    first = trees[1]
    for number, tree in trees.items():
        differing = sorted(path for path in first.keys() | tree.keys() if first.get(path) != tree.get(path))
        if differing:
            path = differing[0]
            raise AssertionError("servers 1 (%s) and %d (%s) differ at %d paths, first %s: %r and %r" % (
                ensemble.server(1).kind, number, ensemble.server(number).kind, len(differing), path, first.get(path), tree.get(path)))
    return len(first)
