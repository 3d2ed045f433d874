// Two libwebrtc peers that talk over a data channel, each by the ICE servers and the policy it is given.
//
//   node relay_peer.mjs < job.json
//
// The job, on stdin because it has passwords in it:
//   {"offerer": CONFIGURATION, "answerer": CONFIGURATION, "messages": 3, "size": 1000, "timeout": 20}
// where a CONFIGURATION is an RTCConfiguration: {"iceServers": [{"urls", "username", "credential"}],
// "iceTransportPolicy": "relay"}. Each side sends that many messages and the other sends them back.
//
// Prints one JSON document and exits with 0 when every message came back as it was:
//   {"ok": true, "echoed": {"offerer": 3, "answerer": 3}, "offerer": PAIR, "answerer": PAIR}
// where a PAIR tells of the selected candidate pair, as seen from that side: {"local": CANDIDATE, "remote": CANDIDATE},
// and a CANDIDATE is {"type", "protocol", "relayProtocol", "address", "port", "url"}, as in RTCIceCandidateStats.
// When it fails: {"ok": false, "error": "…", "states": {…}, "candidates": {…}, "errors": […]} and 1.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../../.node/", import.meta.url));
const { RTCPeerConnection } = require("@roamhq/wrtc");

const SIDES = ["offerer", "answerer"];

async function readAll(stream) {
  let text = "";
  for await (const part of stream) text += part;
  return text;
}

/** What happened on both sides, for the report of a failure. */
function chronicle() {
  return { candidates: { offerer: [], answerer: [] }, errors: [] };
}

function connect(job, story) {
  const peers = {};
  for (const side of SIDES) peers[side] = new RTCPeerConnection(job[side]);
  for (const [side, other] of [SIDES, [...SIDES].reverse()]) {
    const waiting = [];
    peers[side].onicecandidate = ({ candidate }) => {
      if (!candidate || !candidate.candidate) return;
      story.candidates[side].push(candidate.candidate);
      // A candidate may be found before the other side knows the description that it belongs to.
      if (peers[other].remoteDescription) peers[other].addIceCandidate(candidate);
      else waiting.push(candidate);
    };
    peers[side].onicecandidateerror = (event) => {
      story.errors.push({ side, code: event.errorCode, text: event.errorText, url: event.url });
    };
    peers[side].flush = () => waiting.splice(0).forEach((candidate) => peers[other].addIceCandidate(candidate));
  }
  return peers;
}

async function negotiate({ offerer, answerer }) {
  await offerer.setLocalDescription(await offerer.createOffer());
  await answerer.setRemoteDescription(offerer.localDescription);
  offerer.flush();
  await answerer.setLocalDescription(await answerer.createAnswer());
  await offerer.setRemoteDescription(answerer.localDescription);
  answerer.flush();
}

/**
 * Resolves with how many of `messages` came back unchanged over `channel`, once all did; echoes the other side's.
 *
 * Who accepts the channel speaks first, and who opened it waits for that: this library drops what arrives at an
 * accepted channel before anybody listens there.
 */
function echoes(channel, messages, accepted) {
  return new Promise((resolve, reject) => {
    let returned = 0;
    const ask = () => messages.forEach((message) => channel.send(`ask ${message}`));
    const begin = () => {
      channel.send("ready");
      ask();
    };
    channel.onclose = () => reject(new Error("the channel was closed"));
    channel.onmessage = ({ data }) => {
      if (data === "ready") ask();
      else if (data.startsWith("ask ")) channel.send(`echo ${data.slice(4)}`);
      else if (data !== `echo ${messages[returned]}`) reject(new Error(`message ${returned} came back changed`));
      else if (++returned === messages.length) resolve(returned);
    };
    if (!accepted) return;
    if (channel.readyState === "open") begin();
    else channel.onopen = begin;
  });
}

async function exchange(peers, job) {
  const messages = Array.from({ length: job.messages ?? 3 }, (_, n) => `${n} ${"x".repeat(job.size ?? 1000)}`);
  const offered = echoes(peers.offerer.createDataChannel("relay"), messages, false);
  const answered = new Promise((resolve, reject) => {
    peers.answerer.ondatachannel = ({ channel }) => echoes(channel, messages, true).then(resolve, reject);
  });
  await negotiate(peers);
  const [offerer, answerer] = await Promise.all([offered, answered]);
  return { offerer, answerer };
}

async function selectedPair(peer) {
  const stats = [...(await peer.getStats()).values()];
  const byId = new Map(stats.map((stat) => [stat.id, stat]));
  const transport = stats.find((stat) => stat.type === "transport");
  const pair = byId.get(transport?.selectedCandidatePairId);
  return pair ? { local: candidate(byId.get(pair.localCandidateId)), remote: candidate(byId.get(pair.remoteCandidateId)) } : null;
}

function candidate(stat) {
  const { candidateType: type, protocol, relayProtocol, address, ip, port, url } = stat;
  return { type, protocol, relayProtocol, address: address ?? ip, port, url };
}

function deadline(seconds) {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no data within ${seconds} s`)), seconds * 1000).unref();
  });
}

async function main() {
  const job = JSON.parse(await readAll(process.stdin));
  const story = chronicle();
  const peers = connect(job, story);
  try {
    const echoed = await Promise.race([exchange(peers, job), deadline(job.timeout ?? 20)]);
    const [offerer, answerer] = await Promise.all(SIDES.map((side) => selectedPair(peers[side])));
    return { ok: true, echoed, offerer, answerer };
  } catch (error) {
    const states = Object.fromEntries(SIDES.map((side) => [side, peers[side].iceConnectionState]));
    return { ok: false, error: error.message, states, ...story };
  } finally {
    SIDES.forEach((side) => peers[side].close());
  }
}

const result = await main();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(result.ok ? 0 : 1));
