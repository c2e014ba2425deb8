/** Writes a run's tensors as they come, float32, batch axis removed, under the names of TransformerLens' points. */
import { SinkscopeError } from '../../errors.js';
import { SafetensorsWriter } from '../../statistics/safetensors.js';
import type { RoutingStatistics } from '../../statistics/statistics.js';
import type { SaveRequest } from '../contract/events.js';
import type { Head, LogitPart } from '../stages/head.js';
import type { LoadedModel } from '../stages/loaded.js';
import type { Pattern } from '../tensors/patterns.js';
import type { Value, Values } from '../tensors/value.js';
import { floats } from '../tensors/value.js';

export interface Saver {
  /** [tokens, width] */
  rows(name: string, values: Float32Array, tokens: number): Promise<void>;
  /**
   * `experts.k` (which, counted from 0) and `expert_weights.k` [tokens, chosen], `router.k` [tokens, experts], and where
   * MLP intermediates are asked for `expert_mlp.k` [tokens, chosen, width].
   */
  routing(block: number, routing: RoutingStatistics, intermediates: Float32Array | undefined): Promise<void>;
  /** [heads, tokens, keys]; of attention to other states keys are positions of those. */
  pattern(name: string, pattern: Pattern): Promise<void>;
  /**
   * `logits` [tokens, vocabulary].
   *
   * @returns the logits of the last token
   */
  logits(head: Head, values: Values, tokens: number, keep: boolean): Promise<Float32Array | undefined>;
  /** What the graph gives where that is no logits of tokens, under its own names. */
  outputs(results: Values): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

const routingNames = ['experts', 'expert_weights', 'router', 'expert_mlp'] as const;

export async function openSaver(request: SaveRequest, { anatomy, predicts }: LoadedModel): Promise<Saver> {
  const names = predicts ? ['logits'] : anatomy.outputs.map(({ name }) => name);
  const blocks = [...anatomy.blocks.keys()];
  const writer = await SafetensorsWriter.create(request.file, [
    ...Array.from({ length: anatomy.layers + 1 }, (_, layer) => `hidden.${layer}`),
    ...blocks.flatMap((block) => [`resid_mid.${block}`, `attn.${block}`, `cross.${block}`, `mlp.${block}`]),
    ...blocks.flatMap((block) =>
      anatomy.blocks[block]?.routing ? routingNames.map((name) => `${name}.${block}`) : [],
    ),
    ...names,
  ]);
  const whole = async (name: string, value: Value) => {
    await writer.append(
      name,
      value.dims.length > 2 && value.dims[0] === 1 ? value.dims.slice(1) : value.dims,
      floats(value),
    );
  };
  return {
    rows: (name, values, tokens) => writer.append(name, [tokens, values.length / tokens], values),
    async routing(block, { tokens, chosen, experts, indices, weights, scores }, intermediates) {
      await writer.append(`experts.${block}`, [tokens, chosen], Float32Array.from(indices));
      await writer.append(`expert_weights.${block}`, [tokens, chosen], weights);
      if (scores) await writer.append(`router.${block}`, [tokens, experts], scores.values);
      const width = intermediates && intermediates.length / (tokens * chosen);
      if (request.mlp && width) await writer.append(`expert_mlp.${block}`, [tokens, chosen, width], intermediates);
    },
    async pattern(name, { heads, queries, keys, values }) {
      if (request.attention) await writer.append(name, [heads, queries, keys], values);
    },
    async outputs(results) {
      for (const [name, value] of results) if (names.includes(name)) await whole(name, value);
    },
    async logits(head, values, tokens, keep) {
      const parts = head.parts(values, 0, tokens, keep);
      let first: IteratorResult<LogitPart, void>;
      try {
        first = await parts.next();
      } catch (error) {
        if (!SinkscopeError.is(error, 'input')) throw error;
        // A file that gives logits of its last positions only: those are what there is to save.
        const value = await head.all(values, keep);
        await whole('logits', value);
        return floats(value).slice(-(value.dims.at(-1) ?? 0));
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
      await writer.append('logits', [tokens, width], all());
      return logits.slice(-width);
    },
    finish: () => writer.finish(),
    abort: () => writer.abort(),
  };
}
