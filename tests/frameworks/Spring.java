import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.amqp.core.Message;
import org.springframework.amqp.core.MessageProperties;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.amqp.rabbit.retry.RepublishMessageRecoverer;
import org.springframework.amqp.rabbit.support.ListenerExecutionFailedException;
import org.springframework.amqp.support.converter.Jackson2JsonMessageConverter;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.serializer.JsonSerializer;

/** Prints, a line of JSON each, what Spring's own classes put into the headers of events. */
class Spring {
    static final ObjectMapper JSON = new ObjectMapper();
    static final List<ProducerRecord<String, Object>> SENT = new ArrayList<>();

    static class Order {
        public int id = 7;
    }

    static final ProducerFactory<String, Object> PRODUCERS = new ProducerFactory<>() {
        @Override
        public Producer<String, Object> createProducer() {
            return new MockProducer<>(true, null, new StringSerializer(), new JsonSerializer<>()) {
                @Override
                public synchronized java.util.concurrent.Future<org.apache.kafka.clients.producer.RecordMetadata> send(
                        ProducerRecord<String, Object> record,
                        org.apache.kafka.clients.producer.Callback callback) {
                    var sent = super.send(record, callback);
                    SENT.add(record);
                    return sent;
                }
            };
        }
    };

    static void printSent(String name) throws Exception {
        var record = SENT.remove(SENT.size() - 1);
        var headers = new ArrayList<Object>();
        record.headers().forEach(header -> headers.add(List.of(header.key(), header.value())));
        System.out.println(JSON.writeValueAsString(Map.of("name", name, "headers", headers)));
    }

    public static void main(String[] arguments) throws Exception {
        var template = new KafkaTemplate<>(PRODUCERS);
        var typed = new ProducerRecord<String, Object>("orders", "key", new Order());
        new JsonSerializer<>().serialize("orders", typed.headers(), typed.value());
        SENT.add(typed);
        printSent("spring kafka json");

        var recoverer = new DeadLetterPublishingRecoverer(template);
        recoverer.setVerifyPartition(false);
        var failed = new ConsumerRecord<Object, Object>("orders", 3, 1200L, "key", "body");
        var cause = new IllegalStateException("out of stock");
        var error = new org.springframework.kafka.listener.ListenerExecutionFailedException("listener failed", "billing", cause);
        recoverer.accept(failed, null, error);
        printSent("spring kafka dead letter");

        var again = new ConsumerRecord<Object, Object>("orders-dlt", 1, 7L, "key", "body");
        recoverer.accept(failed, null, error);
        SENT.remove(SENT.size() - 1).headers().forEach(again.headers()::add);
        recoverer.accept(again, null, error);
        printSent("spring kafka dead letter, again");

        ConsumerFactory<String, Object> consumers = new org.springframework.kafka.core.DefaultKafkaConsumerFactory<>(Map.of()) {
            @Override
            protected org.apache.kafka.clients.consumer.Consumer<String, Object> createRawConsumer(Map<String, Object> settings) {
                return new MockConsumer<>(OffsetResetStrategy.EARLIEST);
            }
        };
        var properties = new ContainerProperties("replies");
        properties.setGroupId("replies");
        var replies = new KafkaMessageListenerContainer<>(consumers, properties);
        var asking = new ReplyingKafkaTemplate<String, Object, Object>(PRODUCERS, replies);
        asking.start();
        asking.sendAndReceive(new ProducerRecord<>("questions", "body"), Duration.ofSeconds(30)).getSendFuture().get();
        printSent("spring kafka request");

        var message = new Jackson2JsonMessageConverter().toMessage(new Order(), new MessageProperties());
        System.out.println(JSON.writeValueAsString(Map.of(
                "name", "spring amqp json",
                "properties", Map.of("content_type", message.getMessageProperties().getContentType()),
                "headers", entries(message.getMessageProperties().getHeaders()))));

        var received = new MessageProperties();
        received.setReceivedExchange("orders");
        received.setReceivedRoutingKey("order.placed");
        received.setCorrelationId("flow-1");
        var rejected = new Message("body".getBytes(), received);
        new RepublishMessageRecoverer(new RabbitTemplate() {
            @Override
            public void send(String exchange, String routingKey, Message dead) {
                try {
                    System.out.println(JSON.writeValueAsString(Map.of(
                            "name", "spring amqp dead letter",
                            "properties", Map.of("correlation_id", dead.getMessageProperties().getCorrelationId()),
                            "headers", entries(dead.getMessageProperties().getHeaders()))));
                } catch (java.io.IOException impossible) {
                    throw new IllegalStateException(impossible);
                }
            }
            @Override
            public org.springframework.amqp.rabbit.connection.ConnectionFactory getConnectionFactory() {
                return new org.springframework.amqp.rabbit.connection.CachingConnectionFactory("127.0.0.1", 1);
            }
        }, "errors").recover(rejected, new ListenerExecutionFailedException("listener failed", cause, rejected));
        System.out.flush();
        System.exit(0);
    }

    static List<Object> entries(Map<String, Object> headers) {
        var found = new ArrayList<Object>();
        headers.forEach((name, value) -> found.add(List.of(name, value)));
        return found;
    }
}
