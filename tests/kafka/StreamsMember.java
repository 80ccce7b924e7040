import java.nio.file.Files;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;

/** An application whose group is of the Streams protocol (KIP-1071): commits what it reads until its input ends. */
class StreamsMember {
    public static void main(String[] bootstrapGroupTopic) throws Exception {
        var settings = new Properties();
        settings.putAll(Map.of(
                "bootstrap.servers", bootstrapGroupTopic[0],
                "application.id", bootstrapGroupTopic[1],
                "client.id", "streaming",
                "group.protocol", "streams",
                "auto.offset.reset", "earliest",
                "commit.interval.ms", "100",
                "state.dir", Files.createTempDirectory("streams-member").toString()));
        var builder = new StreamsBuilder();
        builder.stream(bootstrapGroupTopic[2], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .foreach((key, value) -> System.out.println("read"));
        try (var streams = new KafkaStreams(builder.build(), settings)) {
            streams.start();
            System.in.read();
        }
    }
}
