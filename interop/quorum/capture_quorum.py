#!/usr/bin/env python3
"""Capture and decode ZooKeeper quorum-level traffic (stdlib only).

Uses
  capture_quorum.py run   --work DIR --out quorum-samples.jsonl [--only S1,S2]
        starts real Apache servers (class path from $ZKCP, java from $JAVA or PATH),
        puts a TCP relay on every server-to-server path and writes golden samples.
  capture_quorum.py decode election|learner|leader HEX
        decodes a captured byte string (learner = learner->leader, leader = leader->learner).
  capture_quorum.py fakelearner HOST:PORT --sid N [--observer] [--epoch E] [--zxid Z]
        joins a running leader as a scripted learner and prints what it receives.

How the relay sees every path without touching the configuration: the server lines use host
names (zkh1, zkh2, ...) and every JVM gets its own -Djdk.net.hosts.file.  Server i resolves its
own name to 127.0.1.i (where it really listens) and the name of server j to 127.0.(10+i).j,
where the relay for the path i->j listens.  Configuration text is therefore identical on all
servers, so reconfiguration can be captured too.

Ports: quorum 1230N, election 1232N, client 1219N, admin server off.
"""
import argparse, json, os, shutil, signal, socket, struct, subprocess, sys, threading, time

# ----------------------------------------------------------------------------- jute codec
class Rd:
    def __init__(self, b, o=0): self.b, self.o = b, o
    def take(self, n):
        if n < 0 or self.o + n > len(self.b): raise EOFError
        r = self.b[self.o:self.o + n]; self.o += n; return r
    def i(self): return struct.unpack('>i', self.take(4))[0]
    def l(self): return struct.unpack('>q', self.take(8))[0]
    def z(self): return self.take(1) != b'\0'
    def buf(self):
        n = self.i()
        return None if n < 0 else self.take(n)
    def s(self):
        b = self.buf()
        return None if b is None else b.decode('utf-8', 'replace')
    def vec(self, f):
        n = self.i()
        return None if n < 0 else [f() for _ in range(n)]
    def left(self): return len(self.b) - self.o

def I(v): return struct.pack('>i', v)
def L(v): return struct.pack('>q', v)
def B(b): return I(-1) if b is None else I(len(b)) + b
def S(s): return B(None if s is None else s.encode())
def V(xs): return I(-1) if xs is None else I(len(xs)) + b''.join(xs)

QP = {1: 'REQUEST', 2: 'PROPOSAL', 3: 'ACK', 4: 'COMMIT', 5: 'PING', 6: 'REVALIDATE', 7: 'SYNC', 8: 'INFORM',
      9: 'COMMITANDACTIVATE', 10: 'NEWLEADER', 11: 'FOLLOWERINFO', 12: 'UPTODATE', 13: 'DIFF', 14: 'TRUNC',
      15: 'SNAP', 16: 'OBSERVERINFO', 17: 'LEADERINFO', 18: 'ACKEPOCH', 19: 'INFORMANDACTIVATE'}
QN = {v: k for k, v in QP.items()}
OP = {1: 'create', 2: 'delete', 3: 'exists', 4: 'getData', 5: 'setData', 6: 'getACL', 7: 'setACL', 8: 'getChildren',
      9: 'sync', 11: 'ping', 12: 'getChildren2', 13: 'check', 14: 'multi', 15: 'create2', 16: 'reconfig',
      19: 'createContainer', 20: 'deleteContainer', 21: 'createTTL', 22: 'multiRead', 100: 'auth',
      -10: 'createSession', -11: 'closeSession', -1: 'error'}
STATES = ['LOOKING', 'FOLLOWING', 'LEADING', 'OBSERVING']

def hx(z): return '0x%x' % (z & 0xffffffffffffffff)
def txt(b):
    if b is None: return None
    try:
        t = b.decode('utf-8')
        if all(c.isprintable() or c == '\n' for c in t): return t
    except UnicodeDecodeError: pass
    return {'hex': b.hex()}

def d_acl(r): return {'perms': r.i(), 'scheme': r.s(), 'id': r.s()}
def d_txnbody(t, r):
    if t in (1, 15): return {'path': r.s(), 'data': txt(r.buf()), 'acl': r.vec(lambda: d_acl(r)), 'ephemeral': r.z(), 'parentCVersion': r.i()}
    if t == 21: return {'path': r.s(), 'data': txt(r.buf()), 'acl': r.vec(lambda: d_acl(r)), 'parentCVersion': r.i(), 'ttl': r.l()}
    if t == 19: return {'path': r.s(), 'data': txt(r.buf()), 'acl': r.vec(lambda: d_acl(r)), 'parentCVersion': r.i()}
    if t in (2, 20): return {'path': r.s()}
    if t in (5, 16): return {'path': r.s(), 'data': txt(r.buf()), 'version': r.i()}
    if t == 7: return {'path': r.s(), 'acl': r.vec(lambda: d_acl(r)), 'version': r.i()}
    if t == 13: return {'path': r.s(), 'version': r.i()}
    if t == -1: return {'err': r.i()}
    if t == -10: return {'timeOut': r.i()}
    if t == -11: return {'paths2Delete': r.vec(r.s)} if r.left() >= 4 else {}
    if t == 14:
        def sub():
            ty = r.i(); b = r.buf()
            try: body = d_txnbody(ty, Rd(b))
            except Exception: body = {'hex': b.hex()}
            return {'type': OP.get(ty, ty), 'txn': body}
        return {'txns': r.vec(sub)}
    return {'undecoded': True}

def d_txn(b):
    r = Rd(b)
    h = {'clientId': hx(r.l()), 'cxid': r.i(), 'zxid': hx(r.l()), 'time': r.l()}
    t = r.i(); h['type'] = OP.get(t, t)
    out = {'hdr': h, 'txn': d_txnbody(t, r)}
    if r.left() >= 12: out['digest'] = {'version': r.i(), 'treeDigest': hx(r.l())}
    if r.left(): out['trailing'] = r.take(r.left()).hex()
    return out

def d_req_body(t, b):
    try:
        r = Rd(b)
        if t in (1, 15, 19): return {'path': r.s(), 'data': txt(r.buf()), 'acl': r.vec(lambda: d_acl(r)), 'flags': r.i()}
        if t == 2: return {'path': r.s(), 'version': r.i()}
        if t == 5: return {'path': r.s(), 'data': txt(r.buf()), 'version': r.i()}
        if t == 9: return {'path': r.s()}
        if t == -10: return {'timeOut': r.i()}
        if t == 16: return {'joiningServers': r.s(), 'leavingServers': r.s(), 'newMembers': r.s(), 'curConfigId': r.l()}
    except Exception: pass
    return {'hex': b.hex()}

