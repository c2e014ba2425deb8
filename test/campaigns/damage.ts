/**
 * Damage to files, as data: what is done to which part. An edit can be written down, made smaller, and done again; where
 * it says "at", any number does, for it is taken modulo what there is.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';

/** Names and texts that somebody may have put into a file to do harm. */
export const hostileTexts: readonly string[] = [
  '',
  ' ',
  '\u0000',
  '\u001b[2J\u001b[31mred\u001b]0;title\u0007',
  '\u009b31m\u0085',
  'a\r\nb\tc',
  '\u202egnp.exe\u202c',
  '\u2066\u200f\u061c',
  '\ufeff\u200b\u200d',
  '[repair](command:workbench.action.terminal.new)',
  '![](https://example.invalid/x.png)<img src=x onerror=alert(1)>',
  '`$(exit 1)`; exit 1',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '../../etc/passwd',
  '/dev/zero',
  'C:\\CON',
  '%s%n%d',
  '\ud800',
  '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🜚 é e\u0301',
  'x'.repeat(100_000),
];

const hostileText = fc.constantFrom(...hostileTexts);

/** A seed for fast-check: what it makes of neighbouring ones is alike. */
export function spread(seed: number): number {
  const mixed = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b);
  return Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b) | 0;
}

// Bytes

export type ByteEdit =
  | { readonly flip: number; readonly bit: number }
  | { readonly fill: number; readonly length: number; readonly value: number }
  | { readonly cut: number; readonly length: number }
  | { readonly repeat: number; readonly length: number; readonly times: number }
  | { readonly end: number };

/** What is read of a file is more often near its start. */
const place = fc.oneof(fc.nat(128), fc.nat(4096), fc.nat());

export const byteEdits: fc.Arbitrary<readonly ByteEdit[]> = fc.array(
  fc.oneof(
    fc.record({ flip: place, bit: fc.nat(7) }),
    fc.record({ fill: place, length: fc.integer({ min: 1, max: 32 }), value: fc.constantFrom(0, 0x7f, 0x80, 0xff) }),
    fc.record({ cut: place, length: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ repeat: place, length: fc.integer({ min: 1, max: 400 }), times: fc.constantFrom(1, 2, 1000) }),
    fc.record({ end: place }),
  ),
  { minLength: 1, maxLength: 4 },
);

export function editBytes(bytes: Uint8Array, edits: readonly ByteEdit[]): Uint8Array {
  return edits.reduce((before: Uint8Array, edit) => {
    const at = (index: number) => index % (before.length + 1);
    if ('end' in edit) return before.slice(0, at(edit.end));
    if ('cut' in edit)
      return Buffer.concat([before.subarray(0, at(edit.cut)), before.subarray(at(edit.cut) + edit.length)]);
    if ('repeat' in edit) {
      const [start, end] = [at(edit.repeat), at(edit.repeat) + edit.length];
      const part = before.subarray(start, end);
      return Buffer.concat([before.subarray(0, end), ...Array(edit.times).fill(part), before.subarray(end)]);
    }
    const copy = before.slice();
    if ('fill' in edit) return copy.fill(edit.value, at(edit.fill), at(edit.fill) + edit.length);
    const index = at(edit.flip);
    copy[index] = (copy[index] ?? 0) ^ (1 << edit.bit);
    return copy;
  }, bytes);
}

// JSON

export type JsonEdit = {
  /** The way down: at each level, which entry. */
  readonly at: readonly number[];
} & (
  | { readonly drop: true }
  | { readonly key: string }
  | { readonly times: number }
  | { readonly value: unknown }
  /** So many lists around a number. */
  | { readonly depth: number }
);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    [],
    {},
    [[]],
    { toString: 1 },
    -1,
    0,
    0.5,
    1e308,
    -1e308,
    2 ** 31,
    2 ** 53,
    1e30,
  ),
  fc.integer(),
  hostileText,
  fc.json({ maxDepth: 2 }).map((text): unknown => JSON.parse(text)),
);

export const jsonEdits: fc.Arbitrary<readonly JsonEdit[]> = fc.array(
  fc
    .tuple(
      fc.array(fc.nat(10_000), { minLength: 1, maxLength: 6 }),
      fc.oneof(
        fc.record({ drop: fc.constant(true as const) }),
        fc.record({ key: hostileText }),
        fc.record({ times: fc.constantFrom(2, 1000, 100_000) }),
        { weight: 4, arbitrary: fc.record({ value: hostileValue }) },
        fc.record({ depth: fc.constantFrom(10, 1000, 50_000) }),
      ),
    )
    .map(([at, change]) => ({ at, ...change })),
  { minLength: 1, maxLength: 4 },
);

/** A JSON value as text, edited: what is written may be what no program would write. */
export function editJson(value: unknown, edits: readonly JsonEdit[]): string {
  let result = structuredClone(value);
  /** Text that takes the place of a value when all is written, so that a depth costs nothing here. */
  const holes = new Map<string, string>();
  for (const edit of edits) result = edited(result, edit.at, edit, holes);
  let text = JSON.stringify(result) ?? 'null';
  for (const [hole, content] of holes) text = text.replace(JSON.stringify(hole), () => content);
  return text;
}

