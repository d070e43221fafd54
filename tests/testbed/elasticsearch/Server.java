// A node of Elasticsearch as a library: its published artefacts have no program that starts without its distribution.
// The script beside this folder turns it into one of OpenSearch, which has other names for the same classes.

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.transport.netty4.Netty4Plugin;

public final class Server {
    private static final class Bare extends Node {
        Bare(Environment environment) {
            super(environment, List.of(Netty4Plugin.class), false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Settings settings = Settings.builder()
            .put("cluster.name", "lab")
            .put("node.name", "lab")
            .put("path.home", folder.toString())
            .put("path.data", folder.resolve("data").toString())
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", arguments[2])
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .put("discovery.type", "single-node")
            .put("action.auto_create_index", true)
            // the disk of a test machine may be nearly full
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), folder.resolve("config"), () -> "lab");
        Node node = new Bare(environment);
        node.start();
        new CountDownLatch(1).await();
    }
}
