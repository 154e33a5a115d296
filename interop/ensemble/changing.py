"""An ensemble whose members change while it runs: for reconfig.py. Each server keeps the zoo.cfg that it rewrote itself."""
import os
import threading
import time

import checks
import servers
from ensemble import Ensemble
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, KazooException, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

# The digest of super:test.
SUPER = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
IN_FLIGHT = (ConnectionLoss, OperationTimeoutError, KazooTimeoutError)


class Member(servers.Server):
    """A server that starts from the files that it left."""

    def write_config(self):
        if not os.path.exists(self.path("")):
            with open(self.path(""), "w") as f:
                f.write(self.config())

    def config(self):
        # Where clients connect stands in the server line.
        return "".join(line + "\n" for line in super().config().splitlines() if not line.startswith("clientPort="))

    def path(self, suffix):
        return os.path.join(self.dir, "zoo.cfg" + suffix)

    def read(self, suffix=""):
        """zoo.cfg, or a file beside it; None if it is not there."""
        try:
            with open(self.path(suffix)) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def settings(self):
        return dict(line.split("=", 1) for line in self.read().splitlines() if "=" in line and not line.startswith("#"))

    def dynamic(self):
        """(version, text) of the file that zoo.cfg points at; (0, None) if it points at none."""
        name = self.settings().get("dynamicConfigFile")
        if name is None:
            return 0, None
        with open(name) as f:
            return int(name.rsplit(".", 1)[1], 16), f.read()


class Changing(Ensemble):
    """Starts empty; `add` makes a server, `change` has the ensemble take it."""

    def __init__(self, directory, properties=None):  # noqa: super().__init__ is for fixed members
        self.dir = directory
        self.members, self.lines = {}, {}
        self.properties = dict({"initLimit": 10, "syncLimit": 5, "tickTime": 1000, "reconfigEnabled": "true", "standaloneEnabled": "false",
                                "DigestAuthenticationProvider.superDigest": SUPER}, **(properties or {}))

    def server(self, number):
        return self.members[number]

    def new_line(self, number, role="participant", client=None, quorum=None, election=None):
        """A line for this server at these ports, or at new ones; remembered as its present one."""
        client, quorum, election = (port or servers.free_port() for port in (client, quorum, election))
        self.lines[number] = "127.0.0.1:%d:%d:%s;127.0.0.1:%d" % (quorum, election, role, client)
        return "server.%d=%s" % (number, self.lines[number])

    def ports(self, number):
        """(quorum, election, client) of its present line."""
        peers, client = self.lines[number].split(";")
        _, quorum, election, _ = peers.split(":")
        return int(quorum), int(election), int(client.split(":")[1])

    def again(self, number, role):
        """Its line with another role."""
        quorum, election, client = self.ports(number)
        return self.new_line(number, role, client, quorum, election)

    def add(self, number, kind, role="participant", names=None):
        """A server that is not running yet: its zoo.cfg names itself and the present ones (or those of `names`)."""
        if number not in self.lines:
            self.new_line(number, role)
        home = os.path.join(self.dir, "server-%d" % number)
        data = os.path.join(home, "data")
        os.makedirs(data)
        with open(os.path.join(data, "myid"), "w") as f:
            f.write("%d\n" % number)
        lines = {"server.%d" % n: self.lines[n] for n in sorted(set(names or self.members) | {number})}
        self.members[number] = Member(kind, home, port=self.ports(number)[2], data=data,
                                      properties=dict(self.properties, **lines), jvm=["-Xmx256m"])
        return self.members[number]

    def found(self, kinds, launch=True):
        """The first members, by number from 1; all serve."""
        for number in range(1, len(kinds) + 1):
            self.new_line(number)
        for number, kind in enumerate(kinds, 1):
            self.add(number, kind, names=range(1, len(kinds) + 1))
        if launch:
            for number in self.members:
                self.server(number).launch()
            self.wait()
        return self

    def wait(self, numbers=None, wait_s=180):
        # Apache's elections may take a minute on a busy machine.
        for number in numbers or self.running():
            self.server(number).wait_serving(wait_s)
        return self

    def running(self):
        return [n for n, member in sorted(self.members.items()) if member.process is not None and member.process.poll() is None]

    def hosts(self, numbers=None):
        return ",".join("127.0.0.1:%d" % self.server(n).port for n in numbers or self.running())

    def leader(self, wait_s=60):
        end = time.monotonic() + wait_s
        while True:
            for number in self.running():
                if self.server(number).mode() == "leader":
                    return number
            checks.that(time.monotonic() < end, "nobody leads after %d s" % wait_s)
            time.sleep(0.05)

    def admin(self, numbers=None):
        """A client who may change the ensemble."""
        client = self.client(numbers)
        client.add_auth("digest", "super:test")
        return client

    def change(self, numbers=None, joining=None, leaving=None, members=None, version=-1):
        """Asks for a change until it is made: the answer may be lost with a connection, and is asked for only once by then."""
        client = self.admin(numbers)
        try:
            before = version_of(client.get("/zookeeper/config")[0])
            try:
                text, stat = client.reconfig(joining=joining, leaving=leaving, new_members=members, from_config=version)
            except IN_FLIGHT + (SessionExpiredError,):
                # It may be on its way: then it comes soon. The reply is lost when the change makes this server follow another.
                end = time.monotonic() + 30
                while True:
                    try:
                        text, stat = client.retry(client.get, "/zookeeper/config")
                        if version_of(text) != before:
                            break
                    except KazooException:
                        pass
                    checks.that(time.monotonic() < end, "the change was lost: %r %r %r" % (joining, leaving, members))
                    time.sleep(0.1)
            checks.that(version_of(text) > before, "a new version: %r" % text)
            checks.equal(version_of(text), stat.mzxid)
            return text.decode()
        finally:
            client.stop()
            client.close()

    def settled(self, numbers, text=None, wait_s=60):
        """Until all these servers show this configuration (or one and the same) to clients and on their disks. Returns it."""
        end = time.monotonic() + wait_s
        while True:
            try:
                seen = {n: self.shown(n) for n in numbers}
                if len(set(seen.values())) == 1 and (text is None or text in seen.values()):
                    self.on_disk(numbers, next(iter(seen.values())))
                    return next(iter(seen.values()))
            except (KazooException, KazooTimeoutError, AssertionError, OSError) as e:
                seen = repr(e)
            checks.that(time.monotonic() < end, "the configuration %r, but: %r" % (text, seen))
            time.sleep(0.1)

    def shown(self, number):
        client = self.client([number])
        try:
            return client.get("/zookeeper/config")[0].decode()
        finally:
            client.stop()
            client.close()

    def on_disk(self, numbers, text):
        """zoo.cfg points at this configuration, the file holds it, and no proposal is left."""
        lines = text.split("\n")
        version, servers_ = int(lines[-1].split("=")[1], 16), "\n".join(sorted(lines[:-1]))
        for number in numbers:
            server = self.server(number)
            checks.equal((version, servers_), server.dynamic())
            checks.equal(None, server.read(".dynamic.next"))
            checks.equal(None, server.read(".tmp"))
            left = [key for key in server.settings() if key.startswith(("server.", "clientPort"))]
            checks.equal([], left)

    def role_of(self, number, mode, wait_s=60):
        checks.eventually("server %d is %s: %s" % (number, mode, self.server(number).mode()),
                          lambda: self.server(number).mode() == mode, wait_s)

    def same_trees(self, numbers):
        trees = {n: self.tree(n) for n in numbers}
        first = trees[numbers[0]]
        for number, tree in trees.items():
            differing = sorted(path for path in first.keys() | tree.keys() if first.get(path) != tree.get(path))
            checks.that(not differing, "servers %d and %d differ at %r" % (numbers[0], number, differing[:3]))
        return first

    def kill(self):
        for member in self.members.values():
            member.kill()


