/** Writes a run's tensors as they come, float32, batch axis removed, under the names of TransformerLens' points. */
import { SinkscopeError } from '../../errors.js';
import { SafetensorsWriter } from '../../statistics/safetensors.js';
import type { SaveRequest } from '../contract/events.js';
import type { Head, LogitPart } from '../stages/head.js';
import type { LoadedModel } from '../stages/loaded.js';
import type { Pattern } from '../tensors/patterns.js';
import type { Values } from '../tensors/value.js';
import { floats } from '../tensors/value.js';

export interface Saver {
  /** [tokens, width] */
  rows(name: string, values: Float32Array, tokens: number): Promise<void>;
  /** [heads, tokens, keys] */
  pattern(name: string, pattern: Pattern): Promise<void>;
  /**
   * `logits` [tokens, vocabulary]; what the graph gives where that is none, under the graph's own name.
   *
   * @returns the logits of the last token, where there are logits
   */
  output(head: Head, values: Values, tokens: number, keep: boolean): Promise<Float32Array | undefined>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

export async function openSaver(request: SaveRequest, { anatomy, predicts }: LoadedModel): Promise<Saver> {
  const output = predicts ? 'logits' : anatomy.output;
  const blocks = [...anatomy.blocks.keys()];
  const writer = await SafetensorsWriter.create(request.file, [
    ...Array.from({ length: anatomy.layers + 1 }, (_, layer) => `hidden.${layer}`),
    ...blocks.flatMap((block) => [`resid_mid.${block}`, `attn.${block}`, `mlp.${block}`]),
    output,
  ]);
  return {
    rows: (name, values, tokens) => writer.append(name, [tokens, values.length / tokens], values),
    async pattern(name, { heads, queries, keys, values }) {
      if (request.attention) await writer.append(name, [heads, queries, keys], values);
    },
    async output(head, values, tokens, keep) {
      const whole = async () => {
        const value = await head.all(values, keep);
        await writer.append(output, value.dims.length > 2 ? value.dims.slice(1) : value.dims, floats(value));
        return value;
      };
      if (!predicts) {
        await whole();
        return undefined;
      }
      const parts = head.parts(values, 0, tokens, keep);
      let first: IteratorResult<LogitPart, void>;
      try {
        first = await parts.next();
      } catch (error) {
        if (!SinkscopeError.is(error, 'input')) throw error;
        // A file that gives logits of its last positions only: those are what there is to save.
        const value = floats(await whole());
        return value.slice(value.length - (anatomy.vocabulary ?? value.length));
      }
      if (first.done) return undefined;
      let { logits } = first.value;
      const width = logits.length / first.value.to;
      async function* all() {
        yield logits;
        for await (const part of parts) {
          logits = part.logits;
          yield logits;
        }
      }
      await writer.append(output, [tokens, width], all());
      return logits.slice(-width);
    },
    finish: () => writer.finish(),
    abort: () => writer.abort(),
  };
}
