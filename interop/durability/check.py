#!/usr/bin/env python3
"""No reply to a write precedes its fdatasync: watched from outside, with strace, on the real binary.

usage: check.py OSTLER [--writes N] [--clients N] [--break]

Starts `OSTLER serve` under strace, lets several pipelining clients write, then reads the trace: for each reply that names the
zxid of a write there must be, before the reply's send begins, a write of that zxid's record to the log file and, begun after that
write ended, an fdatasync of that file which has returned. --break runs the server with forceSync=no, which must be found out.
Prints the number of replies checked; exit status 1 on a violation.
"""
import argparse, os, re, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time


def fail(text, hint):
    print(f"durability: {text}\nhint: {hint}", file=sys.stderr)
    sys.exit(2)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def text(value):
    data = value.encode()
    return struct.pack(">i", len(data)) + data


OPEN_ACL = struct.pack(">i", 1) + struct.pack(">i", 31) + text("world") + text("anyone")


def receive(s):
    def exactly(n):
        out = b""
        while len(out) < n:
            part = s.recv(n - len(out))
            if not part:
                raise EOFError("the server closed the connection")
            out += part
        return out
    return exactly(struct.unpack(">i", exactly(4))[0])


def client(port, number, writes, errors):
    """Writes in bursts of ten, so that group commit and pipelines are both met."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
            s.sendall(frame(struct.pack(">iqiq", 0, 0, 30000, 0) + struct.pack(">i", 16) + bytes(16) + b"\0"))
            receive(s)
            for start in range(0, writes, 10):
                for xid in range(start + 1, start + 11):
                    body = text(f"/w{number}-{xid}") + struct.pack(">i", 20) + b"x" * 20 + OPEN_ACL + struct.pack(">i", 0)
                    s.sendall(frame(struct.pack(">ii", xid, 1) + body))
                for xid in range(start + 1, start + 11):
                    got, _, err = struct.unpack(">iqi", receive(s)[:16])
                    if (got, err) != (xid, 0):
                        raise ValueError(f"reply {got} with error {err} to request {xid}")
    except Exception as error:  # shown by the main thread
        errors.append(f"client {number}: {error}")


def wait_until_serving(port, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            fail("the server ended at once", "run it by hand with the same arguments")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.sendall(b"srvr")
                if s.recv(100).startswith(b"Zookeeper version"):
                    return
        except OSError:
            time.sleep(0.05)
    fail("the server did not serve within 60 s", "look at the log printed above")


def stop(strace):
    """Ends the traced server, not strace, which then ends by itself."""
    for child in open(f"/proc/{strace.pid}/task/{strace.pid}/children").read().split():
        os.kill(int(child), signal.SIGTERM)
    strace.wait(timeout=60)


def unescape(quoted):
    return bytes.fromhex(quoted.replace("\\x", ""))


def readable(name):
    """strace -xx writes the names of files in hex as well."""
    return unescape(name).decode() if name.startswith("\\x") else name


CALL = re.compile(r"^(\d+) +(\w+)\((\d+)<([^>]*(?:->[^>]*)?)>")
STRINGS = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def events(path):
    """(begin line, end line, call, fd, what it is, bytes) for each traced call, in order of its end."""
    open_calls = {}
    for number, line in enumerate(open(path, errors="replace")):
        pid = line.split(" ", 1)[0]
        if "resumed>" in line:
            if pid in open_calls:
                begin, call, fd, name, data = open_calls.pop(pid)
                yield begin, number, call, fd, name, data
            continue
        match = CALL.match(line)
        if not match:
            continue
        call, fd, name = match.group(2), match.group(3), readable(match.group(4))
        data = b"".join(unescape(part) for part in STRINGS.findall(line)) if call != "fdatasync" else b""
        if "<unfinished" in line:
            open_calls[pid] = (number, call, fd, name, data)
        else:
            yield number, number, call, fd, name, data


def records(data):
    """Zxids of the log records in what one call wrote."""
    at = 16 if data[:4] == b"ZKLG" else 0
    while at + 12 <= len(data):
        length = struct.unpack_from(">i", data, at + 8)[0]
        if length <= 0 or at + 12 + length > len(data):
            return
        yield struct.unpack_from(">q", data, at + 12 + 12)[0]
        at += 12 + length + 1


def check(trace):
    written, synced, replies, checked = {}, {}, {}, 0
    files_of = {}
    sync_calls = []
    for begin, end, call, fd, name, data in events(trace):
        is_log = re.search(r"/log\.[0-9a-f]+$", name) is not None
        if call in ("write", "pwrite64", "writev", "pwritev") and is_log:
            for zxid in records(data):
                written[zxid] = (end, name)
        elif call in ("fdatasync", "fsync"):
            sync_calls.append((begin, end, name))
        elif "TCP" in name or "socket" in name:
            stream = replies.setdefault((fd, name), [bytearray(), []])
            stream[1].append((begin, len(stream[0]), data))
            stream[0].extend(data)
    for sync_begin, sync_end, name in sync_calls:
        for zxid, (write_end, file) in written.items():
            if file == name and write_end < sync_begin and zxid not in synced:
                synced[zxid] = sync_end
    for (_, name), (stream, sends) in replies.items():
        at = 0
        while at + 20 <= len(stream):
            length = struct.unpack_from(">i", stream, at)[0]
            if length < 16 or at + 4 + length > len(stream):
                break
            xid, zxid, err = struct.unpack_from(">iqi", stream, at + 4)
            send_begin = max(b for b, start, data in sends if start <= at)
            if xid > 0 and err == 0 and zxid in written:
                checked += 1
                if zxid not in synced or synced[zxid] >= send_begin:
                    print(f"durability: the reply to xid {xid}, zxid {zxid:#x}, left at trace line {send_begin} before its "
                          f"record was synced ({synced.get(zxid, 'never')})")
                    return checked, False
            at += 4 + length
    return checked, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ostler")
    parser.add_argument("--writes", type=int, default=500)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--break", dest="broken", action="store_true")
    args = parser.parse_args()
    if not shutil.which("strace"):
        fail("strace is not installed", "interop/install installs it")
    with tempfile.TemporaryDirectory() as folder:
        port, trace = free_port(), os.path.join(folder, "trace")
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w") as f:
            f.write(f"dataDir={folder}/data\nclientPort={port}\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n")
            if args.broken:
                f.write("forceSync=no\n")
        process = subprocess.Popen(
            ["strace", "-f", "-y", "-xx", "-s", "1000000", "-o", trace, "-e",
             "trace=write,pwrite64,writev,pwritev,sendto,sendmsg,fdatasync,fsync", args.ostler, "serve", "--config", config])
        try:
            wait_until_serving(port, process)
            errors = []
            threads = [threading.Thread(target=client, args=(port, n, args.writes, errors)) for n in range(args.clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            stop(process)
        if errors:
            fail("; ".join(errors), "the server's log stands above")
        checked, clean = check(trace)
    expected = args.writes * args.clients
    if checked < expected:
        print(f"durability: only {checked} of {expected} replies were found in the trace")
        clean = False
    if clean:
        print(f"durability: {checked} replies checked, each after its fdatasync")
    sys.exit(0 if clean else 1)


main()
