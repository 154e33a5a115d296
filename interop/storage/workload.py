"""What the storage tests write: every kind of node and record, seeded random operations, and a load to kill a server under."""
import os
import random
import struct
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "wire")]
from capture_wire import (OPEN, Closed, Conn, acl, b_auth, b_create, b_multi, b_pv, b_set, b_setacl, b_ttl,  # noqa: E402
                          req)

LONG_MS = 600_000
HOUR_MS = 3_600_000
CREATOR = [acl(31, "auth", "")]


def connect(port, timeout=LONG_MS):
    """A session that lives through every restart of a test (the servers allow ten minutes)."""
    c = Conn(("127.0.0.1", port), 90.0)
    c.handshake(timeout=timeout)
    if c.timeout != timeout:
        raise AssertionError("asked for a session time-out of %d ms, got %d" % (timeout, c.timeout))
    return c


def done(conn, op, body, err=0):
    got = conn.call(op, body)[2]
    if got != err:
        raise AssertionError("%s: expected error %d, got %d" % (op, err, got))


def leave(conn):
    """Drops the connection without closing the session: its ephemerals must be there after a restart."""
    conn.sock.close()


def every_kind(port, root):
    """One of everything below `root`."""
    a = connect(port)
    done(a, "auth", b_auth("digest", b"ann:secret"))
    p = root
    done(a, "create", b_create(p, b"root of it"))
    done(a, "create", b_create(p + "/null", None))
    done(a, "create", b_create(p + "/empty", b""))
    done(a, "create", b_create(p + "/large", bytes(range(256)) * 400))
    done(a, "create2", b_create(p + "/\u00e5\u4e2d\u6587 blank", "w\u00f6rt \U0001f600".encode()))
    for _ in range(3):
        done(a, "create", b_create(p + "/seq-", b"s", flags=2))
    done(a, "delete", b_pv(p + "/seq-0000000006"), 0)
    for i in range(5):
        done(a, "setData", b_set(p + "/empty", b"v%d" % i, i))
    done(a, "setData", b_set(p + "/empty", b"", 99), -103)
    done(a, "delete", b_pv(p + "/not-there"), -101)
    # access lists: several entries, digest, ip, odd permissions, changed ones
    done(a, "create", b_create(p + "/creator", b"", CREATOR))
    done(a, "create", b_create(p + "/acls", b"", [acl(1, "world", "anyone"), acl(31, "digest", "bob:x"), acl(5, "ip", "10.0.0.0/8")]))
    done(a, "create", b_create(p + "/changed", b""))
    done(a, "setACL", b_setacl(p + "/changed", [acl(1, "world", "anyone"), acl(16, "ip", "127.0.0.1")], 0))
    done(a, "setACL", b_setacl(p + "/changed", [acl(31, "world", "anyone")], 1))
    done(a, "create", b_create(p + "/odd", b"", [acl(255, "world", "anyone"), acl(0, "ip", "1.2.3.4")]))
    # containers and TTL nodes that stay
    done(a, "createContainer", b_create(p + "/container", b"c", flags=4))
    done(a, "create", b_create(p + "/container/kid", b""))
    done(a, "createTTL", b_ttl(p + "/ttl", b"t", ttl=HOUR_MS))
    done(a, "createTTL", b_ttl(p + "/ttl-seq-", b"t", flags=6, ttl=2**40 - 1))
    done(a, "create", b_create(p + "/ttl/kid", b""))
    # multis: all kinds, a failed one, an empty one
    done(a, "multi", b_multi(("create", b_create(p + "/m", b"1")), ("create2", b_create(p + "/m/s-", b"", flags=3)),
                             ("createContainer", b_create(p + "/m/c", b"", flags=4)), ("createTTL", b_ttl(p + "/m/t", b"", ttl=HOUR_MS)),
                             ("setData", b_set(p + "/m", b"22", 0)), ("check", b_pv(p + "/m", 1)), ("delete", b_pv(p + "/seq-0000000005"))))
    done(a, "multi", b_multi(("create", b_create(p + "/rolled-back", b"")), ("check", b_pv(p + "/m", 77))))
    done(a, "multi", b_multi())
    quota(a, p)
    # ephemerals: of a session that is only disconnected, of one that is closed, and of this one
    b, c = connect(port), connect(port)
    for conn, name in ((a, "own"), (b, "left"), (c, "closed")):
        done(conn, "create", b_create(p + "/e-" + name, name.encode(), flags=1))
        done(conn, "create", b_create(p + "/e-" + name + "-", None, flags=3))
    c.close_session()
    leave(b)
    leave(a)


def quota(conn, p):
    q = p + "/limited"
    done(conn, "create", b_create(q, b"12345"))
    at = "/zookeeper/quota"
    for part in q.strip("/").split("/"):
        at += "/" + part
        if conn.call("create", b_create(at, None))[2] not in (0, -110):
            raise AssertionError("cannot create " + at)
    done(conn, "create", b_create(at + "/zookeeper_limits", b"count=100,bytes=-1=;byteHardLimit=1000;countHardLimit=-1"))
    done(conn, "create", b_create(at + "/zookeeper_stats", b"count=0,bytes=0"))
    done(conn, "create", b_create(q + "/kid", b"abc"))
    done(conn, "setData", b_set(q + "/kid", b"abcdef"))
    done(conn, "create", b_create(q + "/gone", b"xyz"))
    done(conn, "delete", b_pv(q + "/gone"))


