"""Our recipes, Curator's and kazoo's on the same znodes: they exclude, follow and understand one another.

usage: recipes_suite.py HOST:PORT OUR_PEER JAVA...      (the command line of Curator's peer without its address)

Two peers are processes that take the same commands (crates/client/examples/recipes_peer.rs, interop/java/src/RecipesPeer.java);
kazoo's is in this one. That nobody waits who need not, and nobody enters who must not, is seen in the tree: who is inside
makes a znode that only one can make.
"""
import concurrent.futures
import json
import subprocess
import sys
import threading
import uuid

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.recipe.watchers import DataWatch

from checks import CHECKS, equal, eventually, run_all, that

WAIT_S = 60
ADDRESS, OURS, JAVA = sys.argv[1], sys.argv[2], sys.argv[3:]


class Process:
    """A peer that is a process."""

    def __init__(self, *command):
        self.process = subprocess.Popen([*command, ADDRESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.waiting, self.lock, self.number = {}, threading.Lock(), 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            number, kind, result = (line.rstrip("\n").split(" ", 2) + [""])[:3]
            future = self.waiting.pop(int(number))
            if kind == "ok":
                future.set_result(result)
            else:
                future.set_exception(AssertionError(result))

    def start(self, *words):
        """Begins a command; the result is a future."""
        future = concurrent.futures.Future()
        with self.lock:
            self.number += 1
            self.waiting[self.number] = future
            self.process.stdin.write("%d %s\n" % (self.number, " ".join(str(word) for word in words)))
            self.process.stdin.flush()
        return future

    def do(self, *words):
        return self.start(*words).result(WAIT_S)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Kazoo:
    """kazoo, with the same commands as far as it has the recipe."""

    def __init__(self):
        self.client = KazooClient(ADDRESS)
        self.client.start(WAIT_S)
        self.held = {}

    def start(self, *words):
        future = concurrent.futures.Future()

        def run():
            try:
                future.set_result(getattr(self, words[0])(*words[1:]) or "")
            except Exception as e:  # noqa: BLE001 - the check that asked judges it
                future.set_exception(e)
        threading.Thread(target=run, daemon=True).start()
        return future

    def do(self, *words):
        return self.start(*words).result(WAIT_S)

    def taken(self, kind, path, argument=""):
        client = self.client
        if kind in ("lock", "candidate"):
            held = client.Lock(path, argument or "kazoo", extra_lock_patterns=["-lock-"])
        elif kind == "read":
            held = client.ReadLock(path, "kazoo", extra_lock_patterns=["__WRIT__"])
        elif kind == "write":
            held = client.WriteLock(path, "kazoo", extra_lock_patterns=["__WRIT__", "__READ__"])
        else:
            double = client.DoubleBarrier(path, int(argument), "kazoo")
            double.enter()
            return double.leave
        that(held.acquire(timeout=WAIT_S), "not acquired")
        return held.release

    def acquire(self, kind, path, handle, argument=""):
        self.held[handle] = self.taken(kind, path, argument)

    def release(self, handle):
        self.held.pop(handle)()

    def work(self, kind, path, rounds, witness):
        for _ in range(int(rounds)):
            release = self.taken(kind, path)
            self.client.create(witness, ephemeral=True)
            self.client.delete(witness)
            release()

    def participants(self, _kind, path):
        return ",".join(self.client.Lock(path, extra_lock_patterns=["-lock-"]).contenders())

    def raise_(self, path):
        self.client.Barrier(path).create()

    def lower(self, path):
        self.client.Barrier(path).remove()

    def pass_(self, path):
        that(self.client.Barrier(path).wait(WAIT_S), "the barrier stayed")

    def add(self, _format, path, number):
        counter = self.client.Counter(path)
        counter += int(number)
        return str(counter.post_value)

    def number(self, _format, path):
        return str(self.client.Counter(path).value)

    def publish(self, path, data):
        self.client.ensure_path(path)
        self.client.set(path, data.encode())

    def hear(self, path, data):
        heard = threading.Event()

        def look(found, _stat):
            if found == data.encode():
                heard.set()
                return False
            return None
        DataWatch(self.client, path, look)
        that(heard.wait(WAIT_S), "not heard")


setattr(Kazoo, "raise", Kazoo.raise_)
setattr(Kazoo, "pass", Kazoo.pass_)

PEERS = {}
ROOT = "/recipes-%s" % uuid.uuid4().hex[:8]


def look():
    return PEERS["kazoo"].client


def path():
    return "%s/%s" % (ROOT, uuid.uuid4().hex[:8])


def children(where):
    try:
        return look().get_children(where)
    except NoNodeError:
        return []


def queued(where, count):
    eventually("%d stand in the queue" % count, lambda: len(children(where)) == count)


def named(name):
    """Registers a check under this name."""
    def register(function):
        CHECKS.append((name, function))
        return function
    return register


def pairs(*others):
    """(label, one, other) both ways between us and each of these."""
    for other in others:
        yield "ours, then %s's" % other, "ours", other
        yield "%s's, then ours" % other, other, "ours"


def excludes(kind, other):
    def check():
        where, witness = path(), path()
        look().ensure_path(ROOT)
        works = [PEERS[name].start("work", kind, where, 10, witness) for name in ("ours", other, "ours", other)]
        for work in works:
            work.result(WAIT_S)
    return check


def hands_over(kind, first, second, below="", others=1):
    """The second waits until the first is done."""
    def check():
        where = path()
        PEERS[first].do("acquire", kind, where, "first", *(["1"] if kind == "semaphore" else ["one"]))
        waiting = PEERS[second].start("acquire", kind, where, "second", *(["1"] if kind == "semaphore" else ["two"]))
        queued(where + below, 2)
        that(not waiting.done(), "both hold it")
        PEERS[first].do("release", "first")
        waiting.result(WAIT_S)
        queued(where + below, others)
        PEERS[second].do("release", "second")
        queued(where + below, 0)
    return check


for other in ("curator", "kazoo"):
    named("a lock excludes ours and %s's" % other)(excludes("lock", other))
for label, first, second in pairs("curator", "kazoo"):
    named("a lock goes over: " + label)(hands_over("lock", first, second))
    named("an election goes over: " + label)(hands_over("candidate", first, second))
for label, first, second in pairs("curator"):
    named("a latch goes over: " + label)(hands_over("latch", first, second))
    named("a semaphore's lease goes over: " + label)(hands_over("semaphore", first, second, "/leases"))


@named("a semaphore excludes ours and curator's")
def semaphore_excludes():
    excludes("semaphore", "curator")()


def reads_together(other):
    def check():
        where, ours = path(), PEERS["ours"]
        ours.do("acquire", "read", where, "ours")
        PEERS[other].do("acquire", "read", where, "other")
        for writer, name in ((ours, "ours"), (PEERS[other], "other")):
            waiting = writer.start("acquire", "write", where, name + "-writes")
            queued(where, 3 if name == "ours" else 2)
            that(not waiting.done(), "a writer beside a reader")
            ours.do("release", "ours") if name == "ours" else None
            if name == "ours":
                queued(where, 2)
                that(not waiting.done(), "a writer beside a reader")
                PEERS[other].do("release", "other")
                waiting.result(WAIT_S)
                reader = PEERS[other].start("acquire", "read", where, "other")
                queued(where, 2)
                that(not reader.done(), "a reader beside a writer")
                ours.do("release", "ours-writes")
                reader.result(WAIT_S)
                ours_read = ours.start("acquire", "read", where, "ours")
                ours_read.result(WAIT_S)
                ours.do("release", "ours")
                queued(where, 1)
            else:
                PEERS[other].do("release", "other")
                waiting.result(WAIT_S)
                reader = ours.start("acquire", "read", where, "ours")
                queued(where, 2)
                that(not reader.done(), "a reader beside a writer")
                PEERS[other].do("release", "other-writes")
                reader.result(WAIT_S)
                ours.do("release", "ours")
                queued(where, 0)
    return check


for other in ("curator", "kazoo"):
    named("a read-write lock's writers exclude ours and %s's" % other)(excludes("write", other))
# A thread of kazoo's that writes while another one reads would be two locks, as here.
for other in ("curator", "kazoo"):
    named("a read-write lock is shared with %s's" % other)(reads_together(other))


@named("participants of a latch are the same for both")
def latch_participants():
    where = path()
    PEERS["curator"].do("acquire", "latch", where, "c", "them")
    waiting = PEERS["ours"].start("acquire", "latch", where, "o", "us")
    queued(where, 2)
    for peer in ("ours", "curator"):
        equal("them,us", PEERS[peer].do("participants", "latch", where))
    PEERS["curator"].do("release", "c")
    waiting.result(WAIT_S)
    PEERS["ours"].do("release", "o")


@named("candidates are the same for all three")
def candidates():
    where = path()
    PEERS["curator"].do("acquire", "candidate", where, "c", "them")
    waiting = PEERS["ours"].start("acquire", "candidate", where, "o", "us")
    queued(where, 2)
    last = PEERS["kazoo"].start("acquire", "candidate", where, "k", "snake")
    queued(where, 3)
    equal("them,us,snake", PEERS["ours"].do("participants", "candidate", where))
    equal("them,us,snake", PEERS["kazoo"].do("participants", "candidate", where))
    PEERS["curator"].do("release", "c")
    waiting.result(WAIT_S)
    PEERS["ours"].do("release", "o")
    last.result(WAIT_S)
    PEERS["kazoo"].do("release", "k")


@named("the lock of a killed process goes to Curator")
def killed():
    where = path()
    dying = Process(OURS)
    dying.do("acquire", "lock", where, "h")
    waiting = PEERS["curator"].start("acquire", "lock", where, "h")
    queued(where, 2)
    dying.kill()
    waiting.result(WAIT_S)
    PEERS["curator"].do("release", "h")


def barrier(one, other):
    def check():
        where = path()
        PEERS[one].do("raise", where)
        waiting = PEERS[other].start("pass", where)
        that(look().exists(where), "not raised")
        that(not waiting.done(), "it did not wait")
        PEERS[one].do("lower", where)
        waiting.result(WAIT_S)
    return check


for label, one, other in pairs("curator", "kazoo"):
    named("a barrier keeps: " + label)(barrier(one, other))


@named("a double barrier of all three")
def double():
    where = path()
    for _ in range(2):
        entering = {name: peer.start("acquire", "double", where, "d", 3) for name, peer in list(PEERS.items())[:2]}
        queued(where, 2)
        that(not any(future.done() for future in entering.values()), "two are not three")
        PEERS["kazoo"].do("acquire", "double", where, "d", 3)
        for future in entering.values():
            future.result(WAIT_S)
        leaving = [peer.start("release", "d") for name, peer in PEERS.items() if name != "ours"]
        that(not any(future.done() for future in leaving), "out before all were")
        leaving.append(PEERS["ours"].start("release", "d"))
        for future in leaving:
            future.result(WAIT_S)
        queued(where, 0)


def queue(one, other):
    def check():
        where = path()
        taking = PEERS[other].start("take", where)
        for data in ("a", "b", "c"):
            PEERS[one].do("put", where, data)
        equal(["a", "b", "c"], [taking.result(WAIT_S), PEERS[other].do("take", where), PEERS[other].do("take", where)])
    return check


for label, one, other in pairs("curator"):
    named("a queue goes through: " + label)(queue(one, other))


@named("a queue's elements go to one taker each")
def queue_shared():
    where, names = path(), ("ours", "curator")
    puts = [PEERS[name].start("put", where, "%s-%d" % (name, n)) for n in range(20) for name in names]
    takes = [PEERS[name].start("take", where) for _ in range(20) for name in names]
    for put in puts:
        put.result(WAIT_S)
    equal(sorted("%s-%d" % (name, n) for n in range(20) for name in names), sorted(take.result(WAIT_S) for take in takes))


def counts(form, other):
    def check():
        where = path()
        look().ensure_path(ROOT)
        adds = [PEERS[name].start("add", form, where, number) for number in (1, 2, -4, 10) for name in ("ours", other)]
        for add in adds:
            add.result(WAIT_S)
        equal(["18", "18"], [PEERS[name].do("number", form, where) for name in ("ours", other)])
    return check


for form, other in (("long", "curator"), ("int", "curator"), ("text", "kazoo")):
    named("a counter of %s and ours, %s" % (other, form))(counts(form, other))


@named("members of a group are the same for both")
def group():
    where = path()
    PEERS["ours"].do("acquire", "member", where, "m", "us=1")
    PEERS["curator"].do("acquire", "member", where, "m", "them=2")
    for peer in ("ours", "curator"):
        # Curator joins in the background.
        eventually("both are there", lambda: PEERS[peer].do("members", where) == "them=2,us=1")
    PEERS["curator"].do("release", "m")
    eventually("one is left", lambda: PEERS["ours"].do("members", where) == "us=1")
    PEERS["ours"].do("release", "m")


def persists(peer):
    def check():
        where = path()
        look().ensure_path(ROOT)
        PEERS[peer].do("acquire", "node", where, "n", "data")
        created = look().exists(where).czxid
        look().delete(where)
        eventually("it is made again", lambda: (look().exists(where) or look().exists("/")).czxid > created)
        equal(b"data", look().get(where)[0])
        PEERS[peer].do("release", "n")
        eventually("it goes", lambda: look().exists(where) is None)
    return check


for peer in ("ours", "curator"):
    named("a persistent node of %s comes again" % peer)(persists(peer))


def configuration(one, other):
    def check():
        where = path()
        PEERS[one].do("publish", where, "first")
        PEERS[other].do("hear", where, "first")
        hearing = PEERS[other].start("hear", where, "second")
        PEERS[one].do("publish", where, "second")
        hearing.result(WAIT_S)
    return check


for label, one, other in pairs("curator", "kazoo"):
    named("configuration is heard: " + label)(configuration(one, other))


def instance(identity, **more):
    fields = dict(name="web", id=identity, address="host", port=80, sslPort=None, payload=None, registrationTimeUTC=1_700_000_000_000,
                  serviceType="DYNAMIC", uriSpec=None)
    return dict(fields, **more)


def registers(one, other, **more):
    def check():
        where, want = path(), instance("one", **more)
        PEERS[one].do("acquire", "instance", where, "i", json.dumps(want, separators=(",", ":")))
        equal(want, json.loads(look().get(where + "/web/one")[0]))
        for peer in (one, other):
            equal([want], json.loads(PEERS[peer].do("instances", where, "web")))
            equal("web", PEERS[peer].do("services", where))
        PEERS[one].do("release", "i")
        for peer in (one, other):
            equal([], json.loads(PEERS[peer].do("instances", where, "web")))
    return check


for label, one, other in pairs("curator"):
    named("discovery: " + label)(registers(one, other))
    named("discovery with a payload: " + label)(registers(one, other, payload={"@class": "java.util.TreeMap", "k": "v", "n": 1}))
    named("discovery of a static instance: " + label)(registers(one, other, serviceType="STATIC", port=None, sslPort=443, payload="text"))


def main():
    PEERS["ours"] = Process(OURS)
    PEERS["curator"] = Process(*JAVA)
    PEERS["kazoo"] = Kazoo()
    code = run_all()
    for peer in ("ours", "curator"):
        PEERS[peer].kill()
    look().stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
