/** Files with several residual streams, run by what is given, against PyTorch. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunRequest } from '../../../src/engine/contract/events.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import { collect, failure, only, readFloats, relativeError, request, startEngine } from '../../support/engine.js';
import { root, temporaryFolder } from '../../support/files.js';

const folder = await temporaryFolder();
const engine = startEngine();
const family = (name: string) => {
  const at = join(root, 'test/zoo/families', name);
  return { model: join(at, 'model.onnx'), golden: join(at, 'golden.safetensors') };
};

/** The ids of a golden. */
async function idsOf(golden: string, name: string): Promise<number[]> {
  const { bytes } = await (await openSafetensors(golden)).tensor(name);
  return [...new BigInt64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))].map(Number);
}

/** A file of ids [1, T]. */
async function feedsOf(name: string, tensors: Readonly<Record<string, readonly number[]>>): Promise<string> {
  let offset = 0;
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  for (const [input, ids] of Object.entries(tensors)) {
    const bytes = Buffer.from(BigInt64Array.from(ids, BigInt).buffer);
    header[input] = { dtype: 'I64', shape: [1, ids.length], data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = join(folder, `${name}.safetensors`);
  await writeFile(file, Buffer.concat([length, text, ...parts]));
  return file;
}

async function run(name: string, model: string, prompt: RunRequest['prompt'], more: Partial<RunRequest> = {}) {
  const file = join(folder, `${name}.safetensors`);
  const save = { file, attention: true, mlp: true, logits: true };
  const events = await collect(engine.analyze(request(model, prompt, { save, ...more })));
  return { file, events, problem: failure(events), model: only(events, 'started')[0]?.model };
}

async function expectGolden(file: string, golden: string): Promise<void> {
  const names = (await openSafetensors(golden)).names.filter((name) => /^(hidden|attn|cross|mlp)\.\d+$/.test(name));
  expect(names).toContain('attn.1');
  for (const name of names) {
    const [actual, reference] = [await readFloats(file, name), await readFloats(golden, name)];
    expect([name, actual.shape]).toEqual([name, reference.shape]);
    expect(relativeError(actual.values, reference.values), name).toBeLessThan(1e-5);
  }
}

describe('two towers', () => {
  const { model, golden } = family('towers-clip-ts17-text');
  const vision = family('towers-clip-ts17-vision');

  it('ids alone run the text, and the mask is filled', async () => {
    const found = await run('ids', model, { ids: await idsOf(golden, 'input_ids') });
    expect(found.problem).toBeUndefined();
    expect(found.model).toMatchObject({ stream: 'text', streams: ['vision', 'text'], remarks: [] });
    await expectGolden(found.file, golden);
  });

  it('what fits both runs the first of them, and says so; the other can be named', async () => {
    const both = await run('both', model, { feeds: golden });
    expect(both.model).toMatchObject({ stream: 'vision', remarks: [expect.stringContaining('fits text too')] });
    await expectGolden(both.file, vision.golden);
    const named = await run('named', model, { feeds: golden }, { stream: 'text' });
    expect(named.model).toMatchObject({ stream: 'text', remarks: [] });
    await expectGolden(named.file, golden);
  });

  it('a tower without its input names the input', async () => {
    const { problem } = await run('without', model, { ids: [5, 6] }, { stream: 'vision' });
    expect(problem).toMatchObject({ code: 'input', message: expect.stringContaining('a picture ("pixel_values")') });
  });

  it('texts are measured on the text, pictures are asked of the vision', async () => {
    const of = async (takes: 'text' | 'image') => (await engine.inspect(model, undefined, { takes })).model.stream;
    expect([await of('text'), await of('image')]).toEqual(['text', 'vision']);
    const sequences = [await idsOf(golden, 'input_ids')];
    const types: string[] = [];
    for await (const event of engine.run('states', { model, sequences, memory: 2 ** 30, threads: 1 }))
      types.push(event.type);
    expect(types).toContain('states');
    expect(types.at(-1)).toBe('done');
  });
});

describe('an encoder and its decoder', () => {
  const { model, golden } = family('towers-t5-ts17-decoder');
  const encoder = family('towers-t5-ts17-encoder');

  it('ids alone run the encoder', async () => {
    const found = await run('encoder', model, { ids: await idsOf(golden, 'input_ids') });
    expect(found.model).toMatchObject({ stream: 'encoder', layers: 3 });
    await expectGolden(found.file, encoder.golden);
    expect(only(found.events, 'predictions')).toEqual([]);
  });

  it('ids with the encoder’s beside them run the decoder; ids that are there twice are refused', async () => {
    const beside = await feedsOf('beside', { input_ids: await idsOf(golden, 'input_ids') });
    const ids = await idsOf(golden, 'decoder_input_ids');
    const found = await run('both-ids', model, { ids, beside });
    expect(found.problem).toBeUndefined();
    expect(found.model).toMatchObject({ stream: 'decoder' });
    await expectGolden(found.file, golden);
    const twice = await run('twice', model, { ids, beside }, { stream: 'encoder' });
    expect(twice.problem).toMatchObject({
      code: 'input',
      message: expect.stringContaining('has token ids ("input_ids")'),
    });
  });

  it('the encoder’s mask is as long as its ids, and cross-attention has a pattern that is no sink’s', async () => {
    const [input_ids, decoder_input_ids] = await Promise.all(
      ['input_ids', 'decoder_input_ids'].map((name) => idsOf(golden, name)),
    );
    const feeds = await feedsOf('given', { input_ids: input_ids ?? [], decoder_input_ids: decoder_input_ids ?? [] });
    const found = await run('decoder', model, { feeds });
    expect(found.problem).toBeUndefined();
    await expectGolden(found.file, golden);

    const reference = await readFloats(golden, 'cross.1');
    const [heads = 0, tokens = 0, positions = 0] = reference.shape;
    const patterns = only(found.events, 'attention').map(({ statistics }) => [statistics.tokens, statistics.extra]);
    expect(patterns).toEqual([
      [tokens, undefined],
      [tokens, undefined],
    ]);
    const { statistics } = only(found.events, 'cross-attention')[1] ?? {};
    expect(statistics).toMatchObject({ heads, tokens, positions });
    const alpha = Float32Array.from({ length: heads * positions }, (_, i) => {
      const [head, position] = [Math.floor(i / positions), i % positions];
      let sum = 0;
      for (let token = 0; token < tokens; token++)
        sum += reference.values[(head * tokens + token) * positions + position] ?? 0;
      return sum / tokens;
    });
    expect(relativeError(statistics?.alpha ?? new Float32Array(), alpha)).toBeLessThan(1e-5);

    const asked = await engine.query({ type: 'pattern', layer: 2, head: 1, cross: true });
    const size = tokens * positions;
    expect([asked.queries, asked.keys]).toEqual([tokens, positions]);
    expect(relativeError(asked.values, reference.values.slice(size, 2 * size))).toBeLessThan(1e-5);
  });
});

it('is refused where a model and a file made from it are walked side by side', async () => {
  engine.choose('encoder');
  try {
    const by = { what: 'file', model: '/b.onnx' } as const;
    const request = { reference: '/a.onnx', by, sequences: [{ ids: [1, 2], from: 1 }], memory: 2 ** 28, threads: 1 };
    const problems: unknown[] = [];
    for await (const event of engine.run('pair', request)) if (event.type === 'failed') problems.push(event.problem);
    const message: unknown = expect.stringMatching(/leave the stream "encoder" out/);
    expect(problems).toMatchObject([{ code: 'input', message }]);
  } finally {
    engine.choose(undefined);
  }
});
