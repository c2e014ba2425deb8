/** The fixtures, and what is known of them. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Anatomy } from '../../src/anatomy/anatomy.js';
import { streamsOf } from '../../src/anatomy/streams.js';
import type { Model } from '../../src/onnx/model.js';
import { prepare } from '../../src/onnx/prepare.js';

/** The folders of all fixtures; `SINKSCOPE_ZOO` names other folders of fixtures to try instead. */
export const folders: readonly string[] = (
  process.env.SINKSCOPE_ZOO
    ? process.env.SINKSCOPE_ZOO.split(delimiter)
    : ['fixtures', 'families'].map((part) => join(import.meta.dirname, part))
).flatMap((root) =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, name)),
);

/** The quantities that are compared, as the table of `docs/models.md` names them. */
export const quantities = ['hidden', 'resid_mid', 'attn', 'cross', 'mlp', 'head'] as const;
/** Of mixtures of experts, which have a table of their own: who was sent where, and what the chosen make inside. */
export const expertQuantities = ['experts', 'expert_weights', 'router', 'expert_mlp'] as const;
export type Quantity = (typeof quantities)[number] | (typeof expertQuantities)[number];

/** What `fixture.json` says; undefined facts do not apply to the model. */
export interface Fixture {
  readonly name: string;
  readonly dtype: string;
  readonly tolerance: number;
  /** What made the golden: PyTorch, or ONNX Runtime on the file itself with its tensors tapped. */
  readonly golden: string;
  /** By name of the golden's tensors: the graph's own. */
  readonly taps: Readonly<Record<string, { readonly tensor: string }>>;
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
  /** The residual stream that the golden is of, where the file has several. */
  readonly stream?: string;
  /** Token ids to run, where everything else is to be filled; undefined: all is given as the golden has it. */
  readonly ids?: readonly number[];
  /** Quantities of the golden that Sinkscope cannot give for this model, and why: the honest gaps. */
  readonly gaps?: Partial<Record<Quantity, string>>;
}

export async function fixture(folder: string): Promise<Fixture> {
  return JSON.parse(await readFile(join(folder, 'fixture.json'), 'utf8'));
}

/** What is recognised of the stream that a fixture is about. */
export function anatomyOf(model: Model, { stream }: Fixture): Anatomy {
  const streams = streamsOf(prepare(model));
  return (streams.find(({ name }) => name === stream) ?? streams[0]).anatomy;
}

/** What a fixture may differ by: the rule for its precision. */
export function toleranceOf({ name, dtype, tolerance }: Fixture): number {
  if (dtype === 'float16' || dtype === 'bfloat16') return 1e-2;
  if (dtype.startsWith('int') || /int4|int8|q4|qdq/.test(name)) return 2e-2;
  return Math.max(1e-5, 4 * tolerance);
}

/** What a fixture is run on. */
export function promptOf(folder: string, { ids }: Fixture): { ids: number[] } | { feeds: string } {
  return ids ? { ids: [...ids] } : { feeds: join(folder, 'golden.safetensors') };
}
