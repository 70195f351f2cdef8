// What a program in another language does: it calls a function, gets a typed error, and takes part in a group. It knows
// nothing of kith but the subjects.
import { connect, headers } from "@nats-io/transport-node";

const [server, user, pass] = process.argv.slice(2);
const nc = await connect({ servers: server, user, pass });

const sum = await nc.request("kith.fn.kith.sum", JSON.stringify([1, 2, 3]), { timeout: 5000 });
console.log("sum", sum.json());

const h = headers();
h.set("Kith-Node", "nobody@127.0.0.1");
const refused = await nc.request("kith.fn.kith.echo", "1", { timeout: 10000, headers: h });
console.log("error", refused.headers.get("Nats-Service-Error-Code"), refused.json().kind);

const news = nc.subscribe("kith.group.news", { max: 1 });
await nc.flush();
console.log("listening");
for await (const m of news) {
  console.log("heard", m.string());
}
const answer = await nc.request("kith.broadcast.news", "from javascript", { timeout: 5000 });
console.log("sent", answer.json().members > 0);
await nc.drain();
