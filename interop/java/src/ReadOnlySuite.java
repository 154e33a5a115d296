import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/**
 * Apache's Java client and Curator at a member without a quorum. usage: ReadOnlySuite SERVER. ensemble/read_only.py
 * starts it; behind the line READ it ends the partition, and both clients must be told and be able to write.
 */
public final class ReadOnlySuite {
    private ReadOnlySuite() { }

    /** A client that is content with reading, and the states it is told. */
    private static final class Reader implements AutoCloseable {
        final BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();
        final ZooKeeper zk;

        Reader(String servers) throws Exception {
            Watcher watcher = e -> { if (e.getType() == EventType.None) { states.add(e.getState()); } };
            zk = new ZooKeeper(servers, 10_000, watcher, true);
        }

        void state(KeeperState want) throws InterruptedException {
            while (Checks.take(states) != want) { /* the next one */ }
        }

        @Override
        public void close() throws InterruptedException { zk.close(); }
    }

    public static void main(String[] args) throws Exception {
        Checks t = new Checks(args[0]);
        t.check("the Java client reads, and is refused writes", () -> javaReads(t.server));
        t.check("Curator reads, and is refused writes", () -> curatorReads(t.server));
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        try (Reader java = new Reader(t.server); CuratorFramework curator = curator(t.server, states)) {
            java.state(KeeperState.ConnectedReadOnly);
            await(states, ConnectionState.READ_ONLY);
            System.out.println("READ");
            System.out.flush();
            t.check("the Java client comes back", () -> {
                java.state(KeeperState.SyncConnected);
                java.zk.create("/back-java", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            });
            t.check("Curator comes back", () -> {
                await(states, ConnectionState.CONNECTED, ConnectionState.RECONNECTED);
                curator.create().forPath("/back-curator", new byte[0]);
            });
        }
        t.finish();
    }

    private static void await(BlockingQueue<ConnectionState> states, ConnectionState... wanted) throws InterruptedException {
        while (!java.util.List.of(wanted).contains(Checks.take(states))) { /* the next one */ }
    }

    private static void javaReads(String server) throws Throwable {
        try (Reader r = new Reader(server)) {
            r.state(KeeperState.ConnectedReadOnly);
            Checks.equal(ZooKeeper.States.CONNECTEDREADONLY, r.zk.getState());
            Checks.equal(Checks.bytes("x"), r.zk.getData("/a", true, null));
            Checks.equal(1, r.zk.getChildren("/a", true).size());
            Checks.equal(0, r.zk.getEphemerals().size());
            Checks.fails(Code.NOTREADONLY, () -> r.zk.setData("/a", null, -1));
            Checks.fails(Code.NOTREADONLY, () -> r.zk.create("/new", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            Checks.fails(Code.NOTREADONLY, () -> r.zk.delete("/a/b", -1));
            Checks.fails(Code.NOTREADONLY, () -> r.zk.setACL("/a", Ids.OPEN_ACL_UNSAFE, -1));
            Checks.fails(Code.NOTREADONLY, () -> r.zk.transaction().delete("/a/b", -1).commit());
            Checks.equal(Checks.bytes("x"), r.zk.getData("/a", false, null));
        }
    }

    private static CuratorFramework curator(String servers, BlockingQueue<ConnectionState> states) {
        CuratorFramework c = CuratorFrameworkFactory.builder().connectString(servers).sessionTimeoutMs(10_000)
                .canBeReadOnly(true).retryPolicy(new RetryOneTime(100)).build();
        c.getConnectionStateListenable().addListener((client, state) -> states.add(state));
        c.start();
        return c;
    }

    private static void curatorReads(String server) throws Throwable {
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        try (CuratorFramework c = curator(server, states)) {
            await(states, ConnectionState.READ_ONLY);
            Checks.equal(Checks.bytes("x"), c.getData().forPath("/a"));
            Checks.fails(Code.NOTREADONLY, () -> c.setData().forPath("/a", Checks.bytes("y")));
        }
    }
}
