"""kazoo against the server: its client API and its recipes. usage: kazoo_suite.py HOST:PORT"""
import logging
import queue
import sys
import threading
import time
import uuid

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (AuthFailedError, BadArgumentsError, BadVersionError, InvalidACLError, LockTimeout, NoAuthError,
                              NoChildrenForEphemeralsError, NodeExistsError, NoNodeError, NotEmptyError,
                              RolledBackError, RuntimeInconsistency)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import EventType, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE, CREATOR_ALL_ACL, Id, make_acl, make_digest_acl, make_digest_acl_credential

from checks import check, equal, eventually, raises, run_all, that

logging.basicConfig(level=logging.CRITICAL)


class Client:
    """A started client with a root of its own: `with Client(at) as (c, p)`."""

    def __init__(self, at, **kw):
        self.c = KazooClient(at, timeout=kw.pop("timeout", 10), **kw)

    def __enter__(self):
        self.c.start(60)
        root = "/kazoo-" + uuid.uuid4().hex
        self.c.create(root)
        return self.c, root

    def __exit__(self, *_):
        self.c.stop()
        self.c.close()


# --- client API ----------------------------------------------------------------------------------------------

@check
def create_get_set_exists_delete(at):
    with Client(at) as (c, p):
        equal(p + "/a", c.create(p + "/a", b"one"))
        data, stat = c.get(p + "/a")
        equal((b"one", 0, 3), (data, stat.version, stat.data_length))
        equal(1, c.set(p + "/a", b"two", version=0).version)
        equal(1, c.exists(p + "/a").version)
        that(c.delete(p + "/a", version=1), "delete did not return True")
        equal(None, c.exists(p + "/a"))


@check
def create_with_include_data(at):
    with Client(at) as (c, p):
        path, stat = c.create(p + "/a", b"12345", include_data=True)
        equal(p + "/a", path)
        equal(c.exists(path), stat)
        equal(5, stat.data_length)


@check
def ensure_path_and_makepath(at):
    with Client(at) as (c, p):
        that(c.ensure_path(p + "/x/y/z"), "ensure_path")
        c.create(p + "/m/n/o", b"deep", makepath=True)
        equal(b"deep", c.get(p + "/m/n/o")[0])
        that(c.ensure_path(p + "/x/y/z"), "ensure_path twice")


@check
def sequential_and_ephemeral_nodes(at):
    with Client(at) as (c, p):
        equal(p + "/s-0000000000", c.create(p + "/s-", sequence=True))
        equal(p + "/e-0000000001", c.create(p + "/e-", sequence=True, ephemeral=True))
        equal(c.client_id[0], c.exists(p + "/e-0000000001").ephemeralOwner)
        equal(0, c.exists(p + "/s-0000000000").ephemeralOwner)
        raises(NoChildrenForEphemeralsError, c.create, p + "/e-0000000001/kid")


@check
def children_with_data_and_recursive_delete(at):
    with Client(at) as (c, p):
        for n in ("a", "b", "a/c", "a/d"):
            c.create(p + "/" + n, b"v")
        equal(["a", "b"], sorted(c.get_children(p)))
        names, stat = c.get_children(p, include_data=True)
        equal((["a", "b"], 2), (sorted(names), stat.numChildren))
        raises(NotEmptyError, c.delete, p + "/a")
        c.delete(p + "/a", recursive=True)
        equal(["b"], c.get_children(p))


@check
def error_classes(at):
    with Client(at) as (c, p):
        raises(NoNodeError, c.get, p + "/none")
        raises(NoNodeError, c.set, p + "/none", b"")
        raises(NoNodeError, c.delete, p + "/none")
        raises(NoNodeError, c.get_children, p + "/none")
        raises(NoNodeError, c.create, p + "/none/x")
        raises(NodeExistsError, c.create, p)
        raises(BadVersionError, c.set, p, b"", version=5)
        raises(BadVersionError, c.delete, p, version=5)
        raises(BadArgumentsError, c.delete, "/zookeeper")
        raises(InvalidACLError, c.create, p + "/a", acl=[make_acl("nothing", "x", all=True)])
        raises(NoNodeError, c.get_acls, p + "/none")


