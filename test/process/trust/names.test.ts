/** Names in a model mean nothing, whatever they would mean to JavaScript, a terminal or a page. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeModel } from '../../../src/onnx/encode.js';
import type { Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { collect, failure, only, request, startEngine } from '../../support/engine.js';
import { demo, temporaryFolder } from '../../support/files.js';
import { inFiles } from '../../support/hostile.js';

const engine = startEngine();
const folder = await temporaryFolder();

/** Names that every object of JavaScript has something under. */
const own = ['__proto__', 'constructor', 'toString', 'valueOf'];
const others = inFiles.filter((name) => !own.includes(name));

/** The model with every value, weight, node, input and output under a hostile name, the given ones first. */
function renamed(model: Model, first: readonly string[]): Model {
  const all = new Map([['', '']]);
  const rename = (name: string) => {
    const known = all.get(name);
    if (known !== undefined) return known;
    const count = all.size - 1;
    const other = `${others[count % others.length]}${count < others.length ? '' : count}`;
    all.set(name, other);
    return other;
  };
  for (const [i, name] of first.entries()) all.set(name, own[i] ?? '');
  const named = <T extends { readonly name: string }>(one: T): T => ({ ...one, name: rename(one.name) });
  const byName = <T extends { readonly name: string }>(map: ReadonlyMap<string, T>) =>
    new Map(Array.from(map.values(), (one) => [rename(one.name), named(one)]));
  const { graph } = model;
  return {
    ...model,
    graph: {
      name: rename(graph.name),
      nodes: graph.nodes.map((node) => {
        return { ...named(node), inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
      }),
      inputs: graph.inputs.map(named),
      outputs: graph.outputs.map(named),
      initializers: byName(graph.initializers),
      valueInfo: byName(graph.valueInfo),
    },
  };
}

it('a model under hostile names gives the same numbers', async () => {
  // Weights stay where they are, beside the new files.
  const copy = join(folder, 'copy.onnx');
  await copyFile(demo, copy);
  const model = prepare(readModel(copy));
  const prompt = { ids: [1, 5, 9, 2, 7] };
  const plain = await collect(engine.analyze(request(demo, prompt)));
  expect(failure(plain)).toBeUndefined();
  const { anatomy } = await engine.inspect(demo);
  const points = [
    anatomy.blocks[0]?.residPost,
    anatomy.embedding,
    anatomy.inputs[0]?.name,
    anatomy.unembedding?.logits,
  ];
  for (let turn = 0; turn < points.length; turn++) {
    const first = [...points.slice(turn), ...points.slice(0, turn)].filter((name) => name !== undefined);
    const file = join(folder, `${turn}.onnx`);
    await writeFile(file, encodeModel(renamed(model, first), folder));
    const events = await collect(engine.analyze(request(file, prompt)));
    expect(failure(events)).toBeUndefined();
    expect(only(events, 'layer')).toEqual(only(plain, 'layer'));
    expect(only(events, 'attention')).toEqual(only(plain, 'attention'));
  }
});
