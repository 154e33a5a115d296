import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A TCP proxy that can cut its connections, refuse new ones, or go silent: the network as a test needs it. */
final class Proxy implements AutoCloseable {
    private final String host;
    private final int port;
    private final ServerSocket listener;
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private volatile boolean refusing;
    private volatile boolean silent;

    Proxy(String server) throws IOException {
        int colon = server.lastIndexOf(':');
        host = server.substring(0, colon);
        port = Integer.parseInt(server.substring(colon + 1));
        listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        daemon(this::accept);
    }

    String address() { return "127.0.0.1:" + listener.getLocalPort(); }

    /** Closes what is open; new connections work. */
    void cut() {
        for (Socket s : sockets) { shut(s); }
        sockets.clear();
    }

    /** While true, new connections are closed at once. */
    void refuse(boolean on) { refusing = on; }

    /** While true, bytes from the client are swallowed: the server hears nothing. */
    void silence(boolean on) { silent = on; }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket client = listener.accept();
                if (refusing) { shut(client); continue; }
                Socket server = new Socket(host, port);
                client.setTcpNoDelay(true);
                server.setTcpNoDelay(true);
                sockets.add(client);
                sockets.add(server);
                daemon(() -> pump(client, server, true));
                daemon(() -> pump(server, client, false));
            } catch (IOException e) {
                // The listener was closed, or the server refuses: the client sees a lost connection.
            }
        }
    }

    private void pump(Socket from, Socket to, boolean fromClient) {
        byte[] part = new byte[65536];
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int n = in.read(part); n >= 0; n = in.read(part)) {
                if (!(silent && fromClient)) { out.write(part, 0, n); }
            }
        } catch (IOException e) {
            // One side is gone: the other goes too.
        }
        shut(from);
        shut(to);
    }

    private static void shut(Socket s) {
        try { s.close(); } catch (IOException e) { /* it was closed already */ }
    }

    private static void daemon(Runnable body) {
        Thread t = new Thread(body);
        t.setDaemon(true);
        t.start();
    }
}