def d_qp(r, from_learner):
    o = r.o
    t, z = r.i(), r.l()
    data = r.buf()
    auth = r.vec(lambda: {'scheme': r.s(), 'id': r.s()})
    name = QP.get(t, str(t))
    d = {'packet': name, 'type': t, 'zxid': hx(z)}
    try:
        if data is None: d['data'] = None
        elif name in ('FOLLOWERINFO', 'OBSERVERINFO'):
            q = Rd(data); li = {}
            if q.left() >= 8: li['serverid'] = q.l()
            if q.left() >= 4: li['protocolVersion'] = hx(q.i())
            if q.left() >= 8: li['configVersion'] = hx(q.l())
            d['LearnerInfo'] = li
        elif name == 'LEADERINFO': d['protocolVersion'] = hx(struct.unpack('>i', data)[0])
        elif name == 'ACKEPOCH': d['currentEpoch'] = struct.unpack('>i', data)[0]
        elif name in ('PROPOSAL', 'INFORM'): d.update(d_txn(data))
        elif name == 'NEWLEADER': d['config'] = data.decode()
        elif name == 'COMMITANDACTIVATE': d['designatedLeader'] = struct.unpack('>q', data)[0]
        elif name == 'INFORMANDACTIVATE':
            d['designatedLeader'] = struct.unpack('>q', data[:8])[0]; d.update(d_txn(data[8:]))
        elif name == 'REQUEST':
            q = Rd(data); sid, cx, ty = q.l(), q.i(), q.i()
            d['request'] = {'sessionId': hx(sid), 'cxid': cx, 'op': OP.get(ty, ty), 'body': d_req_body(ty, q.take(q.left()))}
        elif name == 'PING':
            q = Rd(data); m = []
            while q.left() >= 12: m.append({'sessionId': hx(q.l()), 'timeout': q.i()})
            d['sessions'] = m
        elif name == 'REVALIDATE':
            q = Rd(data); d['sessionId'] = hx(q.l())
            if from_learner: d['timeout'] = q.i()
            else: d['valid'] = q.z()
        else: d['data'] = data.hex()
    except Exception as e: d['decode_error'] = repr(e); d['data'] = data.hex()
    d['authinfo'] = auth
    return d, o

def d_snapshot(r):
    """raw snapshot that follows SNAP on the wire, incl. the trailing signature string"""
    o = r.o
    sess = [{'id': hx(r.l()), 'timeout': r.i()} for _ in range(r.i())]
    acls = []
    for _ in range(r.i()):
        k = r.l(); acls.append({'key': k, 'acl': r.vec(lambda: d_acl(r))})
    nodes = []
    while True:
        p = r.s()
        if p == '/': break
        data = r.buf(); acl = r.l()
        st = dict(czxid=hx(r.l()), mzxid=hx(r.l()), ctime=r.l(), mtime=r.l(), version=r.i(), cversion=r.i(), aversion=r.i(),
                  ephemeralOwner=hx(r.l()), pzxid=hx(r.l()))
        nodes.append({'path': p, 'data': txt(data), 'aclKey': acl, 'stat': st})
    sig = r.s()
    return {'snapshot': {'sessions': sess, 'aclCache': acls, 'nodes': nodes, 'endMarker': '/', 'signature': sig}}, o

AUTH_MAGIC = (1 << 64) - 0xa0dbcafecafe1234     # 0x5f2435013501edcc: the Java source negates an already negative literal
def d_auth(r):
    """QuorumAuthPacket if one starts here, else None"""
    if r.left() >= 8 and struct.unpack('>q', r.b[r.o:r.o + 8])[0] == AUTH_MAGIC:
        r.l(); st = r.i(); tok = r.buf()
        return {'quorumAuth': {'status': {0: 'IN_PROGRESS', 1: 'SUCCESS', -1: 'ERROR'}.get(st, st), 'token': txt(tok)}}

def dec_learner_stream(b, from_learner):
    """-> [(offset, end, decoded)]"""
    r, out = Rd(b), []
    while r.left():
        save = r.o
        try:
            a = d_auth(r)
            if a: out.append((save, r.o, a)); continue
            d, o = d_qp(r, from_learner)
            out.append((o, r.o, d))
            if d['packet'] == 'SNAP' and not from_learner:
                save = r.o
                d, o = d_snapshot(r); out.append((o, r.o, d))
        except EOFError:
            r.o = save; break
    return out

def dec_election_stream(b, initiator):
    r, out = Rd(b), []
    try:
        if initiator:
            o = r.o; v = r.l()
            if v >= 0: out.append((o, r.o, {'handshake': 'legacy', 'sid': v}))
            else:
                sid = r.l(); a = r.buf()
                out.append((o, r.o, {'handshake': {-65536: 'V1', -65535: 'V2'}.get(v, 'unknown'), 'protocolVersion': v,
                                     'sid': sid, 'addresses': a.decode().split('|')}))
        while r.left():
            o = r.o; a = d_auth(r)
            if a: out.append((o, r.o, a)); continue
            n = r.i(); q = Rd(r.take(n))
            st = q.i(); d = {'length': n, 'state': STATES[st] if 0 <= st < 4 else st, 'leader': q.l(), 'zxid': hx(q.l()),
                             'electionEpoch': hx(q.l())}
            if q.left(): d['peerEpoch'] = hx(q.l())
            if q.left(): d['version'] = q.i()
            if q.left(): d['config'] = (q.buf() or b'').decode()
            out.append((o, r.o, {'notification': d}))
    except EOFError: pass
    return out

# ----------------------------------------------------------------------------- relay
class Conn:
    def __init__(self, src, dst, kind):
        self.src, self.dst, self.kind, self.t0 = src, dst, kind, time.time()
        self.up, self.down, self.up_t, self.down_t = bytearray(), bytearray(), [], []   # up: src->dst
        self.socks = []
        self.closed = False
    def packets(self):
        """[(time, from, to, raw, decoded)] in time order"""
        res = []
        for b, ts, a, z, isup in ((bytes(self.up), list(self.up_t), self.src, self.dst, True),
                                  (bytes(self.down), list(self.down_t), self.dst, self.src, False)):
            items = dec_election_stream(b, isup) if self.kind == 'election' else dec_learner_stream(b, isup)
            for o, e, d in items:
                t = next((t for n, t in ts if n >= e), None)
                res.append((t, a, z, b[o:e], d))
        res.sort(key=lambda x: x[0] or 0)
        return res

