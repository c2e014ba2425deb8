/** Damage to pictures. PNG and JPEG files are lists of parts, each with a name, a length and content. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { largestGrowth } from './damage.js';

export type PartEdit = {
  /** Which part. */
  readonly at: number;
} & (
  | { readonly drop: true }
  | { readonly times: number }
  | { readonly to: number }
  | { readonly name: number }
  | { readonly longer: number }
  /** Bytes of the content: where from, and what. */
  | { readonly from: number; readonly bytes: readonly number[] }
);

const hostileExtents = [
  [0, 0, 0, 0],
  [0, 0, 0, 1],
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  [0, 1, 0, 0],
  [0x05, 0xf5, 0xe1, 0x00],
  [0xff],
  [0],
  [16],
] as const;

export const partEdits: fc.Arbitrary<readonly PartEdit[]> = fc.array(
  fc
    .tuple(
      fc.nat(40),
      fc.oneof(
        fc.record({ drop: fc.constant(true as const) }),
        fc.record({ times: fc.constantFrom(2, 3, 1000, 10_000) }),
        fc.record({ to: fc.nat(40) }),
        fc.record({ name: fc.nat() }),
        fc.record({ longer: fc.constantFrom(-1, 1, 1000, 2 ** 31 - 1, -(2 ** 15)) }),
        {
          weight: 4,
          arbitrary: fc.record({ from: fc.nat(16), bytes: fc.constantFrom<readonly number[]>(...hostileExtents) }),
        },
      ),
    )
    .map(([at, change]) => ({ at, ...change })),
  { minLength: 1, maxLength: 4 },
);

interface Part {
  name: number;
  content: Buffer;
  longer: number;
}

function editParts(parts: readonly Part[], edits: readonly PartEdit[]): Part[] {
  const result = [...parts];
  for (const edit of edits) {
    const index = edit.at % Math.max(1, result.length);
    const part = result[index];
    if (!part) continue;
    const now = { ...part };
    if ('name' in edit) now.name = edit.name;
    else if ('longer' in edit) now.longer = edit.longer;
    else if ('bytes' in edit) {
      now.content = Buffer.from(part.content);
      now.content.set(
        edit.bytes.slice(0, Math.max(0, part.content.length - edit.from)),
        Math.min(edit.from, part.content.length),
      );
    }
    const count = 'drop' in edit || 'to' in edit ? 0 : 'times' in edit ? edit.times : 1;
    result.splice(index, 1, ...Array<Part>(Math.min(count, largestGrowth / (1 + part.content.length))).fill(now));
    if ('to' in edit) result.splice(edit.to % (result.length + 1), 0, now);
  }
  return result;
}

/** A PNG file with its chunks edited; their checksums are right, so that they are looked into. */
export function editPng(file: Uint8Array, edits: readonly PartEdit[]): Uint8Array {
  const bytes = Buffer.from(file);
  const chunks: Part[] = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    chunks.push({ name: bytes.readUInt32BE(at + 4), content: bytes.subarray(at + 8, at + 8 + length), longer: 0 });
    at += 12 + length;
  }
  const written = editParts(chunks, edits).flatMap(({ name, content, longer }) => {
    const body = Buffer.concat([number(4, name), content]);
    return [number(4, content.length + longer), body, number(4, crc32(body))];
  });
  return Buffer.concat([bytes.subarray(0, 8), ...written]);
}

/** A JPEG file with its segments edited, up to the compressed data. */
export function editJpeg(file: Uint8Array, edits: readonly PartEdit[]): Uint8Array {
  const bytes = Buffer.from(file);
  const segments: Part[] = [];
  let at = 2;
  for (let name = 0; name !== 0xffda && at < bytes.length; ) {
    name = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    segments.push({ name, content: bytes.subarray(at + 4, at + 2 + length), longer: 0 });
    at += 2 + length;
  }
  const written = editParts(segments, edits).flatMap(({ name, content, longer }) => [
    number(2, name),
    number(2, content.length + 2 + longer),
    content,
  ]);
  return Buffer.concat([bytes.subarray(0, 2), ...written, bytes.subarray(at)]);
}

/** Big-endian, modulo what fits. */
function number(bytes: 2 | 4, value: number): Buffer {
  const result = Buffer.alloc(4);
  result.writeUInt32BE(value >>> 0);
  return result.subarray(4 - bytes);
}
