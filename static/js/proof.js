// Hashes, trees and signatures as docs/proof.md states them: what a page recomputes by itself, of what it is given.
"use strict";

const Proof = (() => {
  // SHA-256 (FIPS 180-4). The browser's own answers a moment later, which a tree of a million hashes cannot wait for.
  const ROUNDS = new Int32Array(64);
  const START = new Int32Array(8);
  for (let number = 2, found = 0; found < 64; number += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) isPrime = false;
    if (isPrime) {
      if (found < 8) START[found] = (Math.sqrt(number) % 1) * 2 ** 32;
      ROUNDS[found] = (Math.cbrt(number) % 1) * 2 ** 32;
      found += 1;
    }
  }

  const words = new Int32Array(64);

  const mix = (state, bytes, at) => {
    for (let place = 0; place < 16; place += 1, at += 4) {
      words[place] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let place = 16; place < 64; place += 1) {
      const early = words[place - 15];
      const late = words[place - 2];
      const small = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
      const great = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
      words[place] = (words[place - 16] + small + words[place - 7] + great) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let place = 0; place < 64; place += 1) {
      const turned = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + turned + ((e & f) ^ (~e & g)) + ROUNDS[place] + words[place]) | 0;
      const rolled = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (rolled + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  };

  // Of several arrays of bytes, one after the other.
  const sha256 = (...parts) => {
    const state = Int32Array.from(START);
    const block = new Uint8Array(64);
    let filled = 0;
    let length = 0;
    for (const bytes of parts) {
      length += bytes.length;
      let at = 0;
      if (filled) {
        at = Math.min(64 - filled, bytes.length);
        block.set(bytes.subarray(0, at), filled);
        filled += at;
        if (filled < 64) continue;
        mix(state, block, 0);
      }
      for (; at + 64 <= bytes.length; at += 64) mix(state, bytes, at);
      filled = bytes.length - at;
      block.set(bytes.subarray(at));
    }
    block.fill(0, filled);
    block[filled] = 0x80;
    if (filled >= 56) {
      mix(state, block, 0);
      block.fill(0);
    }
    const view = new DataView(block.buffer);
    view.setUint32(56, Math.floor(length / 2 ** 29));
    view.setUint32(60, (length * 8) >>> 0);
    mix(state, block, 0);
    const digest = new Uint8Array(32);
    const out = new DataView(digest.buffer);
    state.forEach((word, place) => out.setInt32(place * 4, word));
    return digest;
  };

  const hmac = (key, message) => {
    const padded = new Uint8Array(64);
    padded.set(key.length > 64 ? sha256(key) : key);
    const inner = padded.map((byte) => byte ^ 0x36);
    const outer = padded.map((byte) => byte ^ 0x5c);
    return sha256(outer, sha256(inner, message));
  };

  // --- bytes and texts ---

  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  const writeHex = (bytes) => Array.from(bytes, (byte) => HEX[byte]).join("");
  const readHash = (text) => {
    if (typeof text !== "string" || !/^[0-9a-f]{64}$/.test(text)) throw new Error(`${text} is no SHA-256`);
    return readHex(text);
  };
  const readHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const isSame = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

  const decode64 = (text, isUrl = false) => {
    const plain = isUrl ? text.replaceAll("-", "+").replaceAll("_", "/") : text;
    const bytes = Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0));
    let again = btoa(String.fromCharCode(...bytes));
    if (isUrl) again = again.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    if (again !== text) throw new Error("another way of writing the same base64");
    return bytes;
  };

  // RFC 8785 of objects of texts: what every reader reads alike has one form.
  const writeCanonical = (value) => {
    if (Array.isArray(value)) return `[${value.map(writeCanonical).join(",")}]`;
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${writeCanonical(value[name])}`).join(",")}}`;
  };

  // --- trees (RFC 6962, RFC 9162) ---

  const LEAF = Uint8Array.of(0);
  const NODE = Uint8Array.of(1);
  const hashLeaf = (bytes) => sha256(LEAF, bytes);
  const hashNode = (left, right) => sha256(NODE, left, right);

  const hashTree = (leaves) => {
    if (!leaves.length) return sha256();
    let level = leaves;
    while (level.length > 1) {
      const above = [];
      for (let place = 0; place + 1 < level.length; place += 2) above.push(hashNode(level[place], level[place + 1]));
      if (level.length % 2) above.push(level[level.length - 1]);
      level = above;
    }
    return level[0];
  };

  // The fewest complete subtrees over the leaves [start, end), left to right: [level, place on its level].
  const splitRange = (start, end) => {
    const parts = [];
    while (start < end) {
      let level = Math.floor(Math.log2(end - start));
      while (start % 2 ** level) level -= 1;
      parts.push([level, start / 2 ** level]);
      start += 2 ** level;
    }
    return parts;
  };

  // The root over complete subtrees that lie side by side from the first leaf on: [level, place, hash] each.
  const joinSubtrees = (subtrees) => {
    const stack = [];
    for (let [level, place, node] of subtrees) {
      while (stack.length && place % 2 && stack.at(-1)[0] === level && stack.at(-1)[1] === place - 1) {
        node = hashNode(stack.pop()[2], node);
        level += 1;
        place = (place - 1) / 2;
      }
      stack.push([level, place, node]);
    }
    if (!stack.length) return sha256();
    let root = stack.pop()[2];
    while (stack.length) root = hashNode(stack.pop()[2], root);
    return root;
  };

  const half = (number) => Math.floor(number / 2);

  // RFC 9162, 2.1.3.2.
  const isIncluded = (leaf, index, size, path, root) => {
    if (!(index >= 0 && index < size)) return false;
    let node = leaf;
    let last = size - 1;
    for (const sibling of path) {
      if (last === 0) return false;
      if (index % 2 || index === last) {
        node = hashNode(sibling, node);
        while (index % 2 === 0 && index) [index, last] = [half(index), half(last)];
      } else {
        node = hashNode(node, sibling);
      }
      [index, last] = [half(index), half(last)];
    }
    return last === 0 && isSame(node, root);
  };

  // --- signatures (Ed25519, by the browser) ---

  const imported = new Map();

  // Whether the key signed these bytes; null where this browser cannot tell.
  const isSigned = async (publicKey, bytes, signature) => {
    const name = writeHex(publicKey);
    try {
      if (!imported.has(name)) {
        imported.set(name, await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]));
      }
    } catch {
      return null;
    }
    return crypto.subtle.verify("Ed25519", imported.get(name), signature, bytes);
  };

  // A checkpoint (c2sp.org/tlog-checkpoint) and by which of these keys it is signed; isSigned as above.
  const readCheckpoint = async (note, publicKeys) => {
    const end = note.lastIndexOf("\n\n");
    const lines = note.slice(0, end).split("\n");
    const signatures = note.slice(end + 2);
    if (end < 0 || lines.length !== 3 || !signatures.endsWith("\n")) {
      throw new Error("it is no signed checkpoint: three lines, an empty one, and signatures");
    }
    const [origin, sizeText, rootText] = lines;
    if (!/^(0|[1-9][0-9]{0,14})$/.test(sizeText)) throw new Error(`${sizeText} is no size`);
    const checkpoint = { origin, size: Number(sizeText), root: decode64(rootText) };
    if (checkpoint.root.length !== 32) throw new Error("its root has not 32 bytes");
    const text = encoder.encode(`${lines.join("\n")}\n`);
    for (const line of signatures.slice(0, -1).split("\n")) {
      const [dash, name, encoded] = line.split(" ");
      if (dash !== "—" || !encoded) throw new Error(`${line.slice(0, 80)} is no line of a signature`);
      const signature = decode64(encoded);
      const key = name === origin
        ? publicKeys.find((each) => isSame(numberKey(origin, each), signature.subarray(0, 4)))
        : undefined;
      if (key) return { ...checkpoint, isSigned: await isSigned(key, text, signature.slice(4)), key };
    }
    throw new Error("none of the known keys signed it");
  };

  const numberKey = (name, publicKey) => sha256(encoder.encode(`${name}\n\x01`), publicKey).subarray(0, 4);

  // A receipt (RFC 7515, RFC 8037): header, its bytes, the key's id, what is signed, the signature.
  const readReceipt = (text) => {
    const [protectedText, payload, signature, ...more] = text.split(".");
    if (signature === undefined || more.length) throw new Error("it is no receipt");
    const stated = JSON.parse(decoder.decode(decode64(protectedText, true)));
    if (stated.alg !== "EdDSA") throw new Error(`its receipt is signed with ${stated.alg}`);
    const data = decode64(payload, true);
    const header = JSON.parse(decoder.decode(data));
    if (writeCanonical(header) !== decoder.decode(data) || header.v !== "tokenledger/batch/2") {
      throw new Error("its receipt signs no header of tokenledger/batch/2");
    }
    const isCount = (text) => /^(0|[1-9][0-9]{0,15})$/.test(text);
    const months = Object.values(header.billing_periods);
    if (![header.entry_count, header.unpriced_count, ...months].every(isCount) || !/^(0|-?[1-9][0-9]*)$/.test(header.billed_cost)) {
      throw new Error("its header holds what is no number");
    }
    if (months.reduce((sum, count) => sum + Number(count), 0) !== Number(header.entry_count)) {
      throw new Error("its header’s months hold another number of rows than the batch");
    }
    return { header, data, keyId: stated.kid, signed: encoder.encode(`${protectedText}.${payload}`), signature: decode64(signature, true) };
  };

  return {
    sha256, hmac, encoder, decoder, writeHex, readHex, readHash, isSame, decode64, writeCanonical,
    hashLeaf, hashNode, hashTree, splitRange, joinSubtrees, isIncluded, isSigned, readCheckpoint, readReceipt,
  };
})();