class Relay:
    def __init__(self):
        self.conns, self.cut, self.hold = [], set(), set()
        self.lock = threading.Lock(); self.listeners = []; self.closed = False
    def listen(self, addr, target, src, dst, kind):
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(addr); s.listen(50); self.listeners.append(s)
        threading.Thread(target=self._accept, args=(s, target, src, dst, kind), daemon=True).start()
    def _accept(self, s, target, src, dst, kind):
        while True:
            try: c, _ = s.accept()
            except OSError: return
            if (src, dst) in self.cut: c.close(); continue
            threading.Thread(target=self._serve, args=(c, target, src, dst, kind), daemon=True).start()
    def _serve(self, c, target, src, dst, kind):
        t, end = None, time.time() + 2      # a refused target is retried, else the peer would see accept+EOF
        while t is None and time.time() < end and not self.closed:      # the next ensemble has the same ports
            try: t = socket.create_connection(target, 2)
            except OSError: time.sleep(0.05)
        if t is None or self.closed: c.close(); return
        for x in (c, t): x.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); x.settimeout(None)
        k = Conn(src, dst, kind); k.socks = [c, t]
        with self.lock: self.conns.append(k)
        threading.Thread(target=self._pump, args=(c, t, k, True), daemon=True).start()
        threading.Thread(target=self._pump, args=(t, c, k, False), daemon=True).start()
    def _pump(self, a, b, k, up):
        buf, ts = (k.up, k.up_t) if up else (k.down, k.down_t)
        path = (k.src, k.dst) if up else (k.dst, k.src)
        try:
            while True:
                d = a.recv(65536)
                if not d: break
                buf += d; ts.append((len(buf), time.time()))
                while (path[0], path[1], k.kind) in self.hold and not k.closed: time.sleep(0.02)
                b.sendall(d)
        except OSError: pass
        k.closed = True
        for x in (a, b):
            try: x.shutdown(socket.SHUT_RDWR)
            except OSError: pass
            x.close()
    def sever(self, i, j):
        self.cut |= {(i, j), (j, i)}
        for k in list(self.conns):
            if {k.src, k.dst} == {i, j} and not k.closed:
                k.closed = True
                for x in k.socks:
                    try: x.shutdown(socket.SHUT_RDWR)
                    except OSError: pass
    def heal(self, i, j): self.cut -= {(i, j), (j, i)}
    def all(self, kind=None, since=0):
        out = []
        for k in list(self.conns):
            if kind and k.kind != kind: continue
            out += [p + (k,) for p in k.packets() if (p[0] or 0) >= since]
        out.sort(key=lambda x: x[0] or 0)
        return out
    def close(self):
        self.closed = True
        for s in self.listeners:
            try: s.shutdown(socket.SHUT_RDWR)       # wakes the accept thread
            except OSError: pass
            s.close()
        for k in self.conns:
            k.closed = True
            for x in k.socks:
                try: x.shutdown(socket.SHUT_RDWR)
                except OSError: pass
                x.close()

# ----------------------------------------------------------------------------- servers
class Ensemble:
    def __init__(self, work, servers, observers=(), extra='', jopts=(), tick=1000, relay=True, start_lines=None, cp=None, om=False):
        self.work, self.ids, self.obs = work, list(servers), set(observers)
        self.jopts, self.tick, self.extra, self.procs, self.cp = list(jopts), tick, extra, {}, cp or {}
        os.makedirs(work, exist_ok=True)
        self.relay = Relay()
        self.lines = start_lines or '\n'.join(self.line(i) for i in self.ids)
        self.with_relay = relay
        if relay:
            for i in self.ids:
                for j in self.ids:
                    if i != j:
                        for port, kind in ((12300 + j, 'quorum'), (12320 + j, 'election')) + (((12330, 'quorum'),) if om else ()):
                            self.relay.listen(('127.0.%d.%d' % (10 + i, j), port), ('127.0.1.%d' % j, port), i, j, kind)
    def line(self, i, role=None, client=True):
        role = role or ('observer' if i in self.obs else 'participant')
        return 'server.%d=zkh%d:%d:%d:%s' % (i, i, 12300 + i, 12320 + i, role) + (';127.0.0.1:%d' % (12190 + i) if client else '')
    def dir(self, i): return os.path.join(self.work, 's%d' % i)
    def setup(self, i, lines=None, extra=''):
        d = self.dir(i); os.makedirs(d + '/data', exist_ok=True)
        open(d + '/data/myid', 'w').write(str(i))
        with open(d + '/hosts', 'w') as f:
            for j in self.ids:
                ip = '127.0.1.%d' % j if (j == i or not self.with_relay) else '127.0.%d.%d' % (10 + i, j)
                f.write('%s zkh%d\n' % (ip, j))
        cfg = d + '/zoo.cfg'
        if not os.path.exists(cfg):
            with open(cfg, 'w') as f:
                f.write('tickTime=%d\ninitLimit=10\nsyncLimit=5\ndataDir=%s/data\nadmin.enableServer=false\n'
                        '4lw.commands.whitelist=*\nreconfigEnabled=true\nskipACL=yes\n%s\n%s\n%s\n' %
                        (self.tick, d, self.extra, extra, lines or self.lines))
    def start(self, *ids, lines=None, jopts=(), extra=''):
        for i in ids:
            self.setup(i, lines, extra)
            d = self.dir(i)
            cmd = self.ostler(d, jopts) if i in self.OSTLER else self.apache(i, d, jopts)
            self.procs[i] = subprocess.Popen(cmd, stdout=open(d + '/log', 'a'), stderr=subprocess.STDOUT, cwd=d)
    OSTLER = frozenset()        # ids that run $OSTLER_BINARY instead; set by compare.py
    def apache(self, i, d, jopts):
        # the jute jar must come first: a packaged zookeeper.jar may name another jute jar in its manifest
        cp = ':'.join(sorted((self.cp.get(i) or os.environ['ZKCP']).split(':'), key=lambda x: 'jute' not in x))
        return [os.environ.get('JAVA', 'java'), '-Xmx256m', '-Djdk.net.hosts.file=%s/hosts' % d,
                '-Dorg.slf4j.simpleLogger.defaultLogLevel=info', '-Dorg.slf4j.simpleLogger.showDateTime=true',
                '-Dnetworkaddress.cache.ttl=0', '-cp', cp] + self.jopts + list(jopts) + \
               ['org.apache.zookeeper.server.quorum.QuorumPeerMain', d + '/zoo.cfg']
    def ostler(self, d, jopts):
        # a mount namespace of its own gives the process its own /etc/hosts (needs root, as CI has)
        own_hosts = 'mount --bind "$0/hosts" /etc/hosts && exec "$@"'
        return ['unshare', '--mount', 'sh', '-c', own_hosts, d, os.environ['OSTLER_BINARY']] + \
               self.jopts + list(jopts) + [d + '/zoo.cfg']
    def stop(self, *ids, kill=False):
        for i in ids:
            p = self.procs.pop(i, None)
            if p:
                p.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
                try: p.wait(15)
                except subprocess.TimeoutExpired: p.kill(); p.wait()
    def stop_all(self):
        self.stop(*list(self.procs)); self.relay.close(); time.sleep(0.3)
    def mode(self, i):
        try:
            s = socket.create_connection(('127.0.0.1', 12190 + i), 1); s.settimeout(2); s.sendall(b'srvr'); b = b''
            while True:
                d = s.recv(4096)
                if not d: break
                b += d
            for ln in b.decode().splitlines():
                if ln.startswith('Mode: '): return ln[6:]
        except OSError: pass
        return None
    def wait(self, ids, timeout=60):
        t = time.time()
        while time.time() - t < timeout:
            m = {i: self.mode(i) for i in ids}
            if all(m.values()) and 'leader' in m.values(): return m
            time.sleep(0.3)
        raise SystemExit('ensemble did not form: %r' % m)
    def leader(self): return next((i for i in self.procs if self.mode(i) == 'leader'), None)

