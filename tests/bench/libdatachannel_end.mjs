// A worker (see worker.py) whose ends are libdatachannel, by its binding for Node.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../.node/", import.meta.url));
const { PeerConnection } = require("node-datachannel");

const HIGH = 4 << 20;
const SMALL = Buffer.alloc(100);
const BLOCK = Buffer.from(createHash("shake256", { outputLength: 65536 }).update("block").digest());

function later() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

class End {
  constructor() {
    this.channels = {};
    this.connection = new PeerConnection("end", { iceServers: [], bindAddress: "127.0.0.1", maxMessageSize: 1048576 });
    this.described = later();
    this.connection.onGatheringStateChange((state) => {
      if (state === "complete") this.described.resolve(JSON.stringify(this.connection.localDescription()));
    });
    this.connection.onDataChannel((channel) => this.serve(channel));
  }

  serve(channel) {
    const sink = { bytes: 0 };
    channel.onMessage((message) => {
      if (channel.getLabel() === "echo") channel.sendMessageBinary(message);
      else if (typeof message === "string") {
        channel.sendMessage(String(sink.bytes));
        sink.bytes = 0;
      } else {
        if (message[0] !== BLOCK[0]) throw new Error("what arrived is not what was sent");
        sink.bytes += message.length;
      }
    });
    this.channels[channel.getLabel()] = channel;
  }

  async prepare() {
    return "";
  }

  async dial() {
    this.began = performance.now();
    const open = later();
    for (const label of ["sink", "echo"]) this.channels[label] = this.connection.createDataChannel(label);
    this.channels.echo.onOpen(() => open.resolve());
    this.open = open.promise;
    return this.described.promise;
  }

  async respond(offer) {
    const { sdp, type } = JSON.parse(offer);
    this.connection.setRemoteDescription(sdp, type);
    return this.described.promise;
  }

  async finish(answer) {
    const { sdp, type } = JSON.parse(answer);
    this.connection.setRemoteDescription(sdp, type);
    await this.open;
    await this.echo("channel", 1);
    return (performance.now() - this.began) / 1000;
  }

  async throughput(kind, seconds, size = BLOCK.length) {
    const channel = this.channels.sink;
    const message = size <= BLOCK.length ? BLOCK.subarray(0, size) : Buffer.concat(Array(size / BLOCK.length).fill(BLOCK));
    let low = later();
    channel.setBufferedAmountLowThreshold(HIGH / 4);
    channel.onBufferedAmountLow(() => low.resolve());
    const answer = later();
    channel.onMessage((said) => answer.resolve(Number(said)));
    const began = performance.now();
    while (performance.now() < began + seconds * 1000) {
      channel.sendMessageBinary(message);
      if (channel.bufferedAmount() > HIGH) {
        low = later();
        if (channel.bufferedAmount() > HIGH / 4) await low.promise;
      }
    }
    channel.sendMessage("end");
    const arrived = await answer.promise;
    return [arrived / ((performance.now() - began) * 1000), arrived / 1e6];
  }

  async echo(kind, count) {
    const channel = this.channels.echo;
    const took = [];
    let answer;
    channel.onMessage(() => answer.resolve());
    for (let number = 0; number < count; number++) {
      answer = later();
      const began = performance.now();
      channel.sendMessageBinary(SMALL);
      await answer.promise;
      took.push((performance.now() - began) * 1000);
    }
    return took;
  }

  async close() {
    this.connection.close();
  }
}

const ends = new Map();

function about(call) {
  if (call === "rss") return process.memoryUsage.rss();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function perform({ end: name, call, with: given }) {
  if (!name) return about(call);
  if (!ends.has(name)) ends.set(name, new End());
  const end = ends.get(name);
  if (call === "close") ends.delete(name);
  return (await end[call](...given)) ?? null;
}

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  let answer;
  try {
    answer = { result: await perform(JSON.parse(line)) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
lines.on("close", () => process.exit(0));
