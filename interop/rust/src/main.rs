//! The Rust crate `zookeeper-client` against the server: its whole API. usage: ostler-interop-rust HOST:PORT
//!
//! Prints "ok NAME" or "FAIL NAME: why" for each check, as interop/run counts them.

mod proxy;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proxy::Proxy;
use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, AuthUser, Client, CreateMode, CreateOptions, EnsembleUpdate, Error, EventType,
    LockOptions, LockPrefix, MultiReadResult, MultiWriteError, MultiWriteResult, Permission, SessionState,
    WatchedEvent,
};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

static SERVER: OnceLock<String> = OnceLock::new();
static FAILED: AtomicUsize = AtomicUsize::new(0);
static ROOTS: AtomicUsize = AtomicUsize::new(0);

const PERSISTENT: &CreateOptions<'static> = &CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: &CreateOptions<'static> = &CreateMode::Ephemeral.with_acls(Acls::anyone_all());

fn server() -> &'static str {
    SERVER.get().expect("set first in main")
}

async fn check(name: &str, body: impl Future<Output = Outcome> + Send + 'static) {
    let why = match tokio::time::timeout(Duration::from_secs(300), tokio::spawn(body)).await {
        Ok(Ok(Ok(()))) => return println!("ok {name}"),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panic)) => match panic.try_into_panic() {
            Ok(text) => text.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".into()),
            Err(other) => other.to_string(),
        },
        Err(_) => "did not end within 300 s".into(),
    };
    FAILED.fetch_add(1, Ordering::Relaxed);
    println!("FAIL {name}: {}", why.replace('\n', " "));
}

/// A client and a fresh root for one check.
async fn client() -> Result<(Client, String), Error> {
    let c = Client::connect(server()).await?;
    let root = format!("/rust-{}-{}", std::process::id(), ROOTS.fetch_add(1, Ordering::Relaxed));
    c.create(&root, b"", PERSISTENT).await?;
    Ok((c, root))
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(value) => value,
        Err(_) => panic!("not within 60 s: {what}"),
    }
}

