import java.io.IOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/**
 * Apache's own Java client against the server: every operation, watches, ACLs, sessions. usage: JavaClient HOST:PORT.
 * The server needs tickTime=500, extendedTypesEnabled=true, superDigest of "super:test" and a fast container sweep.
 */
public final class JavaClient {
    /** A connected client whose events can be waited for. */
    static final class Client implements AutoCloseable, Watcher {
        final BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        final BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();
        final ZooKeeper zk;

        Client(String server, int timeoutMs) throws IOException, InterruptedException {
            this(server, timeoutMs, 0, null);
        }

        Client(String server, int timeoutMs, long id, byte[] password) throws IOException, InterruptedException {
            zk = id == 0 ? new ZooKeeper(server, timeoutMs, this) : new ZooKeeper(server, timeoutMs, this, id, password);
        }

        @Override
        public void process(WatchedEvent e) {
            if (e.getType() == EventType.None) { states.add(e.getState()); } else { events.add(e); }
        }

        Client connected() throws InterruptedException {
            state(KeeperState.SyncConnected);
            return this;
        }

        /** Waits until this state is reported; states before it are passed over. */
        void state(KeeperState want) throws InterruptedException {
            while (Checks.take(states) != want) { /* the next one */ }
        }

        /** The next event must be this one. */
        void event(EventType type, String path) throws InterruptedException {
            WatchedEvent e = Checks.take(events);
            Checks.equal(type + " " + path, e.getType() + " " + e.getPath());
        }

        /** No event was sent before this point: a reply to a later request would have brought it. */
        void quiet() throws Exception {
            zk.exists("/", false);
            WatchedEvent e = events.poll(50, TimeUnit.MILLISECONDS);
            Checks.that(e == null, "unexpected event " + e);
        }

        @Override
        public void close() throws InterruptedException { zk.close(); }
    }

    static Client open(Checks c) throws Exception { return new Client(c.server, 10_000).connected(); }

    /** Makes a fresh root for one check. */
    static String root(Client c, String name) throws Exception {
        return c.zk.create("/java-" + name + "-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
    }

    public static void main(String[] args) {
        Checks checks = new Checks(args[0]);
        JavaOperations.run(checks);
        JavaMulti.run(checks);
        JavaAccess.run(checks);
        JavaAsync.run(checks);
        JavaWatches.run(checks);
        JavaSessions.run(checks);
        checks.finish();
    }
}
