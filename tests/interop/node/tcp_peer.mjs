// A libwebrtc peer that offers a data channel and lets whoever answers echo what it sends.
//
//   node tcp_peer.mjs
//
// Prints {"offer": SDP} once all candidates are gathered, reads {"answer": SDP, "messages": 3, "size": 1000,
// "timeout": 20} (one line), sends that many messages, and prints {"ok": true, "echoed": 3, "pair": PAIR} when all came
// back as they were, else {"ok": false, "error": "…", "state": "…"}. A PAIR is as in relay_peer.mjs.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../.node/", import.meta.url));
const { RTCPeerConnection } = require("@roamhq/wrtc");

const say = (document) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(document)}\n`, resolve));

function gathered(peer) {
  return new Promise((resolve) => {
    peer.onicecandidate = ({ candidate }) => candidate || resolve();
  });
}

async function selectedPair(peer) {
  const stats = [...(await peer.getStats()).values()];
  const byId = new Map(stats.map((stat) => [stat.id, stat]));
  const pair = byId.get(stats.find((stat) => stat.type === "transport")?.selectedCandidatePairId);
  const end = ({ candidateType: type, protocol, address, ip, port }) => ({ type, protocol, address: address ?? ip, port });
  return pair ? { local: end(byId.get(pair.localCandidateId)), remote: end(byId.get(pair.remoteCandidateId)) } : null;
}

function echoes(channel, messages) {
  return new Promise((resolve, reject) => {
    let returned = 0;
    channel.onopen = () => messages.forEach((message) => channel.send(message));
    channel.onmessage = ({ data }) => {
      if (data !== messages[returned]) reject(new Error(`message ${returned} came back changed`));
      else if (++returned === messages.length) resolve(returned);
    };
  });
}

function deadline(seconds) {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no data within ${seconds} s`)), seconds * 1000).unref();
  });
}

const peer = new RTCPeerConnection();
const channel = peer.createDataChannel("over tcp");
const complete = gathered(peer);
await peer.setLocalDescription(await peer.createOffer());
await complete;
await say({ offer: peer.localDescription.sdp });
const { value } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const job = JSON.parse(value);
let result;
try {
  const messages = Array.from({ length: job.messages ?? 3 }, (_, n) => `${n} ${"x".repeat(job.size ?? 1000)}`);
  const done = echoes(channel, messages);
  await peer.setRemoteDescription({ type: "answer", sdp: job.answer });
  const echoed = await Promise.race([done, deadline(job.timeout ?? 20)]);
  result = { ok: true, echoed, pair: await selectedPair(peer) };
} catch (error) {
  result = { ok: false, error: error.message, state: peer.iceConnectionState };
}
peer.close();
await say(result);
process.exit(result.ok ? 0 : 1);
