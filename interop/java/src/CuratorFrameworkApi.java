import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Curator's fluent API, its transactions, connection states and service discovery. */
final class CuratorFrameworkApi {
    private CuratorFrameworkApi() { }

    static void run(Checks t) {
        CuratorSuite.check(t, "create, set, get, check, delete", CuratorFrameworkApi::basics);
        CuratorSuite.check(t, "creating parents, deleting children", CuratorFrameworkApi::parents);
        CuratorSuite.check(t, "protected nodes and or-set-data", CuratorFrameworkApi::protectedNodes);
        CuratorSuite.check(t, "TTL nodes", CuratorFrameworkApi::ttl);
        CuratorSuite.check(t, "background calls", CuratorFrameworkApi::background);
        CuratorSuite.check(t, "watchers and their removal", CuratorFrameworkApi::watchers);
        CuratorSuite.check(t, "transactions", CuratorFrameworkApi::transactions);
        CuratorSuite.check(t, "namespaces", CuratorFrameworkApi::namespaces);
        CuratorSuite.check(t, "authorization and ACLs", (c, d, p) -> authorization(t, c, d, p));
        CuratorSuite.check(t, "PersistentWatcher", CuratorFrameworkApi::persistentWatcher);
        CuratorSuite.check(t, "connection states over a lost connection", (c, d, p) -> states(t, c, p));
        CuratorSuite.check(t, "service discovery", CuratorFrameworkApi::discovery);
    }

    private static void basics(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        Checks.equal(p + "/a", c.create().forPath(p + "/a", Checks.bytes("1")));
        Stat s = new Stat();
        Checks.equal(Checks.bytes("1"), c.getData().storingStatIn(s).forPath(p + "/a"));
        Checks.equal(1, c.setData().withVersion(s.getVersion()).forPath(p + "/a", Checks.bytes("2")).getVersion());
        Checks.fails(Code.BADVERSION, () -> c.setData().withVersion(0).forPath(p + "/a", null));
        c.sync().forPath(p + "/a");
        Checks.equal(Checks.bytes("2"), d.getData().forPath(p + "/a"));
        c.delete().guaranteed().withVersion(1).forPath(p + "/a");
        Checks.equal(null, d.checkExists().forPath(p + "/a"));
        c.delete().quietly().forPath(p + "/a");
    }

    private static void parents(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        c.create().creatingParentsIfNeeded().withMode(CreateMode.EPHEMERAL).forPath(p + "/x/y/z");
        c.create().creatingParentContainersIfNeeded().forPath(p + "/c/y/z");
        Checks.equal(new TreeSet<>(List.of("x", "c")), new TreeSet<>(c.getChildren().forPath(p)));
        c.delete().deletingChildrenIfNeeded().forPath(p + "/x");
        c.delete().forPath(p + "/c/y/z");
        Checks.eventually("the parent containers go", () -> exists(c, p + "/c") == null);
    }

