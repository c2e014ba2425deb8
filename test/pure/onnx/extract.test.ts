/** Sub-models that are run by themselves. */
import { expect, it } from 'vitest';
import { extract } from '../../../src/onnx/extract.js';
import { modelOf } from '../../support/graph.js';

it('gives what ONNX Runtime made when it saved a file another name, by which it is read', () => {
  const model = modelOf('y = Add(x, gemm_input_shape_token_0)\nz = Mul(y, w)', {
    inputs: { x: ['n', 4] },
    weights: { gemm_input_shape_token_0: [4], w: [4] },
    outputs: ['z'],
  });
  const { bytes } = extract(model, { inputs: [{ name: 'x' }], outputs: ['z'] });
  const text = Buffer.from(bytes).toString('latin1');
  expect(text.match(/gemm_input_shape_token_0(\/saved)?/g)).toEqual([
    'gemm_input_shape_token_0/saved',
    'gemm_input_shape_token_0/saved',
  ]);
});
