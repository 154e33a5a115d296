//! What is sent: one request after the other, all opcodes, more than a third of them refused by a correct server.

use crate::hazards;
use crate::pools::{self, Raw};
use ostler_model::Dice;
use ostler_model::OpCode;
use ostler_wire::client::{FrameWriter, RequestHeader};

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Made {
    /// With the length prefix.
    pub frame: Vec<u8>,
    /// The opcode in its header.
    pub op: i32,
    /// A path with a generated name may come back.
    pub sequential: bool,
    /// Apache checks the writes behind this one while it is pending against a state that never was (we: against the
    /// state it leaves), so nothing stands behind it in a pipeline: setACL (the old ACL counts until the commit),
    /// createContainer with an ephemeral mode (the container counts as ephemeral until the commit), and a multi given
    /// up half-way (what it would have changed counts until its error is committed).
    pub last: bool,
}

/// The generator's state: its random stream and what it learned from Apache's answers.
#[derive(Debug)]
pub struct Generator {
    /// All choices come from here.
    pub rng: Dice,
    /// Nodes with generated names that exist or existed.
    pub extra: Vec<String>,
    /// The last zxid that Apache named.
    pub zxid: i64,
    /// Quotas may exist. Then there is never more than one request under way: Apache looks at the committed usage and
    /// limits, so what it refuses in a pipeline is chance.
    pub quotas: bool,
    xid: i32,
}

/// What is special about the creates in a body.
#[derive(Clone, Copy, Debug, Default)]
struct Created {
    /// See [`Made::sequential`].
    sequential: bool,
    /// See [`Made::last`].
    unlike_pending: bool,
}

/// Nodes with generated names that are remembered; older ones are forgotten (and left to the tidying).
const EXTRA_MAX: usize = 60;

/// Opcodes of single requests by weight.
const OPS: [(u32, OpCode); 28] = [
    (130, OpCode::Create),
    (60, OpCode::Create2),
    (25, OpCode::CreateContainer),
    (35, OpCode::CreateTtl),
    (90, OpCode::Delete),
    (110, OpCode::SetData),
    (25, OpCode::SetAcl),
    (110, OpCode::Multi),
    (60, OpCode::Exists),
    (70, OpCode::GetData),
    (35, OpCode::GetAcl),
    (35, OpCode::GetChildren),
    (35, OpCode::GetChildren2),
    (12, OpCode::Sync),
    (8, OpCode::Ping),
    (6, OpCode::Reconfig),
    (14, OpCode::CheckWatches),
    (18, OpCode::RemoveWatches),
    (22, OpCode::MultiRead),
    (14, OpCode::SetWatches),
    (12, OpCode::GetEphemerals),
    (14, OpCode::GetAllChildrenNumber),
    (14, OpCode::SetWatches2),
    (22, OpCode::AddWatch),
    (6, OpCode::WhoAmI),
    (10, OpCode::GetData),
    (10, OpCode::Exists),
    (10, OpCode::GetChildren),
];

/// What quotas refuse.
const QUOTA_OPS: [OpCode; 6] =
    [OpCode::Create, OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl, OpCode::SetData, OpCode::Multi];

/// Opcodes inside a multi by weight; the last ones do not belong there.
const MULTI_OPS: [(u32, OpCode); 10] = [
    (30, OpCode::Create),
    (12, OpCode::Create2),
    (6, OpCode::CreateContainer),
    (9, OpCode::CreateTtl),
    (22, OpCode::Delete),
    (30, OpCode::SetData),
    (20, OpCode::Check),
    (1, OpCode::GetData),
    (1, OpCode::Exists),
    (1, OpCode::SetAcl),
];

impl Generator {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Generator {
        Generator { rng: Dice::new(seed), extra: Vec::new(), zxid: 0, quotas: false, xid: 0 }
    }

