/**
 * Plain data with typed arrays as few bytes, in Node.js and in a browser: JSON, behind it the bytes of all arrays, those
 * of each place in a number together (the exponents of floats are alike, their last bits are not), all of it deflated.
 * Exact, but for what JSON makes of numbers that are not finite.
 */
import { strFromU8, strToU8, unzlibSync, zlibSync } from 'fflate';

const kinds = { Float32Array, Int32Array, Uint8Array };

/** In the place of an array. No record of the project has a key of that name. */
interface Placeholder {
  readonly $array: keyof typeof kinds;
  readonly length: number;
}

/** The length of the JSON comes first, in so many bytes, little-endian. */
const head = 4;

export function pack(value: unknown): Uint8Array {
  const planes: Uint8Array[] = [];
  const json = JSON.stringify(value, (_, item: unknown) => {
    if (!ArrayBuffer.isView(item)) return item;
    const kind = item.constructor.name;
    if (!isKind(kind) || !('length' in item) || typeof item.length !== 'number')
      throw new TypeError(`A report holds no ${kind}`);
    const bytes = new Uint8Array(item.buffer, item.byteOffset, item.byteLength);
    planes.push(shuffled(bytes, kinds[kind].BYTES_PER_ELEMENT));
    return { $array: kind, length: item.length } satisfies Placeholder;
  });
  const words = strToU8(json);
  const all = new Uint8Array(head + words.length + planes.reduce((sum, { length }) => sum + length, 0));
  new DataView(all.buffer).setUint32(0, words.length, true);
  all.set(words, head);
  let at = head + words.length;
  for (const plane of planes) {
    all.set(plane, at);
    at += plane.length;
  }
  return zlibSync(all, { level: 9 });
}

/** @throws RangeError, or what fflate throws, where these are not the bytes of {@link pack} */
export function unpack(packed: Uint8Array): unknown {
  const all = unzlibSync(packed);
  const length = new DataView(all.buffer, all.byteOffset).getUint32(0, true);
  let at = head + length;
  return JSON.parse(strFromU8(all.subarray(head, at)), (_, item: unknown) => {
    if (!isPlaceholder(item)) return item;
    const Kind = kinds[item.$array];
    const bytes = all.subarray(at, at + item.length * Kind.BYTES_PER_ELEMENT);
    if (bytes.length !== item.length * Kind.BYTES_PER_ELEMENT) throw new RangeError('The report ends too early');
    at += bytes.length;
    return new Kind(joined(bytes, Kind.BYTES_PER_ELEMENT).buffer);
  });
}

const isKind = (name: unknown): name is keyof typeof kinds => typeof name === 'string' && Object.hasOwn(kinds, name);

const isPlaceholder = (item: unknown): item is Placeholder =>
  typeof item === 'object' &&
  item !== null &&
  '$array' in item &&
  isKind(item.$array) &&
  'length' in item &&
  Number.isSafeInteger(item.length);

/** All first bytes of elements of `width` bytes, then all second ones … */
function shuffled(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width;
  return bytes.map((_, at) => bytes[(at % count) * width + Math.floor(at / count)] ?? 0);
}

function joined(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const count = bytes.length / width;
  return new Uint8Array(bytes.length).map((_, at) => bytes[(at % width) * count + Math.floor(at / width)] ?? 0);
}
