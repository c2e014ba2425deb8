/**
 * A saved result, read as the events that it was made of. What is derived of a run (massive activations, sinks) is not read
 * but found again.
 */
import { basename } from 'node:path';
import { joinedFloats } from '../../statistics/numbers.js';
import type { EventOf } from '../contract/protocol.js';
import type { ResultAnswer } from '../contract/results.js';
import { readSaved, type Saved } from './savedResult.js';
import { tensorsBeside } from './savedTensors.js';

/** Tells what a file holds as a run would; throws as {@link readSaved} does. */
export async function tellResult(
  file: string,
  emit: (event: EventOf<'result'>) => Promise<void>,
): Promise<ResultAnswer> {
  const result = await readSaved(file);
  for (const event of eventsOf(result)) await emit(event);
  const { thresholds, seconds, first_layer_seconds } = result;
  const { min_queries: minQueries, min_share: minShare, ...same } = thresholds;
  return {
    type: 'result',
    thresholds: { ...same, minQueries, minShare },
    finished:
      seconds === null || seconds === undefined
        ? undefined
        : { type: 'finished', seconds, firstLayerSeconds: first_layer_seconds ?? Number.NaN, saved: undefined },
    tensors: await tensorsBeside(file, result.saved ?? undefined),
  };
}

function* eventsOf(result: Saved): Generator<EventOf<'result'>> {
  const { model, settings, device, inputs, window, tokens, layers, sinks, routing, predictions, outputs } = result;
  const undefinedOf = <T>(value: T | null | undefined): T | undefined => value ?? undefined;
  yield {
    type: 'started',
    model: {
      // Where it lies is of another machine, and names nothing here.
      file: basename(model.file.replaceAll('\\', '/')),
      name: model.name,
      stream: model.stream,
      streams: model.streams,
      layers: model.layers,
      hidden: model.hidden,
      heads: undefinedOf(model.heads),
      kvHeads: undefinedOf(model.kv_heads),
      context: undefinedOf(model.context),
      vocabulary: undefinedOf(model.vocabulary),
      parallelBlock: model.parallel_block,
      bytes: model.bytes,
      attention: sinks.alpha.length > 0 && sinks.alpha.every((heads) => heads !== null),
      missing: model.missing,
      remarks: model.remarks,
    },
    settings: {
      bos: undefinedOf(settings.bos),
      lineEnds: undefinedOf(settings.line_ends),
      chat: undefinedOf(settings.chat),
      graphOptimization: 'all',
      threads: settings.threads,
    },
    inputs,
  };
  if (device)
    for (const why of device.said) yield { type: 'device', asked: device.asked, provider: device.provider, why };
  const { start, end, total } = window;
  const picture = result.picture && { ...result.picture, file: basename(result.picture.file.replaceAll('\\', '/')) };
  yield {
    type: 'tokens',
    tokens,
    total: undefinedOf(total),
    window: { start, end },
    source: result.source,
    picture: undefinedOf(picture),
    tokenizer: tokens.some(({ text }) => text !== ''),
  };
  for (const [layer, one] of layers.entries()) {
    yield {
      type: 'layer',
      layer,
      statistics: {
        tokens: tokens.length,
        dims: model.hidden,
        top: one.top,
        median: one.median,
        tokenNorm: one.token_norm,
        tokenMax: one.token_max,
        tokenMaxDim: one.token_max_dim,
        dimMax: one.dim_max,
        nonFinite: one.non_finite,
      },
    };
    if (layer === 0) continue;
    const [heads, found] = [sinks.alpha[layer - 1], routing[layer - 1]];
    if (heads) {
      const statistics = {
        heads: heads.length,
        tokens: tokens.length,
        alpha: joinedFloats(heads),
        causal: sinks.causal[layer - 1] ?? false,
        extra: undefinedOf(sinks.extra[layer - 1]),
      };
      yield { type: 'attention', layer, statistics };
    }
    for (const cross of result.cross_attention) {
      if (cross.layer !== layer) continue;
      const { positions, alpha } = cross;
      const statistics = { heads: alpha.length, tokens: tokens.length, positions, alpha: joinedFloats(alpha) };
      yield { type: 'cross-attention', layer, statistics };
    }
    if (found && 'why' in found) yield { type: 'routing', layer, found };
    else if (found) {
      const { experts, chosen, indices, weights, multiplies, scores, largest } = found;
      const all = {
        tokens: tokens.length,
        experts,
        chosen,
        indices: Int32Array.from(indices.flatMap((list) => [...list])),
        weights: joinedFloats(weights),
        multiplies,
        scores: scores ? { kind: scores.kind, values: joinedFloats(scores.values) } : undefined,
        largest: largest ? joinedFloats(largest) : undefined,
        made: madeIn(result, layer, chosen),
      };
      yield { type: 'routing', layer, found: all };
    }
  }
  if (predictions) yield { type: 'predictions', ...predictions };
  if (outputs) yield { type: 'outputs', outputs: outputs.map((one) => ({ ...one, rows: one.rows.map(rowOf) })) };
}

/** What experts made of the entries that arise in a block. */
function madeIn({ massive_activations, tokens }: Saved, layer: number, chosen: number) {
  const entries = massive_activations.flatMap(({ token, dim, onset, experts }) => {
    const made = (experts ?? []).flatMap((one) => (typeof one.made === 'number' ? [one.made] : []));
    const isOwn = onset === layer && token < tokens.length && made.length === chosen;
    return isOwn ? [{ token, dim, made: Float32Array.from(made) }] : [];
  });
  return entries.length === 0 ? undefined : entries;
}

type Row = NonNullable<Saved['outputs']>[number]['rows'][number];
const rowOf = ({ token, norm, top }: Row) => ({
  token: token ?? undefined,
  norm,
  top: top.map((entry) => ({ ...entry, probability: entry.probability ?? undefined })),
});
