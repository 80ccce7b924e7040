import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a consumer group of the newer protocol (KIP-848): commits what it reads until its standard input ends. */
class NewerMember {
    public static void main(String[] bootstrapGroupTopic) throws Exception {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrapGroupTopic[0],
                "group.id", bootstrapGroupTopic[1],
                "group.protocol", "consumer",
                "client.id", "newer",
                "auto.offset.reset", "earliest",
                "enable.auto.commit", "false");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
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
