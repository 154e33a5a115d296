import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;

/** Watches through the Java client: one-shot, persistent, recursive, removal, and setting them again after a lost connection. */
final class JavaWatches {
    private JavaWatches() { }

    static void run(Checks t) {
        t.check("data watch", () -> JavaOperations.withClient(t, "w-data", JavaWatches::data));
        t.check("exists watch", () -> JavaOperations.withClient(t, "w-exists", JavaWatches::exists));
        t.check("child watch", () -> JavaOperations.withClient(t, "w-child", JavaWatches::child));
        t.check("watches fire once", () -> JavaOperations.withClient(t, "w-once", (c, p) -> once(t, c, p)));
        t.check("setACL and failed multis fire nothing", () -> JavaOperations.withClient(t, "w-silent", JavaWatches::silent));
        t.check("watches of another client", () -> JavaOperations.withClient(t, "w-other", (c, p) -> other(t, c, p)));
        t.check("events name their zxid", () -> JavaOperations.withClient(t, "w-zxid", (c, p) -> zxid(c, p)));
        t.check("a multi fires in order of its operations", () -> JavaOperations.withClient(t, "w-multi", JavaWatches::multi));
        t.check("persistent watch", () -> JavaOperations.withClient(t, "w-persistent", JavaWatches::persistent));
        t.check("persistent recursive watch", () -> JavaOperations.withClient(t, "w-recursive", JavaWatches::recursive));
        t.check("recursive watch on the root", () -> JavaOperations.withClient(t, "w-root", JavaWatches::recursiveRoot));
        t.check("removeWatches and removeAllWatches", () -> JavaOperations.withClient(t, "w-remove", (c, p) -> remove(t, c, p)));
        t.check("removing a watch that is not there", () -> JavaOperations.withClient(t, "w-none", JavaWatches::removeNone));
        t.check("no event for a node that may not be read", () -> JavaOperations.withClient(t, "w-acl", JavaWatches::accessFilter));
        t.check("watches are set again after a lost connection", () -> JavaOperations.withClient(t, "w-again", (c, p) -> setAgain(t, c, p)));
        t.check("changes during a lost connection are reported", () -> JavaOperations.withClient(t, "w-missed", (c, p) -> missed(t, c, p)));
        t.check("5,000 watches are set again", () -> JavaOperations.withClient(t, "w-5000", (c, p) -> many(t, c, p)));
    }

    private static void set(JavaClient.Client c, String path) throws Exception { c.zk.setData(path, null, -1); }

    private static void data(JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        c.zk.getData(p + "/a", true, null);
        set(c, p + "/a");
        c.event(EventType.NodeDataChanged, p + "/a");
        c.zk.getData(p + "/a", true, null);
        c.zk.delete(p + "/a", -1);
        c.event(EventType.NodeDeleted, p + "/a");
        Checks.fails(Code.NONODE, () -> c.zk.getData(p + "/a", true, null));
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        c.quiet();
    }

    private static void exists(JavaClient.Client c, String p) throws Throwable {
        c.zk.exists(p + "/a", true);
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        c.event(EventType.NodeCreated, p + "/a");
        c.zk.exists(p + "/a", true);
        set(c, p + "/a");
        c.event(EventType.NodeDataChanged, p + "/a");
        c.zk.exists(p + "/a", true);
        c.zk.delete(p + "/a", -1);
        c.event(EventType.NodeDeleted, p + "/a");
    }

    private static void child(JavaClient.Client c, String p) throws Throwable {
        c.zk.getChildren(p, true);
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        c.event(EventType.NodeChildrenChanged, p);
        c.zk.getChildren(p, true, null);
        set(c, p + "/a");
        set(c, p);
        c.quiet();
        c.zk.delete(p + "/a", -1);
        c.event(EventType.NodeChildrenChanged, p);
        c.zk.getChildren(p, true);
        c.zk.getData(p, true, null);
        c.zk.delete(p, -1);
        c.event(EventType.NodeDeleted, p);
        c.quiet();
    }

    private static void once(Checks t, JavaClient.Client c, String p) throws Throwable {
        c.zk.getData(p, true, null);
        c.zk.exists(p, true);
        Checks.that(t.word("wchp").contains(p + "\n"), "the server does not know of the watch");
        set(c, p);
        set(c, p);
        c.event(EventType.NodeDataChanged, p);
        c.quiet();
        // The client drops events that it does not wait for: only the server can tell.
        Checks.that(!t.word("wchp").contains(p + "\n"), "the server still has the watch");
    }

