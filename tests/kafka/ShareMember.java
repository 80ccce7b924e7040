import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a share group (KIP-932): acknowledges what it reads until its standard input ends. */
class ShareMember {
    public static void main(String[] bootstrapGroupTopic) throws Exception {
        var bootstrap = bootstrapGroupTopic[0];
        var group = bootstrapGroupTopic[1];
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var earliest = new AlterConfigOp(
                    new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(earliest)))
                    .all()
                    .get();
        }
        Map<String, Object> settings =
                Map.of("bootstrap.servers", bootstrap, "group.id", group, "client.id", "sharing");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaShareConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(bootstrapGroupTopic[2]));
            while (consumer.poll(Duration.ofMillis(100)).isEmpty()) {}
            consumer.commitSync();
            System.out.println("committed");
            var ended = new Thread(() -> {
                try {
                    System.in.read();
                } catch (java.io.IOException gone) {
                    // as good as ended
                }
            });
            ended.start();
            while (ended.isAlive()) {
                consumer.poll(Duration.ofMillis(100));
            }
        }
    }
}