@check
def binary_large_and_unicode_data(at):
    with Client(at) as (c, p):
        blob = bytes(range(256)) * 3900
        c.create(p + "/blob", blob)
        equal(blob, c.get(p + "/blob")[0])
        name = p + "/n\u00e4me-\u4e2d"
        c.create(name, "w\u00f6rt".encode())
        that(name.rsplit("/", 1)[1] in c.get_children(p), "name lost")


@check
def acls(at):
    with Client(at) as (c, p):
        acl, stat = c.get_acls(p)
        equal((OPEN_ACL_UNSAFE, 0), (acl, stat.aversion))
        mine = [make_digest_acl("ann", "pw", all=True), make_acl("world", "anyone", read=True)]
        equal(1, c.set_acls(p, mine, version=0).aversion)
        equal("ann:x", c.get_acls(p)[0][0].id.id)
        raises(NoAuthError, c.set, p, b"x")
        raises(NoAuthError, c.set_acls, p, OPEN_ACL_UNSAFE)
        c.add_auth("digest", "ann:pw")
        equal(mine, c.get_acls(p)[0])
        c.set(p, b"x")
        raises(BadVersionError, c.set_acls, p, OPEN_ACL_UNSAFE, version=0)


@check
def auth_data_and_creator_acl(at):
    with Client(at, auth_data=[("digest", "bob:pw")]) as (c, p):
        c.create(p + "/mine", b"m", acl=CREATOR_ALL_ACL)
        equal([ACL(31, Id("digest", make_digest_acl_credential("bob", "pw")))], c.get_acls(p + "/mine")[0])
        with Client(at) as (other, _):
            raises(NoAuthError, other.get, p + "/mine")
        with Client(at, default_acl=[make_digest_acl("eve", "pw", all=True)]) as (eve, q):
            raises(NoAuthError, eve.create, q + "/x")
            eve.add_auth("digest", "eve:pw")
            eve.create(q + "/x")


@check
def bad_auth_scheme(at):
    with Client(at) as (c, _):
        raises(AuthFailedError, c.add_auth, "nothing", "x")


@check
def super_user(at):
    with Client(at) as (c, p):
        c.add_auth("digest", "o:p")
        c.create(p + "/locked", b"l", acl=CREATOR_ALL_ACL)
        with Client(at, auth_data=[("digest", "super:test")]) as (s, _):
            equal(b"l", s.get(p + "/locked")[0])


@check
def sync_and_server_version(at):
    with Client(at) as (c, p):
        equal(p, c.sync(p))
        that(c.server_version() >= (3, 9), "server version %r" % (c.server_version(),))
        equal(b"imok", c.command(b"ruok").encode())


@check
def asynchronous_calls(at):
    with Client(at) as (c, p):
        equal(p + "/a", c.create_async(p + "/a", b"1").get(60))
        equal(b"1", c.get_async(p + "/a").get(60)[0])
        equal(1, c.set_async(p + "/a", b"2").get(60).version)
        equal(1, c.exists_async(p + "/a").get(60).version)
        equal(["a"], c.get_children_async(p).get(60))
        equal(OPEN_ACL_UNSAFE, c.get_acls_async(p).get(60)[0])
        equal(1, c.set_acls_async(p, OPEN_ACL_UNSAFE).get(60).aversion)
        equal(p, c.sync_async(p).get(60))
        that(c.delete_async(p + "/a").get(60), "delete")
        raises(NoNodeError, lambda: c.get_async(p + "/a").get(60))