function edited(
  value: unknown,
  [first, ...rest]: readonly number[],
  edit: JsonEdit,
  holes: Map<string, string>,
): unknown {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (first === undefined || keys.length === 0) {
    if ('value' in edit) return edit.value;
    if (!('depth' in edit)) return null;
    const hole = `hole ${holes.size}`;
    holes.set(hole, `${'['.repeat(edit.depth)}1${']'.repeat(edit.depth)}`);
    return hole;
  }
  const entries: [string, unknown][] = Object.entries(value as object);
  const index = first % entries.length;
  const [key, inner] = entries[index] ?? ['', undefined];
  const last = rest.length === 0 || typeof inner !== 'object' || inner === null;
  const now: [string, unknown][] = !last
    ? [[key, edited(inner, rest, edit, holes)]]
    : 'drop' in edit
      ? []
      : 'key' in edit
        ? [[edit.key, inner]]
        : 'times' in edit
          ? Array.from(
              { length: Math.min(edit.times, 2 ** 23 / (1 + JSON.stringify(inner ?? null).length)) },
              (_, i) => [i === 0 ? key : `${key}${i}`, inner],
            )
          : [[key, edited(inner, [], edit, holes)]];
  entries.splice(index, 1, ...now);
  if (Array.isArray(value)) return entries.map(([, entry]) => entry);
  // Own properties, also where they are called __proto__.
  const object = {};
  for (const [name, entry] of entries)
    Object.defineProperty(object, name, { value: entry, enumerable: true, writable: true, configurable: true });
  return object;
}

// Protobuf

export type WireEdit = {
  /** Which field, of all in the tree. */
  readonly at: number;
} & (
  | { readonly drop: true }
  | { readonly times: number }
  | { readonly number: bigint }
  | { readonly text: string; readonly everywhere: boolean }
  | { readonly field: number }
  | { readonly longer: number }
);

const hostileNumbers = [0n, 1n, -1n, 3n, 127n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 62n, -(2n ** 63n)] as const;

export const wireEdits: fc.Arbitrary<readonly WireEdit[]> = fc.array(
  fc
    .tuple(
      fc.nat(),
      fc.oneof(
        fc.record({ drop: fc.constant(true as const) }),
        fc.record({ times: fc.constantFrom(2, 1000, 100_000) }),
        { weight: 3, arbitrary: fc.record({ number: fc.constantFrom(...hostileNumbers) }) },
        { weight: 4, arbitrary: fc.record({ text: hostileText, everywhere: fc.boolean() }) },
        fc.record({ field: fc.integer({ min: 1, max: 30 }) }),
        fc.record({ longer: fc.constantFrom(-1, 1, 1000, 2 ** 31 - 1) }),
      ),
    )
    .map(([at, change]) => ({ at, ...change })),
  { minLength: 1, maxLength: 4 },
);

interface Field {
  number: number;
  readonly type: WireType;
  value: bigint | Uint8Array | Field[];
  times: number;
  /** What the length claims beyond what is there. */
  longer: number;
}

/** Larger payloads are weights. */
const largestMessage = 2 ** 16;
/** Repeats end here. */
export const largestGrowth = 2 ** 23;

/** A message of any schema, edited: whatever can be read as a message is taken for one. */
export function editWire(bytes: Uint8Array, edits: readonly WireEdit[]): Uint8Array {
  const top = fieldsOf(bytes) ?? [];
  const all = top.flatMap(function deep(field): Field[] {
    return [field, ...(Array.isArray(field.value) ? field.value.flatMap(deep) : [])];
  });
  for (const edit of edits) {
    const field = all[edit.at % all.length];
    if (field) editField(field, edit, all);
  }
  return encoded(top);
}

function editField(field: Field, edit: WireEdit, all: readonly Field[]): void {
  if ('drop' in edit) field.times = 0;
  else if ('times' in edit) field.times = Math.min(edit.times, largestGrowth / (1 + sizeOf(field)));
  else if ('field' in edit) field.number = edit.field;
  else if ('longer' in edit) field.longer = edit.longer;
  else if ('number' in edit && typeof field.value === 'bigint') field.value = BigInt.asUintN(64, edit.number);
  else if ('text' in edit && typeof field.value !== 'bigint') {
    const before = encodedValue(field.value);
    const same = ({ value }: Field) => value instanceof Uint8Array && Buffer.compare(value, before) === 0;
    for (const one of edit.everywhere ? [field, ...all.filter(same)] : [field]) one.value = Buffer.from(edit.text);
  }
}

function fieldsOf(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      const field = { number, type, times: 1, longer: 0 };
      if (type === WireType.Varint) fields.push({ ...field, value: BigInt(reader.uint64()) });
      else if (type === WireType.LengthDelimited) {
        const payload = reader.bytes();
        // The graph itself is as large as its weights.
        const inner = payload.length > largestMessage && number !== 7 ? undefined : fieldsOf(payload);
        fields.push({ ...field, value: inner?.length ? inner : payload });
      } else if (type === WireType.Bit32 || type === WireType.Bit64)
        fields.push({ ...field, value: reader.skip(type) });
      else return undefined;
    }
  } catch {
    return undefined;
  }
  return fields;
}

const encodedValue = (value: Uint8Array | Field[]) => (Array.isArray(value) ? encoded(value) : value);

const sizeOf = ({ value }: Field) => (typeof value === 'bigint' ? 10 : encodedValue(value).length);

function encoded(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, type, value, times, longer } of fields) {
    const payload = typeof value === 'bigint' ? value : encodedValue(value);
    for (let i = 0; i < times; i++) {
      writer.tag(number, type);
      if (typeof payload === 'bigint') writer.uint64(payload);
      else if (type === WireType.LengthDelimited) writer.uint32(Math.max(0, payload.length + longer)).raw(payload);
      else writer.raw(payload);
    }
  }
  return writer.finish();
}