# ----------------------------------------------------------------------------- tiny client
class Client:
    def __init__(self, port, timeout=10000, sid=0, passwd=b'\0' * 16, last=0, host='127.0.0.1'):
        self.s = socket.create_connection((host, port), 5); self.s.settimeout(30)
        self.s.sendall(B(I(0) + L(last) + I(timeout) + L(sid) + B(passwd) + b'\0'))
        r = Rd(self.frame()); r.i(); self.timeout = r.i(); self.sid = r.l(); self.pw = r.buf(); self.x = 0
    def rx(self, n):
        b = b''
        while len(b) < n:
            d = self.s.recv(n - len(b))
            if not d: raise EOFError('closed')
            b += d
        return b
    def frame(self): return self.rx(struct.unpack('>i', self.rx(4))[0])
    def call(self, op, body=b'', xid=None, wait=True):
        if xid is None: self.x += 1; xid = self.x
        self.s.sendall(B(I(xid) + I(op) + body))
        if not wait: return None
        while True:
            r = Rd(self.frame()); x, z, e = r.i(), r.l(), r.i()
            if x == xid: return e, z, r.take(r.left())
    ACL = V([I(31) + S('world') + S('anyone')])
    def create(self, p, d=b'', flags=0): return self.call(1, S(p) + B(d) + self.ACL + I(flags))
    def set(self, p, d, v=-1): return self.call(5, S(p) + B(d) + I(v))
    def delete(self, p, v=-1): return self.call(2, S(p) + I(v))
    def get(self, p): return self.call(4, S(p) + b'\0')
    def sync(self, p='/'): return self.call(9, S(p))
    def reconfig(self, join=None, leave=None, new=None, cfg=-1): return self.call(16, S(join) + S(leave) + S(new) + L(cfg))
    def ping(self): return self.call(11, xid=-2)
    def multi(self, ops):
        b = b''
        for t, body in ops: b += I(t) + b'\0' + I(-1) + body
        return self.call(14, b + I(-1) + b'\1' + I(-1))
    def close(self):
        try: self.call(-11)
        except Exception: pass
        self.s.close()
    def drop(self): self.s.close()

# ----------------------------------------------------------------------------- scripted peers
def qp(t, zxid, data=None, auth=None): return I(QN[t] if isinstance(t, str) else t) + L(zxid) + B(data) + V(auth)

class QConn:
    """one quorum connection: send/receive decoded packets"""
    def __init__(self, sock, from_learner): self.s, self.b, self.fl, self.log = sock, b'', from_learner, []
    def send(self, *pk):
        for p in pk: self.log.append(('out', p))
        try: self.s.sendall(b''.join(pk))
        except OSError: pass        # the peer left in the middle: what it said until then is the sample
    def recv(self, timeout=10):
        end = time.time() + timeout
        while True:
            try:
                r = Rd(self.b); d, _ = d_qp(r, self.fl)
                if d['packet'] == 'SNAP' and not self.fl:
                    d2, _ = d_snapshot(r); d.update(d2)
                raw, self.b = self.b[:r.o], self.b[r.o:]
                self.log.append(('in', raw)); d['_raw'] = raw
                return d
            except EOFError: pass
            self.s.settimeout(max(0.01, end - time.time()))
            try: x = self.s.recv(65536)
            except (socket.timeout, TimeoutError): return None
            except OSError: return {'packet': 'RESET'}
            if not x: return {'packet': 'EOF'}
            self.b += x
    def until(self, *names, timeout=10):
        got = []; end = time.time() + timeout
        while time.time() < end:
            d = self.recv(max(0.05, end - time.time()))
            if d is None: break
            got.append(d)
            if d['packet'] in names or d['packet'] in ('EOF', 'RESET'): break
        return got
    def close(self): self.s.close()

class FakeLearner(QConn):
    def __init__(self, addr, sid, accepted_epoch=0, zxid=0, current_epoch=None, observer=False, info='full', cfgver=0, proto=0x10000):
        QConn.__init__(self, socket.create_connection(addr, 5), False)
        data = {'full': L(sid) + I(proto) + L(cfgver), 'v12': L(sid) + I(proto), 'v8': L(sid), 'null': None}[info]
        self.send(qp('OBSERVERINFO' if observer else 'FOLLOWERINFO', accepted_epoch << 32, data))
        self.sid, self.zxid, self.accepted, self.observer = sid, zxid, accepted_epoch, observer
        self.current = accepted_epoch if current_epoch is None else current_epoch
        self.got = []
    def discover(self, timeout=15):
        d = self.recv(timeout); self.got.append(d)
        if not d or d['packet'] != 'LEADERINFO': return d
        e = int(d['zxid'], 16) >> 32
        self.epoch = e
        self.send(qp('ACKEPOCH', self.zxid, I(self.current if e > self.accepted else -1)))
        return d
    def sync(self, timeout=15):
        g = self.until('NEWLEADER', timeout=timeout); self.got += g
        if not g or g[-1]['packet'] != 'NEWLEADER': return g
        self.send(qp('ACK', self.epoch << 32))
        h = self.until('UPTODATE', timeout=timeout); self.got += h
        if h and h[-1]['packet'] == 'UPTODATE': self.send(qp('ACK', self.epoch << 32))
        return g + h

def notif(state, leader, zxid, rnd, peer_epoch, config, version=2):
    body = I(STATES.index(state)) + L(leader) + L(zxid) + L(rnd) + L(peer_epoch)
    if version >= 1: body += I(version)
    if version >= 2: body += B(config)
    return B(body)

def handshake(sid, addr, proto=-65536): return L(proto) + L(sid) + B(addr.encode())
def txn(zxid, body, typ, sid=0x3000000000000001, cxid=1, tm=1700000000000, digest=None):
    return L(sid) + I(cxid) + L(zxid) + L(tm) + I(typ) + body + (I(2) + L(digest) if digest is not None else b'')
def t_create(path, data=b'', eph=False, pcv=1): return S(path) + B(data) + Client.ACL + (b'\1' if eph else b'\0') + I(pcv)

class FakeQuorum:
    """servers 2 and 3 are scripted, server 1 is real; 3 pretends to be an established leader, 2 to follow it.
    mode='elect1' makes the scripted servers vote for the real one instead."""
    def __init__(self, work, epoch=1, vote_zxid=0, jopts=(), extra='', cp=None, tick=1000, obs=False):
        shutil.rmtree(work, ignore_errors=True)
        self.e = Ensemble(work, [1, 2, 3], relay=False, tick=tick, extra=extra, jopts=jopts, cp={1: cp} if cp else {}, observers=[1] if obs else [])
        self.epoch, self.vz, self.run, self.mode, self.notes = epoch, vote_zxid, True, None, []
        self.cfg = (self.e.lines + '\nversion=0').encode()
        self.ls = [self._listen(12320 + j, j) for j in (2, 3)] + [self._listen(12303, 3)]
        self.q = self.ls[2]
        for s in self.ls[:2]: threading.Thread(target=self._acc, args=(s,), daemon=True).start()
        self.e.start(1)
        for j in (2, 3): threading.Thread(target=self._elect, args=(j,), daemon=True).start()
    def _listen(self, port, j):
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.1.%d' % j, port)); s.listen(20); return s
    def _acc(self, s):          # lower sid dials us: read, close, (we dial back on our own)
        while True:
            try: c, _ = s.accept()
            except OSError: return
            c.settimeout(1)
            try: c.recv(4096)
            except OSError: pass
            c.close()
    def answer(self, j, dec):
        if self.mode == 'elect1':
            return notif('LOOKING', 1, int(dec['zxid'], 16), int(dec['electionEpoch'], 16), int(dec['peerEpoch'], 16), self.cfg)
        return notif('LEADING' if j == 3 else 'FOLLOWING', 3, self.vz, 1, self.epoch, self.cfg)
    def _elect(self, j):
        while self.run:
            try:
                c = socket.create_connection(('127.0.1.1', 12321), 1); c.sendall(handshake(j, 'zkh%d:%d' % (j, 12320 + j))); c.settimeout(0.5); b = b''
                while self.run:
                    try: d = c.recv(65536)
                    except (TimeoutError, socket.timeout): continue
                    if not d: break
                    b += d
                    while len(b) >= 4 and len(b) >= 4 + struct.unpack('>i', b[:4])[0]:
                        n = 4 + struct.unpack('>i', b[:4])[0]
                        dec = dec_election_stream(b[:n], False)[0][2]['notification']; b = b[n:]; self.notes.append((j, dec))
                        if dec['state'] == 'LOOKING': c.sendall(self.answer(j, dec))
                c.close()
            except OSError: time.sleep(0.3)
    def accept(self, timeout=30):
        self.q.settimeout(timeout); c, _ = self.q.accept(); c.settimeout(None); return QConn(c, True)
    def lead(self, conn, epoch=None, sync=None, newleader=True, uptodate=True):
        """-> FOLLOWERINFO, ACKEPOCH, NEWLEADER ack, UPTODATE ack"""
        epoch = epoch or self.epoch
        fi = conn.recv(20); conn.send(qp('LEADERINFO', epoch << 32, I(0x10000)))
        ae = conn.recv(10)
        conn.send(*(sync if sync is not None else [qp('DIFF', int(ae['zxid'], 16))]))
        a = b = None
        if newleader: conn.send(qp('NEWLEADER', epoch << 32, self.cfg)); a = conn.recv(10)
        if newleader and uptodate: conn.send(qp('UPTODATE', -1)); b = conn.recv(10)
        return fi, ae, a, b
    def stop(self):
        self.run = False
        for s in self.ls:
            try: s.shutdown(socket.SHUT_RDWR)
            except OSError: pass
            s.close()
        self.e.stop_all(); time.sleep(0.3)
    def alive(self): return self.e.procs[1].poll()

