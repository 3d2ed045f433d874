// The peer of data_core.mjs in Node, with the stack that is named: node data_peer.mjs wrtc|libdatachannel
// A command is a JSON object in a line on stdin, an answer one on stdout. The program ends with its stdin.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { makePeer } from "./data_core.mjs";

const require = createRequire(new URL("../../../.node/", import.meta.url));

async function stack(name) {
  if (name === "wrtc") return require("@roamhq/wrtc").RTCPeerConnection;
  const polyfill = await import(pathToFileURL(require.resolve("node-datachannel/polyfill")));
  return polyfill.RTCPeerConnection ?? polyfill.default.RTCPeerConnection;
}

const handle = makePeer(await stack(process.argv[2]));
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  process.stdout.write(`${JSON.stringify(await handle(JSON.parse(line)))}\n`);
});
lines.on("close", () => process.exit(0));