/// What the server answers to a four-letter word.
async fn word(word: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server()).await?;
    stream.write_all(word.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn wait_gone(c: &Client, path: &str) -> Result<(), Error> {
    let end = Instant::now() + Duration::from_secs(60);
    while c.check_stat(path).await?.is_some() {
        assert!(Instant::now() < end, "still there after 60 s: {path}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn event(got: &WatchedEvent, kind: EventType, path: &str) {
    assert_eq!((kind, path), (got.event_type, got.path.as_str()), "unexpected event {got:?}");
}

#[tokio::main]
async fn main() {
    SERVER.set(std::env::args().nth(1).expect("usage: ostler-interop-rust HOST:PORT")).expect("set once");
    check("create, get, set, check_stat, delete", crud()).await;
    check("kinds of nodes", kinds()).await;
    check("sequences", sequences()).await;
    check("TTL and container nodes", ttl_and_container()).await;
    check("mkdir", mkdir()).await;
    check("children and descendants", children()).await;
    check("ephemerals", ephemerals()).await;
    check("errors", errors()).await;
    check("1 MB of data", large()).await;
    check("data watch", data_watch()).await;
    check("stat watch", stat_watch()).await;
    check("child watch", child_watch()).await;
    check("removed watch", removed_watch()).await;
    check("persistent watch", persistent_watch()).await;
    check("persistent recursive watch", recursive_watch()).await;
    check("multi write", multi_write()).await;
    check("a failed multi write changes nothing", failed_multi_write()).await;
    check("check writer", check_writer()).await;
    check("multi read", multi_read()).await;
    check("ACLs", acls()).await;
    check("digest auth", auth()).await;
    check("list_auth_users", auth_users()).await;
    check("an unknown auth scheme", unknown_scheme()).await;
    check("sync and config", sync_and_config()).await;
    check("chroot", chroot()).await;
    check("lock", lock()).await;
    check("shared and custom lock prefixes", lock_prefixes()).await;
    check("session state and close", session_state()).await;
    check("resumed session", resumed()).await;
    check("lost connection keeps session, watches and auth", lost()).await;
    check("a session that was closed is told as expired", expired()).await;
    check("pipelined requests", pipelined()).await;
    std::process::exit(i32::from(FAILED.load(Ordering::Relaxed) > 0));
}

async fn crud() -> Outcome {
    let (c, p) = client().await?;
    let a = format!("{p}/a");
    let (made, _) = c.create(&a, b"one", PERSISTENT).await?;
    let (data, stat) = c.get_data(&a).await?;
    assert_eq!((b"one".as_slice(), made), (data.as_slice(), stat));
    assert_eq!((0, 3, 0), (stat.version, stat.data_length, stat.ephemeral_owner));
    let set = c.set_data(&a, b"two", Some(0)).await?;
    assert_eq!(1, set.version);
    assert_eq!(Some(set), c.check_stat(&a).await?);
    c.delete(&a, Some(1)).await?;
    assert_eq!(None, c.check_stat(&a).await?);
    Ok(())
}

async fn kinds() -> Outcome {
    let (c, p) = client().await?;
    let (stat, _) = c.create(&format!("{p}/e"), b"", EPHEMERAL).await?;
    assert_eq!(c.session_id().0, stat.ephemeral_owner);
    assert_eq!(Some(Error::NoChildrenForEphemerals), c.create(&format!("{p}/e/kid"), b"", PERSISTENT).await.err());
    let (stat, _) = c.create(&format!("{p}/c"), b"", &CreateMode::Container.with_acls(Acls::anyone_all())).await?;
    assert_eq!(0, stat.ephemeral_owner);
    Ok(())
}

async fn sequences() -> Outcome {
    let (c, p) = client().await?;
    let persistent = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
    let ephemeral = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let (_, first) = c.create(&format!("{p}/s-"), b"", &persistent).await?;
    let (_, second) = c.create(&format!("{p}/s-"), b"", &ephemeral).await?;
    assert_eq!((0, 1), (first.into_i64(), second.into_i64()));
    assert!(c.check_stat(&format!("{p}/s-{second}")).await?.is_some(), "no node of that name");
    Ok(())
}

async fn ttl_and_container() -> Outcome {
    let (c, p) = client().await?;
    let (short, long, container) = (format!("{p}/short"), format!("{p}/long"), format!("{p}/container"));
    c.create(&short, b"", &PERSISTENT.clone().with_ttl(Duration::from_millis(500))).await?;
    c.create(&long, b"", &PERSISTENT.clone().with_ttl(Duration::from_secs(3600))).await?;
    c.create(&container, b"", &CreateMode::Container.with_acls(Acls::anyone_all())).await?;
    c.create(&format!("{container}/kid"), b"", PERSISTENT).await?;
    c.delete(&format!("{container}/kid"), None).await?;
    wait_gone(&c, &short).await?;
    wait_gone(&c, &container).await?;
    assert!(c.check_stat(&long).await?.is_some(), "a TTL node with time left was deleted");
    Ok(())
}

async fn mkdir() -> Outcome {
    let (c, p) = client().await?;
    c.mkdir(&format!("{p}/a/b/c"), PERSISTENT).await?;
    assert!(c.check_stat(&format!("{p}/a/b/c")).await?.is_some(), "not made");
    c.mkdir(&format!("{p}/a/b/c"), PERSISTENT).await?;
    Ok(())
}

async fn children() -> Outcome {
    let (c, p) = client().await?;
    for name in ["b", "a", "a/x", "a/y"] {
        c.create(&format!("{p}/{name}"), b"", PERSISTENT).await?;
    }
    let mut names = c.list_children(&p).await?;
    names.sort();
    assert_eq!(vec!["a", "b"], names);
    let (names, stat) = c.get_children(&p).await?;
    assert_eq!((2, 2), (names.len(), stat.num_children));
    assert_eq!(4, c.count_descendants_number(&p).await?);
    Ok(())
}

async fn ephemerals() -> Outcome {
    let (c, p) = client().await?;
    c.create(&format!("{p}/e1"), b"", EPHEMERAL).await?;
    c.create(&format!("{p}/e2"), b"", EPHEMERAL).await?;
    let mut paths = c.list_ephemerals(&p).await?;
    paths.sort();
    assert_eq!(vec![format!("{p}/e1"), format!("{p}/e2")], paths);
    assert_eq!(vec![format!("{p}/e2")], c.list_ephemerals(&format!("{p}/e2")).await?);
    Ok(())
}

async fn errors() -> Outcome {
    let (c, p) = client().await?;
    let none = format!("{p}/none");
    assert_eq!(Some(Error::NoNode), c.get_data(&none).await.err());
    assert_eq!(Some(Error::NoNode), c.set_data(&none, b"", None).await.err());
    assert_eq!(Some(Error::NoNode), c.delete(&none, None).await.err());
    assert_eq!(Some(Error::NoNode), c.list_children(&none).await.err());
    assert_eq!(Some(Error::NoNode), c.get_acl(&none).await.err());
    assert_eq!(Some(Error::NoNode), c.create(&format!("{none}/x"), b"", PERSISTENT).await.err());
    assert_eq!(Some(Error::NodeExists), c.create(&p, b"", PERSISTENT).await.err());
    assert_eq!(Some(Error::BadVersion), c.set_data(&p, b"", Some(9)).await.err());
    assert_eq!(Some(Error::BadVersion), c.delete(&p, Some(9)).await.err());
    let bad = [Acl::new(Permission::ALL, AuthId::new("nothing", "x"))];
    let options = CreateMode::Persistent.with_acls(Acls::new(&bad));
    assert_eq!(Some(Error::InvalidAcl), c.create(&format!("{p}/a"), b"", &options).await.err());
    c.create(&format!("{p}/kid"), b"", PERSISTENT).await?;
    assert_eq!(Some(Error::NotEmpty), c.delete(&p, None).await.err());
    Ok(())
}

async fn large() -> Outcome {
    let (c, p) = client().await?;
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 >> 2) as u8).collect();
    c.set_data(&p, &data, None).await?;
    assert!(c.get_data(&p).await?.0 == data, "1 MB came back changed");
    Ok(())
}

async fn data_watch() -> Outcome {
    let (c, p) = client().await?;
    let (_, _, watcher) = c.get_and_watch_data(&p).await?;
    let stat = c.set_data(&p, b"x", None).await?;
    let got = within("the event", watcher.changed()).await;
    event(&got, EventType::NodeDataChanged, &p);
    assert_eq!(stat.mzxid, got.zxid);
    let (_, _, watcher) = c.get_and_watch_data(&p).await?;
    c.delete(&p, None).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeDeleted, &p);
    Ok(())
}