# ----------------------------------------------------------------------------- scenarios
SAMPLES = []
OUTCOMES = {}       # what a scenario saw beside packets: {name: bool}
def sample(name, p, notes=''):
    t, a, z, raw, dec = p[:5]
    SAMPLES.append({'name': name, 'from': str(a), 'to': str(z), 'hex': bytes(raw).hex(), 'decoded': dec, 'notes': notes})

class Pick:
    """select packets from the relay log and turn them into samples"""
    def __init__(self, e): self.e, self.used = e, set()
    def find(self, kind, pred, since=0, frm=None, to=None, n=1, tries=20):
        for _ in range(tries):
            got = [p for p in self.e.relay.all(kind, since) if (frm is None or p[1] == frm) and (to is None or p[2] == to) and pred(p[4])]
            if len(got) >= n: return got[:n]
            time.sleep(0.25)
        return got
    def q(self, name, pkt, notes='', since=0, frm=None, to=None, pred=lambda d: True, n=1):
        got = self.find('quorum', lambda d: d.get('packet') == pkt and pred(d), since, frm, to, n)
        if not got: print('MISSING', name, file=sys.stderr); return None
        sample(name, got[-1], notes); return got[-1]
    def el(self, name, pred, notes='', since=0, frm=None, to=None):
        got = self.find('election', pred, since, frm, to)
        if not got: print('MISSING', name, file=sys.stderr); return None
        sample(name, got[0], notes); return got[0]
    def seq(self, prefix, a, b, since, until, notes=''):
        """whole exchange on the learner connection a->b (a = learner), in time order, up to the first `until` predicate"""
        out, k0 = [], None
        for p in self.e.relay.all('quorum', since):
            if p[5].src == a and p[5].dst == b:
                if p[4].get('packet') in ('FOLLOWERINFO', 'OBSERVERINFO'): out, k0 = [], p[5]
                if p[5] is not k0: continue
                out.append(p)
                if until(p[4], out): break
        for n, p in enumerate(out):
            sample('%s_%02d_%s' % (prefix, n, p[4].get('packet', 'snapshot_stream')), p, notes if n == 0 else '')
        return out

def is_up(d, out): return d.get('packet') == 'ACK' and any(x[4].get('packet') == 'UPTODATE' for x in out)