def version_of(text):
    return int(text.decode().rsplit("version=", 1)[1], 16)


class Load:
    """A writer that never loses its session, and a watcher of /zookeeper/config."""

    def __init__(self, ensemble, numbers):
        self.ensemble = ensemble
        self.writer, self.watcher = ensemble.client(numbers, timeout=30), ensemble.client(numbers, timeout=30)
        self.writer.ensure_path("/load")
        self.writer.create("/load/owner", b"", ephemeral=True)
        self.session = self.writer.client_id
        self.acknowledged, self.unknown, self.versions, self.lost = [], [], [], False
        self.ending = threading.Event()
        self.writer.add_listener(self.listen)
        self.watcher.add_listener(self.listen)

        @self.watcher.DataWatch("/zookeeper/config")
        def _(data, stat):
            self.versions.append(version_of(data))

        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def listen(self, state):
        self.lost = self.lost or (state == KazooState.LOST and not self.ending.is_set())

    def write(self):
        number = 0
        while not self.ending.is_set():
            path = "/load/n%06d" % number
            number += 1
            try:
                self.writer.create(path, b"")
                self.acknowledged.append(path)
                # A few hundred nodes are enough to compare.
                self.ending.wait(0.02)
            except IN_FLIGHT:
                self.unknown.append(path)
                time.sleep(0.02)

    def hosts(self, numbers):
        """From its next connection on these servers are tried."""
        for client in (self.writer, self.watcher):
            client.set_hosts(self.ensemble.hosts(numbers))

    def goes_on(self, writes=20, wait_s=60):
        before = len(self.acknowledged)
        checks.eventually("the writer goes on", lambda: len(self.acknowledged) >= before + writes, wait_s)

    def knows(self, version, wait_s=30):
        checks.eventually("the watcher hears of version %x: %r" % (version, self.versions), lambda: version in self.versions, wait_s)

    def end(self, numbers):
        """Nothing that was acknowledged is lost, on any of these servers; nobody lost a session; versions only grew."""
        self.ending.set()
        self.thread.join(60)
        checks.that(not self.thread.is_alive(), "the writer ends")
        checks.that(not self.lost and self.writer.client_id == self.session, "no session ended")
        checks.equal(sorted(self.versions), self.versions)
        tree = self.ensemble.same_trees(numbers)
        checks.equal([], [path for path in self.acknowledged if path not in tree][:3])
        known = set(self.acknowledged) | set(self.unknown) | {"/load/owner"}
        checks.equal([], [path for path in tree if path.startswith("/load/") and path not in known][:3])
        for client in (self.writer, self.watcher):
            client.stop()
            client.close()