async fn stat_watch() -> Outcome {
    let (c, p) = client().await?;
    let a = format!("{p}/a");
    let (stat, watcher) = c.check_and_watch_stat(&a).await?;
    assert_eq!(None, stat);
    c.create(&a, b"", PERSISTENT).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeCreated, &a);
    let (stat, watcher) = c.check_and_watch_stat(&a).await?;
    assert!(stat.is_some());
    c.delete(&a, None).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeDeleted, &a);
    Ok(())
}

async fn child_watch() -> Outcome {
    let (c, p) = client().await?;
    let (names, watcher) = c.list_and_watch_children(&p).await?;
    assert!(names.is_empty());
    c.create(&format!("{p}/a"), b"", PERSISTENT).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeChildrenChanged, &p);
    let (names, stat, watcher) = c.get_and_watch_children(&p).await?;
    assert_eq!((1, 1), (names.len(), stat.num_children));
    c.delete(&format!("{p}/a"), None).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeChildrenChanged, &p);
    Ok(())
}

async fn removed_watch() -> Outcome {
    let (c, p) = client().await?;
    let (_, _, data) = c.get_and_watch_data(&p).await?;
    let (_, kids) = c.list_and_watch_children(&p).await?;
    let mut persistent = c.watch(&p, AddWatchMode::Persistent).await?;
    // Dropping is how this client removes a watch; the removal goes out before the next request.
    drop((data, kids));
    c.set_data(&p, b"x", None).await?;
    event(&within("the event", persistent.changed()).await, EventType::NodeDataChanged, &p);
    assert!(word("wchp").await?.contains(&format!("{p}\n")), "the server does not know of the watch");
    drop(persistent);
    c.set_data(&p, b"y", None).await?;
    // The client drops events that it does not wait for: only the server can tell.
    assert!(!word("wchp").await?.contains(&format!("{p}\n")), "the server still has the watch");
    Ok(())
}

async fn persistent_watch() -> Outcome {
    let (c, p) = client().await?;
    let mut watcher = c.watch(&p, AddWatchMode::Persistent).await?;
    c.set_data(&p, b"x", None).await?;
    c.create(&format!("{p}/a"), b"", PERSISTENT).await?;
    c.create(&format!("{p}/a/b"), b"", PERSISTENT).await?;
    c.set_data(&p, b"y", None).await?;
    for kind in [EventType::NodeDataChanged, EventType::NodeChildrenChanged, EventType::NodeDataChanged] {
        event(&within("the event", watcher.changed()).await, kind, &p);
    }
    Ok(())
}