def S1(work):
    """election, first sync, observer, sessions, all request kinds"""
    e = Ensemble(work + '/S1', [1, 2, 3, 4], observers=[4], jopts=['-Dzookeeper.extendedTypesEnabled=true'])
    try:
        e.start(1, 2, 3); m = e.wait([1, 2, 3]); time.sleep(0.5); t4 = time.time()
        e.start(4); e.wait([4, 1, 2, 3]); time.sleep(1.2)
        ld = next(i for i in m if m[i] == 'leader'); f1, f2 = [i for i in (1, 2, 3) if i != ld]
        P = Pick(e)
        P.el('election_handshake_v1', lambda d: 'handshake' in d, 'initiator opens, sends 8+8+4+n bytes, nothing comes back; the acceptor answers only with notifications', frm=max(f1, f2), to=min(f1, f2))
        P.el('election_handshake_v1_lower_sid_initiates', lambda d: 'handshake' in d, 'the acceptor (higher sid) closes this connection and dials back', frm=min(f1, f2), to=ld) if ld > f1 else None
        P.el('notification_looking_initial', lambda d: d.get('notification', {}).get('state') == 'LOOKING', 'first vote of a participant: itself; config version absent => version=0 line')
        P.el('notification_looking_adopted_vote', lambda d: d.get('notification', {}).get('state') == 'LOOKING' and d['notification']['leader'] == ld, 'vote after adopting a better candidate', frm=f1)
        P.el('notification_observer_looking', lambda d: d.get('notification', {}).get('state') == 'LOOKING', 'observer vote: leader, zxid and peerEpoch are all Long.MIN_VALUE', frm=4, since=t4)
        P.el('notification_reply_leading', lambda d: d.get('notification', {}).get('state') == 'LEADING', 'answer to a non-voter; peerEpoch was bumped after UPTODATE, zxid/electionEpoch stay those of the vote', frm=ld, to=4, since=t4)
        P.el('notification_reply_following', lambda d: d.get('notification', {}).get('state') == 'FOLLOWING', '', frm=f1, to=4, since=t4)
        P.seq('join_empty_diff', f1, ld, 0, is_up, 'fresh ensemble: everybody at zxid 0, empty DIFF; NEWLEADER carries the config whose version became the new epoch zxid')
        P.seq('join_observer_snap', 4, ld, t4, is_up, 'fresh observer of a running ensemble')
        P.q('ping_leader_to_learner', 'PING', 'data is null (length -1), zxid = last proposed', frm=ld, to=f1)
        P.q('ping_reply_empty', 'PING', 'data is an empty buffer (length 0), zxid echoed', frm=f1, to=ld)
        t = time.time(); c = Client(12190 + f1)
        for _ in range(4): time.sleep(0.4); c.ping()      # a follower may mention a session less often than once a tick
        P.q('request_createSession', 'REQUEST', 'session id was chosen by the follower; cxid 0; body = int timeout; authinfo null', since=t, frm=f1)
        P.q('proposal_createSession', 'PROPOSAL', '', since=t, frm=ld, to=f1)
        P.q('ack_createSession', 'ACK', '', since=t, frm=f1, to=ld)
        P.q('commit_createSession', 'COMMIT', '', since=t, frm=ld, to=f1)
        P.q('inform_createSession', 'INFORM', 'observer gets header+txn+digest only when committed', since=t, frm=ld, to=4)
        P.q('ping_reply_with_session', 'PING', '(long sessionId, int timeoutMs)* without a count', since=t, frm=f1, to=ld, pred=lambda d: d['sessions'] if 'sessions' in d else False)
        def op(name, f, kinds=('REQUEST', 'PROPOSAL'), notes=''):
            t = time.time(); r = f(); time.sleep(0.3)
            for k in kinds: P.q('%s_%s' % (k.lower(), name), k, notes, since=t, frm=f1 if k == 'REQUEST' else ld, to=ld if k == 'REQUEST' else f1)
            return r
        op('create', lambda: c.create('/a', b'x'))
        op('create2', lambda: c.call(15, S('/b') + B(b'y') + c.ACL + I(0)))
        op('create_sequential_ephemeral', lambda: c.create('/a/e-', b'', 3))
        op('createContainer', lambda: c.call(19, S('/c') + B(b'') + c.ACL + I(4)))
        op('createTTL', lambda: c.call(21, S('/t') + B(b'') + c.ACL + I(5) + L(60000)))
        op('setData', lambda: c.set('/a', b'hello'))
        op('setACL', lambda: c.call(7, S('/b') + c.ACL + I(-1)))
        op('delete', lambda: c.delete('/b'))
        op('error_nodeexists', lambda: c.create('/a', b''), notes='failed write: proposed and logged as an error txn, consumes a zxid')
        op('error_badversion', lambda: c.set('/a', b'', 77))
        op('multi_ok', lambda: c.multi([(13, S('/a') + I(-1)), (1, S('/m') + B(b'1') + c.ACL + I(0)), (5, S('/a') + B(b'2') + I(-1)), (2, S('/m') + I(-1))]))
        op('multi_failed', lambda: c.multi([(1, S('/n') + B(b'') + c.ACL + I(0)), (2, S('/nope') + I(-1)), (1, S('/o') + B(b'') + c.ACL + I(0))]), notes='header type stays multi; ops before the failure are err 0, the failing op has its code, later ones -2')
        t = time.time(); c.sync('/a'); time.sleep(0.3)
        P.q('request_sync', 'REQUEST', '', since=t, frm=f1); P.q('sync_reply', 'SYNC', 'zxid 0, no data: matched to the oldest pending sync of the learner', since=t, frm=ld, to=f1)
        t = time.time(); c2 = Client(12194); c2.create('/fromobs', b'o'); c2.sync(); time.sleep(0.4)
        P.q('observer_request_create', 'REQUEST', 'write forwarded by an observer', since=t, frm=4, pred=lambda d: d['request']['op'] == 'create')
        P.q('observer_inform_create', 'INFORM', '', since=t, to=4, pred=lambda d: d['hdr']['type'] == 'create')
        P.q('observer_sync_reply', 'SYNC', '', since=t, to=4)
        t = time.time(); c3 = Client(12190 + f2, sid=c.sid, passwd=c.pw); time.sleep(0.4)
        P.q('revalidate_request', 'REVALIDATE', 'session moves from one follower to another; zxid -1', since=t, frm=f2)
        P.q('revalidate_reply_valid', 'REVALIDATE', 'same packet, data = long id + bool', since=t, to=f2)
        t = time.time()
        # the password is derived from the id, so a forged id would be refused locally: close, then come back
        sid, pw = c3.sid, c3.pw; c3.close(); time.sleep(0.4)
        P.q('request_closeSession', 'REQUEST', 'empty body', since=t, frm=f2, pred=lambda d: d['request']['op'] == 'closeSession')
        P.q('proposal_closeSession_ephemerals', 'PROPOSAL', 'paths2Delete lists the ephemerals removed', since=t, frm=ld, to=f1, pred=lambda d: d['hdr']['type'] == 'closeSession')
        t = time.time()
        c4 = Client(12190 + f2, sid=sid, passwd=pw); time.sleep(0.4)
        P.q('revalidate_reply_invalid', 'REVALIDATE', 'expired/closed session: bool 0', since=t, to=f2)
        c2.close()
    finally: e.stop_all()

def S2(work):
    """DIFF, SNAP and TRUNC between real servers, plus out-of-election join"""
    e = Ensemble(work + '/S2', [1, 2, 3], tick=500)
    try:
        e.start(1, 2, 3); m = e.wait([1, 2, 3]); P = Pick(e)
        ld = next(i for i in m if m[i] == 'leader'); f1, f2 = [i for i in (1, 2, 3) if i != ld]
        c = Client(12190 + f2); c.create('/d', b'0'); time.sleep(0.3)
        e.stop(f1); c.create('/d/1', b'1'); c.set('/d', b'2'); c.delete('/d/1'); t = time.time()
        e.start(f1); e.wait([1, 2, 3])
        P.el('notification_looking_joining_running_ensemble', lambda d: d.get('notification', {}).get('state') == 'LOOKING', '', since=t, frm=f1)
        P.el('notification_running_leader', lambda d: d.get('notification', {}).get('state') == 'LEADING' and d['notification']['peerEpoch'] == '0x1', 'fresh answer of the leader', since=t, frm=ld, to=f1)
        P.el('notification_stale_last_message', lambda d: d.get('notification', {}).get('peerEpoch') == '0x0', 'a new connection first repeats the last message ever sent to that sid, here an outdated one (old peerEpoch, config version=0)', since=t, to=f1)
        P.seq('join_diff', f1, ld, t, is_up, 'learner misses the last txns: DIFF(last committed) then PROPOSAL,COMMIT per txn')
        e.stop(f1); shutil.rmtree(e.dir(f1) + '/data/version-2'); t = time.time()
        e.start(f1); e.wait([1, 2, 3])
        P.seq('join_snap', f1, ld, t, is_up, 'wiped participant: SNAP, raw snapshot, signature string, NEWLEADER')
        # TRUNC: a proposal that only the old leader has logged
        c.drop(); c = Client(12190 + ld); c.create('/keep', b'')
        time.sleep(0.5)
        t0 = time.time()
        for f in (f1, f2): e.relay.hold.add((ld, f, 'quorum'))          # nothing leaves the leader any more
        try: c.s.settimeout(1.0); c.create('/lost', b'only on the old leader')
        except OSError: pass
        for f in (f1, f2): e.relay.sever(ld, f); e.relay.hold.discard((ld, f, 'quorum'))
        e.wait([f1, f2]); t = time.time(); nl = next(i for i in (f1, f2) if e.mode(i) == 'leader')
        P.el('notification_after_leader_loss', lambda d: d.get('notification', {}).get('state') == 'LOOKING' and d['notification']['zxid'] != '0x0', 'vote with a non-zero zxid, peerEpoch 1 and a committed config version', since=t0, frm=f1, to=f2)
        for f in (f1, f2): e.relay.heal(ld, f)
        e.wait([1, 2, 3]); time.sleep(0.5)
        P.seq('join_trunc', ld, nl, t, is_up, 'the old leader has one txn beyond the new leader: TRUNC(zxid), then NEWLEADER')
        n = Client(12190 + ld); OUTCOMES['lost_txn_is_gone_after_trunc'] = n.call(3, S('/lost') + b'\0')[0] == -101; n.close()
    finally: e.stop_all()

