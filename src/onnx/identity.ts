/** What tells two models apart that look alike from outside, as checkpoints of one training do. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { FileRange } from './model.js';
import { readModel } from './read.js';
import { weightRanges } from './weights.js';

/** Bytes of a sample, how many each weight gives at most, and how many all may give as long as each has one. */
const sampleBytes = 4096;
const samplesEach = 4;
const samplesTogether = 4096;

/**
 * SHA-256, in hex, of all of a model file that is no weight (graph, names, shapes, tensors of up to 1 KB), of how long
 * each weight is, and of samples of it: all of a weight of up to 16 KB, of a longer one four evenly spaced blocks of
 * 4 KB (fewer, but at least one, where a model has more than 1,024 weights). Where files lie does not matter, so it is
 * the same on every machine, and a model of 4 GB costs a few megabytes of reads. Training changes every weight it
 * touches nearly everywhere, which samples show; a single number changed by hand they may miss.
 *
 * @throws SinkscopeError as {@link readModel}
 */
export function modelIdentity(file: string): string {
  const model = readModel(file);
  const ranges = weightRanges(model);
  const hash = createHash('sha256');
  withFiles((opened) => {
    const read = (range: FileRange) => addBytes(hash, opened(range.file), range);
    const inside = ranges.filter((range) => range.file === model.file);
    for (const range of between(inside, model.file, statSync(model.file).size)) read(range);
    const each = Math.max(1, Math.min(samplesEach, Math.floor(samplesTogether / ranges.length)));
    for (const range of ranges) {
      hash.update(`${range.length} `);
      for (const sample of samplesOf(range, each)) read(sample);
    }
  });
  return hash.digest('hex');
}

/** Runs `use`, for which each file is opened once, when it is asked for, and closed at the end. */
function withFiles<T>(use: (opened: (file: string) => number) => T): T {
  const descriptors = new Map<string, number>();
  try {
    return use((file) => {
      const descriptor = descriptors.get(file) ?? openSync(file, 'r');
      descriptors.set(file, descriptor);
      return descriptor;
    });
  } finally {
    for (const descriptor of descriptors.values()) closeSync(descriptor);
  }
}

/**
 * Whether the weights of two models of the same {@link modelIdentity} are the same to the last bit: of what differs from
 * a copy in a single number, samples say nothing. Reads both up to where they differ.
 *
 * @throws SinkscopeError as {@link readModel}
 */
export function sameWeights(file: string, other: string): boolean {
  const [ranges, others] = [weightRanges(readModel(file)), weightRanges(readModel(other))];
  const chunks = [Buffer.alloc(2 ** 22), Buffer.alloc(2 ** 22)] as const;
  return withFiles((opened) => {
    const read = (range: FileRange, done: number, chunk: Buffer) => {
      const length = Math.min(chunk.length, range.length - done);
      return chunk.subarray(0, readSync(opened(range.file), chunk, 0, length, range.offset + done));
    };
    const same = (one: FileRange, two: FileRange | undefined) => {
      if (two?.length !== one.length) return false;
      for (let done = 0; done < one.length; ) {
        const [bytes, beside] = [read(one, done, chunks[0]), read(two, done, chunks[1])];
        // One that has become shorter since its ranges were checked is another.
        if (bytes.length === 0 || !bytes.equals(beside)) return false;
        done += bytes.length;
      }
      return true;
    };
    return ranges.length === others.length && ranges.every((range, i) => same(range, others[i]));
  });
}

/** What of a file's `size` bytes lies in none of these ranges. */
function between(ranges: readonly FileRange[], file: string, size: number): FileRange[] {
  const gaps: FileRange[] = [];
  let end = 0;
  for (const { offset, length } of [...ranges].sort((a, b) => a.offset - b.offset)) {
    if (offset > end) gaps.push({ file, offset: end, length: offset - end });
    end = Math.max(end, offset + length);
  }
  return [...gaps, { file, offset: end, length: size - end }];
}

/** A short range itself, else blocks whose middles divide it evenly. */
function samplesOf(range: FileRange, count: number): FileRange[] {
  const { file, offset, length } = range;
  if (length <= samplesEach * sampleBytes) return [range];
  return Array.from({ length: count }, (_, i) => {
    const middle = Math.floor((length * (2 * i + 1)) / (2 * count));
    return { file, offset: offset + middle - sampleBytes / 2, length: sampleBytes };
  });
}

function addBytes(hash: Hash, descriptor: number, { offset, length }: FileRange): void {
  const buffer = Buffer.alloc(Math.min(length, 2 ** 20));
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, buffer, 0, Math.min(buffer.length, length - done), offset + done);
    // A file that has become shorter since its ranges were checked is another one.
    if (count === 0) return;
    hash.update(buffer.subarray(0, count));
    done += count;
  }
}