async fn recursive_watch() -> Outcome {
    let (c, p) = client().await?;
    let mut watcher = c.watch(&p, AddWatchMode::PersistentRecursive).await?;
    let (a, b) = (format!("{p}/a"), format!("{p}/a/b"));
    c.create(&a, b"", PERSISTENT).await?;
    c.create(&b, b"", PERSISTENT).await?;
    c.set_data(&b, b"x", None).await?;
    c.delete(&b, None).await?;
    for (kind, path) in [
        (EventType::NodeCreated, &a),
        (EventType::NodeCreated, &b),
        (EventType::NodeDataChanged, &b),
        (EventType::NodeDeleted, &b),
    ] {
        event(&within("the event", watcher.changed()).await, kind, path);
    }
    Ok(())
}

async fn multi_write() -> Outcome {
    let (c, p) = client().await?;
    let (a, s, k) = (format!("{p}/a"), format!("{p}/s-"), format!("{p}/k"));
    let mut w = c.new_multi_writer();
    w.add_create(&a, b"1", PERSISTENT)?;
    w.add_create(&s, b"", &CreateMode::EphemeralSequential.with_acls(Acls::anyone_all()))?;
    w.add_create(&k, b"", &CreateMode::Container.with_acls(Acls::anyone_all()))?;
    w.add_set_data(&a, b"22", Some(0))?;
    w.add_check_version(&a, 1)?;
    w.add_delete(&k, None)?;
    let results = w.commit().await?;
    assert_eq!(6, results.len());
    let MultiWriteResult::Create { path, stat } = &results[1] else { panic!("not a create: {:?}", results[1]) };
    assert_eq!((&format!("{s}0000000001"), c.session_id().0), (path, stat.ephemeral_owner));
    let MultiWriteResult::SetData { stat } = &results[3] else { panic!("not a set: {:?}", results[3]) };
    assert_eq!((1, 2), (stat.version, stat.data_length));
    assert_eq!(b"22".as_slice(), c.get_data(&a).await?.0);
    Ok(())
}

async fn failed_multi_write() -> Outcome {
    let (c, p) = client().await?;
    let a = format!("{p}/a");
    let mut w = c.new_multi_writer();
    w.add_create(&a, b"", PERSISTENT)?;
    w.add_check_version(&p, 9)?;
    assert_eq!(Some(MultiWriteError::OperationFailed { index: 1, source: Error::BadVersion }), w.commit().await.err());
    assert_eq!(None, c.check_stat(&a).await?);
    Ok(())
}

async fn check_writer() -> Outcome {
    let (c, p) = client().await?;
    let a = format!("{p}/a");
    let mut w = c.new_check_writer(&p, Some(0))?;
    w.add_create(&a, b"", PERSISTENT)?;
    w.commit().await?;
    let mut w = c.new_check_writer(&p, Some(5))?;
    w.add_delete(&a, None)?;
    assert!(w.commit().await.is_err(), "a wrong version passed");
    Ok(())
}

async fn multi_read() -> Outcome {
    let (c, p) = client().await?;
    let a = format!("{p}/a");
    c.create(&a, b"1", PERSISTENT).await?;
    let mut r = c.new_multi_reader();
    r.add_get_data(&a)?;
    r.add_get_children(&p)?;
    r.add_get_data(&format!("{p}/none"))?;
    let results = r.commit().await?;
    assert!(
        matches!(&results[0], MultiReadResult::Data { data, stat } if data == b"1" && stat.version == 0),
        "{results:?}"
    );
    assert!(matches!(&results[1], MultiReadResult::Children { children } if children == &["a"]), "{results:?}");
    assert!(matches!(&results[2], MultiReadResult::Error { err: Error::NoNode }), "{results:?}");
    Ok(())
}