    private static void silent(JavaClient.Client c, String p) throws Throwable {
        c.zk.getData(p, true, null);
        c.zk.getChildren(p, true);
        c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, -1);
        Checks.fails(Code.NONODE, () -> c.zk.multi(List.of(Op.setData(p, null, -1), Op.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), Op.delete(p + "/none", -1))));
        c.quiet();
    }

    private static void other(Checks t, JavaClient.Client c, String p) throws Throwable {
        try (JavaClient.Client w = JavaClient.open(t)) {
            w.zk.getChildren(p, true);
            w.zk.exists(p + "/e", true);
            try (JavaClient.Client owner = JavaClient.open(t)) {
                JavaOperations.make(owner, p + "/e", CreateMode.EPHEMERAL);
                w.event(EventType.NodeCreated, p + "/e");
                w.event(EventType.NodeChildrenChanged, p);
                w.zk.exists(p + "/e", true);
                w.zk.getChildren(p, true);
            }
            w.event(EventType.NodeDeleted, p + "/e");
            w.event(EventType.NodeChildrenChanged, p);
        }
    }

    private static void zxid(JavaClient.Client c, String p) throws Throwable {
        c.zk.getData(p, true, null);
        long zxid = c.zk.setData(p, null, -1).getMzxid();
        WatchedEvent e = Checks.take(c.events);
        Checks.equal(zxid, e.getZxid());
    }

    private static void multi(JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        c.zk.getData(p + "/a", true, null);
        c.zk.exists(p + "/b", true);
        c.zk.getChildren(p, true);
        c.zk.multi(List.of(Op.setData(p + "/a", null, -1), Op.create(p + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
        c.event(EventType.NodeDataChanged, p + "/a");
        c.event(EventType.NodeCreated, p + "/b");
        c.event(EventType.NodeChildrenChanged, p);
        c.quiet();
    }

    private static void persistent(JavaClient.Client c, String p) throws Throwable {
        c.zk.addWatch(p + "/a", AddWatchMode.PERSISTENT);
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        set(c, p + "/a");
        JavaOperations.make(c, p + "/a/b", CreateMode.PERSISTENT);
        JavaOperations.make(c, p + "/a/b/c", CreateMode.PERSISTENT);
        set(c, p + "/a/b");
        c.zk.delete(p + "/a/b/c", -1);
        c.zk.delete(p + "/a/b", -1);
        c.zk.delete(p + "/a", -1);
        c.event(EventType.NodeCreated, p + "/a");
        c.event(EventType.NodeDataChanged, p + "/a");
        c.event(EventType.NodeChildrenChanged, p + "/a");
        c.event(EventType.NodeChildrenChanged, p + "/a");
        c.event(EventType.NodeDeleted, p + "/a");
        c.quiet();
    }

    private static void recursive(JavaClient.Client c, String p) throws Throwable {
        c.zk.addWatch(p, AddWatchMode.PERSISTENT_RECURSIVE);
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        JavaOperations.make(c, p + "/a/b", CreateMode.PERSISTENT);
        set(c, p + "/a/b");
        c.zk.delete(p + "/a/b", -1);
        set(c, p);
        c.event(EventType.NodeCreated, p + "/a");
        c.event(EventType.NodeCreated, p + "/a/b");
        c.event(EventType.NodeDataChanged, p + "/a/b");
        c.event(EventType.NodeDeleted, p + "/a/b");
        c.event(EventType.NodeDataChanged, p);
        c.quiet();
    }

    private static void recursiveRoot(JavaClient.Client c, String p) throws Throwable {
        c.zk.addWatch("/", AddWatchMode.PERSISTENT_RECURSIVE);
        JavaOperations.make(c, p + "/deep", CreateMode.PERSISTENT);
        c.event(EventType.NodeCreated, p + "/deep");
    }

    private static void remove(Checks t, JavaClient.Client c, String p) throws Throwable {
        Watcher one = e -> c.events.add(e);
        c.zk.getData(p, one, null);
        c.zk.getChildren(p, one);
        c.zk.removeWatches(p, one, WatcherType.Data, false);
        c.event(EventType.DataWatchRemoved, p);
        set(c, p);
        c.quiet();
        c.zk.removeAllWatches(p, WatcherType.Children, false);
        c.event(EventType.ChildWatchRemoved, p);
        c.zk.addWatch(p, one, AddWatchMode.PERSISTENT);
        c.zk.addWatch(p, one, AddWatchMode.PERSISTENT_RECURSIVE);
        c.zk.removeAllWatches(p, WatcherType.Any, false);
        c.event(EventType.PersistentWatchRemoved, p);
        // The client hears no more of it in any case: only the server can tell.
        Checks.that(!t.word("wchp").contains(p + "\n"), "the server still has a watch");
        c.events.clear();
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        set(c, p);
        c.quiet();
    }

    private static void removeNone(JavaClient.Client c, String p) throws Throwable {
        Checks.fails(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Any, false));
        Checks.fails(Code.NOWATCHER, () -> c.zk.removeWatches(p, e -> { }, WatcherType.Data, false));
    }

    private static void accessFilter(JavaClient.Client c, String p) throws Throwable {
        c.zk.exists(p + "/secret", true);
        c.zk.getChildren(p, true);
        c.zk.create(p + "/secret", null, JavaAccess.acl(Perms.ALL, "digest", JavaAccess.digestId("x:y").getId()), CreateMode.PERSISTENT);
        c.event(EventType.NodeChildrenChanged, p);
        c.quiet();
    }

    private static void setAgain(Checks t, JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/a", CreateMode.PERSISTENT);
        try (Proxy proxy = new Proxy(t.server); JavaClient.Client w = new JavaClient.Client(proxy.address(), 10_000).connected()) {
            w.zk.getData(p + "/a", true, null);
            w.zk.getChildren(p, true);
            w.zk.exists(p + "/none", true);
            w.zk.addWatch(p + "/p", AddWatchMode.PERSISTENT);
            w.zk.addWatch(p + "/r", AddWatchMode.PERSISTENT_RECURSIVE);
            proxy.cut();
            w.state(KeeperState.Disconnected);
            w.state(KeeperState.SyncConnected);
            w.quiet();
            set(c, p + "/a");
            JavaOperations.make(c, p + "/none", CreateMode.PERSISTENT);
            JavaOperations.make(c, p + "/p", CreateMode.PERSISTENT);
            set(c, p + "/p");
            JavaOperations.make(c, p + "/r", CreateMode.PERSISTENT);
            JavaOperations.make(c, p + "/r/deep", CreateMode.PERSISTENT);
            w.event(EventType.NodeDataChanged, p + "/a");
            w.event(EventType.NodeCreated, p + "/none");
            w.event(EventType.NodeChildrenChanged, p);
            w.event(EventType.NodeCreated, p + "/p");
            w.event(EventType.NodeDataChanged, p + "/p");
            w.event(EventType.NodeCreated, p + "/r");
            w.event(EventType.NodeCreated, p + "/r/deep");
            w.quiet();
        }
    }

    private static void missed(Checks t, JavaClient.Client c, String p) throws Throwable {
        for (String n : List.of("/changed", "/deleted", "/same")) { JavaOperations.make(c, p + n, CreateMode.PERSISTENT); }
        try (Proxy proxy = new Proxy(t.server); JavaClient.Client w = new JavaClient.Client(proxy.address(), 10_000).connected()) {
            w.zk.getData(p + "/changed", true, null);
            w.zk.getData(p + "/deleted", true, null);
            w.zk.getData(p + "/same", true, null);
            w.zk.exists(p + "/created", true);
            w.zk.getChildren(p, true);
            proxy.refuse(true);
            proxy.cut();
            w.state(KeeperState.Disconnected);
            set(c, p + "/changed");
            c.zk.delete(p + "/deleted", -1);
            JavaOperations.make(c, p + "/created", CreateMode.PERSISTENT);
            proxy.refuse(false);
            w.state(KeeperState.SyncConnected);
            Set<String> got = new HashSet<>();
            for (int i = 0; i < 4; i++) {
                WatchedEvent e = Checks.take(w.events);
                got.add(e.getType() + " " + e.getPath());
            }
            Checks.equal(Set.of("NodeDataChanged " + p + "/changed", "NodeDeleted " + p + "/deleted", "NodeCreated " + p + "/created", "NodeChildrenChanged " + p), got);
            w.quiet();
            set(c, p + "/same");
            w.event(EventType.NodeDataChanged, p + "/same");
        }
    }

    private static void many(Checks t, JavaClient.Client c, String p) throws Throwable {
        try (Proxy proxy = new Proxy(t.server); JavaClient.Client w = new JavaClient.Client(proxy.address(), 10_000).connected()) {
            // Names of 100 bytes: the client needs several setWatches packets of 128 KiB.
            String pad = "x".repeat(90);
            java.util.concurrent.CountDownLatch left = new java.util.concurrent.CountDownLatch(5000);
            for (int i = 0; i < 5000; i++) { w.zk.exists(p + "/" + pad + i, true, (rc, path, ctx, stat) -> left.countDown(), null); }
            Checks.that(left.await(60, java.util.concurrent.TimeUnit.SECONDS), "exists calls are not answered");
            proxy.cut();
            w.state(KeeperState.Disconnected);
            w.state(KeeperState.SyncConnected);
            w.zk.exists("/", false);
            for (int i : new int[] {0, 2500, 4999}) {
                JavaOperations.make(c, p + "/" + pad + i, CreateMode.PERSISTENT);
                w.event(EventType.NodeCreated, p + "/" + pad + i);
            }
        }
    }
}
