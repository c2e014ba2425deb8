/** A fixture run through the engine as a user's model would be, and held against its golden. */
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { RunEvent } from '../../src/engine/contract/events.js';
import type { Engine } from '../../src/engine/host/engine.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';

/** The folders of all fixtures; `SINKSCOPE_ZOO` names another folder of fixtures to try instead. */
export const folders: readonly string[] = (
  process.env.SINKSCOPE_ZOO
    ? [process.env.SINKSCOPE_ZOO]
    : ['fixtures', 'families'].map((part) => join(import.meta.dirname, part))
).flatMap((root) =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, name)),
);

/** The quantities that are compared, as the table of `docs/models.md` names them. */
export const quantities = ['hidden', 'resid_mid', 'attn', 'mlp', 'head'] as const;
export type Quantity = (typeof quantities)[number];

/** Largest error of a quantity over layers, relative to the golden's largest magnitude; or why there is none. */
export type Result = { readonly error: number } | { readonly gap: string };

/** What `fixture.json` says; undefined facts do not apply to the model. */
export interface Fixture {
  readonly name: string;
  readonly dtype: string;
  readonly tolerance: number;
  /** The golden tensor that is the model's output. */
  readonly head: string;
  readonly layers: number;
  readonly heads?: number;
  readonly kv_heads?: number;
  readonly hidden: number;
  readonly head_dim?: number;
  readonly mlp_hidden?: number;
  readonly parallel_block: boolean;
  readonly inputs: readonly { readonly name: string; readonly feed?: string }[];
  /** Quantities of the golden that Sinkscope cannot give for this model, and why: the honest gaps. */
  readonly gaps?: Partial<Record<Quantity, string>>;
}

export async function fixture(folder: string): Promise<Fixture> {
  return JSON.parse(await readFile(join(folder, 'fixture.json'), 'utf8'));
}

/** What a fixture may differ by: the rule for its precision. */
export function toleranceOf({ name, dtype, tolerance }: Fixture): number {
  if (dtype === 'float16' || dtype === 'bfloat16') return 1e-2;
  if (dtype.startsWith('int') || /int4|int8|q4|qdq/.test(name)) return 2e-2;
  return Math.max(1e-5, 4 * tolerance);
}

/** Runs `model` on the golden feeds in `folder` and compares all that the golden has. */
export async function compare(
  engine: Engine,
  folder: string,
  model = join(folder, 'model.onnx'),
): Promise<{ results: ReadonlyMap<Quantity, Result>; events: readonly RunEvent[] }> {
  const { head } = await fixture(folder);
  const golden = join(folder, 'golden.safetensors');
  const temporary = await mkdtemp(join(tmpdir(), 'sinkscope-zoo-'));
  try {
    const file = join(temporary, `${basename(folder)}.safetensors`);
    const events: RunEvent[] = [];
    const run = engine.analyze({
      model,
      prompt: { feeds: golden },
      attention: true,
      memory: 2 ** 30,
      threads: 1,
      save: { file, attention: true, mlp: true, logits: true },
    });
    for await (const event of run) events.push(event);
    const last = events.at(-1);
    if (last?.type !== 'finished')
      throw new Error(last?.type === 'failed' ? `${last.problem.message} ${last.problem.detail ?? ''}` : 'no end');
    return { results: await differences(golden, file, head), events };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function differences(golden: string, saved: string, head: string): Promise<Map<Quantity, Result>> {
  const [want, got] = [await openSafetensors(golden), await openSafetensors(saved)];
  const results = new Map<Quantity, Result>();
  for (const quantity of quantities) {
    const names = want.names.filter((name) =>
      quantity === 'head' ? name === head : new RegExp(`^${quantity}\\.\\d+$`).test(name),
    );
    if (names.length === 0) continue;
    let error = 0;
    let gap: string | undefined;
    for (const name of names) {
      const source = quantity === 'head' && !got.names.includes(name) ? 'logits' : name;
      if (!got.names.includes(source)) {
        gap ??= `${source} is missing`;
        continue;
      }
      const [a, b] = [await tensor(want, name), await tensor(got, source)];
      if (a.shape.join() !== b.shape.join()) gap ??= `${source} is [${b.shape}], not [${a.shape}]`;
      else error = Math.max(error, relativeError(a.values, b.values));
    }
    results.set(quantity, gap === undefined ? { error } : { gap });
  }
  return results;
}

async function tensor(file: Awaited<ReturnType<typeof openSafetensors>>, name: string) {
  const { shape, bytes } = await file.tensor(name);
  return { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) };
}

function relativeError(want: Float32Array, got: Float32Array): number {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [want[i] as number, got[i] as number];
    largest = Math.max(largest, Math.abs(a));
    // A NaN on one side is a difference that no tolerance covers.
    difference = Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.max(difference, Math.abs(a - b));
  }
  return difference / (largest || 1);
}