def S3(work):
    """dynamic reconfiguration"""
    e = Ensemble(work + '/S3', [1, 2, 3, 4], observers=[4], tick=500)
    try:
        e.start(1, 2, 3); e.wait([1, 2, 3]); e.start(4); e.wait([1, 2, 3, 4]); P = Pick(e); time.sleep(1)
        ld = e.leader(); f1, f2 = [i for i in (1, 2, 3) if i != ld]
        c = Client(12190 + f1); t = time.time()
        r = c.reconfig(leave='4'); print('reconfig remove 4 ->', r[0]); time.sleep(1)
        P.q('request_reconfig_remove_observer', 'REQUEST', 'ReconfigRequest: joining, leaving, newMembers (null strings), curConfigId -1', since=t, frm=f1, pred=lambda d: d['request']['op'] == 'reconfig')
        P.q('proposal_reconfig', 'PROPOSAL', 'txn type 16 with a SetDataTxn on /zookeeper/config, version -1; config text carries its own version = zxid', since=t, frm=ld, to=f1, pred=lambda d: d['hdr']['type'] == 'reconfig')
        P.q('commitandactivate', 'COMMITANDACTIVATE', 'data = long designated leader', since=t, frm=ld, to=f1)
        P.q('informandactivate', 'INFORMANDACTIVATE', 'to the observer that is being removed: it stays connected as a non-member until it re-elects', since=t, to=4)
        t = time.time(); r = c.reconfig(join=e.line(4, 'observer')); print('reconfig add 4 ->', r[0]); time.sleep(3)
        t = time.time(); r = c.reconfig(join=e.line(4, 'participant')); print('promote 4 ->', r[0]); time.sleep(3)
        P.q('informandactivate_promotion', 'INFORMANDACTIVATE', 'observer becomes participant', since=t, to=4)
        print({i: e.mode(i) for i in (1, 2, 3, 4)})
        c.drop(); e.wait([1, 2, 3, 4]); ld = e.leader(); f1 = next(i for i in (1, 2, 3, 4) if i != ld)
        c = Client(12190 + f1); t = time.time()
        try: print('remove leader ->', c.reconfig(leave=str(ld))[0])
        except (EOFError, OSError) as x: print('remove leader -> connection closed before the reply (the server re-follows)')
        time.sleep(4)
        P.q('commitandactivate_leader_leaves', 'COMMITANDACTIVATE', 'designated leader differs from the sender', since=t, frm=ld)
        print({i: e.mode(i) for i in (1, 2, 3, 4)})
    finally: e.stop_all()

def S4(work):
    """multi-address handshake (protocol V2)"""
    lines = '\n'.join('server.%d=zkh%d:%d:%d|127.0.1.%d:%d:%d:participant;127.0.0.1:%d' % (i, i, 12300 + i, 12320 + i, i, 12310 + i, 12314 + i, 12190 + i) for i in (1, 2))
    e = Ensemble(work + '/S4', [1, 2], start_lines=lines, jopts=['-Dzookeeper.multiAddress.enabled=true', '-Dzookeeper.multiAddress.reachabilityCheckEnabled=false'])
    try:
        e.start(1, 2); e.wait([1, 2]); P = Pick(e)
        P.el('election_handshake_v2', lambda d: 'handshake' in d, 'multiAddress.enabled=true: protocol version -65535, addresses joined with |')
    finally: e.stop_all()

def S5(work):
    """observer served by a follower (observerMasterPort)"""
    e = Ensemble(work + '/S5', [1, 2, 3, 4], observers=[4], om=True, extra='observerMasterPort=12330')
    try:
        e.start(1, 2, 3); m = e.wait([1, 2, 3]); e.start(4); e.wait([1, 2, 3, 4]); time.sleep(1.5); P = Pick(e)
        om = next((p[2] for p in e.relay.all('quorum') if p[4].get('packet') == 'OBSERVERINFO'), None)
        print('observer is served by', om, m)
        P.seq('observermaster_join', 4, om, 0, is_up, 'same protocol, served from a follower; LEADERINFO zxid = follower current epoch')
        t = time.time(); c = Client(12194); c.create('/om', b''); c.sync(); time.sleep(1.5)
        P.q('observermaster_request', 'REQUEST', '', since=t, frm=4); P.q('observermaster_inform', 'INFORM', '', since=t, to=4)
        P.q('observermaster_sync', 'SYNC', '', since=t, to=4)
        c.close()
    finally: e.stop_all()

def fsample(name, fl, who, notes='', me='fake-learner'):
    for n, (d, raw) in enumerate(fl.log):
        r = Rd(raw)
        dec, _ = d_qp(r, (d == 'out') != fl.fl)
        if r.left():
            d2, _ = d_snapshot(r); dec.update(d2)
        SAMPLES.append({'name': '%s_%02d_%s' % (name, n, dec['packet']), 'from': me if d == 'out' else who, 'to': who if d == 'out' else me,
                        'hex': raw.hex(), 'decoded': dec, 'notes': notes if n == 0 else ''})

def S6(work):
    """scripted learners against a real leader: odd histories and old handshakes"""
    e = Ensemble(work + '/S6', [1, 2, 3, 4, 5], observers=[5], tick=500)
    try:
        e.start(1, 2, 3); e.wait([1, 2, 3]); ld = e.leader(); addr = ('127.0.1.%d' % ld, 12300 + ld)
        c = Client(12190 + ld)
        for k in range(5): c.create('/n%d' % k, b'%d' % k)
        top = c.create('/last', b'')[1]; ep = top >> 32; who = 'leader-%d' % ld
        def join(name, notes, obs=False, close=True, **kw):
            c.ping()        # its session must not expire in the middle
            try:
                f = FakeLearner(addr, 5 if obs else 4, observer=obs, **kw)
                d = f.discover()
                if d and d['packet'] == 'LEADERINFO': f.sync()
            except OSError as x: print(name, x); return
            fsample(name, f, who, notes)
            print(name, [x['packet'] if x else None for x in f.got])
            if close: f.close(); time.sleep(0.3)
            return f
        join('fake_equal_zxid', 'learner at exactly the leader zxid: empty DIFF', accepted_epoch=ep, zxid=top)
        join('fake_in_window', 'two txns behind', accepted_epoch=ep, zxid=top - 2)
        join('fake_ahead_same_epoch', 'claims txns the leader never had in the same epoch, currentEpoch lower: TRUNC', accepted_epoch=ep - 1, zxid=top + 7)
        join('fake_gap_inside_old_epoch', 'zxid of an older epoch that is not in the window and not in the log: SNAP', accepted_epoch=ep - 1, zxid=((ep - 1) << 32) | 99)
        join('fake_zero', 'empty learner: SNAP', accepted_epoch=0, zxid=0)
        join('fake_new_epoch_zxid', 'zxid (epoch<<32|0), as left behind by an empty DIFF/SNAP', accepted_epoch=ep - 1, zxid=ep << 32)
        join('fake_epoch_ahead', 'acceptedEpoch above the running epoch is NOT rejected by an established leader (the learner must refuse the lower LEADERINFO)', accepted_epoch=ep + 5, zxid=top)
        join('fake_config_ahead', 'configVersion above the leader: connection closed', accepted_epoch=ep, zxid=top, cfgver=1 << 60)
        join('fake_info_12_bytes', 'LearnerInfo without configVersion', accepted_epoch=ep, zxid=top, info='v12')
        join('fake_info_8_bytes_pre_zab1', 'LearnerInfo with the sid only: protocol version 1, no LEADERINFO; sync packets directly', accepted_epoch=ep, zxid=top, info='v8')
        join('fake_info_null_pre_zab1', 'no LearnerInfo at all: leader assigns sid -1, -2, ...', accepted_epoch=ep, zxid=top, info='null')
        join('fake_observer_in_window', 'observer DIFF uses PROPOSAL+COMMIT, INFORM only afterwards', obs=True, accepted_epoch=ep, zxid=top - 1)
    finally: e.stop_all()

