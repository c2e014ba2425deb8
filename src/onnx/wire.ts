/**
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), read through a small window, so that a file of
 * any size costs only the bytes of its structure. Every length is checked against the bytes that exist before use.
 */
import { grouped } from '../errors.js';

/** Bytes with random access. `read` fills `into` from `position` on and returns how many bytes there were. */
export interface ByteSource {
  readonly size: number;
  read(into: Uint8Array, position: number): number;
}

/** Bytes from `start` to before `end`, absolute in the source. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field of a message; its span is the payload (of a varint: the varint itself). */
export interface Field extends ByteSpan {
  readonly number: number;
  readonly type: number;
}

/** The bytes are not what they should be; `truncated` where they end too early. */
export class WireError extends Error {
  constructor(
    message: string,
    readonly truncated = false,
  ) {
    super(message);
  }
}

const windowBytes = 16 * 1024;
/** More than any real model's structure; bounds for files made to exhaust time and memory. */
const maxFields = 10_000_000;
const maxHeldBytes = 768 * 1024 * 1024;
/** Of a string, beside its characters. */
const stringBytes = 40;

/**
 * Reads the messages of one source.
 *
 * @throws WireError from every method, for bytes that are not what is asked for
 */
export class WireReader {
  private readonly window = Buffer.alloc(windowBytes);
  private windowStart = 0;
  private windowEnd = 0;
  private fieldCount = 0;
  private heldBytes = 0;
  /** Halves of the last varint read and the position after it. */
  private low = 0;
  private high = 0;
  private next = 0;

  constructor(private readonly source: ByteSource) {}

  get all(): ByteSpan {
    return { start: 0, end: this.source.size };
  }

  /** The fields of the message in `span`, in file order. */
  *fields(span: ByteSpan): Generator<Field> {
    let position = span.start;
    while (position < span.end) {
      this.readVarint(position, span.end);
      if (this.high !== 0) throw new WireError(`impossible field number at byte ${position}`);
      const number = this.low >>> 3;
      const type = this.low & 7;
      if (number === 0) throw new WireError(`field number 0 at byte ${position}`);
      if (++this.fieldCount > maxFields) throw new WireError('more parts than any model has');
      let start = this.next;
      let end: number;
      if (type === WireType.varint) {
        this.readVarint(start, span.end);
        end = this.next;
      } else if (type === WireType.bytes) {
        this.readVarint(start, span.end);
        start = this.next;
        end = start + this.high * 2 ** 32 + this.low;
      } else if (type === WireType.fixed64) {
        end = start + 8;
      } else if (type === WireType.fixed32) {
        end = start + 4;
      } else {
        throw new WireError(`unknown wire type ${type} at byte ${position}`);
      }
      if (end > span.end) {
        const truncated = end > this.source.size;
        const part = `the part that begins at byte ${grouped(start)} is to have ${grouped(end - start)} bytes`;
        throw new WireError(`${part}, and ${truncated ? 'the file' : 'what holds it'} ends before`, truncated);
      }
      yield { number, type, start, end };
      position = end;
    }
  }

  /** A signed integer field; throws beyond the safe integers. */
  int(field: Field): number {
    this.expect(field, WireType.varint);
    return this.safeInteger(field.start, field.end);
  }

  bigint(field: Field): bigint {
    this.expect(field, WireType.varint);
    this.readVarint(field.start, field.end);
    return BigInt.asIntN(64, (BigInt(this.high) << 32n) | BigInt(this.low));
  }

  float(field: Field): number {
    this.expect(field, WireType.fixed32);
    return this.copy(field).readFloatLE(0);
  }

  string(field: Field): string {
    this.expect(field, WireType.bytes);
    const { start, end } = field;
    this.hold(end - start + stringBytes);
    if (end - start > windowBytes) return this.bytes(field).toString('utf8');
    this.show(start, end);
    return this.window.toString('utf8', start - this.windowStart, end - this.windowStart);
  }

  /** A copy of the payload. */
  bytes(field: ByteSpan): Buffer {
    return this.copy(field);
  }

  /** The payload of a length-delimited field as a message. */
  message(field: Field): ByteSpan {
    this.expect(field, WireType.bytes);
    return field;
  }

  /** Signed integers of a repeated field, packed or not; throws beyond the safe integers. */
  *ints(field: Field): Generator<number> {
    for (const position of this.varints(field)) yield this.safeInteger(position, field.end);
  }

  *bigints(field: Field): Generator<bigint> {
    for (const position of this.varints(field)) {
      this.readVarint(position, field.end);
      yield BigInt.asIntN(64, (BigInt(this.high) << 32n) | BigInt(this.low));
    }
  }

  /** Accounts for memory that is about to be filled from the file. */
  hold(bytes: number): void {
    this.heldBytes += bytes;
    if (this.heldBytes > maxHeldBytes) {
      throw new WireError(`more than ${grouped(maxHeldBytes)} bytes that must be held in memory`);
    }
  }

  expect(field: Field, type: number): void {
    if (field.type !== type) throw new WireError(`field ${field.number} at byte ${field.start} has the wrong type`);
  }

  private *varints(field: Field): Generator<number> {
    if (field.type !== WireType.varint) this.expect(field, WireType.bytes);
    let position = field.start;
    while (position < field.end) {
      yield position;
      this.readVarint(position, field.end);
      position = this.next;
    }
  }

  private safeInteger(position: number, end: number): number {
    this.readVarint(position, end);
    const value = (this.high | 0) * 2 ** 32 + this.low;
    if (!Number.isSafeInteger(value)) throw new WireError(`number out of range at byte ${position}`);
    return value;
  }

  private readVarint(position: number, end: number): void {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++, position++) {
      if (position >= end) throw new WireError(`a number at byte ${position} is cut off`, end >= this.source.size);
      if (position < this.windowStart || position >= this.windowEnd) this.show(position, position + 1);
      const byte = this.window[position - this.windowStart] ?? 0;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        this.next = position + 1;
        return;
      }
    }
    throw new WireError(`a number before byte ${position} has too many digits`);
  }

  private copy({ start, end }: ByteSpan): Buffer {
    this.hold(end - start);
    const copy = Buffer.alloc(end - start);
    if (end - start <= windowBytes) {
      this.show(start, end);
      this.window.copy(copy, 0, start - this.windowStart, end - this.windowStart);
    } else {
      this.fill(copy, start);
    }
    return copy;
  }

  /** Moves the window so that it covers `start` to `end`. */
  private show(start: number, end: number): void {
    if (start >= this.windowStart && end <= this.windowEnd) return;
    const length = Math.min(windowBytes, this.source.size - start);
    this.windowStart = this.windowEnd = 0;
    this.fill(this.window.subarray(0, length), start);
    this.windowStart = start;
    this.windowEnd = start + length;
  }

  private fill(into: Uint8Array, position: number): void {
    let done = 0;
    while (done < into.length) {
      const count = this.source.read(into.subarray(done), position + done);
      if (count === 0) throw new WireError('the file became shorter while it was read', true);
      done += count;
    }
  }
}