async fn acls() -> Outcome {
    let (c, p) = client().await?;
    let (acl, stat) = c.get_acl(&p).await?;
    assert_eq!((vec![Acl::new(Permission::ALL, AuthId::anyone())], 0), (acl, stat.aversion));
    let narrow = [Acl::new(Permission::READ | Permission::ADMIN, AuthId::anyone())];
    assert_eq!(1, c.set_acl(&p, &Acls::new(&narrow), Some(0)).await?.aversion);
    assert_eq!(narrow.to_vec(), c.get_acl(&p).await?.0);
    assert_eq!(Some(Error::NoAuth), c.set_data(&p, b"", None).await.err());
    assert_eq!(Some(Error::NoAuth), c.create(&format!("{p}/a"), b"", PERSISTENT).await.err());
    assert_eq!(Some(Error::BadVersion), c.set_acl(&p, &Acls::anyone_all(), Some(0)).await.err());
    c.set_acl(&p, &Acls::anyone_all(), None).await?;
    Ok(())
}

async fn auth() -> Outcome {
    let (c, p) = client().await?;
    let mine = format!("{p}/mine");
    c.auth("digest", b"rik:pw").await?;
    c.create(&mine, b"m", &CreateMode::Persistent.with_acls(Acls::creator_all())).await?;
    assert_eq!("digest", c.get_acl(&mine).await?.0[0].scheme());
    let (other, _) = client().await?;
    assert_eq!(Some(Error::NoAuth), other.get_data(&mine).await.err());
    let known = Client::connector().with_auth("digest", b"rik:pw").connect(server()).await?;
    assert_eq!(b"m".as_slice(), known.get_data(&mine).await?.0);
    let all = Client::connector().with_auth("digest", b"super:test").connect(server()).await?;
    all.set_acl(&mine, &Acls::anyone_all(), None).await?;
    assert_eq!(b"m".as_slice(), other.get_data(&mine).await?.0);
    Ok(())
}

async fn auth_users() -> Outcome {
    let (c, _) = client().await?;
    c.auth("digest", b"sam:pw").await?;
    let users = c.list_auth_users().await?;
    assert!(
        users.contains(&AuthUser::new("digest", "sam")) && users.contains(&AuthUser::new("ip", "127.0.0.1")),
        "{users:?}"
    );
    Ok(())
}

async fn unknown_scheme() -> Outcome {
    let (c, _) = client().await?;
    assert_eq!(Err(Error::AuthFailed), c.auth("nothing", b"x").await);
    Ok(())
}

async fn sync_and_config() -> Outcome {
    let (c, p) = client().await?;
    c.sync(&p).await?;
    assert!(c.get_config().await?.0.is_empty(), "a standalone server has a configuration text");
    let update = EnsembleUpdate::New { ensemble: ["server.9=h:1:2:participant;3"].into_iter() };
    assert_eq!(Some(Error::ReconfigDisabled), c.update_ensemble(update, None).await.err());
    Ok(())
}

async fn chroot() -> Outcome {
    let (c, p) = client().await?;
    let inside = Client::connect(&format!("{}{p}", server())).await?;
    assert_eq!(p, format!("{}", c.check_stat(&p).await?.map(|_| p.clone()).unwrap_or_default()));
    let (_, _, watcher) = c.get_and_watch_children(&p).await?;
    inside.create("/a", b"x", PERSISTENT).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeChildrenChanged, &p);
    assert_eq!(b"x".as_slice(), c.get_data(&format!("{p}/a")).await?.0);
    let mut watcher = inside.watch("/", AddWatchMode::PersistentRecursive).await?;
    c.set_data(&format!("{p}/a"), b"y", None).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeDataChanged, "/a");
    Ok(())
}

async fn lock() -> Outcome {
    let (_, p) = client().await?;
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let dir = format!("{p}/lock");
        tasks.push(tokio::spawn(async move {
            let c = Client::connect(server()).await?;
            for _ in 0..5 {
                let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(PERSISTENT.clone())?;
                let lock = c.lock(LockPrefix::new_curator(&dir, "latch-")?, b"", options).await?;
                assert_eq!(0, INSIDE.fetch_add(1, Ordering::SeqCst), "two holders");
                tokio::time::sleep(Duration::from_millis(2)).await;
                INSIDE.fetch_sub(1, Ordering::SeqCst);
                COUNT.fetch_add(1, Ordering::SeqCst);
                drop(lock);
            }
            Ok::<_, Error>(())
        }));
    }
    for task in tasks {
        within("all holders", task).await??;
    }
    assert_eq!(20, COUNT.load(Ordering::SeqCst));
    Ok(())
}

