// One WebRTC peer for the tests of data channels, whoever made the RTCPeerConnection: commands in, answers out.
//
//   offer {}                         {sdp}: an offer with all its candidates
//   accept {sdp}                     {sdp}: the answer to an offer
//   answered {sdp}                   {}: takes the answer to its own offer
//   open {label, options}            {}: opens a channel and waits until it is open
//   send {label, sizes, text}        {}: sends a message of each size, filled as `pattern` says
//   sink {label}                     {}: from now on keeps what comes on that channel instead of sending it back
//   took {label, count}              {messages: [[size, text, sum], …]}: waits for so many, then tells them
//   close {label}                    {}: closes a channel
//   closed {label}                   {}: waits until a channel is closed, by whomever
//   count {}                         {channels}: how many channels are open
//   state {}                         {state}: of the connection
//   ended {}                         {}: waits until the connection has ended, or every channel has
//
// Until it is told otherwise, every message that comes is sent back on the same channel.

/** What a message of a size is made of: a byte that goes by its place, or a letter. */
export function pattern(size, text) {
  if (text) return String.fromCharCode(97 + (size % 26)).repeat(size);
  const bytes = new Uint8Array(size);
  for (let place = 0; place < size; place++) bytes[place] = (place * 31 + size) & 255;
  return bytes;
}

/** A number that tells contents apart (Adler's, over bytes or character codes). */
export function sum(data) {
  let low = 1;
  let high = 0;
  for (let place = 0; place < data.length; place++) {
    low = (low + (typeof data === "string" ? data.charCodeAt(place) : data[place])) % 65521;
    high = (high + low) % 65521;
  }
  return high * 65536 + low;
}

const HIGH = 1 << 20;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function makePeer(RTCPeerConnection) {
  const peer = new RTCPeerConnection({ iceServers: [] });
  const channels = new Map();

  function adopt(channel) {
    const entry = { channel, taken: [], sink: false, closed: channel.readyState === "closed" };
    channels.set(channel.label, entry);
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      if (entry.sink) entry.taken.push([message.length, typeof data === "string", sum(message)]);
      else channel.send(data);
    };
    channel.onclose = () => (entry.closed = true);
    return entry;
  }

  async function until(condition) {
    while (!condition()) await pause(2);
  }

  async function named(label) {
    await until(() => channels.has(label));
    return channels.get(label);
  }

  async function described(description) {
    await peer.setLocalDescription(description);
    await until(() => peer.iceGatheringState === "complete");
    return { sdp: peer.localDescription.sdp };
  }

  peer.ondatachannel = ({ channel }) => adopt(channel);
  const first = adopt(peer.createDataChannel("first"));

  const commands = {
    offer: async () => described(await peer.createOffer()),
    accept: async ({ sdp }) => {
      await peer.setRemoteDescription({ type: "offer", sdp });
      return described(await peer.createAnswer());
    },
    answered: async ({ sdp }) => {
      await peer.setRemoteDescription({ type: "answer", sdp });
      return {};
    },
    ready: async () => {
      await until(() => first.channel.readyState === "open");
      return {};
    },
    open: async ({ label, options }) => {
      const entry = adopt(peer.createDataChannel(label, options ?? {}));
      await until(() => entry.channel.readyState === "open");
      return {};
    },
    send: async ({ label, sizes, text }) => {
      const { channel } = await named(label);
      await until(() => channel.readyState === "open");
      for (const size of sizes) {
        channel.send(pattern(size, text));
        while (channel.bufferedAmount > HIGH) await pause(1);
      }
      return {};
    },
    sink: async ({ label }) => {
      (await named(label)).sink = true;
      return {};
    },
    took: async ({ label, count }) => {
      const entry = await named(label);
      await until(() => entry.taken.length >= count);
      return { messages: entry.taken.splice(0) };
    },
    close: async ({ label }) => {
      (await named(label)).channel.close();
      return {};
    },
    closed: async ({ label }) => {
      const entry = await named(label);
      await until(() => entry.closed || entry.channel.readyState === "closed");
      channels.delete(label);
      return {};
    },
    count: async () => ({ channels: [...channels.values()].filter((one) => one.channel.readyState === "open").length }),
    state: async () => ({ state: peer.connectionState }),
    ended: async () => {
      await until(
        () => ["failed", "closed", "disconnected"].includes(peer.connectionState) || first.channel.readyState === "closed",
      );
      return { state: peer.connectionState };
    },
    leave: async () => {
      peer.close();
      return {};
    },
  };

  return async (command) => {
    try {
      return { id: command.id, ...(await commands[command.do](command)) };
    } catch (error) {
      return { id: command.id, error: `${command.do}: ${error.message}` };
    }
  };
}
