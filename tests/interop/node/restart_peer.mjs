// One libwebrtc peer with a data channel, driven line by line: it offers, answers, restarts ICE, sends and counts.
//
//   node restart_peer.mjs
//
// Each line on stdin is a JSON object, answered by one on stdout:
//   {"do": "offer", "restart": true}     {"sdp": …}: an offer with all its candidates; with `restart` of new credentials
//   {"do": "accept", "sdp": …}           {"sdp": …}: the answer to an offer
//   {"do": "answered", "sdp": …}         {}: takes the answer to its own offer
//   {"do": "send", "from": 0, "to": 500} {}: sends these numbers, each a message, two every millisecond
//   {"do": "received", "count": 500}     {"messages": […]}: waits for so many, then tells all that came, in their order
//   {"do": "state"}                      {"ice": "connected", "channel": "open", "states": […]}: now, and every ICE state so far
// An error is {"error": "…"}. The program ends with its stdin.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../.node/", import.meta.url));
const { RTCPeerConnection } = require("@roamhq/wrtc");

const peer = new RTCPeerConnection({ iceServers: [] });
const channel = peer.createDataChannel("numbers");
const received = [];
const states = [];
let waiting = null;

peer.oniceconnectionstatechange = () => states.push(peer.iceConnectionState);
channel.onmessage = ({ data }) => {
  received.push(Number(data));
  if (waiting && received.length >= waiting.count) waiting.resolve();
};

function opened() {
  return new Promise((resolve) => {
    if (channel.readyState === "open") resolve();
    else channel.onopen = resolve;
  });
}

function gathered() {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === "complete" && resolve();
    peer.onicegatheringstatechange = look;
    look();
  });
}

async function described(description) {
  await peer.setLocalDescription(description);
  await gathered();
  return { sdp: peer.localDescription.sdp };
}

const commands = {
  offer: async ({ restart }) => described(await peer.createOffer({ iceRestart: Boolean(restart) })),
  accept: async ({ sdp }) => {
    await peer.setRemoteDescription({ type: "offer", sdp });
    return described(await peer.createAnswer());
  },
  answered: async ({ sdp }) => {
    await peer.setRemoteDescription({ type: "answer", sdp });
    return {};
  },
  send: async ({ from, to }) => {
    await opened();
    for (let number = from; number < to; number++) {
      channel.send(String(number));
      if (number % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return {};
  },
  received: async ({ count }) => {
    if (received.length < count) await new Promise((resolve) => (waiting = { count, resolve }));
    return { messages: received };
  },
  state: async () => ({ ice: peer.iceConnectionState, channel: channel.readyState, states }),
};

function answer(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const command = JSON.parse(line);
  try {
    answer({ id: command.id, ...(await commands[command.do](command)) });
  } catch (error) {
    answer({ id: command.id, error: error.message });
  }
});
lines.on("close", () => process.exit(0));
