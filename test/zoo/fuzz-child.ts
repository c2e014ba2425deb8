/** Reads, prepares and recognises mutants one after another, telling the parent before and after each. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { withPatterns } from '../../src/anatomy/patterns.js';
import { recognise } from '../../src/anatomy/recognise.js';
import { makePlan } from '../../src/engine/stages/plan.js';
import { SinkscopeError } from '../../src/errors.js';
import { prepare } from '../../src/onnx/prepare.js';
import { parseModel, readModel } from '../../src/onnx/read.js';
import type { ByteSource } from '../../src/onnx/wire.js';
import { mutant } from './mutate.js';

export interface FuzzTask {
  /** Model files; mutant `seed` is of file `seed % files.length`. */
  readonly files: readonly string[];
  readonly from: number;
  readonly to: number;
}

export interface FuzzReport {
  readonly seed: number;
  /** The code of the error that was thrown, or 'fine'; undefined when the mutant is only begun. */
  readonly outcome?: string;
  /** The stack of an error that is no SinkscopeError. */
  readonly unexpected?: string;
  /** Memory of the process, bytes. */
  readonly memory?: number;
}

process.on('message', ({ files, from, to }: FuzzTask) => {
  const sources = files.map((file) => ({ file, bytes: readFileSync(file), model: readModel(file) }));
  for (let seed = from; seed < to; seed++) {
    process.send?.({ seed } satisfies FuzzReport);
    const { file, bytes, model } = sources[seed % sources.length] as (typeof sources)[number];
    process.send?.({
      seed,
      ...tried(mutant(bytes, model, dirname(file), seed), file),
      memory: process.memoryUsage.rss(),
    });
  }
});

function tried(bytes: Uint8Array, file: string): Pick<FuzzReport, 'outcome' | 'unexpected'> {
  const source: ByteSource = {
    size: bytes.length,
    read: (into, position) => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
  };
  try {
    const prepared = prepare(parseModel(source, file));
    const { model, anatomy } = withPatterns(prepared, recognise(prepared));
    makePlan(model.graph, anatomy, new Map(), [anatomy.output]);
    return { outcome: 'fine' };
  } catch (error) {
    if (SinkscopeError.is(error)) return { outcome: error.code };
    return { outcome: 'unexpected', unexpected: error instanceof Error ? error.stack : String(error) };
  }
}
