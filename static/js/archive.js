// A ZIP file of one's own, read where it is: its names, and each member's bytes as they are asked for.
"use strict";

const openArchive = async (file) => {
  const read = async (start, end) => new DataView(await file.slice(start, end).arrayBuffer());
  const tailStart = Math.max(0, file.size - 65_557);
  const tail = await read(tailStart, file.size);
  let at = tail.byteLength - 22;
  while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) at -= 1;
  if (at < 0) throw new Error("it is no ZIP archive, or not a whole one");
  let count = tail.getUint16(at + 10, true);
  let length = tail.getUint32(at + 12, true);
  let start = tail.getUint32(at + 16, true);
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
    const locator = at - 20;
    if (locator < 0 || tail.getUint32(locator, true) !== 0x07064b50) throw new Error("its directory cannot be read");
    const place = Number(tail.getBigUint64(locator + 8, true));
    const large = await read(place, place + 56);
    count = Number(large.getBigUint64(32, true));
    length = Number(large.getBigUint64(40, true));
    start = Number(large.getBigUint64(48, true));
  }

  const directory = await read(start, start + length);
  const members = [];
  let position = 0;
  for (let number = 0; number < count; number += 1) {
    if (position + 46 > directory.byteLength || directory.getUint32(position, true) !== 0x02014b50) {
      throw new Error("its directory cannot be read");
    }
    const nameLength = directory.getUint16(position + 28, true);
    const extraLength = directory.getUint16(position + 30, true);
    const member = {
      method: directory.getUint16(position + 10, true),
      packed: directory.getUint32(position + 20, true),
      size: directory.getUint32(position + 24, true),
      offset: directory.getUint32(position + 42, true),
      name: Proof.decoder.decode(new Uint8Array(directory.buffer, position + 46, nameLength)),
    };
    readLargeSizes(member, directory, position + 46 + nameLength, extraLength);
    members.push(member);
    position += 46 + nameLength + extraLength + directory.getUint16(position + 32, true);
  }

  const find = (name) => {
    const member = members.find((each) => each.name === name);
    if (!member) throw new Error(`${name} is not in the archive`);
    return member;
  };

  // A member's bytes as a stream of pieces.
  const stream = async (name) => {
    const member = find(name);
    const head = await read(member.offset, member.offset + 30);
    if (head.byteLength < 30 || head.getUint32(0, true) !== 0x04034b50) throw new Error(`${name} cannot be read`);
    const begin = member.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    const packed = file.slice(begin, begin + member.packed).stream();
    if (member.method === 0) return packed;
    if (member.method !== 8) throw new Error(`${name} is packed in a way that this page does not know`);
    return packed.pipeThrough(new DecompressionStream("deflate-raw"));
  };

  const readBytes = async (name) => {
    try {
      return new Uint8Array(await new Response(await stream(name)).arrayBuffer());
    } catch (error) {
      throw new Error(`${name} cannot be read: ${error.message}`);
    }
  };

  return { names: members.map((member) => member.name), size: (name) => find(name).size, stream, readBytes };
};

// Of members for which 32 bits may not be enough, the sizes stand in a field of their own.
const readLargeSizes = (member, directory, start, length) => {
  for (let at = start; at + 4 <= start + length; at += 4 + directory.getUint16(at + 2, true)) {
    if (directory.getUint16(at, true) !== 1) continue;
    let field = at + 4;
    for (const name of ["size", "packed", "offset"]) {
      if (member[name] === 0xffffffff) {
        member[name] = Number(directory.getBigUint64(field, true));
        field += 8;
      }
    }
  }
};

// Each line of a member as bytes, without its end.
async function* listLines(archive, name) {
  let rest = new Uint8Array();
  const reader = (await archive.stream(name)).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    let piece = value;
    if (rest.length) {
      piece = new Uint8Array(rest.length + value.length);
      piece.set(rest);
      piece.set(value, rest.length);
    }
    let start = 0;
    for (let end = piece.indexOf(10, start); end >= 0; end = piece.indexOf(10, start)) {
      yield piece.subarray(start, end);
      start = end + 1;
    }
    rest = piece.slice(start);
  }
  if (rest.length) yield rest;
}
