// Services of Moleculer that call one another: `moleculer.js TRANSPORTER NAMESPACE`. The flow's id is flow-NAMESPACE.
const { ServiceBroker } = require("moleculer");

const [transporter, namespace] = process.argv.slice(2);
const brokers = ["shop", "billing", "stock"].map(
  (nodeID) => new ServiceBroker({ nodeID, namespace, transporter, logger: false, registry: { preferLocal: false } }),
);
const [shop, billing, stock] = brokers;

async function flow() {
  const heard = new Promise((resolve) => {
    stock.createService({ name: "stock", events: { "payment.charged": (ctx) => resolve(ctx) } });
  });
  billing.createService({
    name: "payments",
    actions: {
      async charge(ctx) {
        await ctx.emit("payment.charged", { total: ctx.params.total });
        return { charged: true };
      },
    },
  });
  shop.createService({
    name: "orders",
    actions: { place: (ctx) => ctx.call("payments.charge", { total: ctx.params.total }) },
  });
  await Promise.all(brokers.map((broker) => broker.start()));
  await shop.waitForServices(["payments", "stock"]);
  await billing.waitForServices("stock");
  await shop.call("orders.place", { total: 12 }, { requestID: `flow-${namespace}` });
  await heard;
  await Promise.all(brokers.map((broker) => broker.stop()));
}

flow().catch((error) => {
  console.error(error);
  process.exit(1);
});