def random_operations(port, root, seed, count, depth=50, acls=True):
    """Seeded creates, sets, deletes and setACLs (unless `acls` is off), many of them refused, pipelined `depth` at a time."""
    rng, c = random.Random(seed), connect(port)
    if c.call("create", b_create(root, b""))[2] not in (0, -110):
        raise AssertionError("cannot create " + root)
    frames = []
    for i in range(count):
        path = root + "".join("/n%d" % rng.randrange(6) for _ in range(rng.randrange(1, 4)))
        data, version = rng.randbytes(rng.choice((0, 1, 30, 300))), rng.choice((-1, -1, 0, 1, 2))
        operations = [
            ("create", b_create(path, data)), ("create", b_create(path, data)), ("create2", b_create(path + "-", None, flags=2)),
            ("create", b_create(path, data, flags=1)), ("delete", b_pv(path, version)), ("setData", b_set(path, data, version)),
            ("setACL", b_setacl(path, [acl(31, "world", "anyone"), acl(rng.randrange(32), "ip", "10.%d.0.1" % rng.randrange(9))], version)),
            ("multi", b_multi(("create", b_create(path, data)), ("setData", b_set(root, data, -1)))),
        ]
        frames.append(req(i + 1, *rng.choice([o for o in operations if acls or o[0] != "setACL"])))
    for i in range(0, count, depth):
        part = frames[i:i + depth]
        c.send(b"".join(part))
        for _ in part:
            if not c.recv_frame():
                raise AssertionError("the connection was closed under random operations")
    leave(c)


def coming_and_going(port, root, stop):
    """Sessions that make ephemerals and close, one after the other."""
    while not stop.is_set():
        c = connect(port)
        for i in range(5):
            c.call("create", b_create("%s/n%d/e-" % (root, i), b"e", flags=3))
        c.close_session()


def storm(port, root, count, acls=True):
    """Four clients with random operations on the same tree, beside sessions that come and go."""
    stop, problems = threading.Event(), []

    def guarded(function, *args):
        try:
            function(*args)
        except Exception as e:  # noqa: BLE001 - told to the caller below
            problems.append(e)
    random_operations(port, root, 0, 50, acls=acls)
    busy = [threading.Thread(target=guarded, args=(random_operations, port, root, seed, count, 50, acls)) for seed in (1, 2, 3, 4)]
    beside = threading.Thread(target=guarded, args=(coming_and_going, port, root, stop))
    for t in [*busy, beside]:
        t.start()
    for t in busy:
        t.join()
    stop.set()
    beside.join()
    if problems:
        raise problems[0]


class Load:
    """Writers that pipeline creates and sets until the server dies; `acknowledged` holds what was answered with success.

    Sequence numbers go up, so the highest acknowledged one of each writer says what must be there afterwards."""

    def __init__(self, port, root, writers=3):
        self.root, self.acknowledged, self.stop = root, {}, threading.Event()
        c = connect(port)
        done(c, "create", b_create(root, b""))
        leave(c)
        self.threads = [threading.Thread(target=self._write, args=(port, w), daemon=True) for w in range(writers)]
        for t in self.threads:
            t.start()

    def _write(self, port, writer):
        path, n = "%s/w%d" % (self.root, writer), 0
        try:
            c = connect(port)
            done(c, "create", b_create(path, struct.pack(">q", 0)))
            while not self.stop.is_set():
                frames = []
                for _ in range(20):
                    n += 1
                    frames.append(req(2 * n, "create", b_create("%s/%d" % (path, n), b"x" * (n % 200))))
                    frames.append(req(2 * n + 1, "setData", b_set(path, struct.pack(">q", n))))
                c.send(b"".join(frames))
                for _ in frames:
                    f = c.recv_frame()
                    if not f:
                        return
                    xid, _, err = struct.unpack(">iqi", f[4:20])
                    if err:
                        raise AssertionError("a write of the load failed: %d" % err)
                    if xid % 2:
                        self.acknowledged[path] = xid // 2
        except (OSError, Closed):
            return  # The server was killed: that is the test.

    def join(self):
        self.stop.set()
        for t in self.threads:
            t.join(30)

    def missing(self, nodes):
        """Acknowledged writes that a tree does not have."""
        out = []
        for path, n in self.acknowledged.items():
            out += ["%s/%d was acknowledged and is not there" % (path, i) for i in range(1, n + 1) if "%s/%d" % (path, i) not in nodes]
            if path not in nodes or struct.unpack(">q", bytes.fromhex(nodes[path]["data"]))[0] < n:
                out.append("the data of %s is older than the acknowledged write %d" % (path, n))
        return out


__all__ = ["HOUR_MS", "LONG_MS", "OPEN", "Load", "connect", "every_kind", "random_operations", "storm"]
