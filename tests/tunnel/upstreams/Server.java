// A private service on Java's HttpServer. Its first line says where it listens.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> answer(exchange, 200, "hello\n"));
        server.createContext("/refuse", exchange -> answer(exchange, 413, "too large\n"));
        server.createContext("/echo", Server::echo);
        server.createContext("/events/", Server::sendEvents);
        server.start();
        System.out.println("listens on port " + server.getAddress().getPort());
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes();
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().set("Content-Length", String.valueOf(body.length));
            exchange.sendResponseHeaders(status, -1);
        } else {
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
        }
        exchange.close();
    }

    static void echo(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(body);
            answer(exchange, 200, body.length + " " + HexFormat.of().formatHex(hash) + "\n");
        } catch (java.security.NoSuchAlgorithmException error) {
            throw new IOException(error);
        }
    }

    static void sendEvents(HttpExchange exchange) throws IOException {
        String name = Path.of(exchange.getRequestURI().getPath()).getFileName().toString();
        exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
        exchange.sendResponseHeaders(200, 0);
        for (int event = 1; event <= 3; event++) {
            Path release = Path.of(System.getenv("RELEASES"), name + "-" + event);
            try {
                while (!Files.exists(release)) Thread.sleep(5);
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
            exchange.getResponseBody().write(("data: " + event + "\n\n").getBytes());
            exchange.getResponseBody().flush();
        }
        exchange.close();
    }
}
