// node mermaid.mjs FILE…: what Mermaid itself understands of sequence diagrams, a line of JSON each
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false });
for (const file of process.argv.slice(2)) {
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(readFileSync(file, "utf8"));
  const actors = [...db.getActors()].map(([name, actor]) => [name, actor.description]);
  console.log(JSON.stringify({ actors, messages: db.getMessages().map((each) => [each.from, each.to, each.message]) }));
}
