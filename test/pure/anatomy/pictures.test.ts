/** Models that take pictures: what they are fed is told by the graph, whatever its file declares. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pixelInput } from '../../../src/anatomy/pictures.js';
import { recognise } from '../../../src/anatomy/recognise.js';
import type { Graph, Model } from '../../../src/onnx/model.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';

const read = (name: string) => prepare(readModel(join(import.meta.dirname, '../../zoo/fixtures', name, 'model.onnx')));

const changed = (model: Model, graph: Partial<Graph>): Model => ({ ...model, graph: { ...model.graph, ...graph } });

const inputsOf = (model: Model) => recognise(model).inputs;

describe('the input that takes a picture', () => {
  it.each(['vit-ort-fused', 'vit_mae-ts-op17', 'dinov2_with_registers-dynamo-op18'])('%s', (name) => {
    expect(pixelInput(inputsOf(read(name)))?.name).toBe('pixel_values');
  });

  it('is found where the file leaves every extent open, by the weights of what cuts it into patches', () => {
    const model = read('vit-ort-fused');
    const inputs = model.graph.inputs.map((info) => ({ ...info, shape: info.shape?.map((_, i) => `extent ${i}`) }));
    const anatomy = recognise(changed(model, { inputs }));
    expect(pixelInput(anatomy.inputs)?.name).toBe('pixel_values');
    expect(anatomy.patch).toMatchObject({ height: 8, width: 8 });
  });

  it.each(['llama-ts-op17-sdpa', 'gnn-ts-op17'])('is missing in %s', (name) => {
    expect(pixelInput(inputsOf(read(name)))).toBeUndefined();
  });
});

describe('noise that only sorts patches', () => {
  const mae = read('vit_mae-ts-op17');

  it('is an order', () => {
    expect(inputsOf(mae).map(({ role }) => role)).toEqual(['features', 'order']);
  });

  it('is none where its largest come first, or where its values are read too', () => {
    const nodes = mae.graph.nodes.map((node) =>
      node.op === 'TopK' && node.inputs[0] === 'noise' ? { ...node, attributes: new Map() } : node,
    );
    expect(inputsOf(changed(mae, { nodes })).map(({ role }) => role)).toEqual(['features', 'features']);
    const sorted = mae.graph.nodes.find((node) => node.inputs[0] === 'noise' && node.op === 'TopK')?.outputs[0] ?? '';
    const outputs = [...mae.graph.outputs, { name: sorted, type: 1, shape: undefined }];
    expect(inputsOf(changed(mae, { outputs })).map(({ role }) => role)).toEqual(['features', 'features']);
  });
});
