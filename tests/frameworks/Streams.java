import java.util.Base64;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.streams.errors.ErrorHandlerContext;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;

/** Prints, a line of JSON each, the dead letters that Kafka Streams' own handler makes of a record. */
class Streams {
    public static void main(String[] arguments) {
        var handler = new LogAndContinueExceptionHandler();
        handler.configure(Map.of("errors.dead.letter.queue.topic.name", "orders.dead"));
        var record = new ConsumerRecord<>("orders", 3, 1200L, "key".getBytes(), "body".getBytes());
        var context = (ErrorHandlerContext) java.lang.reflect.Proxy.newProxyInstance(
                Streams.class.getClassLoader(),
                new Class<?>[] {ErrorHandlerContext.class},
                (proxy, method, parameters) -> switch (method.getName()) {
                    case "topic" -> "orders";
                    case "partition" -> 3;
                    case "offset" -> 1200L;
                    case "timestamp" -> 1764000000000L;
                    case "sourceRawKey" -> "key".getBytes();
                    case "sourceRawValue" -> "body".getBytes();
                    default -> null;
                });
        var error = new IllegalStateException("out of stock");
        for (ProducerRecord<byte[], byte[]> dead : handler.handleError(context, record, error).deadLetterQueueRecords()) {
            var headers = StreamSupport.stream(dead.headers().spliterator(), false)
                    .map(header -> "[\"" + header.key() + "\",\"" + Base64.getEncoder().encodeToString(header.value()) + "\"]")
                    .collect(Collectors.joining(","));
            System.out.println("{\"name\":\"streams dead letter\",\"headers\":[" + headers + "]}");
        }
    }
}
