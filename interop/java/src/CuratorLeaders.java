import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;

/** Curator's leader election, persistent nodes and group membership. */
final class CuratorLeaders {
    private CuratorLeaders() { }

    static void run(Checks t) {
        CuratorSuite.check(t, "LeaderLatch", CuratorLeaders::latch);
        CuratorSuite.check(t, "LeaderLatch over a lost connection", (c, d, p) -> latchLost(t, c, p));
        CuratorSuite.check(t, "LeaderSelector", CuratorLeaders::selector);
        CuratorSuite.check(t, "PersistentNode", CuratorLeaders::persistentNode);
        CuratorSuite.check(t, "PersistentTtlNode", CuratorLeaders::persistentTtlNode);
        CuratorSuite.check(t, "GroupMember", CuratorLeaders::groupMember);
    }

    private static void latch(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (LeaderLatch one = new LeaderLatch(c, p + "/latch", "one")) {
            one.start();
            Checks.that(one.await(60, TimeUnit.SECONDS), "no leader");
            LeaderLatch two = new LeaderLatch(d, p + "/latch", "two");
            two.start();
            Checks.equal(false, two.await(200, TimeUnit.MILLISECONDS));
            Checks.equal("one", two.getLeader().getId());
            Checks.eventually("two participants", () -> participants(one) == 2);
            one.close();
            Checks.that(two.await(60, TimeUnit.SECONDS), "no succession");
            two.close();
        } catch (IllegalStateException e) {
            // Closed twice: once on purpose, once by try.
        }
    }

    private static int participants(LeaderLatch latch) {
        try {
            return latch.getParticipants().size();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static void latchLost(Checks t, CuratorFramework c, String p) throws Throwable {
        try (Proxy proxy = new Proxy(t.server); CuratorFramework w = CuratorSuite.open(proxy.address()); LeaderLatch one = new LeaderLatch(w, p + "/latch", "one")) {
            one.start();
            Checks.that(one.await(60, TimeUnit.SECONDS), "no leader");
            proxy.cut();
            Checks.eventually("leadership is given up while the connection is away", () -> !one.hasLeadership());
            Checks.that(one.await(60, TimeUnit.SECONDS), "not leader again");
        }
    }

    private static void selector(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        BlockingQueue<String> led = new LinkedBlockingQueue<>();
        CountDownLatch go = new CountDownLatch(1);
        try (LeaderSelector one = selector(c, p, "one", led, go); LeaderSelector two = selector(d, p, "two", led, go)) {
            one.start();
            Checks.equal("one", Checks.take(led));
            two.start();
            Checks.eventually("two participants", () -> participants(one) == 2);
            Checks.that(led.isEmpty(), "two leaders");
            Checks.equal("one", two.getLeader().getId());
            go.countDown();
            Checks.equal("two", Checks.take(led));
        }
    }

    private static int participants(LeaderSelector selector) {
        try {
            return selector.getParticipants().size();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static LeaderSelector selector(CuratorFramework c, String p, String id, BlockingQueue<String> led, CountDownLatch go) {
        LeaderSelector s = new LeaderSelector(c, p + "/selector", new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) throws Exception {
                led.add(id);
                Checks.that(go.await(60, TimeUnit.SECONDS), "nobody said go");
            }
        });
        s.setId(id);
        return s;
    }

    private static void persistentNode(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (PersistentNode n = new PersistentNode(c, CreateMode.EPHEMERAL, false, p + "/n", Checks.bytes("1"))) {
            n.start();
            Checks.that(n.waitForInitialCreate(60, TimeUnit.SECONDS), "not made");
            d.delete().forPath(p + "/n");
            Checks.eventually("it comes back", () -> CuratorFrameworkApi.exists(d, p + "/n") != null);
            n.setData(Checks.bytes("2"));
            Checks.eventually("its data", () -> "2".equals(text(d, p + "/n")));
        }
        Checks.eventually("it goes with close", () -> CuratorFrameworkApi.exists(d, p + "/n") == null);
    }

    static String text(CuratorFramework c, String path) {
        try {
            byte[] data = c.getData().forPath(path);
            return data == null ? null : new String(data);
        } catch (Exception e) {
            return null;
        }
    }

    private static void persistentTtlNode(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (PersistentTtlNode n = new PersistentTtlNode(c, p + "/t", 1_000, new byte[0])) {
            n.start();
            Checks.that(n.waitForInitialCreate(60, TimeUnit.SECONDS), "not made");
            Thread.sleep(3_000);
            Checks.that(d.checkExists().forPath(p + "/t") != null, "it went although it is touched");
        }
    }

    private static void groupMember(CuratorFramework c, CuratorFramework d, String p) throws Throwable {
        try (GroupMember one = new GroupMember(c, p + "/group", "one", Checks.bytes("1"))) {
            one.start();
            GroupMember two = new GroupMember(d, p + "/group", "two", Checks.bytes("2"));
            two.start();
            Checks.eventually("two members", () -> one.getCurrentMembers().size() == 2);
            Checks.equal(Checks.bytes("2"), one.getCurrentMembers().get("two"));
            two.close();
            Checks.eventually("one member", () -> one.getCurrentMembers().size() == 1);
        }
    }
}
