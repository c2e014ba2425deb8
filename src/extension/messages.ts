/** What arrives from a webview, checked before anything acts on it. */
import * as v from 'valibot';
import type { FromWebview } from '../protocol.js';

const index = v.pipe(v.number(), v.integer(), v.minValue(0));

const selection = v.strictObject({
  token: v.optional(index),
  layer: v.optional(index),
  dim: v.optional(index),
  head: v.optional(index),
});

const query = v.variant('type', [
  v.strictObject({ type: v.literal('pattern'), layer: index, head: index }),
  v.strictObject({ type: v.literal('predictions'), token: index }),
  v.strictObject({ type: v.literal('picture') }),
]);

const experimentAction = v.variant('do', [
  v.strictObject({
    do: v.literal('run'),
    experiment: v.string(),
    values: v.record(
      v.string(),
      v.union([v.string(), v.pipe(v.number(), v.finite()), v.boolean(), v.array(v.string())]),
    ),
  }),
  v.strictObject({ do: v.literal('stop') }),
  v.strictObject({ do: v.literal('close'), run: index }),
  v.strictObject({ do: v.literal('choose-text'), experiment: v.string(), input: v.string() }),
  v.strictObject({ do: v.literal('save-json'), run: index }),
  v.strictObject({ do: v.literal('save-csv'), run: index, part: index }),
]);

const message = v.variant('type', [
  v.strictObject({ type: v.literal('ready') }),
  v.strictObject({ type: v.literal('select'), selection }),
  v.strictObject({ type: v.literal('stop') }),
  v.strictObject({ type: v.literal('analyze-again') }),
  v.strictObject({ type: v.literal('choose-model'), file: v.string() }),
  v.strictObject({ type: v.literal('choose-bos'), bos: v.picklist(['auto', 'on', 'off']) }),
  v.strictObject({ type: v.literal('query'), id: index, query }),
  v.strictObject({ type: v.literal('open-settings') }),
  v.strictObject({ type: v.literal('save'), what: v.picklist(['json', 'safetensors']) }),
  v.strictObject({ type: v.literal('save-picture'), name: v.string(), png: v.instance(Uint8Array) }),
  v.strictObject({ type: v.literal('experiment'), action: experimentAction }),
]) satisfies v.GenericSchema<FromWebview>;

/** `data` as a message, or undefined when it is none. */
export function parseFromWebview(data: unknown): FromWebview | undefined {
  const result = v.safeParse(message, data);
  return result.success ? result.output : undefined;
}
