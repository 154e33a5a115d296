import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/** Synchronous operations of the Java client: all kinds of nodes, Stats, versions, lists, errors. */
final class JavaOperations {
    private JavaOperations() { }

    static void run(Checks t) {
        t.check("create, read, write, delete", () -> withClient(t, "crud", JavaOperations::readWrite));
        t.check("create2 returns the Stat", () -> withClient(t, "create2", JavaOperations::createWithStat));
        t.check("stat arithmetic of parents", () -> withClient(t, "stat", JavaOperations::parentStat));
        t.check("null, empty and large data", () -> withClient(t, "data", JavaOperations::kindsOfData));
        t.check("sequential names", () -> withClient(t, "seq", JavaOperations::sequential));
        t.check("ephemeral nodes", () -> withClient(t, "eph", JavaOperations::ephemeral));
        t.check("container nodes go when empty", () -> withClient(t, "container", JavaOperations::container));
        t.check("TTL nodes go when idle", () -> withClient(t, "ttl", JavaOperations::ttl));
        t.check("TTL limits", () -> withClient(t, "ttl-limits", JavaOperations::ttlLimits));
        t.check("unicode names and data", () -> withClient(t, "unicode", JavaOperations::unicode));
        t.check("children lists", () -> withClient(t, "children", JavaOperations::children));
        t.check("10,000 children in one list", () -> withClient(t, "many", JavaOperations::manyChildren));
        t.check("getAllChildrenNumber", () -> withClient(t, "number", JavaOperations::allChildrenNumber));
        t.check("getEphemerals by prefix", () -> withClient(t, "ephemerals", JavaOperations::ephemeralsByPrefix));
        t.check("versions", () -> withClient(t, "versions", JavaOperations::versions));
        t.check("errors of create", () -> withClient(t, "create-errors", JavaOperations::createErrors));
        t.check("errors of delete", () -> withClient(t, "delete-errors", JavaOperations::deleteErrors));
        t.check("errors of reads and writes", () -> withClient(t, "rw-errors", JavaOperations::readWriteErrors));
        t.check("the built-in nodes", () -> withClient(t, "builtin", JavaOperations::builtIn));
        t.check("a chroot in the connect string", () -> withClient(t, "chroot", (c, p) -> chroot(t, c, p)));
        t.check("getConfig and a disabled reconfig", () -> config(t));
    }

    interface Body { void run(JavaClient.Client c, String root) throws Throwable; }

    static void withClient(Checks t, String name, Body body) throws Throwable {
        try (JavaClient.Client c = JavaClient.open(t)) { body.run(c, JavaClient.root(c, name)); }
    }

