import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { type LoadedModel, loadModel } from '../../../src/engine/stages/loaded.js';
import { group, makePlan } from '../../../src/engine/stages/plan.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { multiplyTransposed } from '../../../src/engine/stages/transposed.js';
import type { Values } from '../../../src/engine/tensors/value.js';
import { filled, floats } from '../../../src/engine/tensors/value.js';
import { extract } from '../../../src/onnx/extract.js';
import { DataType } from '../../../src/onnx/model.js';
import { relativeError } from '../../support/engine.js';
import { demo, fixture } from '../../support/files.js';
import { at } from '../../support/lists.js';

const length = 24;
const ids = Array.from({ length }, (_, i) => (i * 13) % 150);

function inputs(loaded: LoadedModel): Values {
  const dims = [1, length];
  return new Map(
    loaded.anatomy.inputs.map(({ name, type, role }) => [
      name,
      filled(type, dims, (i) => (role === 'token-ids' ? at(ids, i) : role === 'position-ids' ? i : 1)),
    ]),
  );
}

function pointsOf(loaded: LoadedModel): string[] {
  const { anatomy } = loaded;
  return [...anatomy.blocks.map((block) => block.residPost), anatomy.unembedding?.logits ?? ''];
}

/** Everything from one session with ONNX Runtime's defaults. */
async function whole(loaded: LoadedModel): Promise<Map<string, Float32Array>> {
  const { bytes, folder } = extract(loaded.model, {
    inputs: loaded.model.graph.inputs,
    outputs: pointsOf(loaded),
  });
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const feeds = Object.fromEntries(
    [...inputs(loaded)].map(([name, { dims, data }]) => [name, new Tensor('int64', data as BigInt64Array, dims)]),
  );
  const results = await session.run(feeds);
  return new Map(pointsOf(loaded).map((name) => [name, results[name]?.data as Float32Array]));
}

/** The same from stages of `count` blocks. */
async function staged(loaded: LoadedModel, count: number, keep: boolean): Promise<Map<string, Float32Array>> {
  const { model, anatomy } = loaded;
  const runner = new StageRunner(loaded, 1);
  const values = new Map(inputs(loaded));
  const { stages } = makePlan(model.graph, anatomy, new Map(), [anatomy.unembedding?.logits ?? '']);
  for (const stage of group(stages, count, anatomy.layers)) {
    for (const [name, value] of await runner.run(stage, values, keep)) values.set(name, value);
  }
  await runner.release();
  return new Map(
    pointsOf(loaded).map((name) => [name, floats(values.get(name) ?? filled(DataType.float, [0], () => 0))]),
  );
}

describe.each([fixture('gpt2-ts-op14').model, fixture('llama-dynamo-op18-ext').model, demo])('%s in stages', (file) => {
  const loaded = loadModel(file);
  let reference: Map<string, Float32Array>;
  beforeAll(async () => {
    reference = await whole(loaded);
  });

  it.each([1, 2])('of %i blocks that are kept equals one session bit by bit', async (count) => {
    const results = await staged(loaded, count, true);
    for (const [name, values] of reference) expect(results.get(name), name).toEqual(values);
  });

  it('that run once equals it but for rounding', async () => {
    const results = await staged(loaded, 1, false);
    for (const [name, values] of reference) {
      expect(relativeError(results.get(name) ?? new Float32Array(), values), name).toBeLessThan(2e-6);
    }
  });
});

describe('multiplyTransposed', () => {
  const { model } = loadModel(fixture('gpt2-optimum-past').model);

  it('takes the embedding table as it is for the output head', () => {
    const transposes = (nodes: typeof model.graph.nodes) => {
      const made = new Set(
        nodes
          .filter((node) => node.op === 'Transpose' && model.graph.initializers.has(at(node.inputs, 0)))
          .map((node) => at(node.outputs, 0)),
      );
      return nodes.filter((node) => node.inputs.some((input) => made.has(input)));
    };
    expect(transposes(model.graph.nodes).length).toBeGreaterThan(0);
    const rewritten = multiplyTransposed(model);
    expect(transposes(rewritten.graph.nodes)).toEqual([]);
    expect(rewritten.opsets.get('com.microsoft')).toBe(1);
  });

  it('takes one that is stored in another precision as it is read', () => {
    const { graph } = multiplyTransposed(loadModel(demo).model);
    const head = graph.nodes.find((node) => node.outputs.includes('logits'));
    expect(head).toMatchObject({ op: 'FusedMatMul' });
    expect(graph.nodes.find((node) => node.outputs[0] === head?.inputs[1])).toMatchObject({
      op: 'Cast',
      inputs: ['wte'],
    });
  });

  it('leaves other models alone', () => {
    const other = {
      ...model,
      graph: { ...model.graph, nodes: model.graph.nodes.filter((node) => node.op !== 'Transpose') },
    };
    expect(multiplyTransposed(other)).toBe(other);
  });
});

it('names the blocks, the file and the cause of a stage that fails', async () => {
  const { model } = fixture('gpt2-ts-op14');
  const loaded = loadModel(model);
  const runner = new StageRunner(loaded, 1);
  const { stages } = makePlan(loaded.model.graph, loaded.anatomy, new Map(), []);
  const values = new Map([...inputs(loaded), ...(await runner.run(at(stages, 0), inputs(loaded), false))]);
  values.set(
    loaded.anatomy.embedding,
    filled(DataType.float, [1, length, 3], () => 0),
  );
  await expect(runner.run(at(stages, 1), values, false)).rejects.toMatchObject({
    code: 'runtime',
    message: expect.stringMatching(/could not run block 1 of 3 \(model\.onnx\): ./),
    file: model,
  });
});
