/** Adapters as PEFT lays them out (github.com/huggingface/peft): `adapter_config.json` beside `adapter_model.safetensors`. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { modelFolder } from '../../models/folder.js';
import { saveWhole } from '../../saving.js';
import { SafetensorsWriter } from '../../statistics/safetensors.js';
import { scaling } from '../stages/adapted.js';
import type { LoadedModel } from '../stages/loaded.js';

export interface NamedAdapter {
  readonly module: string;
  readonly inputs: number;
  readonly outputs: number;
  /** A, [r, inputs], and B, [outputs, r]. */
  readonly down: Float32Array;
  readonly up: Float32Array;
}

/**
 * Writes what is trained, whole or not at all.
 *
 * @throws SinkscopeError `save`; what was written before stays as it is
 */
export async function saveAdapter(file: string, rank: number, adapters: readonly NamedAdapter[]): Promise<void> {
  const name = (module: string, part: 'A' | 'B') => `base_model.model.${module}.lora_${part}.weight`;
  const names = adapters.flatMap(({ module }) => [name(module, 'A'), name(module, 'B')]);
  const writer = await SafetensorsWriter.create(file, names);
  try {
    for (const { module, inputs, outputs, down, up } of adapters) {
      await writer.append(name(module, 'A'), [rank, inputs], down);
      await writer.append(name(module, 'B'), [outputs, rank], up);
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
  await writer.finish();
}

/**
 * Writes what adapters are, whole or not at all.
 *
 * @param base what the model is called that they belong to
 * @returns the file
 * @throws SinkscopeError `save`
 */
export async function saveConfig(
  folder: string,
  base: string,
  rank: number,
  adapters: readonly Pick<NamedAdapter, 'module'>[],
): Promise<string> {
  const file = join(folder, 'adapter_config.json');
  await saveWhole(file, `${JSON.stringify(configOf(base, rank, adapters), undefined, 2)}\n`);
  return file;
}

/** As PEFT writes it, without what is as it is unless it is said. */
const configOf = (base: string, rank: number, adapters: readonly Pick<NamedAdapter, 'module'>[]) => ({
  base_model_name_or_path: base,
  bias: 'none',
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  lora_alpha: scaling * rank,
  lora_dropout: 0,
  peft_type: 'LORA',
  r: rank,
  target_modules: adapters.map(({ module }) => module),
  task_type: null,
});

/** Writes what belongs to a model beside the one that was made of it: tokenizer and configuration. */
export async function saveBeside({ file, chosen }: LoadedModel, folder: string): Promise<void> {
  const { tokenizer, ...others } = modelFolder(file);
  const own = chosen ?? tokenizer;
  if (own !== undefined) await saveWhole(join(folder, 'tokenizer.json'), await readFile(own));
  for (const path of Object.values(others))
    if (path !== undefined) await saveWhole(join(folder, basename(path)), await readFile(path));
}