    static Stat exists(CuratorFramework c, String path) {
        try {
            return c.checkExists().forPath(path);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static void protectedNodes(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        String made = c.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(p + "/n-");
        Checks.that(made.contains("_c_") && made.endsWith("n-0000000000"), "unexpected name " + made);
        c.create().orSetData().forPath(p + "/a", Checks.bytes("1"));
        c.create().orSetData().forPath(p + "/a", Checks.bytes("2"));
        Checks.equal(Checks.bytes("2"), d.getData().forPath(p + "/a"));
    }

    private static void ttl(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        c.create().withTtl(500).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(p + "/t");
        Checks.eventually("the TTL node goes", () -> exists(d, p + "/t") == null);
    }

    private static void background(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        c.create().inBackground((x, e) -> got.add(e.getType() + " " + e.getResultCode())).forPath(p + "/a");
        Checks.equal("CREATE 0", Checks.take(got));
        c.getChildren().inBackground((x, e) -> got.add(e.getType() + " " + e.getChildren())).forPath(p);
        Checks.equal("CHILDREN [a]", Checks.take(got));
        c.checkExists().inBackground((x, e) -> got.add(e.getType() + " " + e.getResultCode())).forPath(p + "/none");
        Checks.equal("EXISTS -101", Checks.take(got));
        c.delete().inBackground((x, e) -> got.add(e.getType() + " " + e.getResultCode())).forPath(p + "/a");
        Checks.equal("DELETE 0", Checks.take(got));
    }

    private static void watchers(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<WatchedEvent> got = new LinkedBlockingQueue<>();
        org.apache.curator.framework.api.CuratorWatcher watcher = got::add;
        c.getData().usingWatcher(watcher).forPath(p);
        d.setData().forPath(p, Checks.bytes("x"));
        Checks.equal("NodeDataChanged", Checks.take(got).getType().toString());
        c.getData().usingWatcher(watcher).forPath(p);
        c.watchers().remove(watcher).forPath(p);
        got.clear();
        d.setData().forPath(p, Checks.bytes("y"));
        c.checkExists().forPath(p);
        Checks.that(got.stream().noneMatch(e -> e.getType().toString().equals("NodeDataChanged")), "an event after the removal");
        c.watchers().add().forPath(p);
        c.watchers().removeAll().forPath(p);
    }

    private static void transactions(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        List<CuratorTransactionResult> r = c.transaction().forOperations(
                c.transactionOp().create().forPath(p + "/a", Checks.bytes("1")),
                c.transactionOp().setData().withVersion(0).forPath(p + "/a", Checks.bytes("2")),
                c.transactionOp().check().withVersion(1).forPath(p + "/a"),
                c.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(p + "/e-"),
                c.transactionOp().delete().forPath(p + "/e-0000000001"));
        Checks.equal(p + "/e-0000000001", r.get(3).getResultPath());
        Checks.equal(1, r.get(1).getResultStat().getVersion());
        Checks.fails(Code.NODEEXISTS, () -> c.transaction().forOperations(c.transactionOp().delete().forPath(p + "/a"), c.transactionOp().create().forPath(p)));
        Checks.that(d.checkExists().forPath(p + "/a") != null, "a failed transaction changed something");
    }

    private static void namespaces(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        CuratorFramework inside = c.usingNamespace(p.substring(1));
        Checks.equal("/a", inside.create().forPath("/a"));
        Checks.that(d.checkExists().forPath(p + "/a") != null, "not below the namespace");
    }

    private static void authorization(Checks t, CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (CuratorFramework a = CuratorFrameworkFactory.builder().connectString(t.server).retryPolicy(new RetryOneTime(100))
                .authorization("digest", Checks.bytes("cur:ator")).build()) {
            a.start();
            a.create().withACL(Ids.CREATOR_ALL_ACL).forPath(p + "/mine", Checks.bytes("m"));
            Checks.fails(Code.NOAUTH, () -> d.getData().forPath(p + "/mine"));
            a.setACL().withACL(Ids.OPEN_ACL_UNSAFE).forPath(p + "/mine");
            Checks.equal(Checks.bytes("m"), d.getData().forPath(p + "/mine"));
            Checks.equal(Ids.OPEN_ACL_UNSAFE, d.getACL().forPath(p + "/mine"));
        }
    }

    private static void persistentWatcher(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        java.util.concurrent.CountDownLatch set = new java.util.concurrent.CountDownLatch(1);
        try (PersistentWatcher w = new PersistentWatcher(c, p, true)) {
            w.getListenable().addListener(e -> got.add(e.getType() + " " + e.getPath()));
            w.getResetListenable().addListener(set::countDown);
            w.start();
            Checks.that(set.await(60, java.util.concurrent.TimeUnit.SECONDS), "the watcher was not set");
            d.create().forPath(p + "/a");
            d.create().forPath(p + "/a/b");
            d.setData().forPath(p + "/a/b", null);
            Checks.equal("NodeCreated " + p + "/a", Checks.take(got));
            Checks.equal("NodeCreated " + p + "/a/b", Checks.take(got));
            Checks.equal("NodeDataChanged " + p + "/a/b", Checks.take(got));
        }
    }

    private static void states(Checks t, CuratorFramework c, String p) throws Throwable {
        try (Proxy proxy = new Proxy(t.server); CuratorFramework w = CuratorSuite.open(proxy.address())) {
            BlockingQueue<ConnectionState> got = new LinkedBlockingQueue<>();
            // CONNECTED may be told before or after the listener is there.
            w.getConnectionStateListenable().addListener((x, state) -> { if (state != ConnectionState.CONNECTED) { got.add(state); } });
            w.create().withMode(CreateMode.EPHEMERAL).forPath(p + "/e");
            proxy.cut();
            Checks.equal(ConnectionState.SUSPENDED, Checks.take(got));
            Checks.equal(ConnectionState.RECONNECTED, Checks.take(got));
            Checks.that(c.checkExists().forPath(p + "/e") != null, "the session did not survive");
        }
    }

    private static void discovery(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        ServiceInstance<Void> one = ServiceInstance.<Void>builder().name("web").address("10.0.0.1").port(80).build();
        try (ServiceDiscovery<Void> server = ServiceDiscoveryBuilder.builder(Void.class).client(c).basePath(p).thisInstance(one).build();
                ServiceDiscovery<Void> client = ServiceDiscoveryBuilder.builder(Void.class).client(d).basePath(p).build()) {
            server.start();
            client.start();
            Checks.equal(List.of("web"), List.copyOf(client.queryForNames()));
            try (ServiceProvider<Void> provider = client.serviceProviderBuilder().serviceName("web").build()) {
                provider.start();
                Checks.eventually("the provider knows the instance", () -> address(provider) != null);
                Checks.equal("10.0.0.1", address(provider));
                server.unregisterService(one);
                Checks.eventually("the provider forgets the instance", () -> address(provider) == null);
            }
        }
    }

    private static String address(ServiceProvider<Void> provider) {
        try {
            ServiceInstance<Void> i = provider.getInstance();
            return i == null ? null : i.getAddress();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }
}
