import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** Sessions through the Java client: time-outs, reconnecting, moving, expiry, closing. tickTime of the server: 500 ms. */
final class JavaSessions {
    private JavaSessions() { }

    static void run(Checks t) {
        t.check("time-outs are negotiated", () -> timeouts(t));
        t.check("closing deletes the ephemerals", () -> JavaOperations.withClient(t, "close", (c, p) -> close(t, c, p)));
        t.check("a lost connection keeps session, ephemerals and auth", () -> JavaOperations.withClient(t, "lost", (c, p) -> lost(t, c, p)));
        t.check("a session resumed by id and password", () -> JavaOperations.withClient(t, "resume", (c, p) -> resume(t, c, p)));
        t.check("a wrong password expires only the caller", () -> JavaOperations.withClient(t, "password", (c, p) -> wrongPassword(t, c, p)));
        t.check("a closed session cannot be resumed", () -> closed(t));
        t.check("a silent session expires", () -> JavaOperations.withClient(t, "expiry", (c, p) -> expiry(t, c, p)));
        t.check("pings keep an idle session", () -> JavaOperations.withClient(t, "pings", (c, p) -> pings(t, c, p)));
        t.check("a client that allows read-only servers", () -> readOnlyClient(t));
        t.check("calls after close", () -> afterClose(t));
        t.check("100 sessions at once", () -> JavaOperations.withClient(t, "hundred", (c, p) -> hundred(t, c, p)));
    }

    private static void timeouts(Checks t) throws Throwable {
        // The client gives up a connection attempt after the time-out it asked for: less than this is too short on a busy machine.
        int[][] askedAndGiven = {{3_000, 3_000}, {400, 1_000}, {999_999, 10_000}};
        for (int[] ag : askedAndGiven) {
            try (JavaClient.Client c = new JavaClient.Client(t.server, ag[0]).connected()) { Checks.equal(ag[1], c.zk.getSessionTimeout()); }
        }
    }

    private static void close(Checks t, JavaClient.Client c, String p) throws Throwable {
        JavaClient.Client owner = JavaClient.open(t);
        JavaOperations.make(owner, p + "/e1", CreateMode.EPHEMERAL);
        JavaOperations.make(owner, p + "/e2", CreateMode.EPHEMERAL);
        JavaOperations.make(owner, p + "/keep", CreateMode.PERSISTENT);
        Checks.equal(3, c.zk.getChildren(p, false).size());
        owner.close();
        Checks.equal(List.of("keep"), c.zk.getChildren(p, false));
    }

    private static void lost(Checks t, JavaClient.Client c, String p) throws Throwable {
        try (Proxy proxy = new Proxy(t.server); JavaClient.Client w = new JavaClient.Client(proxy.address(), 10_000).connected()) {
            w.zk.addAuthInfo("digest", Checks.bytes("dora:pw"));
            w.zk.create(p + "/mine", null, Ids.CREATOR_ALL_ACL, CreateMode.EPHEMERAL);
            long id = w.zk.getSessionId();
            for (int i = 0; i < 3; i++) {
                proxy.cut();
                w.state(KeeperState.Disconnected);
                w.state(KeeperState.SyncConnected);
            }
            Checks.equal(id, w.zk.getSessionId());
            Checks.equal(id, w.zk.exists(p + "/mine", false).getEphemeralOwner());
            w.zk.setData(p + "/mine", null, -1);
        }
        Checks.equal(List.of(), c.zk.getChildren(p, false));
    }

    private static void resume(Checks t, JavaClient.Client c, String p) throws Throwable {
        JavaClient.Client first = JavaClient.open(t);
        JavaOperations.make(first, p + "/e", CreateMode.EPHEMERAL);
        try (JavaClient.Client second = new JavaClient.Client(t.server, 10_000, first.zk.getSessionId(), first.zk.getSessionPasswd()).connected()) {
            Checks.equal(first.zk.getSessionId(), second.zk.getSessionId());
            Checks.equal(first.zk.getSessionPasswd(), second.zk.getSessionPasswd());
            Checks.equal(second.zk.getSessionId(), second.zk.exists(p + "/e", false).getEphemeralOwner());
            first.state(KeeperState.Disconnected);
        }
        Checks.equal(null, c.zk.exists(p + "/e", false));
        first.close();
    }

