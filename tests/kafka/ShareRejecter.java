import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a share group that rejects all it reads, so that the broker writes it to the group's dead-letter topic
 * (KIP-1191), until its standard input ends.
 */
class ShareRejecter {
    public static void main(String[] bootstrapGroupTopicDeadCopied) throws Exception {
        var bootstrap = bootstrapGroupTopicDeadCopied[0];
        var group = bootstrapGroupTopicDeadCopied[1];
        try (var admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var settings = Map.of(
                    "share.auto.offset.reset", "earliest",
                    "errors.deadletterqueue.topic.name", bootstrapGroupTopicDeadCopied[3],
                    "errors.deadletterqueue.copy.record.enable", bootstrapGroupTopicDeadCopied[4]);
            var changes = settings.entrySet().stream()
                    .map(each -> new AlterConfigOp(
                            new ConfigEntry(each.getKey(), each.getValue()), AlterConfigOp.OpType.SET))
                    .toList();
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes))
                    .all()
                    .get();
        }
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "group.id", group,
                "client.id", "rejecting",
                "share.acknowledgement.mode", "explicit");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaShareConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(bootstrapGroupTopicDeadCopied[2]));
            var ended = new Thread(() -> {
                try {
                    System.in.read();
                } catch (java.io.IOException gone) {
                    // as good as ended
                }
            });
            ended.start();
            for (var told = false; ended.isAlive(); ) {
                var records = consumer.poll(Duration.ofMillis(100));
                for (var record : records) {
                    consumer.acknowledge(record, AcknowledgeType.REJECT);
                }
                consumer.commitSync();
                if (!told && !records.isEmpty()) {
                    System.out.println("rejected");
                    told = true;
                }
            }
        }
    }
}
