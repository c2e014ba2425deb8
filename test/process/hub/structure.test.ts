/** What the engine finds in a model whose weights were never fetched, against what it finds in the file itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { chosenModel } from '../../../src/hub/download.js';
import { modelsOf, repositoryOf } from '../../../src/hub/repository.js';
import { hubOf, listRepository } from '../../../src/hub/server.js';
import { inspectRemote } from '../../../src/hub/structure.js';
import { besideModel } from '../../../src/models/folder.js';
import { external, model, node, value } from '../../support/build.js';
import { startEngine } from '../../support/engine.js';
import { demo, fixture, temporaryFolder } from '../../support/files.js';
import { startHub } from '../../support/hub.js';

const engine = startEngine();
const { signal } = new AbortController();

async function remote(files: Readonly<Record<string, Uint8Array>>, asked: string[] = []) {
  const stand = await startHub(files);
  try {
    const hub = hubOf({ HF_ENDPOINT: stand.endpoint });
    const listing = await listRepository(hub, repositoryOf('owner/name', hub.endpoint), signal);
    const model = chosenModel(listing, modelsOf(listing, besideModel), undefined);
    let bytes = 0;
    const said = (total: number) => {
      bytes = total;
    };
    return { found: await inspectRemote(hub, listing, model, { engine, signal, said }), bytes };
  } finally {
    asked.push(...stand.asked);
    await stand.close();
  }
}

const fixtures = [
  'llama-dynamo-op18-ext',
  'llama-genai-int4',
  'gpt2-optimum-merged',
  'gpt2-int8-dynamic',
  'mixtral-dynamo-op18',
];

test.each([...fixtures.map((name) => [name, fixture(name).model]), ['the demo model', demo]])(
  '%s is the same without its weights',
  async (_, path) => {
    const folder = await temporaryFolder();
    vi.stubEnv('TMPDIR', folder).stubEnv('TEMP', folder);
    const data = `${path}.data`;
    const { found, bytes } = await remote({
      'model.onnx': readFileSync(path),
      ...(existsSync(data) && { 'model.onnx.data': readFileSync(data) }),
      ...(path === demo && { 'config.json': readFileSync(join(dirname(demo), 'config.json')) }),
    });
    const local = await engine.inspect(path);
    const { anatomy, nodes, opsets, producer } = local;
    expect({ anatomy: found.anatomy, nodes: found.nodes, opsets: found.opsets, producer: found.producer }).toEqual({
      anatomy,
      nodes,
      opsets,
      producer,
    });
    const { bytes: weights, context, vocabulary, layers, missing } = local.model;
    expect(found.model).toMatchObject({ bytes: weights, context, vocabulary, layers, missing, name: 'owner/name' });
    if (path === demo) expect(bytes).toBeLessThan(readFileSync(path).length / 4);
    expect(readdirSync(folder)).toEqual([]);
    vi.unstubAllEnvs();
  },
);

test.each([
  [
    'is cut off',
    (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
    /^model\.onnx is no ONNX model that can be read: it states more bytes/,
  ],
  ['is no model', () => Buffer.from('GGUF and what follows'), /^model\.onnx is no ONNX model that can be read/],
])('a file that %s is told', async (_, damage, sentence) => {
  await expect(remote({ 'model.onnx': damage(readFileSync(fixture('gpt2-ts-op14').model)) })).rejects.toThrow(sentence);
});

test('of weights in a file of their own, those are fetched that are read with the graph', async () => {
  const asked: string[] = [];
  const block = 2 ** 16;
  const weights = [
    external('large', [block], { location: 'weights.bin', offset: '0', length: `${4 * block}` }),
    external('shape', [4], { location: 'weights.bin', offset: `${5 * block}` }),
  ];
  const bytes = model({
    nodes: [node('Add', ['large', 'shape'], ['y'])],
    initializers: weights,
    outputs: [value('y', [block])],
  });
  const files = { 'model.onnx': bytes, 'weights.bin': Buffer.alloc(8 * block) };
  await expect(remote(files, asked)).rejects.toThrow(/is no transformer/);
  expect(asked.filter((line) => line.includes('weights.bin'))).toEqual([
    expect.stringContaining(`bytes=${5 * block}-${6 * block - 1}`),
  ]);
});