def S7(work):
    """scripted leader against a real follower: what a follower answers, step by step"""
    E = 1 << 32
    f = FakeQuorum(work + '/S7')
    try:
        c = f.accept(); c.recv(10); c.send(qp('LEADERINFO', E, I(0x10000))); c.recv(5)
        c.send(qp('DIFF', 2), qp('PROPOSAL', 1, txn(1, I(10000), -10)), qp('COMMIT', 1), qp('PROPOSAL', 2, txn(2, t_create('/s'), 1)), qp('COMMIT', 2),
               qp('PROPOSAL', 3, txn(3, t_create('/t', pcv=2), 1)))
        c.send(qp('NEWLEADER', E, f.cfg)); c.recv(5); c.send(qp('PING', E)); c.send(qp('UPTODATE', -1)); c.recv(5); c.recv(5)
        c.send(qp('COMMIT', 3)); c.send(qp('PING', E)); c.recv(5)
        for k in (1, 2): c.send(qp('PROPOSAL', E | k, txn(E | k, t_create('/u%d' % k, pcv=2 + k), 1)))
        c.recv(5); c.recv(5); c.send(qp('COMMIT', E | 1), qp('COMMIT', E | 2))
        fsample('scripted_leader_follower', c, 'follower-1', 'txns 1,2 committed in the sync phase are not acked one by one; txn 3 (uncommitted, sent before NEWLEADER) is acked only after UPTODATE; the PING sent before UPTODATE gets no answer', me='scripted-leader')
        c.close(); f.epoch, f.vz = 2, E | 1
        c = f.accept(); f.lead(c, sync=[qp('TRUNC', E | 1)])
        fsample('scripted_leader_trunc', c, 'follower-1', 'currentEpoch in ACKEPOCH is 1, lastZxid 0x100000002; follower truncates, snapshots, acks NEWLEADER', me='scripted-leader')
    finally: f.stop()

def S8(work):
    """quorum SASL (DIGEST-MD5)"""
    os.makedirs(work + '/S8', exist_ok=True)
    open(work + '/S8/jaas.conf', 'w').write(
        'QuorumServer { org.apache.zookeeper.server.auth.DigestLoginModule required user_test="test"; };\n'
        'QuorumLearner { org.apache.zookeeper.server.auth.DigestLoginModule required username="test" password="test"; };\n')
    e = Ensemble(work + '/S8', [1, 2], jopts=['-Djava.security.auth.login.config=%s/S8/jaas.conf' % work],
                 extra='quorum.auth.enableSasl=true\nquorum.auth.learnerRequireSasl=true\nquorum.auth.serverRequireSasl=true')
    try:
        e.start(1, 2); m = e.wait([1, 2]); P = Pick(e); ld = e.leader(); f = 3 - ld
        for kind, a, b in (('election', 2, 1), ('quorum', f, ld)):
            k = next(x for x in e.relay.conns if x.kind == kind and (x.src, x.dst) == (a, b) and len(x.down) > 50)
            for n, p in enumerate(k.packets()[:7]):
                sample('sasl_%s_%02d' % (kind, n), p, 'SASL exchange sits between the election handshake and the first notification / before FOLLOWERINFO' if n == 0 else '')
    finally: e.stop_all()

def S9(work):
    """static configuration: reconfigEnabled=false, clientPort outside the server lines, hierarchical quorum"""
    lines = '\n'.join('server.%d=zkh%d:%d:%d' % (i, i, 12300 + i, 12320 + i) for i in (1, 2, 3)) + '\ngroup.1=1:2:3\nweight.1=1\nweight.2=2\nweight.3=1'
    e = Ensemble(work + '/S9', [1, 2, 3], start_lines=lines, extra='reconfigEnabled=false')
    try:
        for i in (1, 2, 3): e.start(i, extra='clientPort=%d' % (12190 + i))
        e.wait([1, 2, 3]); P = Pick(e)
        P.el('notification_static_hierarchical', lambda d: 'notification' in d, 'no ;client part because the client port comes from the static file; groups and weights follow the servers; version=0')
        P.q('newleader_static_hierarchical', 'NEWLEADER', 'with reconfigEnabled=false the version stays 0 for ever')
    finally: e.stop_all()

# ----------------------------------------------------------------------------- main
def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sp = ap.add_subparsers(dest='cmd', required=True)
    r = sp.add_parser('run'); r.add_argument('--work', default='./quorum-capture'); r.add_argument('--out', default='quorum-samples.jsonl'); r.add_argument('--only')
    d = sp.add_parser('decode'); d.add_argument('kind', choices=['election', 'learner', 'leader']); d.add_argument('hex')
    f = sp.add_parser('fakelearner'); f.add_argument('addr'); f.add_argument('--sid', type=int, required=True); f.add_argument('--observer', action='store_true')
    f.add_argument('--epoch', type=lambda x: int(x, 0), default=0); f.add_argument('--zxid', type=lambda x: int(x, 0), default=0); f.add_argument('--seconds', type=float, default=5)
    a = ap.parse_args()
    if a.cmd == 'decode':
        b = bytes.fromhex(a.hex)
        for o, e, x in (dec_election_stream(b, True) if a.kind == 'election' else dec_learner_stream(b, a.kind == 'learner')): print(json.dumps(x))
    elif a.cmd == 'fakelearner':
        h, p = a.addr.rsplit(':', 1); fl = FakeLearner((h, int(p)), a.sid, a.epoch, a.zxid, observer=a.observer)
        fl.discover(); fl.sync(); end = time.time() + a.seconds
        for x in fl.got: print({k: v for k, v in x.items() if k != '_raw'} if x else None)
        while time.time() < end:
            x = fl.recv(1)
            if not x: continue
            print({k: v for k, v in x.items() if k != '_raw'})
            if x['packet'] in ('EOF', 'RESET'): break
            if x['packet'] == 'PING': fl.send(qp('PING', int(x['zxid'], 16), b''))
            if x['packet'] == 'PROPOSAL' and not a.observer: fl.send(qp('ACK', int(x['zxid'], 16)))
    else:
        work = os.path.abspath(a.work)
        for fn in (S1, S2, S3, S4, S5, S6, S7, S8, S9):
            if a.only and fn.__name__ not in a.only.split(','): continue
            shutil.rmtree(work + '/' + fn.__name__, ignore_errors=True)
            n = len(SAMPLES); print('==', fn.__name__, fn.__doc__)
            fn(work); print('   %d samples' % (len(SAMPLES) - n))
        with open(a.out, 'w') as f:
            for s in SAMPLES: f.write(json.dumps(s, ensure_ascii=False) + '\n')

if __name__ == '__main__': main()