    /// Remembers a path with a generated name.
    pub fn learn(&mut self, path: String) {
        if self.extra.len() >= EXTRA_MAX {
            let at = self.rng.index(EXTRA_MAX);
            self.extra.swap_remove(at);
        }
        self.extra.push(path);
    }

    fn next_xid(&mut self) -> i32 {
        self.xid = if self.xid == i32::MAX { 1 } else { self.xid + 1 };
        // Any number but that of events is echoed.
        if self.rng.permille(4) { self.rng.pick(&[0, -3, -4, -8, -100, i32::MIN, i32::MAX]) } else { self.xid }
    }

    /// Builds a frame around `body`.
    pub fn frame(&mut self, op: i32, body: impl FnOnce(&mut Generator, &mut FrameWriter<'_>)) -> Made {
        let mut frame = Vec::new();
        let xid = self.next_xid();
        let mut f = FrameWriter::request(&mut frame, RequestHeader { xid, op });
        body(self, &mut f);
        f.finish();
        Made { frame, op, sequential: false, last: false }
    }

    /// Appends one request, or a few that belong together.
    pub fn requests(&mut self, out: &mut Vec<Made>) {
        match self.rng.index(1_000) {
            0..=19 if self.quotas => self.set_up_quota(out),
            20..=30 => self.fill(out),
            _ => loop {
                let made = self.single();
                if hazards::refused(&made.frame).is_none() {
                    out.push(made);
                    return;
                }
            },
        }
    }

    fn single(&mut self) -> Made {
        // Quotas refuse writes that would otherwise succeed.
        let op = if self.quotas && self.rng.percent(50) { self.rng.pick(&QUOTA_OPS) } else { self.rng.weighted(&OPS) };
        let mut create = Created::default();
        let mut made = self.frame(op.code(), |g, f| create = g.body(op, f));
        made.sequential = create.sequential;
        made.last = create.unlike_pending || op == OpCode::SetAcl;
        if self.rng.permille(35) {
            self.damage(&mut made.frame);
        }
        made.last |= hazards::leaves_changes_pending(&made.frame);
        made
    }

    /// Cuts the body, appends to it, or overwrites four bytes of it. Header and length prefix stay right.
    fn damage(&mut self, frame: &mut Vec<u8>) {
        const BODY: usize = 12;
        match self.rng.index(3) {
            0 => {
                let at = BODY + self.rng.index(frame.len() - BODY + 1);
                frame.truncate(at);
            }
            1 => frame.extend_from_slice(b"\0\xffjunk"),
            _ => {
                let at = BODY + self.rng.index(frame.len() - BODY + 1);
                let int = self.rng.pick(&[-1, -2, 0, 1, 3, 100, 0x7fff_ffff, i32::MIN, 2_000_000]);
                if let Some(place) = frame.get_mut(at..at + 4) {
                    place.copy_from_slice(&i32::to_be_bytes(int));
                }
            }
        }
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
    }

    fn path(&mut self) -> Raw {
        pools::path(&mut self.rng, &self.extra, self.quotas)
    }

    /// Writes the body of a request.
    fn body(&mut self, op: OpCode, f: &mut FrameWriter<'_>) -> Created {
        match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                return self.create(op, f);
            }
            OpCode::Delete | OpCode::Check => {
                let path = if self.rng.percent(12) && !self.extra.is_empty() {
                    let at = self.rng.index(self.extra.len());
                    Some(self.extra.swap_remove(at).into_bytes())
                } else {
                    self.path()
                };
                f.buffer(path.as_deref());
                f.int(pools::version(&mut self.rng));
            }
            OpCode::SetData => self.set_data(f),
            OpCode::SetAcl => {
                f.buffer(self.path().as_deref());
                pools::put_acl(f, &mut self.rng);
                f.int(pools::version(&mut self.rng));
            }
            OpCode::Multi => return self.multi(f),
            OpCode::MultiRead => self.multi_read(f),
            OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2 => {
                f.buffer(self.path().as_deref());
                let watch = self.rng.pick(&[0, 0, 1, 1, 7]);
                f.raw(&[watch]);
            }
            OpCode::Sync => {
                let path = if self.rng.percent(20) { Some("/\u{1f600}".into()) } else { self.path() };
                f.buffer(path.as_deref());
            }
            OpCode::GetAcl | OpCode::GetAllChildrenNumber => f.buffer(self.path().as_deref()),
            OpCode::GetEphemerals => {
                let path = if self.rng.percent(40) {
                    self.rng.pick(&[Some(&b""[..]), Some(b" "), Some(b"/"), Some(b" / "), None]).map(<[u8]>::to_vec)
                } else {
                    self.path()
                };
                f.buffer(path.as_deref());
            }
            OpCode::CheckWatches | OpCode::RemoveWatches => {
                f.buffer(self.path().as_deref());
                f.int(self.rng.pick(&[1, 2, 3, 3, 4, 5, 0, 6, -1]));
            }
            OpCode::AddWatch => {
                f.buffer(self.path().as_deref());
                f.int(self.rng.pick(&[0, 0, 0, 1, 1, 1, 2, -1]));
            }
            OpCode::SetWatches | OpCode::SetWatches2 => self.set_watches(op, f),
            OpCode::Reconfig => {
                for _ in 0..3 {
                    f.buffer(self.rng.pick(&[None, Some(&b""[..]), Some(b"server.9=a:1:2;3"), Some(b"x")]));
                }
                f.long(self.rng.pick(&[-1, 0, 77]));
            }
            OpCode::Ping if self.rng.percent(20) => f.raw(b"abc"),
            _ => {}
        }
        Created::default()
    }

    fn create(&mut self, op: OpCode, f: &mut FrameWriter<'_>) -> Created {
        let flags = match op {
            OpCode::CreateTtl => self.rng.weighted(&[(30, 5), (15, 6), (2, 0), (2, 1), (2, 4), (1, 7), (1, -1)]),
            _ => self.rng.weighted(&[(60, 0), (16, 1), (8, 2), (5, 3), (5, 4), (2, 5), (1, 6), (1, 7), (1, -1)]),
        };
        let sequential = matches!(flags, 2 | 3 | 6);
        let path = if sequential && self.rng.percent(80) {
            let end = self.rng.pick(&["/s-", "/s-", "/", "x", "/\u{e9}", "/."]);
            Some(format!("{}{end}", pools::node(&mut self.rng)).into_bytes())
        } else if self.rng.percent(85) {
            Some(pools::node(&mut self.rng).into_bytes())
        } else {
            self.path()
        };
        f.buffer(path.as_deref());
        let quota = path.as_deref().is_some_and(|path| path.ends_with(b"zookeeper_limits"));
        let data = if quota { pools::limits(&mut self.rng) } else { pools::data(&mut self.rng) };
        f.buffer(data.as_deref());
        pools::put_acl(f, &mut self.rng);
        f.int(flags);
        if op == OpCode::CreateTtl {
            let ttl = self.rng.pick(&[1, 1_000, 86_400_000, 0xff_ffff_ffff]);
            let bad = self.rng.pick(&[0x100_0000_0000, 0, -1, i64::MAX, i64::MIN]);
            f.long(if self.rng.percent(25) { bad } else { ttl });
        }
        Created { sequential, unlike_pending: op == OpCode::CreateContainer && matches!(flags, 1 | 3) }
    }

    fn set_data(&mut self, f: &mut FrameWriter<'_>) {
        let (path, data) = match self.rng.index(40) {
            0 if self.quotas => {
                let path = format!("{}/zookeeper_limits", pools::quota(&mut self.rng));
                (Some(path.into_bytes()), pools::limits(&mut self.rng))
            }
            1 if self.quotas => {
                let path = format!("{}/zookeeper_stats", pools::quota(&mut self.rng));
                (Some(path.into_bytes()), pools::stats(&mut self.rng))
            }
            _ => (self.path(), pools::data(&mut self.rng)),
        };
        f.buffer(path.as_deref());
        f.buffer(data.as_deref());
        f.int(pools::version(&mut self.rng));
    }

    fn multi_header(&mut self, f: &mut FrameWriter<'_>, op: i32) {
        // Only type and done are looked at.
        let err = if self.rng.percent(5) { self.rng.number() as i32 } else { -1 };
        f.multi_header(op, false, err);
    }

    fn multi_end(&mut self, f: &mut FrameWriter<'_>) {
        match self.rng.index(60) {
            0 => {}
            1 => f.multi_header(OpCode::Check.code(), true, 7),
            _ => f.multi_header(-1, true, -1),
        }
    }

    fn multi(&mut self, f: &mut FrameWriter<'_>) -> Created {
        let mut unlike_pending = false;
        let ops = self.rng.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 6]);
        for _ in 0..ops {
            let op = self.rng.weighted(&MULTI_OPS);
            let code = if self.rng.permille(4) { self.rng.pick(&[0, -1, 999]) } else { op.code() };
            self.multi_header(f, code);
            unlike_pending |= self.body(op, f).unlike_pending;
        }
        self.multi_end(f);
        Created { sequential: false, unlike_pending }
    }

    fn multi_read(&mut self, f: &mut FrameWriter<'_>) {
        for _ in 0..self.rng.index(5) {
            let op = self.rng.weighted(&[
                (40, OpCode::GetData),
                (40, OpCode::GetChildren),
                (2, OpCode::Check),
                (2, OpCode::Create),
                (1, OpCode::Exists),
            ]);
            self.multi_header(f, op.code());
            self.body(op, f);
        }
        self.multi_end(f);
    }

    fn set_watches(&mut self, op: OpCode, f: &mut FrameWriter<'_>) {
        let back = self.rng.index(60) as i64;
        f.long(self.rng.pick(&[self.zxid - back, self.zxid - back, self.zxid - 3, self.zxid, 0, -1, i64::MAX]));
        let lists = if op == OpCode::SetWatches { 3 } else { 5 };
        for _ in 0..lists {
            if self.rng.percent(2) {
                f.int(self.rng.pick(&[-1, -5]));
                continue;
            }
            let count = self.rng.pick(&[0, 0, 1, 2, 4]);
            f.int(count);
            for _ in 0..count {
                // A null path ends the whole request half-way: worth trying, but not often.
                let path = self.path();
                let path = if path.is_none() && self.rng.percent(70) { Some(b"/d/a".to_vec()) } else { path };
                f.buffer(path.as_deref());
            }
        }
    }

    /// The nodes of a quota, from the top down, as a client's `setquota` makes them.
    fn set_up_quota(&mut self, out: &mut Vec<Made>) {
        let quota = pools::quota(&mut self.rng);
        let parts: Vec<_> = quota.match_indices('/').map(|(at, _)| at).skip(3).chain([quota.len()]).collect();
        for end in parts {
            out.push(self.plain_create(&quota[..end], None));
        }
        let limits = pools::limits(&mut self.rng);
        out.push(self.plain_create(&format!("{quota}/zookeeper_limits"), limits.as_deref()));
        if self.rng.percent(85) {
            let stats = pools::stats(&mut self.rng);
            out.push(self.plain_create(&format!("{quota}/zookeeper_stats"), stats.as_deref()));
        }
    }

    /// A whole branch, so that deep nodes exist often enough.
    fn fill(&mut self, out: &mut Vec<Made>) {
        let path = pools::node(&mut self.rng);
        let parts: Vec<_> = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]).collect();
        for end in parts {
            out.push(self.plain_create(&path[..end], Some(b"fill")));
        }
    }

    /// A persistent node that everybody may do everything with.
    pub fn plain_create(&mut self, path: &str, data: Option<&[u8]>) -> Made {
        self.frame(OpCode::Create.code(), |_, f| {
            f.text(Some(path));
            f.buffer(data);
            f.vector(Some(&[()]), |f, ()| f.acl_entry(31, Some("world"), Some("anyone")));
            f.int(0);
        })
    }

    /// A request with a path and a flag or version behind it.
    pub fn simple(&mut self, op: OpCode, path: &str) -> Made {
        self.frame(op.code(), |_, f| {
            f.text(Some(path));
            match op {
                OpCode::Delete => f.int(-1),
                OpCode::GetAcl | OpCode::Sync => {}
                _ => f.bool(false),
            }
        })
    }

    /// A read of the part of the tree that nobody changes.
    pub fn still_read(&mut self) -> Made {
        let op = self.rng.pick(&[
            OpCode::GetData,
            OpCode::Exists,
            OpCode::GetChildren,
            OpCode::GetChildren2,
            OpCode::GetAcl,
            OpCode::Sync,
        ]);
        // Its root is among the paths of all requests.
        let path = self.rng.pick(&pools::STILL_NODES[1..]);
        self.simple(op, path)
    }

    /// An authentication that succeeds. It overtakes requests before it, so it comes first in its batch.
    pub fn good_auth(&mut self, scheme: &str, auth: &[u8]) -> Made {
        self.frame(OpCode::Auth.code(), |g, f| {
            f.int(g.rng.pick(&[0, 0, 5]));
            f.text(Some(scheme));
            f.buffer(Some(auth));
        })
    }

    /// One of the authentications that ordinary connections do.
    pub fn any_good_auth(&mut self) -> Made {
        match self.rng.index(12) {
            0 | 1 => self.good_auth("ip", b""),
            2 => self.good_auth("digest", b"nocolon"),
            3 => self.good_auth("digest", b""),
            4 => self.frame(OpCode::Sasl.code(), |_, f| f.buffer(Some(b"token"))),
            5 => self.good_auth("digest", b"super:test"),
            _ => {
                let credentials = self.rng.pick(&pools::CREDENTIALS);
                self.good_auth("digest", credentials.as_bytes())
            }
        }
    }

    /// A request after which the server closes the connection, with or without an answer.
    pub fn closing(&mut self) -> Made {
        match self.rng.index(14) {
            0..=2 => {
                let op = self.rng.pick(&[0, -1, 10, 13, 23, 99, 108, 9_999, i32::MIN, -9]);
                self.frame(op, |_, f| f.raw(b"\0\0\0\x01/\0\0\0\0"))
            }
            3 => self.frame(OpCode::Auth.code(), |_, f| {
                f.int(0);
                f.text(Some("digest"));
                f.buffer(None);
            }),
            4..=6 => {
                let scheme = self.rng.pick(&["world", "super", "sasl", "nothing", ""]);
                self.good_auth(scheme, b"x")
            }
            7 => self.frame(OpCode::Auth.code(), |_, f| f.raw(b"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")),
            8 => self.frame(OpCode::Auth.code(), |_, f| f.raw(b"\0\0\0\0\0\0")),
            9 => self.frame(OpCode::Sasl.code(), |_, f| f.int(-1)),
            10 => self.frame(OpCode::Sasl.code(), |_, f| f.raw(b"\0\0")),
            11 => Made { frame: vec![0, 0, 0, 6, 0, 0, 0, 1, 0, 0], op: 0, sequential: false, last: false },
            12 => {
                let length: i32 = self.rng.pick(&[-1, -5, 0, 0x10_0000, i32::MAX]);
                Made { frame: length.to_be_bytes().to_vec(), op: 0, sequential: false, last: false }
            }
            _ => self.frame(OpCode::CloseSession.code(), |g, f| {
                if g.rng.percent(30) {
                    f.raw(b"body");
                }
            }),
        }
    }
}