@check
def deep_pipeline_keeps_order(at):
    with Client(at) as (c, p):
        c.create(p + "/n")
        results = []
        for i in range(3000):
            results.append(c.set_async(p + "/n", b"%d" % i) if i % 2 == 0 else c.get_async(p + "/n"))
        for i, r in enumerate(results):
            got = r.get(60)
            equal(i // 2 + 1, (got if i % 2 == 0 else got[1]).version)
            if i % 2:
                equal(b"%d" % (i - 1), got[0])


@check
def watch_callbacks(at):
    with Client(at) as (c, p):
        got = queue.Queue()
        equal(None, c.exists(p + "/a", watch=got.put))
        c.get_children(p, watch=got.put)
        c.create(p + "/a", b"1")
        equal({("CREATED", p + "/a"), ("CHILD", p)}, {(e.type, e.path) for e in (got.get(timeout=60), got.get(timeout=60))})
        c.get(p + "/a", watch=got.put)
        c.set(p + "/a", b"2")
        e = got.get(timeout=60)
        equal((EventType.CHANGED, KeeperState.CONNECTED, p + "/a"), (e.type, e.state, e.path))
        c.get(p + "/a", watch=got.put)
        c.delete(p + "/a")
        equal(EventType.DELETED, got.get(timeout=60).type)
        c.sync(p)
        that(got.empty(), "an event too many")
        # kazoo drops events that it does not wait for: only the server can tell that its watches are spent.
        that(p not in c.command(b"wchp"), "the server still has the watch")


@check
def transactions(at):
    with Client(at) as (c, p):
        t = c.transaction()
        t.create(p + "/a", b"1")
        t.create(p + "/e-", ephemeral=True, sequence=True)
        t.set_data(p + "/a", b"2", version=0)
        t.check(p + "/a", version=1)
        t.delete(p + "/e-0000000001")
        got = t.commit()
        equal([p + "/a", p + "/e-0000000001"], got[:2])
        equal((1, True, True), (got[2].version, got[3], got[4]))
        equal(b"2", c.get(p + "/a")[0])


@check
def failed_transactions_change_nothing(at):
    with Client(at) as (c, p):
        t = c.transaction()
        t.create(p + "/a")
        t.check(p, version=99)
        t.create(p + "/b")
        equal([RolledBackError, BadVersionError, RuntimeInconsistency], [type(r) for r in t.commit()])
        equal([], c.get_children(p))


@check
def transaction_as_context_manager(at):
    with Client(at) as (c, p):
        with c.transaction() as t:
            t.create(p + "/a", b"x")
            t.set_data(p + "/a", b"y")
        equal(b"y", c.get(p + "/a")[0])


@check
def reconfig_is_refused(at):
    with Client(at) as (c, _):
        e = raises_any(lambda: c.reconfig(joining="server.9=h:1:2:participant;3", leaving=None, new_members=None))
        equal(-123, getattr(e, "code", None))


def raises_any(f):
    try:
        f()
    except Exception as e:  # noqa: BLE001 - the caller looks at it
        return e
    raise AssertionError("it succeeded")


@check
def fields_of_a_new_stat(at):
    with Client(at) as (c, p):
        _, stat = c.create(p + "/a", include_data=True)
        that(stat.czxid == stat.mzxid == stat.pzxid, "zxids of a new node differ")
        that(abs(stat.created - time.time()) < 60, "created is not now")
        equal(c.last_zxid, stat.mzxid)


# --- sessions --------------------------------------------------------------------------------------------------

@check
def stop_deletes_ephemerals(at):
    with Client(at) as (c, p):
        other = KazooClient(at)
        other.start(60)
        other.create(p + "/e", ephemeral=True)
        other.stop()
        equal(None, c.exists(p + "/e"))
        other.close()


@check
def restart_makes_a_new_session(at):
    with Client(at) as (c, p):
        first = c.client_id[0]
        c.create(p + "/e", ephemeral=True)
        c.restart()
        that(c.client_id[0] != first, "the same session")
        equal(None, c.exists(p + "/e"))


@check
def resume_with_client_id(at):
    with Client(at) as (c, p):
        # No retries: once its connection is taken over, the first client does not fight for the session.
        first = KazooClient(at, timeout=10, connection_retry=KazooRetry(max_tries=0))
        first.start(60)
        session = first.client_id
        first.create(p + "/e", ephemeral=True)
        states = queue.Queue()
        first.add_listener(states.put)
        second = KazooClient(at, timeout=10, client_id=session)
        second.start(60)
        equal(session, second.client_id)
        equal(session[0], second.exists(p + "/e").ephemeralOwner)
        that(states.get(timeout=60) != KazooState.CONNECTED, "the first connection lives on")
        second.stop()
        equal(None, c.exists(p + "/e"))
        first.stop()
        # The attempt costs the owner its connection, with Apache too, but not its session.
        owner = c.client_id[0]
        stranger = KazooClient(at, timeout=10, client_id=(owner, b"x" * 16))
        stranger.start(60)
        that(stranger.client_id[0] != owner, "a wrong password resumes the session")
        stranger.stop()
        that(c.retry(c.exists, p), "the owner goes on")
        equal(owner, c.client_id[0])


@check
def lost_connection_is_repaired(at):
    with Client(at) as (c, p):
        states = queue.Queue()
        c.add_listener(states.put)
        session = c.client_id
        c.create(p + "/e", ephemeral=True)
        c._connection._socket.shutdown(2)
        equal(KazooState.SUSPENDED, states.get(timeout=60))
        equal(KazooState.CONNECTED, states.get(timeout=60))
        equal(session, c.client_id)
        equal(session[0], c.exists(p + "/e").ephemeralOwner)


@check
def expired_session_is_reported(at):
    with Client(at) as (c, _):
        states = queue.Queue()
        gone = KazooClient(at, client_id=(0x1234567, b"\x01" * 16), timeout=60)
        gone.add_listener(states.put)
        gone.start(60)
        seen = [states.get(timeout=60)]
        while seen[-1] != KazooState.CONNECTED:
            seen.append(states.get(timeout=60))
        that(gone.client_id[0] != 0x1234567, "a made-up session was accepted")
        gone.stop()


@check
def chroot(at):
    with Client(at) as (c, p):
        with Client(at + p) as (inside, q):
            that(c.exists(p + q), "not below the chroot")
            equal(["%s" % q[1:]], inside.get_children("/"))


@check
def read_only_client(at):
    with Client(at, read_only=True) as (c, p):
        equal(KeeperState.CONNECTED, c.client_state)
        c.set(p, b"w")


# --- recipes -----------------------------------------------------------------------------------------------------

@check
def lock_excludes(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        inside, most = [0], [0]

        def work(client, n):
            for _ in range(n):
                with client.Lock(p + "/lock", "me"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.002)
                    inside[0] -= 1
        threads = [threading.Thread(target=work, args=(x, 10)) for x in (c, d, c)]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
        equal((0, 1), (inside[0], most[0]))


@check
def lock_contenders_timeout_and_cancel(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        a, b = c.Lock(p + "/lock", "first"), d.Lock(p + "/lock", "second")
        that(a.acquire(), "acquire")
        equal(False, b.acquire(blocking=False))
        raises(LockTimeout, b.acquire, timeout=0.2)
        equal(["first"], a.contenders())
        a.release()
        that(b.acquire(timeout=60), "acquire after release")
        b.release()


@check
def lock_of_a_dead_holder_is_released(at):
    with Client(at) as (c, p):
        dead = KazooClient(at)
        dead.start(60)
        dead.Lock(p + "/lock", "dead").acquire()
        waiting = threading.Thread(target=dead.stop)
        lock = c.Lock(p + "/lock", "next")
        waiting.start()
        that(lock.acquire(timeout=60), "not released")
        lock.release()
        waiting.join()


@check
def read_and_write_locks(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        r1, r2, w = c.ReadLock(p + "/rw"), d.ReadLock(p + "/rw"), d.WriteLock(p + "/rw")
        that(r1.acquire(timeout=60) and r2.acquire(timeout=60), "two readers")
        equal(False, w.acquire(blocking=False))
        r1.release()
        r2.release()
        that(w.acquire(timeout=60), "writer")
        equal(False, r1.acquire(blocking=False))
        w.release()


@check
def semaphore(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        s = [x.Semaphore(p + "/sem", max_leases=2) for x in (c, d, d)]
        that(s[0].acquire() and s[1].acquire(), "two leases")
        equal(False, s[2].acquire(blocking=False))
        equal(2, len(s[0].lease_holders()))
        s[0].release()
        that(s[2].acquire(timeout=60), "the freed lease")
        s[1].release()
        s[2].release()


@check
def election(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        led, go = queue.Queue(), threading.Event()

        def lead(name):
            led.put(name)
            if name == "first":
                go.wait(60)
        first = threading.Thread(target=c.Election(p + "/el", "first").run, args=(lead, "first"))
        first.start()
        equal("first", led.get(timeout=60))
        e = d.Election(p + "/el", "second")
        second = threading.Thread(target=e.run, args=(lead, "second"))
        second.start()
        eventually("two contenders", lambda: e.contenders() == ["first", "second"])
        that(led.empty(), "two leaders")
        go.set()
        equal("second", led.get(timeout=60))
        first.join(120)
        second.join(120)


@check
def queue_recipe(at):
    with Client(at) as (c, p):
        q = c.Queue(p + "/q")
        for i in range(5):
            q.put(b"item %d" % i)
        q.put(b"urgent", priority=1)
        equal(6, len(q))
        equal([b"urgent"] + [b"item %d" % i for i in range(5)], [q.get() for _ in range(6)])
        equal(None, q.get())


@check
def locking_queue(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        a, b = c.LockingQueue(p + "/q"), d.LockingQueue(p + "/q")
        a.put_all([b"1", b"2"])
        equal(b"1", a.get(60))
        equal(b"2", b.get(60))
        that(a.consume() and b.consume(), "consume")
        equal(0, len(a))


@check
def barrier(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        b = c.Barrier(p + "/b")
        b.create()
        equal(False, d.Barrier(p + "/b").wait(0.2))
        threading.Timer(0.2, b.remove).start()
        that(d.Barrier(p + "/b").wait(60), "the barrier did not open")


@check
def double_barrier(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        passed = queue.Queue()

        def work(client, name):
            b = client.DoubleBarrier(p + "/b", 2, name)
            b.enter()
            passed.put("in")
            b.leave()
            passed.put("out")
        threads = [threading.Thread(target=work, args=(x, n)) for x, n in ((c, "one"), (d, "two"))]
        [t.start() for t in threads]
        equal(["in", "in", "out", "out"], sorted(passed.get(timeout=60) for _ in range(4)))
        [t.join(120) for t in threads]


@check
def counter(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        def add(client):
            counter = client.Counter(p + "/n")
            for _ in range(25):
                counter += 2
        threads = [threading.Thread(target=add, args=(x,)) for x in (c, d)]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
        equal(100, c.Counter(p + "/n").value)
        f = c.Counter(p + "/f", default=1.5)
        f -= 1.0
        equal(0.5, f.value)


@check
def party(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        one, two = c.Party(p + "/party", "one"), d.ShallowParty(p + "/shallow", "two")
        one.join()
        two.join()
        other = d.Party(p + "/party", "other")
        other.join()
        equal(["one", "other"], sorted(one))
        equal(1, len(list(two)))
        other.leave()
        equal(["one"], list(one))


@check
def data_watch_recipe(at):
    with Client(at) as (c, p):
        got = queue.Queue()
        c.DataWatch(p + "/d", lambda data, stat: got.put(data))
        equal(None, got.get(timeout=60))
        c.create(p + "/d", b"1")
        equal(b"1", got.get(timeout=60))
        c.set(p + "/d", b"2")
        equal(b"2", got.get(timeout=60))
        c.delete(p + "/d")
        equal(None, got.get(timeout=60))


@check
def children_watch_recipe_survives_a_lost_connection(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        got = queue.Queue()
        c.ChildrenWatch(p, lambda names: got.put(sorted(names)))
        equal([], got.get(timeout=60))
        d.create(p + "/a")
        equal(["a"], got.get(timeout=60))
        c._connection._socket.shutdown(2)
        d.create(p + "/b")
        end = time.time() + 60
        while got.get(timeout=60) != ["a", "b"]:
            that(time.time() < end, "the change was not seen")


@check
def patient_children_watch(at):
    with Client(at) as (c, p):
        from kazoo.recipe.watchers import PatientChildrenWatch
        result = PatientChildrenWatch(c, p, time_boundary=0.3).start()
        c.create(p + "/a")
        names, changed = result.get(timeout=60)
        equal(["a"], names)
        that(not changed.ready(), "changed already")


@check
def tree_cache(at):
    with Client(at) as (c, p):
        from kazoo.recipe.cache import TreeCache, TreeEvent
        c.create(p + "/a/b", b"deep", makepath=True)
        events = queue.Queue()
        cache = TreeCache(c, p)
        cache.listen(events.put)
        cache.start()
        while events.get(timeout=60).event_type != TreeEvent.INITIALIZED:
            pass
        equal(b"deep", cache.get_data(p + "/a/b").data)
        c.set(p + "/a/b", b"new")
        eventually("the cache follows", lambda: cache.get_data(p + "/a/b").data == b"new")
        c.delete(p + "/a/b")
        eventually("the cache forgets", lambda: cache.get_data(p + "/a/b") is None)
        cache.close()


@check
def set_partitioner(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        parts = {}

        def work(client, name):
            sp = client.SetPartitioner(p + "/parts", set=("1", "2", "3", "4"), identifier=name, time_boundary=0.5)
            end = time.time() + 60
            while not sp.acquired and time.time() < end:
                if sp.release:
                    sp.release_set()
                elif sp.allocating:
                    sp.wait_for_acquire()
            parts[name] = list(sp)
            both.wait(60)
            sp.finish()
        both = threading.Barrier(2)
        threads = [threading.Thread(target=work, args=(x, n)) for x, n in ((c, "one"), (d, "two"))]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
        equal(["1", "2", "3", "4"], sorted(parts["one"] + parts["two"]))


@check
def non_blocking_lease(at):
    with Client(at) as (c, p), Client(at) as (d, _):
        import datetime
        a = c.NonBlockingLease(p + "/lease", datetime.timedelta(seconds=60), "one")
        that(bool(a), "the first lease")
        that(not d.NonBlockingLease(p + "/lease", datetime.timedelta(seconds=60), "two"), "two leases")
        multi = d.MultiNonBlockingLease(2, p + "/leases", datetime.timedelta(seconds=60), "two")
        that(bool(multi), "the multi lease")


@check
def retry(at):
    with Client(at) as (c, p):
        equal(b"", c.retry(c.get, p)[0])
        equal(p + "/r", KazooRetry(max_tries=3)(c.create, p + "/r"))


@check
def forty_clients(at):
    clients = [KazooClient(at, handler=SequentialThreadingHandler()) for _ in range(40)]
    with Client(at) as (c, p):
        [x.start_async() for x in clients]
        for x in clients:
            that(x.connected or eventually("connected", lambda: x.connected) is None, "not connected")
            x.create(p + "/e-", ephemeral=True, sequence=True)
        equal(40, len(c.get_children(p)))
        [x.stop() for x in clients]
        equal([], c.get_children(p))


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1]))