    static String make(JavaClient.Client c, String path, CreateMode mode) throws Exception {
        return c.zk.create(path, Checks.bytes("x"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static void readWrite(JavaClient.Client c, String p) throws Throwable {
        Checks.equal(p + "/a", c.zk.create(p + "/a", Checks.bytes("one"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        Stat s = new Stat();
        Checks.equal(Checks.bytes("one"), c.zk.getData(p + "/a", false, s));
        Checks.equal(0, s.getVersion());
        Checks.equal(3, s.getDataLength());
        Checks.equal(s.getCzxid(), s.getMzxid());
        Checks.equal(s.getCzxid(), s.getPzxid());
        Checks.that(Math.abs(s.getCtime() - System.currentTimeMillis()) < 60_000, "ctime is not now");
        while (System.currentTimeMillis() <= s.getMtime()) { Thread.sleep(1); }
        Stat w = c.zk.setData(p + "/a", Checks.bytes("three"), 0);
        Checks.equal(s.getCtime(), w.getCtime());
        Checks.that(w.getMtime() > s.getMtime(), "mtime did not move");
        Checks.equal(1, w.getVersion());
        Checks.equal(s.getCzxid(), w.getCzxid());
        Checks.that(w.getMzxid() > s.getMzxid(), "mzxid did not move");
        Checks.equal(Checks.bytes("three"), c.zk.getData(p + "/a", false, null));
        Checks.equal(w, c.zk.exists(p + "/a", false));
        c.zk.delete(p + "/a", 1);
        Checks.equal(null, c.zk.exists(p + "/a", false));
    }

    private static void createWithStat(JavaClient.Client c, String p) throws Throwable {
        for (CreateMode mode : List.of(CreateMode.PERSISTENT, CreateMode.EPHEMERAL, CreateMode.PERSISTENT_SEQUENTIAL,
                CreateMode.EPHEMERAL_SEQUENTIAL, CreateMode.CONTAINER)) {
            Stat s = new Stat();
            String made = c.zk.create(p + "/" + mode, Checks.bytes("abcd"), Ids.OPEN_ACL_UNSAFE, mode, s);
            Checks.equal(s, c.zk.exists(made, false));
            Checks.equal(4, s.getDataLength());
            Checks.equal(mode.isEphemeral() ? c.zk.getSessionId() : 0L, s.getEphemeralOwner());
        }
        Stat s = new Stat();
        c.zk.create(p + "/ttl", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, s, 60_000);
        Checks.equal(s, c.zk.exists(p + "/ttl", false));
        Checks.equal(0L, s.getEphemeralOwner());
    }

    private static void parentStat(JavaClient.Client c, String p) throws Throwable {
        Stat before = c.zk.exists(p, false);
        make(c, p + "/a", CreateMode.PERSISTENT);
        make(c, p + "/b", CreateMode.PERSISTENT);
        c.zk.delete(p + "/a", -1);
        Stat after = c.zk.exists(p, false);
        Checks.equal(before.getCversion() + 3, after.getCversion());
        Checks.equal(1, after.getNumChildren());
        Checks.equal(before.getMzxid(), after.getMzxid());
        Checks.that(after.getPzxid() > before.getPzxid(), "pzxid did not move");
        c.zk.setData(p + "/b", null, -1);
        Checks.equal(after, c.zk.exists(p, false));
    }

    private static void kindsOfData(JavaClient.Client c, String p) throws Throwable {
        c.zk.create(p + "/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.zk.create(p + "/empty", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        byte[] large = new byte[1_000_000];
        for (int i = 0; i < large.length; i++) { large[i] = (byte) (i * 31 >> 3); }
        c.zk.create(p + "/large", large, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Checks.equal(null, c.zk.getData(p + "/null", false, null));
        Checks.equal(new byte[0], c.zk.getData(p + "/empty", false, null));
        Checks.equal(large, c.zk.getData(p + "/large", false, null));
        Checks.equal(1_000_000, c.zk.exists(p + "/large", false).getDataLength());
        c.zk.setData(p + "/large", null, -1);
        Checks.equal(null, c.zk.getData(p + "/large", false, null));
    }

    private static void sequential(JavaClient.Client c, String p) throws Throwable {
        Checks.equal(p + "/s-0000000000", make(c, p + "/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        Checks.equal(p + "/t-0000000001", make(c, p + "/t-", CreateMode.EPHEMERAL_SEQUENTIAL));
        make(c, p + "/plain", CreateMode.PERSISTENT);
        c.zk.delete(p + "/s-0000000000", -1);
        Checks.equal(p + "/s-0000000003", make(c, p + "/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        Checks.equal(p + "/0000000004", make(c, p + "/", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void ephemeral(JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/e", CreateMode.EPHEMERAL);
        Checks.equal(c.zk.getSessionId(), c.zk.exists(p + "/e", false).getEphemeralOwner());
        Checks.fails(Code.NOCHILDRENFOREPHEMERALS, () -> make(c, p + "/e/child", CreateMode.PERSISTENT));
        c.zk.delete(p + "/e", 0);
        Checks.equal(null, c.zk.exists(p + "/e", false));
    }

    private static void container(JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/c", CreateMode.CONTAINER);
        make(c, p + "/unused", CreateMode.CONTAINER);
        make(c, p + "/c/child", CreateMode.PERSISTENT);
        c.zk.delete(p + "/c/child", -1);
        Checks.eventually("the container is deleted", () -> gone(c, p + "/c"));
        Checks.that(c.zk.exists(p + "/unused", false) != null, "a container that never had a child was deleted");
    }

    static boolean gone(JavaClient.Client c, String path) {
        try {
            return c.zk.exists(path, false) == null;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static void ttl(JavaClient.Client c, String p) throws Throwable {
        String made = c.zk.create(p + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 500);
        String seq = c.zk.create(p + "/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 500);
        Checks.equal(p + "/s-0000000001", seq);
        c.zk.create(p + "/long", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 3_600_000);
        Checks.eventually("the TTL node is deleted", () -> gone(c, made));
        Checks.eventually("the sequential TTL node is deleted", () -> gone(c, seq));
        Checks.that(c.zk.exists(p + "/long", false) != null, "a TTL node with time left was deleted");
    }

    private static void ttlLimits(JavaClient.Client c, String p) throws Throwable {
        c.zk.create(p + "/max", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 0xffffffffffL);
        try {
            c.zk.create(p + "/over", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 0x10000000000L);
            throw new AssertionError("a TTL of 2^40 was accepted");
        } catch (IllegalArgumentException | org.apache.zookeeper.KeeperException.BadArgumentsException e) {
            // The client refuses it in some versions, the server in others.
        }
    }

    private static void unicode(JavaClient.Client c, String p) throws Throwable {
        String name = p + "/\u00e5\u4e2d\u6587\u03b1 blank.+%";
        c.zk.create(name, Checks.bytes("\u00fcber \ud83d\ude00"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Checks.equal(Checks.bytes("\u00fcber \ud83d\ude00"), c.zk.getData(name, false, null));
        Checks.equal(List.of(name.substring(p.length() + 1)), c.zk.getChildren(p, false));
    }

    private static void children(JavaClient.Client c, String p) throws Throwable {
        for (String n : List.of("c", "a", "b")) { make(c, p + "/" + n, CreateMode.PERSISTENT); }
        make(c, p + "/a/deep", CreateMode.PERSISTENT);
        Checks.equal(new TreeSet<>(List.of("a", "b", "c")), new TreeSet<>(c.zk.getChildren(p, false)));
        Stat s = new Stat();
        Checks.equal(3, c.zk.getChildren(p, false, s).size());
        Checks.equal(s, c.zk.exists(p, false));
        Checks.equal(Collections.emptyList(), c.zk.getChildren(p + "/b", false));
    }

    private static void manyChildren(JavaClient.Client c, String p) throws Throwable {
        java.util.concurrent.CountDownLatch left = new java.util.concurrent.CountDownLatch(10_000);
        for (int i = 0; i < 10_000; i++) {
            c.zk.create(p + "/child-" + i, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (rc, path, ctx, name) -> { if (rc == 0) { left.countDown(); } }, null);
        }
        Checks.that(left.await(60, java.util.concurrent.TimeUnit.SECONDS), left.getCount() + " of 10,000 creates did not succeed");
        List<String> names = new ArrayList<>(c.zk.getChildren(p, false));
        Checks.equal(10_000, new TreeSet<>(names).size());
        Checks.equal(10_000, c.zk.exists(p, false).getNumChildren());
        Checks.equal(10_000, c.zk.getAllChildrenNumber(p));
    }

    private static void allChildrenNumber(JavaClient.Client c, String p) throws Throwable {
        for (String n : List.of("a", "a/b", "a/b/c", "ab", "d")) { make(c, p + "/" + n, CreateMode.PERSISTENT); }
        Checks.equal(5, c.zk.getAllChildrenNumber(p));
        Checks.equal(2, c.zk.getAllChildrenNumber(p + "/a"));
        Checks.equal(0, c.zk.getAllChildrenNumber(p + "/d"));
        Checks.fails(Code.NONODE, () -> c.zk.getAllChildrenNumber(p + "/none"));
        Checks.that(c.zk.getAllChildrenNumber("/") >= 9, "the whole tree has fewer nodes than we made");
    }

    private static void ephemeralsByPrefix(JavaClient.Client c, String p) throws Throwable {
        for (String n : List.of("x1", "x2", "y")) { make(c, p + "/" + n, CreateMode.EPHEMERAL); }
        make(c, p + "/x3", CreateMode.PERSISTENT);
        Checks.equal(new TreeSet<>(List.of(p + "/x1", p + "/x2", p + "/y")), new TreeSet<>(c.zk.getEphemerals()));
        Checks.equal(new TreeSet<>(List.of(p + "/x1", p + "/x2")), new TreeSet<>(c.zk.getEphemerals(p + "/x")));
        Checks.equal(List.of(), c.zk.getEphemerals("/nothing"));
    }

    private static void versions(JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/v", CreateMode.PERSISTENT);
        for (int i = 0; i < 5; i++) { Checks.equal(i + 1, c.zk.setData(p + "/v", null, i).getVersion()); }
        Checks.fails(Code.BADVERSION, () -> c.zk.setData(p + "/v", null, 4));
        Checks.fails(Code.BADVERSION, () -> c.zk.delete(p + "/v", 0));
        Checks.equal(6, c.zk.setData(p + "/v", null, -1).getVersion());
        c.zk.delete(p + "/v", 6);
        make(c, p + "/v", CreateMode.PERSISTENT);
        Checks.equal(0, c.zk.exists(p + "/v", false).getVersion());
    }

    private static void createErrors(JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/a", CreateMode.PERSISTENT);
        Checks.equal(p + "/a", Checks.fails(Code.NODEEXISTS, () -> make(c, p + "/a", CreateMode.PERSISTENT)).getPath());
        Checks.fails(Code.NODEEXISTS, () -> make(c, p + "/a", CreateMode.EPHEMERAL));
        Checks.fails(Code.NONODE, () -> make(c, p + "/x/y", CreateMode.PERSISTENT));
        Checks.fails(Code.INVALIDACL, () -> c.zk.create(p + "/b", null, Collections.emptyList(), CreateMode.PERSISTENT));
        Checks.fails(Code.INVALIDACL, () -> c.zk.create(p + "/b", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        for (String bad : Arrays.asList(p + "/a/", p + "//b", p + "/./b", "relative", "")) {
            try {
                make(c, bad, CreateMode.PERSISTENT);
                throw new AssertionError("path accepted: " + bad);
            } catch (IllegalArgumentException e) {
                // Refused by the client before anything is sent.
            }
        }
    }

    private static void deleteErrors(JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/a", CreateMode.PERSISTENT);
        make(c, p + "/a/b", CreateMode.PERSISTENT);
        Checks.fails(Code.NOTEMPTY, () -> c.zk.delete(p + "/a", -1));
        Checks.fails(Code.NONODE, () -> c.zk.delete(p + "/none", -1));
        Checks.fails(Code.BADVERSION, () -> c.zk.delete(p + "/a/b", 7));
        Checks.fails(Code.BADARGUMENTS, () -> c.zk.delete("/zookeeper", -1));
        Checks.fails(Code.BADARGUMENTS, () -> c.zk.delete("/zookeeper/quota", -1));
    }

    private static void readWriteErrors(JavaClient.Client c, String p) throws Throwable {
        Checks.fails(Code.NONODE, () -> c.zk.getData(p + "/none", false, null));
        Checks.fails(Code.NONODE, () -> c.zk.setData(p + "/none", null, -1));
        Checks.fails(Code.NONODE, () -> c.zk.getChildren(p + "/none", false));
        Checks.fails(Code.NONODE, () -> c.zk.getChildren(p + "/none", false, new Stat()));
        Checks.fails(Code.NONODE, () -> c.zk.getACL(p + "/none", new Stat()));
        Checks.fails(Code.NONODE, () -> c.zk.setACL(p + "/none", Ids.OPEN_ACL_UNSAFE, -1));
        Checks.equal(null, c.zk.exists(p + "/none", false));
    }

    private static void builtIn(JavaClient.Client c, String p) throws Throwable {
        Checks.equal(new TreeSet<>(List.of("config", "quota")), new TreeSet<>(c.zk.getChildren("/zookeeper", false)));
        Stat s = c.zk.exists("/zookeeper", false);
        Checks.equal(0L, s.getCzxid());
        Checks.equal(-2, s.getCversion());
        Checks.that(c.zk.getChildren("/", false).contains("zookeeper"), "/ does not list zookeeper");
        make(c, "/zookeeper/java", CreateMode.PERSISTENT);
        c.zk.delete("/zookeeper/java", -1);
    }

    private static void chroot(Checks t, JavaClient.Client c, String p) throws Throwable {
        make(c, p + "/a", CreateMode.PERSISTENT);
        try (JavaClient.Client inside = new JavaClient.Client(t.server + p, 10_000).connected()) {
            Checks.equal(List.of("a"), inside.zk.getChildren("/", false));
            Checks.equal("/b", inside.zk.create("/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL));
            Checks.that(c.zk.exists(p + "/b", false) != null, "not created below the chroot");
            inside.zk.getData("/a", true, null);
            c.zk.setData(p + "/a", null, -1);
            inside.event(org.apache.zookeeper.Watcher.Event.EventType.NodeDataChanged, "/a");
        }
    }

    private static void config(Checks t) throws Throwable {
        JavaClient.Client w = JavaClient.open(t);
        try (ZooKeeperAdmin admin = new ZooKeeperAdmin(t.server, 10_000, w)) {
            w.connected();
            Checks.equal(new byte[0], admin.getConfig(false, null));
            Checks.fails(Code.RECONFIGDISABLED, () -> admin.reconfigure("server.9=h:1:2:participant;3", null, null, -1, null));
        }
        w.close();
    }
}
