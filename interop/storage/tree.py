"""Reads a whole tree over the wire: every node's data, ACL and all fields of its Stat, and the sessions that own ephemerals.

Raw requests (with the recorder's encoders), so that nothing between the server and the comparison can hide a difference."""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "wire"), os.path.join(HERE, "..")]
from capture_wire import D, Conn, b_auth, b_pw, s  # noqa: E402
import servers  # noqa: E402

STAT = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner", "dataLength", "numChildren", "pzxid")


def stat(d):
    return dict(zip(STAT, struct.unpack(">qqqqiiiqiiq", d.raw(68))))


def ask(conn, op, path):
    """Body of a successful reply, as a decoder."""
    _, _, err, body = conn.call(op, s(path) if op == "getACL" else b_pw(path))
    if err:
        raise AssertionError("%s %s: error %d" % (op, path, err))
    return D(body, {})


def node(conn, path):
    d = ask(conn, "getData", path)
    data = d.bytes()
    row = {"data": None if data is None else data.hex(), "stat": stat(d)}
    d = ask(conn, "getACL", path)
    row["acl"] = d.acls()
    if stat(d) != row["stat"]:
        raise AssertionError("%s: getACL and getData give different Stats" % path)
    return row


def there(port, path):
    """Whether a node exists."""
    conn = Conn(("127.0.0.1", port), 90.0)
    conn.handshake(timeout=60000)
    err = conn.call("exists", b_pw(path))[2]
    conn.close_session()
    return err == 0


def read(port):
    """{"nodes": {path: row}, "sessions": [ids that own ephemerals], "digest mismatches": n} of a server."""
    conn = Conn(("127.0.0.1", port), 90.0)
    conn.handshake(timeout=60000)
    conn.call("auth", b_auth("digest", b"super:test"))
    nodes, todo = {}, ["/"]
    while todo:
        path = todo.pop()
        nodes[path] = node(conn, path)
        d = ask(conn, "getChildren2", path)
        names = [d.str() for _ in range(d.int())]
        if len(names) != len(set(names)) or stat(d) != nodes[path]["stat"] or nodes[path]["stat"]["numChildren"] != len(names):
            raise AssertionError("%s: %d names, %r" % (path, len(names), nodes[path]["stat"]))
        todo += [path.rstrip("/") + "/" + n for n in names]
    conn.close_session()
    owners = sorted({n["stat"]["ephemeralOwner"] for n in nodes.values()} - {0})
    dump = servers.four_letters(port, "dump", 60.0)
    # `dump` prints the sessions that own ephemerals, each with its paths (Apache also those whose ephemerals were deleted).
    named = sorted(int(x, 16) for x in set(re.findall(r"^0x([0-9a-f]+):\n\t/", dump, re.M)))
    if named != sorted(o & (2**64 - 1) for o in owners):
        raise AssertionError("the four-letter word dump names the sessions %s, the tree %s" % (named, owners))
    mntr = dict(re.findall(r"^(zk_\w+)\t(.*)$", servers.four_letters(port, "mntr", 60.0), re.M))
    return {"nodes": nodes, "sessions": owners, "mismatches": int(mntr.get("zk_digest_mismatches_count", -1))}


def differences(one, other, names):
    """Lines that say how two trees differ; empty when they are the same."""
    out = []
    for path in sorted(set(one["nodes"]) | set(other["nodes"])):
        a, b = one["nodes"].get(path), other["nodes"].get(path)
        if a == b:
            continue
        if a is None or b is None:
            out.append("%s is only in %s" % (path, names[1] if a is None else names[0]))
            continue
        for key in ("data", "acl", "stat"):
            if a[key] != b[key]:
                if key == "stat":
                    x, y = ({k: v for k, v in t["stat"].items() if a["stat"][k] != b["stat"][k]} for t in (a, b))
                else:
                    x, y = str(a[key])[:200], str(b[key])[:200]
                out.append("%s %s: %s in %s, %s in %s" % (path, key, x, names[0], y, names[1]))
    if one["sessions"] != other["sessions"]:
        out.append("owners of ephemerals: %s in %s, %s in %s" % (one["sessions"], names[0], other["sessions"], names[1]))
    return out