async fn lock_prefixes() -> Outcome {
    let (c, p) = client().await?;
    let shared = format!("{p}/shared-");
    let lock = c.lock(LockPrefix::new_shared(&shared)?, b"data", Acls::anyone_all()).await?;
    assert!(lock.lock_path().starts_with(&shared));
    lock.create(&format!("{p}/guarded"), b"", PERSISTENT).await?;
    lock.set_data(&format!("{p}/guarded"), b"x", None).await?;
    lock.delete(&format!("{p}/guarded"), None).await?;
    drop(lock);
    c.create(&format!("{p}/d"), b"", PERSISTENT).await?;
    let lock = c.lock(LockPrefix::new_custom(format!("{p}/d/n-mine-"), "mine")?, b"", Acls::anyone_all()).await?;
    assert!(lock.lock_path().contains("n-mine-"));
    Ok(())
}

async fn session_state() -> Outcome {
    let (c, p) = client().await?;
    assert_eq!(SessionState::SyncConnected, c.state());
    assert!(c.session_timeout() > Duration::ZERO);
    let other = Client::connector().with_session_timeout(Duration::from_secs(3)).connect(server()).await?;
    assert_eq!(Duration::from_secs(3), other.session_timeout());
    let e = format!("{p}/e");
    other.create(&e, b"", EPHEMERAL).await?;
    let mut states = other.state_watcher();
    drop(other);
    assert_eq!(SessionState::Closed, within("closed", states.changed()).await);
    wait_gone(&c, &e).await?;
    Ok(())
}

async fn resumed() -> Outcome {
    let (c, p) = client().await?;
    let e = format!("{p}/e");
    let first = Client::connector().with_detached().connect(server()).await?;
    first.create(&e, b"", EPHEMERAL).await?;
    let session = first.into_session();
    let id = session.id();
    let second = Client::connector().with_session(session).connect(server()).await?;
    assert_eq!(id, second.session_id());
    assert_eq!(Some(id.0), second.check_stat(&e).await?.map(|s| s.ephemeral_owner));
    drop(second);
    wait_gone(&c, &e).await?;
    Ok(())
}

async fn lost() -> Outcome {
    let (other, p) = client().await?;
    let proxy = Proxy::start(server()).await?;
    let c = Client::connect(&proxy.address()).await?;
    let (a, e, mine) = (format!("{p}/a"), format!("{p}/e"), format!("{p}/mine"));
    c.auth("digest", b"tom:pw").await?;
    c.create(&mine, b"", &CreateMode::Persistent.with_acls(Acls::creator_all())).await?;
    c.create(&e, b"", EPHEMERAL).await?;
    let (_, watcher) = c.check_and_watch_stat(&a).await?;
    let id = c.session_id();
    let mut states = c.state_watcher();
    proxy.cut();
    assert_eq!(SessionState::Disconnected, within("disconnected", states.changed()).await);
    assert_eq!(SessionState::SyncConnected, within("connected", states.changed()).await);
    assert_eq!(id, c.session_id());
    assert_eq!(Some(id.0), c.check_stat(&e).await?.map(|s| s.ephemeral_owner));
    c.get_data(&mine).await?;
    other.create(&a, b"", PERSISTENT).await?;
    event(&within("the event", watcher.changed()).await, EventType::NodeCreated, &a);
    // Version 0.11.2 does not set persistent watches again, so only the one-shot watch is asked about.
    Ok(())
}

async fn expired() -> Outcome {
    let first = Client::connect(server()).await?;
    let session = first.session().clone();
    let mut states = first.state_watcher();
    drop(first);
    assert_eq!(SessionState::Closed, within("closed", states.changed()).await);
    let again = within("an answer", Client::connector().with_session(session).connect(server())).await;
    assert_eq!(Some(Error::SessionExpired), again.err());
    Ok(())
}

async fn pipelined() -> Outcome {
    let (c, p) = client().await?;
    let mut answers = Vec::new();
    for i in 0..2000u32 {
        answers.push(tokio::spawn(c.set_data(&p, &i.to_be_bytes(), Some(i as i32))));
        let read = c.get_data(&p);
        answers.push(tokio::spawn(async move { read.await.map(|(_, stat)| stat) }));
    }
    for (i, answer) in answers.into_iter().enumerate() {
        assert_eq!(i as i32 / 2 + 1, answer.await??.version, "answer {i}");
    }
    Ok(())
}