    private static void wrongPassword(Checks t, JavaClient.Client c, String p) throws Throwable {
        JavaOperations.make(c, p + "/e", CreateMode.EPHEMERAL);
        JavaClient.Client thief = new JavaClient.Client(t.server, 10_000, c.zk.getSessionId(), new byte[16]);
        thief.state(KeeperState.Expired);
        thief.close();
        c.state(KeeperState.Disconnected);
        c.state(KeeperState.SyncConnected);
        Checks.that(c.zk.exists(p + "/e", false) != null, "the session was harmed");
    }

    private static void closed(Checks t) throws Throwable {
        JavaClient.Client c = JavaClient.open(t);
        long id = c.zk.getSessionId();
        byte[] password = c.zk.getSessionPasswd();
        c.close();
        JavaClient.Client again = new JavaClient.Client(t.server, 10_000, id, password);
        again.state(KeeperState.Expired);
        Checks.fails(Code.SESSIONEXPIRED, () -> again.zk.exists("/", false));
        again.close();
    }

    private static void expiry(Checks t, JavaClient.Client c, String p) throws Throwable {
        try (Proxy proxy = new Proxy(t.server)) {
            JavaClient.Client w = new JavaClient.Client(proxy.address(), 1_000).connected();
            JavaOperations.make(w, p + "/e", CreateMode.EPHEMERAL);
            c.zk.exists(p + "/e", true);
            long start = System.nanoTime();
            proxy.refuse(true);
            proxy.silence(true);
            c.event(EventType.NodeDeleted, p + "/e");
            long tookMs = (System.nanoTime() - start) / 1_000_000;
            Checks.that(tookMs >= 300 && tookMs <= 20_000, "expired after " + tookMs + " ms; the time-out is 1,000 ms");
            proxy.refuse(false);
            proxy.silence(false);
            proxy.cut();
            w.state(KeeperState.Expired);
            w.close();
        }
    }

    private static void pings(Checks t, JavaClient.Client c, String p) throws Throwable {
        try (JavaClient.Client idle = new JavaClient.Client(t.server, 3_000).connected()) {
            JavaOperations.make(idle, p + "/e", CreateMode.EPHEMERAL);
            Thread.sleep(8_000);
            Checks.that(c.zk.exists(p + "/e", false) != null, "an idle session that pings was expired");
        }
    }

    private static void readOnlyClient(Checks t) throws Throwable {
        JavaClient.Client events = JavaClient.open(t);
        try (ZooKeeper zk = new ZooKeeper(t.server, 10_000, events, true)) {
            events.state(KeeperState.SyncConnected);
            Checks.that(zk.exists("/", false) != null, "no root");
        }
        events.close();
    }

    private static void afterClose(Checks t) throws Throwable {
        JavaClient.Client c = JavaClient.open(t);
        c.close();
        Checks.fails(Code.SESSIONEXPIRED, () -> c.zk.exists("/", false));
        Checks.that(!c.zk.getState().isAlive(), "alive after close");
    }

    private static void hundred(Checks t, JavaClient.Client c, String p) throws Throwable {
        List<JavaClient.Client> all = new java.util.ArrayList<>();
        for (int i = 0; i < 100; i++) { all.add(new JavaClient.Client(t.server, 10_000)); }
        for (JavaClient.Client one : all) {
            one.connected();
            one.zk.create(p + "/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        }
        Checks.equal(100, c.zk.getChildren(p, false).size());
        for (JavaClient.Client one : all) { one.close(); }
        Checks.equal(0, c.zk.getChildren(p, false).size());
    }
}
